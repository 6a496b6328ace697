//! Members look at gifts and exchange points for them.

use counterfoil_domain::{gifts::GiftStatus, ids::GiftId, people::OperatorRole, transition::Answer};
use serde_json::json;

use super::{available, codes, nothing, shop};
use crate::common::{HOUR, On, START};

counterfoil_head_office::on_both! {
    an_exchange_takes_points_and_gift_and_tells_who_sends_it,
    a_lost_answer_is_given_again_also_after_its_key_is_forgotten,
    a_gift_that_is_collected_waits_in_the_store_with_its_code,
    every_reason_is_told_and_nothing_changes,
    members_see_what_they_may_have_and_why_not_the_rest,
}

async fn an_exchange_takes_points_and_gift_and_tells_who_sends_it(on: On) {
    let shop = shop(on).await;
    let gift = shop.gift(|_| {}).await;
    shop.count(shop.warehouse, 10).await;
    shop.give(shop.chain.member, 5_000, None).await;
    let address = shop.address_of(shop.chain.member).await;
    let api = shop.member().await;
    let body = json!({ "gift": gift, "address": address });
    let (status, said) = api.post("/v1/member/exchanges", "k", &body).await;
    assert_eq!((status, said["status"].as_str()), (201, Some("confirmed")), "{said}");
    assert_eq!(said["address"]["recipient"], "王");
    assert_eq!(shop.balances(shop.chain.member).await, available(3_000));
    assert_eq!(shop.stock(shop.warehouse).await, (9, 0));
    let sent = "SELECT COUNT(*) FROM outbox WHERE topic = 'ship'";
    assert_eq!(shop.chain.number(sent).await, 1);
    // The same question, and what a member sees of it.
    let (status, again) = api.post("/v1/member/exchanges", "k", &body).await;
    assert_eq!((status, &again), (201, &said));
    let (_, mine) = api.get("/v1/member/exchanges").await;
    assert_eq!(mine["items"], json!([said]));
    let id = said["id"].as_str().unwrap();
    assert_eq!(
        api.get(&format!("/v1/member/exchanges/{id}")).await,
        (200, said.clone())
    );
    assert_eq!(shop.chain.number(sent).await, 1);
    // Head office sees it too.
    let office = shop.operator(OperatorRole::Auditor).await;
    for path in [
        "/v1/exchanges",
        "/v1/exchanges?status=confirmed",
        "/v1/exchanges?member=M1",
    ] {
        let (status, page) = office.get(path).await;
        assert_eq!((status, &page["items"]), (200, &json!([said])), "{path}");
    }
    assert_eq!(office.get("/v1/exchanges?status=lost").await.1["items"], json!([]));
    assert_eq!(office.get("/v1/exchanges?status=gone").await.0, 400);
    assert_eq!(office.get("/v1/exchanges?member=M9").await.0, 404);
    assert_eq!(office.get(&format!("/v1/exchanges/{id}")).await.0, 200);
    // Another question under the same name.
    let other = json!({ "gift": gift });
    let (status, problem) = api.post("/v1/member/exchanges", "k", &other).await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (422, Some("idempotency_key_reused"))
    );
    // What is being sent is ended by its shipment.
    let operator = shop.operator(OperatorRole::Operator).await;
    let cancel = format!("/v1/exchanges/{id}/cancel");
    let (status, problem) = operator.post(&cancel, "c", &nothing()).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("state_conflict")));
    shop.sound().await;
}

async fn a_lost_answer_is_given_again_also_after_its_key_is_forgotten(on: On) {
    let shop = shop(on).await;
    let gift = shop.gift(|_| {}).await;
    let other = shop.gift(|gift| gift.sku = "G-2".into()).await;
    shop.count(shop.warehouse, 10).await;
    shop.give(shop.chain.member, 5_000, None).await;
    let first = shop.exchange(gift, "k").await;
    shop.chain.clock.advance(24 * HOUR * 30);
    let answer = shop.submit(shop.ask(shop.chain.member, gift, "k")).await;
    let replayed = Answer::Exchanged {
        exchange: Box::new(first),
        replayed: true,
    };
    assert_eq!(answer, replayed);
    let answer = shop.submit(shop.ask(shop.chain.member, other, "k")).await;
    assert_eq!(answer, Answer::AnotherQuestion);
    assert_eq!(shop.balances(shop.chain.member).await, available(3_000));
    assert_eq!(shop.stock(shop.warehouse).await, (9, 0));
    shop.sound().await;
}

async fn a_gift_that_is_collected_waits_in_the_store_with_its_code(on: On) {
    let shop = shop(on).await;
    let gift = shop.collected().await;
    let store = shop.chain.store;
    shop.count(store.into(), 2).await;
    shop.give(shop.chain.member, 5_000, None).await;
    let api = shop.member().await;
    let body = json!({ "gift": gift, "store": store });
    let (status, said) = api.post("/v1/member/exchanges", "k", &body).await;
    assert_eq!(status, 201, "{said}");
    let pickup = &said["pickup"];
    let code = pickup["code"].as_str().unwrap().to_owned();
    assert_eq!((code.len(), pickup["state"].as_str()), (8, Some("ready")));
    assert_eq!(shop.stock(store.into()).await, (1, 0));
    shop.sound().await;
    // A counter hands it over, and the member sees it.
    let mut till = shop.chain.counter().await;
    let order = pickup["id"].as_str().unwrap().parse().unwrap();
    let handed = till.make(shop.chain.collect(order), START);
    shop.chain.push(&[handed]).await;
    let id = said["id"].as_str().unwrap();
    let (_, seen) = api.get(&format!("/v1/member/exchanges/{id}")).await;
    assert_eq!(seen["pickup"]["state"], "collected", "{seen}");
    let operator = shop.operator(OperatorRole::Operator).await;
    let (status, problem) = operator
        .post(&format!("/v1/exchanges/{id}/cancel"), "c", &nothing())
        .await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("state_conflict")));
    // One that nobody has collected is called off: points and gift come back, and its code rests.
    let (_, said) = api.post("/v1/member/exchanges", "l", &body).await;
    assert_ne!(said["pickup"]["code"], code);
    assert_eq!(shop.stock(store.into()).await, (0, 0));
    let id = said["id"].as_str().unwrap();
    let path = format!("/v1/exchanges/{id}/cancel");
    let (status, ended) = operator.post(&path, "d", &nothing()).await;
    assert_eq!((status, ended["status"].as_str()), (200, Some("returned")), "{ended}");
    assert_eq!(ended["pickup"]["state"], "cancelled");
    let (status, again) = operator.post(&path, "e", &nothing()).await;
    assert_eq!((status, &again), (200, &ended));
    assert_eq!(shop.balances(shop.chain.member).await, available(3_000));
    assert_eq!(shop.stock(store.into()).await, (1, 0));
    let resting = "SELECT COUNT(*) FROM pickup_codes WHERE rests_until IS NOT NULL";
    // As does that of the one that was collected.
    assert_eq!(shop.chain.number(resting).await, 2);
    shop.sound().await;
}

async fn every_reason_is_told_and_nothing_changes(on: On) {
    let shop = shop(on).await;
    let now = shop.now();
    let gift = shop.gift(|gift| gift.points = 100).await;
    let limited = shop
        .gift(|gift| {
            gift.points = 100;
            gift.member_limit = 1;
        })
        .await;
    let later = shop.gift(|gift| gift.from = Some(now + 1)).await;
    let over = shop.gift(|gift| gift.until = Some(now)).await;
    let ended = shop.gift(|gift| gift.status = GiftStatus::Ended).await;
    let draft = shop.gift(|gift| gift.status = GiftStatus::Draft).await;
    let gone = shop.gift(|gift| gift.sku = "G-0".into()).await;
    let dear = shop.gift(|gift| gift.points = 1_000_000).await;
    let collected = shop.collected().await;
    shop.count(shop.warehouse, 10).await;
    shop.give(shop.chain.member, 5_000, None).await;
    let own = shop.address_of(shop.chain.member).await;
    let strangers = shop.members(1).await;
    let foreign = shop.address_of(strangers[0]).await;
    let nobody = GiftId::new(START, crate::common::random10());
    let store = shop.chain.store;
    let api = shop.member().await;
    let body = json!({ "gift": limited, "address": own });
    assert_eq!(api.post("/v1/member/exchanges", "first", &body).await.0, 201);
    let (balances, stock) = (shop.balances(shop.chain.member).await, shop.stock(shop.warehouse).await);
    let mut number = 0;
    for (body, expected) in [
        (json!({ "gift": gift }), vec!["address_missing"]),
        (json!({ "gift": gift, "address": foreign }), vec!["unknown_address"]),
        (json!({ "gift": gift, "address": nobody }), vec!["unknown_address"]),
        (json!({ "gift": limited, "address": own }), vec!["limit_reached"]),
        (json!({ "gift": later, "address": own }), vec!["exchange_not_started"]),
        (json!({ "gift": over, "address": own }), vec!["exchange_over"]),
        (json!({ "gift": ended, "address": own }), vec!["exchange_over"]),
        (json!({ "gift": draft, "address": own }), vec!["unknown_gift"]),
        (json!({ "gift": nobody, "address": own }), vec!["unknown_gift"]),
        (json!({ "gift": gone, "address": own }), vec!["out_of_stock"]),
        (json!({ "gift": dear, "address": own }), vec!["points_short"]),
        (json!({ "gift": collected }), vec!["store_missing"]),
        (
            json!({ "gift": collected, "store": shop.warehouse }),
            vec!["unknown_store"],
        ),
        (json!({ "gift": collected, "store": store }), vec!["out_of_stock"]),
        (json!({ "gift": dear }), vec!["points_short", "address_missing"]),
    ] {
        number += 1;
        let (status, problem) = api.post("/v1/member/exchanges", &format!("k{number}"), &body).await;
        assert_eq!(status, 409, "{problem}");
        assert_eq!(codes(&problem), expected, "{body}");
        // What was refused is refused again under the same name.
        let again = api.post("/v1/member/exchanges", &format!("k{number}"), &body).await;
        assert_eq!(again, (409, problem));
    }
    assert_eq!(shop.balances(shop.chain.member).await, balances);
    assert_eq!(shop.stock(shop.warehouse).await, stock);
    assert_eq!(shop.chain.number("SELECT COUNT(*) FROM exchanges").await, 1);
    shop.sound().await;
}

async fn members_see_what_they_may_have_and_why_not_the_rest(on: On) {
    let shop = shop(on).await;
    let gift = shop.gift(|gift| gift.member_limit = 2).await;
    let collected = shop.collected().await;
    let dear = shop.gift(|gift| gift.points = 9_000).await;
    shop.gift(|gift| gift.status = GiftStatus::Draft).await;
    shop.count(shop.warehouse, 3).await;
    shop.give(shop.chain.member, 5_000, None).await;
    let api = shop.member().await;
    let list = async |query: &str| {
        let (status, page) = api.get(&format!("/v1/member/gifts{query}")).await;
        assert_eq!(status, 200, "{page}");
        let mut rows = std::collections::BTreeMap::new();
        for item in page["items"].as_array().unwrap() {
            let codes: Vec<String> = item["reasons"]
                .as_array()
                .unwrap()
                .iter()
                .map(|reason| reason["code"].as_str().unwrap().to_owned())
                .collect();
            assert_eq!(item["exchangeable"], codes.is_empty());
            let id: GiftId = item["id"].as_str().unwrap().parse().unwrap();
            rows.insert(id, (codes, item["left"].as_i64().unwrap()));
        }
        rows
    };
    let short = || vec!["points_short".to_owned()];
    let out = || vec!["out_of_stock".to_owned()];
    let seen = list("").await;
    assert_eq!(seen.len(), 3);
    assert_eq!(seen[&gift], (vec![], 3));
    assert_eq!(seen[&dear], (short(), 3));
    assert_eq!(seen[&collected], (out(), 0));
    let store = shop.chain.store;
    shop.count(store.into(), 4).await;
    assert_eq!(list("").await[&collected], (vec![], 4));
    assert_eq!(list(&format!("?store={store}")).await[&collected], (vec![], 4));
    let elsewhere = GiftId::new(START, crate::common::random10());
    assert_eq!(list(&format!("?store={elsewhere}")).await[&collected], (out(), 0));
    let (status, page) = api.get(&format!("/v1/member/gifts/{collected}/stores")).await;
    assert_eq!((status, page["items"].as_array().unwrap().len()), (200, 1), "{page}");
    assert_eq!(page["items"][0]["available"], 4);
    assert_eq!(page["items"][0]["code"], "s-01");
    for nothing in [gift, elsewhere] {
        assert_eq!(api.get(&format!("/v1/member/gifts/{nothing}/stores")).await.0, 404);
    }
    // Page by page, each once.
    let (_, first) = api.get("/v1/member/gifts?limit=2").await;
    let next = first["next"].as_str().unwrap();
    let (_, second) = api.get(&format!("/v1/member/gifts?limit=2&after={next}")).await;
    assert_eq!(second["items"].as_array().unwrap().len(), 1);
    // What one has had counts.
    shop.exchange(gift, "a").await;
    shop.exchange(gift, "b").await;
    assert_eq!(
        list("").await[&gift],
        (vec!["limit_reached".to_owned(), "points_short".to_owned()], 1)
    );
    shop.sound().await;
}
