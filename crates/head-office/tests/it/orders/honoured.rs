//! A counter honours what an order holds.

use counterfoil_domain::{
    coupons::CouponState,
    operations::{ExceptionKind, Outcome},
    transition::Answer,
};
use counterfoil_head_office::{
    admin,
    clock::SystemRandom,
    outside::Outside,
    site::{self, notices},
};
use serde_json::{Value, json};

use super::{api, holds, order, site::a_site};
use crate::common::{HOUR, On, START, chain};

counterfoil_head_office::on_both! {
    a_counter_that_honours_a_held_coupon_is_told_to_the_order,
    a_held_coupon_may_be_honoured_twice_in_one_push,
}

async fn a_counter_that_honours_a_held_coupon_is_told_to_the_order(on: On) {
    let chain = chain(on, 2).await;
    let api = api(&chain).await;
    let site = a_site().await;
    admin::set_webhook(
        &chain.app.db,
        chain.clock.as_ref(),
        &SystemRandom,
        chain.tenant,
        &site.url,
    )
    .await
    .unwrap();
    api.post("/v1/order-freezes", "k1", &order(&chain, "W-1", &[0, 1]))
        .await;
    let mut counter = chain.counter().await;
    let redeem = counter.make(chain.redeem(chain.coupons[0], None), START);
    let answers = chain.push(std::slice::from_ref(&redeem)).await;
    assert_eq!(
        answers,
        [Answer::Done {
            outcome: Outcome::AppliedWithException {
                exception: ExceptionKind::RedeemWhileFrozen
            },
            replayed: false
        }]
    );
    chain.push(std::slice::from_ref(&redeem)).await;
    let (_, shown) = api.get("/v1/order-freezes/W-1").await;
    assert_eq!(shown["status"], "frozen");
    let taken: Vec<&Value> = shown["coupons"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|coupon| coupon["standing"] == "taken")
        .collect();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0]["taken"]["operation"], redeem.id.to_string());
    assert_eq!(taken[0]["taken"]["store"], chain.store.to_string());
    holds(&chain).await;

    // The owner is told once, however often it has to be tried.
    let outside = Outside::new(&chain.app, None).unwrap();
    site.answers(500, "");
    let counts = notices::sweep(&chain.app, &outside.caller, START, 10).await.unwrap();
    assert_eq!((counts.told, counts.failed), (0, 1));
    assert_eq!(
        notices::sweep(&chain.app, &outside.caller, START, 10).await.unwrap(),
        notices::Counts::default()
    );
    site.answers(200, "");
    let counts = notices::sweep(&chain.app, &outside.caller, START + HOUR, 10)
        .await
        .unwrap();
    assert_eq!((counts.told, counts.failed), (1, 0));
    let heard = site.heard();
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[0].0[site::ID], heard[1].0[site::ID]);
    let told: Value = serde_json::from_str(&heard[1].1).unwrap();
    assert_eq!(told["kind"], "coupon_taken");
    assert_eq!(told["order"], "W-1");
    assert_eq!(told["coupon"], chain.coupons[0].to_string());
    assert_eq!(chain.number("SELECT COUNT(*) FROM notices").await, 0);

    // The order uses what it holds; the counter's use was one too many, and has its case.
    let (_, paid) = api.post("/v1/order-freezes/W-1/confirm", "k2", &json!({})).await;
    assert_eq!(paid["status"], "confirmed");
    let used = chain.coupon(chain.coupons[0]).await;
    assert!(used.state.order().is_some());
    assert_eq!(used.surplus[0].operation, redeem.id);
    let open = "SELECT COUNT(*) FROM exceptions WHERE status = 'open'";
    assert_eq!(chain.number(open).await, 1);
    holds(&chain).await;
    // Refunded, the counter's is the only use, and its case is closed.
    let (_, refunded) = api.post("/v1/order-freezes/W-1/void", "k3", &json!({})).await;
    assert_eq!(refunded["status"], "voided");
    assert!(matches!(
        chain.coupon(chain.coupons[0]).await.state,
        CouponState::Redeemed { store, .. } if store == chain.store
    ));
    assert_eq!(chain.number(open).await, 0);
    holds(&chain).await;
}

async fn a_held_coupon_may_be_honoured_twice_in_one_push(on: On) {
    let chain = chain(on, 1).await;
    let api = api(&chain).await;
    api.post("/v1/order-freezes", "k1", &order(&chain, "W-1", &[0])).await;
    let mut counter = chain.counter().await;
    let pushed: Vec<_> = (0..2)
        .map(|_| counter.make(chain.redeem(chain.coupons[0], None), START))
        .collect();
    let answers = chain.push(&pushed).await;
    let too_many = Answer::Done {
        outcome: Outcome::AppliedWithException {
            exception: ExceptionKind::RedeemWhileFrozen,
        },
        replayed: false,
    };
    assert_eq!(answers, [too_many.clone(), too_many]);
    let (_, shown) = api.get("/v1/order-freezes/W-1").await;
    assert_eq!(shown["coupons"][0]["taken"]["operation"], pushed[1].id.to_string());
    holds(&chain).await;
}
