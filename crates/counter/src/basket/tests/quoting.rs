//! What a quote says, and that head office books the same.

use counterfoil_domain::{
    coupons::Template,
    ids::{CouponId, OperationId},
    operations::Outcome,
    settlement::{self, Kind, Stacking},
};
use proptest::prelude::*;

use super::{HOME, basket, codes, done, journaled, office, pay, see, stacking, used};
use crate::{
    basket::{Basket, BasketLine, Selection},
    desk::Input,
    testing::{HeadOffice, Line, Shop, coupon, coupon_id},
};

#[tokio::test]
async fn a_quote_says_what_each_coupon_does_and_why_the_others_do_not() {
    let mut office = office(&[HOME, HOME]);
    // Two of one group; one from far too much; one for somebody else's basket.
    let same_group = Template {
        stacking: Stacking::Group(Some("group 11".into())),
        ..stacking(13, HOME)
    };
    let dear = Template {
        rule: Kind::ThresholdOff {
            threshold: 6_200,
            amount: 500,
            basis: settlement::Basis::Net,
        }
        .into(),
        ..stacking(14, HOME)
    };
    office.put_template(same_group);
    office.put_template(dear);
    office.put_coupon(coupon(13, 13));
    office.put_coupon(coupon(14, 14));
    let shop = Shop::of(&mut office).await;
    let quote = see(&shop, &basket(Selection::Best)).await;
    // 2 x 10 + 30, less 2.00 and 3.00.
    assert_eq!((quote.subtotal, quote.discount, quote.payable), (5_000, 500, 4_500));
    assert_eq!(quote.currency, "CNY");
    let mut best = used(&quote);
    best.sort_unstable();
    assert_eq!(best, [coupon_id(12), coupon_id(13)]);
    let reasons: Vec<(CouponId, Vec<String>)> = quote
        .coupons
        .iter()
        .filter(|coupon| coupon.applied.is_none())
        .map(|coupon| {
            (
                coupon.coupon.id,
                coupon
                    .refused
                    .iter()
                    .map(|why| format!("{} {:?}", why.code(), why.params()))
                    .collect(),
            )
        })
        .collect();
    assert_eq!(reasons.len(), 2);
    let of = |id| reasons.iter().find(|(coupon, _)| *coupon == id).unwrap().1.join("; ");
    assert!(
        of(coupon_id(11)).contains("excluded_by") && of(coupon_id(11)).contains("coupon 13"),
        "{reasons:?}"
    );
    assert!(
        of(coupon_id(14)).contains("below_threshold") && of(coupon_id(14)).contains("1200"),
        "{reasons:?}"
    );
    // Line by line as in all.
    for line in &quote.lines {
        assert_eq!(line.list - line.discount, line.net);
        assert_eq!(line.shares.iter().map(|share| share.amount).sum::<i64>(), line.discount);
    }
    assert_eq!(quote.lines.iter().map(|line| line.net).sum::<i64>(), quote.payable);

    let by_hand = see(&shop, &basket(Selection::Given(vec![coupon_id(11)]))).await;
    assert_eq!((used(&by_hand), by_hand.discount), (vec![coupon_id(11)], 100));
    let unused = by_hand
        .coupons
        .iter()
        .find(|coupon| coupon.coupon.id == coupon_id(13))
        .unwrap();
    assert!(unused.refused.is_empty(), "it could be chosen: {unused:?}");
    assert_eq!(journaled(&shop).await, 0);

    // A price by hand, a coupon that is shown, things that are none.
    let mut other = basket(Selection::Best);
    other.member = None;
    other.lines[0].unit_price = Some(1);
    other.coupons = vec![
        Input::CouponCode(coupon(12, 12).code),
        Input::CouponCode(coupon(12, 12).code),
        Input::Other("4006381333931".into()),
    ];
    let quote = see(&shop, &other).await;
    assert_eq!((quote.subtotal, quote.discount), (3_002, 200));
    assert_eq!((quote.coupons.len(), quote.coupons[0].presented), (1, true));
    assert_eq!(
        (quote.unread.len(), codes(&quote.unread[0].reasons)),
        (1, vec!["not_a_code"])
    );

    let wrong = async |change: fn(&mut Basket)| {
        let mut basket = basket(Selection::Best);
        change(&mut basket);
        crate::basket::quote(&shop.inner, &basket).await
    };
    let error = wrong(|basket| basket.lines[0].sku = "nothing".into())
        .await
        .unwrap_err();
    assert_eq!(
        (error.code(), error.params()["sku"].as_str()),
        ("product_unknown", "nothing")
    );
    let error = wrong(|basket| basket.lines[0].quantity = 0).await.unwrap_err();
    assert_eq!(
        (error.code(), error.params()["path"].as_str()),
        ("basket_invalid", "$.lines[0].quantity")
    );
    let error = wrong(|basket| basket.lines[0].unit_price = Some(-1)).await.unwrap_err();
    assert_eq!(error.code(), "basket_invalid");
    let error = wrong(|basket| basket.lines[0].quantity = i64::MAX).await.unwrap_err();
    assert_eq!(error.code(), "basket_invalid");
    let empty = wrong(|basket| basket.lines.clear()).await.unwrap();
    assert_eq!((empty.ticket, empty.payable), (None, 0));
}

fn arrived(office: &HeadOffice, id: OperationId) -> Option<Outcome> {
    office
        .state
        .operations
        .get(&id)
        .cloned()
        .flatten()
        .map(|applied| applied.outcome)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever is sold with whatever coupons: head office reads the same sums out of the operation, and nothing of it
    /// is an exception.
    #[test]
    fn what_was_shown_is_what_head_office_books(
        lines in prop::collection::vec((1u8..4, 1i64..5, prop::option::of(0i64..5_000)), 1..6),
        coupons in 0usize..5,
        online in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut office = office(&vec![HOME; coupons]);
            office.limits.max_per_member = 9;
            let shop = Shop::of(&mut office).await;
            if !online {
                shop.go_offline();
            }
            let line = Line::of(&shop, office).await;
            let wanted = Basket {
                lines: lines.iter().map(|(n, quantity, unit_price)| BasketLine {
                    sku: format!("P{n}"),
                    quantity: *quantity,
                    unit_price: *unit_price,
                }).collect(),
                ..basket(Selection::Best)
            };
            let quote = see(&shop, &wanted).await;
            let receipt = done(pay(&shop, &quote).await);
            let mut office = line.office.lock().unwrap().clone();
            shop.settle(&mut office).await;
            assert_eq!(arrived(&office, receipt.op_id), Some(Outcome::Applied));
            let sale = office.state.sales[&receipt.op_id].clone().unwrap();
            assert_eq!(sale.payable, quote.payable);
            let nets: Vec<i64> = sale.lines.iter().map(|line| line.net).collect();
            assert_eq!(nets, quote.lines.iter().map(|line| line.net).collect::<Vec<_>>());
            let mut before = used(&quote);
            let mut after: Vec<_> = sale.coupons.iter().map(|sold| sold.used.coupon).collect();
            before.sort_unstable();
            after.sort_unstable();
            assert_eq!(before, after);
            let held = crate::replica::sale(&mut shop.inner.db.read().await.unwrap(), receipt.op_id).await.unwrap();
            assert_eq!(held, Some(sale));
        });
    }
}
