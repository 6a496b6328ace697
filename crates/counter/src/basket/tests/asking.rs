//! Sold on head office's word, for each coupon.

use std::sync::{Arc, atomic::Ordering};

use counterfoil_domain::{
    coupons::CouponState,
    operations::{Action, RedeemCoupon},
    transition::Subject,
};
use tokio::sync::Barrier;

use super::{HOME, ONLINE, action, basket, codes, done, journaled, office, pay, refused, see, usage, used};
use crate::{
    basket::Selection,
    desk::Decision,
    honour::Delivery,
    queue,
    testing::{Line, Shop, coupon_id},
};

#[tokio::test]
async fn online_every_coupon_is_asked_for_at_once_and_the_sale_is_confirmed() {
    let mut office = office(&[HOME, ONLINE, HOME]);
    let shop = Shop::of(&mut office).await;
    let line = Line::of(&shop, office).await;
    // Nobody is answered before all three are there.
    *line.together.lock().unwrap() = Some(Arc::new(Barrier::new(3)));
    let quote = see(&shop, &basket(Selection::Best)).await;
    assert_eq!(used(&quote).len(), 3);
    let receipt = done(pay(&shop, &quote).await);
    assert_eq!(receipt.delivery, Delivery::Confirmed);
    assert_eq!(line.count("POST /v1/freezes"), 3);
    assert_eq!(line.most.load(Ordering::SeqCst), 3);
    assert_eq!(usage(&shop).await, (0, 0));
    let Action::SettleSale(settled) = action(&shop, receipt.op_id).await else {
        panic!()
    };
    assert!(settled.coupons.iter().all(|used| used.freeze.is_some()));
    let mut office = line.office.lock().unwrap().clone();
    shop.settle(&mut office).await;
    for n in 11..14 {
        let state = office.state.coupons[&coupon_id(n)].clone().unwrap().state;
        assert!(
            matches!(state, CouponState::Redeemed { operation, .. } if operation == receipt.op_id),
            "{n}"
        );
    }
    let counts = queue::counts(&mut shop.inner.db.read().await.unwrap()).await.unwrap();
    assert_eq!((counts.delivered, counts.exceptions), (1, 0));
    assert_eq!(line.count("DELETE"), 0);
}

#[tokio::test]
async fn one_coupon_refused_means_nothing_journaled_and_every_freeze_given_back() {
    let mut office = office(&[HOME, HOME, HOME]);
    let shop = Shop::of(&mut office).await;
    // Used at another store since this counter last heard.
    office.elsewhere(Action::RedeemCoupon(RedeemCoupon {
        coupon: coupon_id(12),
        template: crate::testing::template_id(12),
        template_version: 1,
        worth: 200,
        member: None,
        freeze: None,
    }));
    let line = Line::of(&shop, office).await;
    let quote = see(&shop, &basket(Selection::Best)).await;
    assert_eq!(used(&quote).len(), 3);
    let refusal = refused(pay(&shop, &quote).await);
    assert_eq!(refusal.decision, Decision::Refuse);
    assert_eq!(refusal.coupons.len(), 1);
    assert_eq!(
        (refusal.coupons[0].coupon, codes(&refusal.coupons[0].reasons)),
        (coupon_id(12), vec!["redeemed"])
    );
    assert_eq!(journaled(&shop).await, 0);
    line.nothing_frozen().await;
    assert_eq!(line.count("DELETE"), 2);

    // The next quote knows, and goes through without it.
    let quote = see(&shop, &basket(Selection::Best)).await;
    assert_eq!(used(&quote).len(), 2);
    assert_eq!(done(pay(&shop, &quote).await).delivery, Delivery::Confirmed);
    assert_eq!(journaled(&shop).await, 1);
}

#[tokio::test]
async fn a_coupon_whose_question_goes_unanswered_goes_by_its_policy() {
    for (policy, goes) in [(HOME, true), (ONLINE, false)] {
        let mut office = office(&[HOME, policy]);
        let shop = Shop::of(&mut office).await;
        let line = Line::of(&shop, office).await;
        line.deaf.lock().unwrap().push(Subject::Coupon(coupon_id(12)));
        let quote = see(&shop, &basket(Selection::Best)).await;
        assert_eq!(used(&quote).len(), 2);
        let settled = pay(&shop, &quote).await;
        if goes {
            let receipt = done(settled);
            assert_eq!(receipt.delivery, Delivery::ToBeDelivered);
            // Only the one without a word counts against the limits, and its freeze is named: it may have been granted.
            assert_eq!(usage(&shop).await, (1, 200));
            let Action::SettleSale(settled) = action(&shop, receipt.op_id).await else {
                panic!()
            };
            assert!(settled.coupons.iter().all(|used| used.freeze.is_some()));
            let mut office = line.office.lock().unwrap().clone();
            shop.settle(&mut office).await;
            let counts = queue::counts(&mut shop.inner.db.read().await.unwrap()).await.unwrap();
            assert_eq!((counts.delivered, counts.exceptions), (1, 0));
        } else {
            let refusal = refused(settled);
            assert_eq!(refusal.decision, Decision::Unconfirmed);
            assert_eq!(codes(&refusal.coupons[0].reasons), ["online_only"]);
            assert_eq!(journaled(&shop).await, 0);
            line.nothing_frozen().await;
        }
    }
}
