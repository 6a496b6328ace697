//! Sold without a line: limits, and what comes of it when two do so.

use counterfoil_domain::{
    coupons::{OfflinePolicy, Template},
    operations::{Action, RedeemCoupon},
    settlement::{self, Kind},
};

use super::{HOME, ONLINE, action, basket, codes, done, journaled, office, pay, see, stacking, usage, used};
use crate::{
    basket::Selection,
    desk::Decision,
    honour::Delivery,
    queue,
    testing::{HeadOffice, Shop, coupon, coupon_id},
};

#[tokio::test]
async fn alone_a_sale_is_one_operation_and_each_coupon_counts_against_the_limits() {
    let mut office = office(&[HOME, HOME, HOME, ONLINE]);
    office.limits.max_per_member = 2;
    let shop = Shop::of(&mut office).await;
    shop.go_offline();
    let quote = see(&shop, &basket(Selection::Best)).await;
    // Three may be used alone, but only two of one member; the fourth needs a word.
    assert_eq!(used(&quote).len(), 2);
    let unconfirmed: Vec<_> = quote
        .coupons
        .iter()
        .filter(|coupon| coupon.decision == Decision::Unconfirmed)
        .collect();
    let why: Vec<_> = unconfirmed.iter().flat_map(|coupon| codes(&coupon.reasons)).collect();
    assert_eq!(why.len(), 2, "{why:?}");
    assert!(
        why.contains(&"online_only") && why.contains(&"member_operations_limit"),
        "{why:?}"
    );

    let receipt = done(pay(&shop, &quote).await);
    assert_eq!(receipt.delivery, Delivery::ToBeDelivered);
    assert_eq!(done(pay(&shop, &quote).await), receipt, "twice is once");
    assert_eq!(journaled(&shop).await, 1);
    assert_eq!(usage(&shop).await, (2, quote.discount));
    let Action::SettleSale(settled) = action(&shop, receipt.op_id).await else {
        panic!()
    };
    assert_eq!(settled.payable, quote.payable);
    assert_eq!((settled.tender.as_str(), settled.receipt.as_str()), ("card", "R-1"));
    assert!(settled.nets().is_some());

    // Nothing more of this member, neither in a basket nor by itself.
    let again = see(&shop, &basket(Selection::Best)).await;
    assert!(used(&again).is_empty());
    shop.settle(&mut office).await;
    assert_eq!(journaled(&shop).await, 0);
    let sale = office.state.sales[&receipt.op_id].clone().unwrap();
    assert_eq!((sale.payable, sale.coupons.len()), (quote.payable, 2));
    let counts = queue::counts(&mut shop.inner.db.read().await.unwrap()).await.unwrap();
    assert_eq!((counts.delivered, counts.exceptions), (1, 0));
    shop.go_offline();
    assert_eq!(used(&see(&shop, &basket(Selection::Best)).await).len(), 1);
}

#[tokio::test]
async fn amounts_that_are_given_away_alone_are_limited_by_what_is_really_taken_off() {
    let mut office = HeadOffice::new(0, 0);
    let percent = Template {
        rule: Kind::PercentOff {
            percent_bp: 1_000,
            threshold: None,
            max_discount: None,
            basis: settlement::Basis::Net,
        }
        .into(),
        worth_unbounded: 1,
        ..stacking(11, OfflinePolicy::FloorLimit)
    };
    office.put_template(Template {
        floor_limit: 450,
        ..percent
    });
    office.put_coupon(coupon(11, 11));
    office.limits.max_each = 480;
    let shop = Shop::of(&mut office).await;
    shop.go_offline();
    // 10% of 50.00 is more than may be given away alone, whatever the template says it is worth.
    let quote = see(&shop, &basket(Selection::Best)).await;
    assert!(used(&quote).is_empty());
    assert_eq!(
        codes(&quote.coupons[0].reasons),
        ["over_floor_limit", "over_floor_limit"]
    );
    let mut smaller = basket(Selection::Best);
    smaller.lines.truncate(1);
    assert_eq!(used(&see(&shop, &smaller).await).len(), 1);
}

#[tokio::test]
async fn a_coupon_that_two_counters_honour_alone_ends_in_one_exception_and_is_foreseen() {
    let mut office = office(&[HOME, HOME]);
    let shop = Shop::of(&mut office).await;
    shop.go_offline();
    let receipt = done(pay(&shop, &see(&shop, &basket(Selection::Best)).await).await);
    office.elsewhere(Action::RedeemCoupon(RedeemCoupon {
        coupon: coupon_id(12),
        template: crate::testing::template_id(12),
        template_version: 1,
        worth: 200,
        member: None,
        freeze: None,
    }));
    // The page comes before the operation is sent.
    shop.exchange(&mut office, 0, 1_000, true, true).await;
    let entry = queue::find(&mut shop.inner.db.read().await.unwrap(), receipt.op_id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(entry.state, queue::QueueState::ConflictExpected);
    shop.settle(&mut office).await;
    let entry = queue::find(&mut shop.inner.db.read().await.unwrap(), receipt.op_id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (entry.state, entry.exception.as_deref()),
        (queue::QueueState::Exception, Some("double_redeem"))
    );
    let sale = office.state.sales[&receipt.op_id].clone().unwrap();
    let broken: Vec<_> = sale.coupons.iter().filter(|sold| sold.exception.is_some()).collect();
    assert_eq!((broken.len(), broken[0].used.coupon), (1, coupon_id(12)));
    // The copy of the sale is head office's in the end.
    let held = crate::replica::sale(&mut shop.inner.db.read().await.unwrap(), receipt.op_id)
        .await
        .unwrap();
    assert_eq!(held, Some(sale));
}
