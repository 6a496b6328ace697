//! Limits on guessing, over restarts and moved clocks.

use counterfoil_domain::time::HOUR;

use super::*;
use crate::{
    Decision, Input,
    desk::{look_up, void},
    testing::{HeadOffice, PIN, Shop, clerk_id, coupon},
};

fn code(n: i64) -> Input {
    Input::CouponCode(format!("9{n:017}"))
}

async fn sees(inner: &Inner, scanned: &Input) -> String {
    let verdict = look_up(inner, scanned, None).await.unwrap();
    assert!(verdict.ticket.is_none() || verdict.decision != Decision::Refuse);
    match verdict.reasons.first() {
        Some(reason) => match reason.params.get("scope") {
            Some(scope) => format!("{} {scope}", reason.code),
            None => reason.code.clone(),
        },
        None => "fine".into(),
    }
}

async fn sign_in(shop: &Shop, n: u8) {
    people::sign_in(&shop.inner, clerk_id(n), PIN).await.unwrap();
}

async fn offline_shop() -> (HeadOffice, Shop) {
    let mut office = HeadOffice::new(6, 2);
    let shop = Shop::of(&mut office).await;
    shop.go_offline();
    (office, shop)
}

async fn pending(shop: &Shop) -> i64 {
    journal::pending_count(&mut shop.inner.db.read().await.unwrap())
        .await
        .unwrap()
}

#[tokio::test]
async fn five_unknown_codes_block_a_clerk_until_time_or_a_manager_lets_them_pass() {
    let (mut office, shop) = offline_shop().await;
    sign_in(&shop, 1).await;
    for n in 0..5 {
        assert_eq!(sees(&shop.inner, &code(n)).await, "unknown_offline");
        // A misprint that is tried again is no other guess.
        assert_eq!(
            sees(&shop.inner, &code(n)).await,
            if n < 4 {
                "unknown_offline"
            } else {
                "guessing_limited clerk"
            }
        );
    }
    assert_eq!(pending(&shop).await, 5);
    // What exists is not looked up either: that is the point. Others and other ways go on.
    let known = Input::CouponCode(coupon(0, 1).code);
    let token = Input::Token("CF1:RUBBISH".into());
    assert_eq!(sees(&shop.inner, &known).await, "guessing_limited clerk");
    assert_eq!(
        sees(&shop.inner, &Input::PickupCode("00000000".into())).await,
        "guessing_limited clerk"
    );
    assert_eq!(sees(&shop.inner, &token).await, "malformed_code");
    assert_eq!(sees(&shop.inner, &Input::Phone("13800000001".into())).await, "fine");
    sign_in(&shop, 2).await;
    assert_eq!(sees(&shop.inner, &known).await, "fine");
    sign_in(&shop, 1).await;

    // Neither the clock nor a restart ends it.
    shop.clock.set(3 * DAY);
    assert_eq!(sees(&shop.inner, &known).await, "guessing_limited clerk");
    let again = Inner::open(shop.folder.path(), shop.clock.clone(), shop.inner.random.clone())
        .await
        .unwrap();
    people::sign_in(&again, clerk_id(1), PIN).await.unwrap();
    assert_eq!(sees(&again, &known).await, "guessing_limited clerk");
    drop(again);
    shop.clock.set(-3 * DAY);

    let lift = async |manager: u8, pin: &str| lift(&shop.inner, Some(clerk_id(1)), clerk_id(manager), pin).await;
    assert_eq!(lift(1, PIN).await.unwrap_err().code(), "not_allowed");
    assert_eq!(lift(2, "999999").await.unwrap_err().code(), "wrong_pin");
    assert_eq!(sees(&shop.inner, &known).await, "guessing_limited clerk");
    lift(2, PIN).await.unwrap();
    assert_eq!(sees(&shop.inner, &known).await, "fine");

    for n in 10..15 {
        sees(&shop.inner, &code(n)).await;
    }
    let status = crate::status::status(&shop.inner)
        .await
        .unwrap()
        .placed
        .unwrap()
        .guessing;
    assert_eq!((status.device_today, status.blocked), (5, false));
    assert_eq!(status.clerks.len(), 1);
    shop.clock.advance(CLERK_WINDOW);
    assert_eq!(sees(&shop.inner, &known).await, "fine");

    // Head office hears of each, with a digest and nothing more, and there is nothing to undo about it.
    let texts = journal::pending(&mut shop.inner.db.read().await.unwrap(), 99, 1 << 20)
        .await
        .unwrap()
        .texts;
    assert_eq!(texts.len(), 10);
    assert!(
        texts
            .iter()
            .all(|text| text.contains("failed_attempt") && !text.contains("9000000000"))
    );
    let attempt = crate::queue::page(&mut shop.inner.db.read().await.unwrap(), None, None, 1)
        .await
        .unwrap();
    let error = void(&shop.inner, attempt[0].op_id, "why", clerk_id(2), PIN)
        .await
        .unwrap_err();
    assert_eq!(error.code(), "operation_not_voidable");
    shop.settle(&mut office).await;
    assert_eq!(pending(&shop).await, 0);
}

#[tokio::test]
async fn twenty_unknown_codes_a_day_block_the_device_for_everybody() {
    let (_office, shop) = offline_shop().await;
    for n in 0..20 {
        sign_in(&shop, u8::try_from(1 + n % 2).unwrap()).await;
        assert_eq!(sees(&shop.inner, &code(n)).await, "unknown_offline", "{n}");
        shop.clock.advance(HOUR / 6);
    }
    for n in [1, 2] {
        sign_in(&shop, n).await;
        assert_eq!(sees(&shop.inner, &code(99)).await, "guessing_limited device");
    }
    shop.inner.session.set(None, 0);
    assert_eq!(sees(&shop.inner, &code(99)).await, "guessing_limited device");
    assert_eq!(pending(&shop).await, 20);
    // The first has gone by; then one more may be tried.
    shop.clock.advance(DAY - 20 * HOUR / 6);
    assert_eq!(sees(&shop.inner, &code(99)).await, "unknown_offline");
    assert_eq!(sees(&shop.inner, &code(98)).await, "guessing_limited device");
    lift(&shop.inner, None, clerk_id(2), PIN).await.unwrap();
    assert_eq!(sees(&shop.inner, &code(98)).await, "unknown_offline");
}

#[tokio::test]
async fn one_who_is_locked_out_by_wrong_pins_is_let_in_by_a_manager() {
    let (_office, shop) = offline_shop().await;
    for _ in 0..5 {
        people::sign_in(&shop.inner, clerk_id(1), "999999").await.unwrap_err();
    }
    let locked = people::sign_in(&shop.inner, clerk_id(1), PIN).await.unwrap_err();
    assert_eq!(locked.code(), "pin_locked");
    lift(&shop.inner, Some(clerk_id(1)), clerk_id(2), PIN).await.unwrap();
    sign_in(&shop, 1).await;
}
