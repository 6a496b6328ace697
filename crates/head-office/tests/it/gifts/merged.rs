//! Exchanges go with their member, when two are merged; and two who are merged into each other at one moment.

use std::sync::Arc;

use counterfoil_domain::transition::ExchangeEnd;
use counterfoil_domain::{gifts::ExchangeStatus, ids::LocationId, people::OperatorRole, transition::Answer};
use counterfoil_head_office::{App, clock::SystemRandom, outbox, processes::Role};
use serde_json::json;

use super::{done, shop};
use crate::{api::Api, common::On};

counterfoil_head_office::on_both! {
    exchanges_go_with_their_member,
    one_of_two_opposite_merges_happens,
    two_numbers_of_one_person_are_one,
}

async fn exchanges_go_with_their_member(on: On) {
    let shop = shop(on).await;
    let (one, other) = (shop.chain.member, shop.members(1).await[0]);
    for member in [one, other] {
        shop.give(member, 10_000, None).await;
    }
    shop.count(shop.warehouse, 10).await;
    shop.count(LocationId(shop.chain.store.0), 10).await;
    let sent = shop.gift(|gift| gift.member_limit = 2).await;
    let paid = shop.gift(|gift| gift.money = 500).await;
    let collected = shop.collected().await;
    shop.exchange(sent, "a").await;
    let waits = shop.exchange(paid, "b").await;
    let fetched = shop.exchange(collected, "c").await;
    done(shop.submit(shop.ask(other, sent, "d")).await);
    outbox::turn(shop.app(), &outbox::consumers(shop.app(), &Role::ALL))
        .await
        .unwrap();
    shop.sound().await;

    let admin = shop.operator(OperatorRole::Admin).await;
    let into = json!({ "into": "M2" });
    assert_eq!(admin.post("/v1/members/M1/merge", "m", &into).await.0, 200);
    shop.sound().await;
    let sums = shop.balances(other).await;
    assert_eq!((sums.available, sums.held), (12_000, 2_000));
    let theirs = shop
        .chain
        .number("SELECT COUNT(*) FROM exchanges e JOIN members m ON m.id = e.member WHERE m.number = 'M2'")
        .await;
    let orders = shop
        .chain
        .number("SELECT COUNT(*) FROM orders o JOIN members m ON m.id = o.member WHERE m.number = 'M1'")
        .await;
    let parcels = shop
        .chain
        .number("SELECT COUNT(*) FROM shipments s JOIN members m ON m.id = s.member WHERE m.number = 'M2'")
        .await;
    assert_eq!((theirs, orders, parcels), (4, 0, 2));
    // What waited for money is paid for, what is not wanted comes back, and a limit counts what both had.
    let ended = shop.submit(shop.ends(&waits, ExchangeEnd::Paid)).await;
    assert_eq!(done(ended).status, ExchangeStatus::Confirmed);
    let ended = shop.submit(shop.ends(&fetched, ExchangeEnd::Cancel)).await;
    assert_eq!(done(ended).status, ExchangeStatus::Returned);
    assert_eq!(shop.balances(other).await.available, 14_000);
    let refused = shop.submit(shop.ask(other, sent, "e")).await;
    assert!(matches!(refused, Answer::NotExchanged { .. }), "{refused:?}");
    let refused = shop.submit(shop.ask(one, collected, "f")).await;
    assert!(!matches!(refused, Answer::Exchanged { .. }), "{refused:?}");
    shop.sound().await;
}

async fn one_of_two_opposite_merges_happens(on: On) {
    let shop = shop(on).await;
    let people = shop.members(8).await;
    // Some have accounts, some have none yet.
    for member in people.iter().take(4) {
        shop.give(*member, 100, None).await;
    }
    let token = shop.chain.operator(OperatorRole::Admin).await;
    let other = App::open(&shop.chain.fresh.url, shop.chain.clock.clone(), Arc::new(SystemRandom))
        .await
        .unwrap();
    let (here, there) = (Api::new(&shop.chain, token.clone()), Api::of(&other, token));
    for pair in 0..4 {
        let (one, two) = (2 + 2 * pair, 3 + 2 * pair);
        let (there_to, back) = (
            json!({ "into": format!("M{two}") }),
            json!({ "into": format!("M{one}") }),
        );
        let (path, opposite) = (format!("/v1/members/M{one}/merge"), format!("/v1/members/M{two}/merge"));
        let (keys, others) = (format!("a{pair}"), format!("b{pair}"));
        let (first, second) = tokio::join!(
            here.post(&path, &keys, &there_to),
            there.post(&opposite, &others, &back)
        );
        let mut statuses = [first.0, second.0];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "{first:?} {second:?}");
    }
    assert_eq!(
        shop.chain
            .number("SELECT COUNT(*) FROM members WHERE merged_into IS NOT NULL")
            .await,
        4
    );
    other.stopping.cancel();
    other.db.close().await;
    shop.sound().await;
}

async fn two_numbers_of_one_person_are_one(on: On) {
    let shop = shop(on).await;
    shop.members(2).await;
    let admin = shop.operator(OperatorRole::Admin).await;
    let into = json!({ "into": "M2" });
    assert_eq!(admin.post("/v1/members/M1/merge", "m", &into).await.0, 200);
    let words =
        json!({ "title_zh": "甲", "title_en": "A", "body_zh": "甲", "body_en": "A", "members": ["M1", "M2", "M3"] });
    let (status, sent) = admin.post("/v1/messages", "t", &words).await;
    assert_eq!(status, 201, "{sent}");
    assert_eq!(shop.chain.number("SELECT COUNT(*) FROM member_messages").await, 2);
    // Mail for the old number goes where the person reads it.
    assert_eq!(
        admin
            .put("/v1/members/M1/email", &json!({ "email": "li@example.test" }))
            .await
            .0,
        204
    );
    let mail = "SELECT COUNT(*) FROM members WHERE email = 'li@example.test' AND number = 'M2'";
    assert_eq!(shop.chain.number(mail).await, 1);
    shop.sound().await;
}
