//! The desk without a line: what is honoured, what isn't, and that confirming acts on what was shown.

mod freezes;
mod tokens;
mod trouble;

use counterfoil_domain::{
    coupons::{Coupon, OfflinePolicy},
    ids::{CouponId, OperationId, OrderId, Place},
    people::Role,
    time::{DAY, HOUR, MINUTE, Millis},
    tokens::{Bearer, Token, TokenKey},
    transition,
};
use counterfoil_protocol::sync::{Image, Page, Row};
use ed25519_dalek::SigningKey;
use tempfile::TempDir;

use super::{Confirmation, Decision, Input, Thing, Verdict, confirm, look_up, void};
use crate::{
    honour::Delivery,
    identity, journal,
    testing::{
        HeadOffice, NOW, PIN, Shop, clerk, clerk_id, coupon, coupon_id, member_id, order, order_id, store_id, template,
        template_id,
    },
};

fn code(coupon: &Coupon) -> Input {
    Input::CouponCode(coupon.code.clone())
}

fn codes(verdict: &Verdict) -> Vec<&str> {
    verdict.reasons.iter().map(|reason| reason.code.as_str()).collect()
}

async fn offline_shop(office: &mut HeadOffice) -> Shop {
    let shop = Shop::of(office).await;
    shop.go_offline();
    shop
}

async fn see(shop: &Shop, scanned: &Input) -> Verdict {
    look_up(&shop.inner, scanned, None).await.unwrap()
}

async fn redeem(shop: &Shop, scanned: &Input) -> Confirmation {
    let ticket = see(shop, scanned).await.ticket.unwrap();
    confirm(&shop.inner, &ticket, clerk_id(1)).await.unwrap()
}

async fn journaled(shop: &Shop) -> i64 {
    journal::pending_count(&mut shop.inner.db.read().await.unwrap())
        .await
        .unwrap()
}

/// Rows come as from head office, at the end of the feed.
async fn receive(shop: &Shop, images: Vec<Image>) {
    let who = identity::load(&mut shop.inner.db.read().await.unwrap()).await.unwrap();
    let page = Page {
        rows: images.into_iter().map(|image| Row { version: 7, image }).collect(),
        cursor: who.cursor,
        more: false,
        unread: Vec::new(),
    };
    crate::intake::apply_page(&shop.inner.db, &page, shop.inner.clock.now())
        .await
        .unwrap();
}

#[tokio::test]
async fn offline_each_template_goes_by_its_policy() {
    let mut office = HeadOffice::new(0, 1);
    let shop = offline_shop(&mut office).await;
    let rich = |n| {
        let mut template = template(n, OfflinePolicy::FloorLimit);
        template.floor_limit = 1_999;
        template
    };
    let mut elsewhere = coupon(11, 1);
    elsewhere.home_store = Some(store_id(2));
    let mut unknown = coupon(12, 9);
    unknown.template = template_id(99);
    let orphan = coupon(14, 3);
    receive(
        &shop,
        vec![
            Image::Template(template(3, OfflinePolicy::FloorLimit)),
            Image::Template(rich(4)),
            Image::Coupon(coupon(10, 1)),
            Image::Coupon(elsewhere.clone()),
            Image::Coupon(unknown.clone()),
            Image::Coupon(coupon(13, 2)),
            Image::Coupon(orphan.clone()),
            Image::Coupon(coupon(15, 4)),
        ],
    )
    .await;
    for (coupon, decision, reasons) in [
        (coupon(10, 1), Decision::HonourOffline, vec![]),
        (elsewhere, Decision::Unconfirmed, vec!["not_home_store"]),
        (unknown, Decision::Refuse, vec!["template_unknown"]),
        (coupon(13, 2), Decision::Unconfirmed, vec!["online_only"]),
        (orphan, Decision::HonourOffline, vec![]),
        (coupon(15, 4), Decision::Unconfirmed, vec!["over_floor_limit"]),
    ] {
        let verdict = see(&shop, &code(&coupon)).await;
        assert_eq!(
            (verdict.decision, codes(&verdict)),
            (decision, reasons),
            "{}",
            coupon.code
        );
        assert_eq!(verdict.ticket.is_some(), decision == Decision::HonourOffline);
    }
    assert_eq!(journaled(&shop).await, 0);
}

#[tokio::test]
async fn what_is_done_alone_is_limited_and_delivery_frees_it() {
    let mut office = HeadOffice::new(8, 0);
    office.limits.max_count = 2;
    let shop = offline_shop(&mut office).await;
    let both = [
        see(&shop, &code(&coupon(0, 1))).await,
        see(&shop, &code(&coupon(1, 1))).await,
    ];
    let late = see(&shop, &code(&coupon(3, 1))).await.ticket.unwrap();
    for verdict in both {
        let done = confirm(&shop.inner, &verdict.ticket.unwrap(), clerk_id(1))
            .await
            .unwrap();
        let Confirmation::Done(receipt) = done else {
            panic!("{done:?}")
        };
        assert_eq!(receipt.delivery, Delivery::ToBeDelivered);
    }
    // Shown as honourable before the limit was reached: judged again when it is confirmed.
    let refused = confirm(&shop.inner, &late, clerk_id(1)).await.unwrap();
    let Confirmation::Refused(verdict) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(
        (verdict.decision, codes(&verdict)),
        (Decision::Unconfirmed, vec!["offline_count_limit"])
    );
    assert_eq!(verdict.reasons[0].params["limit"], "2");
    assert_eq!(journaled(&shop).await, 2);

    let usage = crate::status::limits_usage(&mut shop.inner.db.read().await.unwrap(), NOW)
        .await
        .unwrap();
    assert_eq!(
        (usage.count, usage.max_count, usage.amount, usage.hours),
        (2, 2, 4_000, 0)
    );
    shop.settle(&mut office).await;
    shop.go_offline();
    assert_eq!(see(&shop, &code(&coupon(3, 1))).await.decision, Decision::HonourOffline);
}

#[tokio::test]
async fn one_member_time_alone_and_the_clock_are_limits_too() {
    let mut office = HeadOffice::new(6, 0);
    office.limits.max_per_member = 1;
    office.limits.max_hours = 2;
    let shop = offline_shop(&mut office).await;
    redeem(&shop, &code(&coupon(0, 1))).await;
    let scanned = code(&coupon(1, 1));
    assert_eq!(codes(&see(&shop, &scanned).await), ["member_operations_limit"]);
    shop.settle(&mut office).await;
    shop.go_offline();
    assert_eq!(see(&shop, &scanned).await.decision, Decision::HonourOffline);
    let steps: [(Millis, &[&str]); 4] = [
        (2 * HOUR, &[]),
        (2, &["offline_hours_limit"]),
        // Set back: the mark that the last redemption left does not follow.
        (-2 * HOUR - 10 * MINUTE - 2, &["clock_wrong"]),
        (10 * MINUTE, &[]),
    ];
    for (step, reasons) in steps {
        shop.clock.advance(step);
        assert_eq!(codes(&see(&shop, &scanned).await), *reasons, "{step}");
    }
}

#[tokio::test]
async fn a_coupon_of_nobodys_counts_against_whoever_shows_it() {
    let mut office = HeadOffice::new(2, 0);
    office.limits.max_per_member = 1;
    for n in [0, 1] {
        office.put_coupon(Coupon {
            member: None,
            ..coupon(n, 1)
        });
    }
    let shop = offline_shop(&mut office).await;
    let shown = async |n| {
        look_up(&shop.inner, &code(&coupon(n, 1)), Some(member_id(1)))
            .await
            .unwrap()
    };
    let ticket = shown(0).await.ticket.unwrap();
    confirm(&shop.inner, &ticket, clerk_id(1)).await.unwrap();
    // The basket counts the same member, and so does the operation that was written.
    assert_eq!(codes(&shown(1).await), ["member_operations_limit"]);
    assert_eq!(see(&shop, &code(&coupon(1, 1))).await.decision, Decision::HonourOffline);
}

#[tokio::test]
async fn what_happens_here_is_named_with_the_stores_place_and_a_freeze_with_its_subjects() {
    let mut office = HeadOffice::new(2, 0);
    let shop = offline_shop(&mut office).await;
    let place = |number: i64| Place::try_from(number).unwrap();
    for (n, number) in [(0, 0), (1, 700)] {
        let mut writer = shop.inner.db.write().await;
        let mut tx = writer.begin().await.unwrap();
        let told = sqlx::query("UPDATE identity SET place = ?").bind(number);
        told.execute(&mut *tx).await.unwrap();
        tx.commit("test").await.unwrap();
        drop(writer);
        let Confirmation::Done(receipt) = redeem(&shop, &code(&coupon(n, 1))).await else {
            panic!()
        };
        assert_eq!(receipt.op_id.place(), place(number));
    }
    for subject in [
        transition::Subject::Coupon(CouponId::placed(place(33), NOW, [0xff; 10])),
        transition::Subject::Order(OrderId::placed(place(33), NOW, [0xff; 10])),
        transition::Subject::Sale(OperationId::placed(place(33), NOW, [0xff; 10])),
    ] {
        assert_eq!(subject.place(), place(33));
    }
}

#[tokio::test]
async fn confirming_twice_is_once_and_a_second_showing_is_judged_again() {
    let mut office = HeadOffice::new(2, 0);
    let shop = offline_shop(&mut office).await;
    let scanned = code(&coupon(0, 1));
    let (first, second) = (
        see(&shop, &scanned).await.ticket.unwrap(),
        see(&shop, &scanned).await.ticket.unwrap(),
    );
    let done = confirm(&shop.inner, &first, clerk_id(1)).await.unwrap();
    assert_eq!(confirm(&shop.inner, &first, clerk_id(1)).await.unwrap(), done);
    let refused = confirm(&shop.inner, &second, clerk_id(1)).await.unwrap();
    let Confirmation::Refused(verdict) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(
        (verdict.decision, codes(&verdict)),
        (Decision::Refuse, vec!["redeemed"])
    );
    assert_eq!(verdict.reasons[0].params["store_en"], "Store 1");
    assert_eq!(journaled(&shop).await, 1);
}

#[tokio::test]
async fn many_at_once_honour_a_coupon_once() {
    let mut office = HeadOffice::new(1, 0);
    let shop = offline_shop(&mut office).await;
    let mut tickets = Vec::new();
    for _ in 0..8 {
        tickets.push(see(&shop, &code(&coupon(0, 1))).await.ticket.unwrap());
    }
    let confirming = |ticket: String| {
        let inner = shop.inner.clone();
        tokio::spawn(async move { confirm(&inner, &ticket, clerk_id(1)).await.unwrap() })
    };
    let tasks: Vec<_> = tickets.into_iter().map(confirming).collect();
    let mut done = 0;
    for task in tasks {
        done += i32::from(matches!(task.await.unwrap(), Confirmation::Done(_)));
    }
    assert_eq!((done, journaled(&shop).await), (1, 1));
}

#[tokio::test]
async fn a_ticket_stands_for_what_was_shown_and_not_for_long() {
    let mut office = HeadOffice::new(2, 1);
    let shop = offline_shop(&mut office).await;
    let stale = async |ticket: &str| {
        confirm(&shop.inner, ticket, clerk_id(1))
            .await
            .unwrap_err()
            .code()
            .to_owned()
    };
    assert_eq!(stale("made up").await, "ticket_stale");

    let ticket = see(&shop, &Input::PickupCode(order(0).code)).await.ticket.unwrap();
    let mut fuller = order(0);
    fuller.lines[0].quantity = 2;
    receive(&shop, vec![Image::Order(fuller)]).await;
    assert_eq!(stale(&ticket).await, "ticket_stale");

    let ticket = see(&shop, &code(&coupon(0, 1))).await.ticket.unwrap();
    assert_eq!(
        confirm(&shop.inner, &ticket, clerk_id(9)).await.unwrap_err().code(),
        "not_allowed"
    );
    shop.clock.advance(10 * MINUTE);
    assert_eq!(stale(&ticket).await, "ticket_stale");
    assert_eq!(journaled(&shop).await, 0);
}

#[tokio::test]
async fn unknown_things_are_told_apart() {
    let mut office = HeadOffice::new(1, 0);
    let shop = offline_shop(&mut office).await;
    let mut there = order(7);
    there.store = store_id(2);
    receive(&shop, vec![Image::Order(there.clone())]).await;
    for (scanned, decision, reason) in [
        (
            Input::CouponCode("999999999999999999".into()),
            Decision::Unconfirmed,
            "unknown_offline",
        ),
        (
            Input::PickupCode("99999999".into()),
            Decision::Unconfirmed,
            "unknown_offline",
        ),
        (Input::Token("CF1:RUBBISH".into()), Decision::Refuse, "malformed_code"),
        (Input::Other("4006381333931".into()), Decision::Refuse, "not_a_code"),
        (Input::PickupCode(there.code.clone()), Decision::Refuse, "other_store"),
    ] {
        let verdict = see(&shop, &scanned).await;
        assert_eq!(
            (verdict.decision, codes(&verdict)),
            (decision, vec![reason]),
            "{scanned:?}"
        );
        assert_eq!(verdict.ticket, None);
    }
    let verdict = see(&shop, &Input::PickupCode(there.code)).await;
    assert_eq!(verdict.reasons[0].params["store_zh"], "门店2");
    for scanned in [Input::MemberNumber("M00001".into()), Input::Phone("13800000001".into())] {
        let verdict = see(&shop, &scanned).await;
        assert_eq!(verdict.decision, Decision::Info);
        assert!(matches!(verdict.subject, Thing::Member { member } if member.id == member_id(1)));
    }
}

#[tokio::test]
async fn a_void_gives_back_what_this_counter_took() {
    let mut office = HeadOffice::new(2, 1);
    let shop = offline_shop(&mut office).await;
    let Confirmation::Done(receipt) = redeem(&shop, &code(&coupon(0, 1))).await else {
        panic!()
    };
    let Confirmation::Done(handed) = redeem(&shop, &Input::PickupCode(order(0).code)).await else {
        panic!()
    };
    let refused = async |operation, reason: &str, person: u8, pin: &str| {
        void(&shop.inner, operation, reason, clerk_id(person), pin)
            .await
            .unwrap_err()
            .code()
            .to_owned()
    };
    assert_eq!(refused(receipt.op_id, "  ", 2, PIN).await, "reason_missing");
    assert_eq!(refused(receipt.op_id, "wrong", 1, PIN).await, "not_allowed");
    assert_eq!(refused(receipt.op_id, "wrong", 2, "999999").await, "wrong_pin");
    assert_eq!(
        refused(OperationId::new(1, [1; 10]), "wrong", 2, PIN).await,
        "operation_not_voidable"
    );
    let voided = void(&shop.inner, receipt.op_id, "wrong coupon", clerk_id(2), PIN)
        .await
        .unwrap();
    assert_eq!(refused(receipt.op_id, "again", 2, PIN).await, "operation_not_voidable");
    assert_eq!(
        refused(voided.op_id, "undo the undoing", 2, PIN).await,
        "operation_not_voidable"
    );
    void(&shop.inner, handed.op_id, "not here", clerk_id(2), PIN)
        .await
        .unwrap();
    assert_eq!(see(&shop, &code(&coupon(0, 1))).await.decision, Decision::HonourOffline);
    assert_eq!(
        see(&shop, &Input::PickupCode(order(0).code)).await.decision,
        Decision::HonourOffline
    );
    let usage = crate::status::limits_usage(&mut shop.inner.db.read().await.unwrap(), NOW)
        .await
        .unwrap();
    assert_eq!(usage.count, 0);
    // Also after head office has it.
    let Confirmation::Done(receipt) = redeem(&shop, &code(&coupon(1, 1))).await else {
        panic!()
    };
    shop.settle(&mut office).await;
    void(&shop.inner, receipt.op_id, "changed their mind", clerk_id(2), PIN)
        .await
        .unwrap();
    shop.go_offline();
    assert_eq!(see(&shop, &code(&coupon(1, 1))).await.decision, Decision::HonourOffline);
    shop.settle(&mut office).await;
    shop.go_offline();
    assert_eq!(see(&shop, &code(&coupon(1, 1))).await.decision, Decision::HonourOffline);
}
