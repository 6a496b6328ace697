//! The shop's own site places orders, and they are found again.

use std::{collections::BTreeSet, sync::Arc};

use counterfoil_domain::{people::OperatorRole, pickup_codes::Owner};
use serde_json::{Value, json};

use super::{by_code, literal, member, policy, shard_of, sound, who, with};
use crate::common::{Chain, On, START, random10};

counterfoil_head_office::on_both! {
    an_order_is_placed_once,
    orders_are_found_by_code_number_and_member,
    what_is_no_order_is_refused_with_reasons,
    many_are_placed_at_once,
}

fn new(chain: &Chain, number: &str) -> Value {
    json!({
        "number": number, "store": chain.store, "member": "M1", "collector": "Anna",
        "lines": [{"sku": "A", "name_zh": "甲", "name_en": "A", "quantity": 2, "unit_price": 500}],
    })
}

async fn an_order_is_placed_once(on: On) {
    let chain = with(on, policy(6, 4, 4)).await;
    let site = who(&chain, OperatorRole::Operator).await;
    let asked = new(&chain, "W-1");
    let (status, first) = site.post("/v1/pickups", "a", &asked).await;
    assert_eq!((status, first["state"].as_str()), (201, Some("ready")), "{first}");
    assert_eq!(site.post("/v1/pickups", "a", &asked).await, (201, first.clone()));
    // Under another key, and days later: it is the number that counts.
    chain.clock.advance(3 * 24 * crate::common::HOUR);
    assert_eq!(site.post("/v1/pickups", "b", &asked).await, (200, first.clone()));
    let mut other = asked.clone();
    other["lines"][0]["quantity"] = json!(3);
    let (status, body) = site.post("/v1/pickups", "c", &other).await;
    assert_eq!((status, body["code"].as_str()), (409, Some("state_conflict")), "{body}");
    assert_eq!(
        chain.number("SELECT COUNT(*) FROM orders WHERE number = 'W-1'").await,
        1
    );
    // Its store's counters hear of it, and of the member.
    let told = "SELECT COUNT(*) FROM feed WHERE entity = 'order'";
    assert_eq!(chain.number(told).await, 1);
    // It is handed over like any other, and still is the same order.
    let order = by_code(&chain, first["code"].as_str().unwrap()).await.unwrap();
    let mut till = chain.counter().await;
    let handed = till.make(chain.collect(order.id), START);
    chain.push(&[handed]).await;
    let (status, body) = site.post("/v1/pickups", "d", &asked).await;
    assert_eq!((status, body["state"].as_str()), (200, Some("collected")), "{body}");
    sound(&chain).await;
}

async fn orders_are_found_by_code_number_and_member(on: On) {
    let policy = policy(6, 10, 10);
    let chain = with(on, policy.clone()).await;
    let site = who(&chain, OperatorRole::Admin).await;
    let (id, _) = member(&chain).await;
    let mut placed = Vec::new();
    for n in 0..5 {
        let (status, body) = site
            .post("/v1/pickups", &format!("k{n}"), &new(&chain, &format!("W-{n}")))
            .await;
        assert_eq!(status, 201, "{body}");
        assert_eq!(body["shard"], shard_of(&chain, &policy, Owner::Member(id)));
        placed.push(body);
        chain.clock.advance(1_000);
    }
    placed.reverse();
    let code = placed[0]["code"].as_str().unwrap();
    for path in [format!("code={code}"), "number=W-4".to_owned()] {
        let (status, page) = site.get(&format!("/v1/pickups?{path}")).await;
        assert_eq!((status, &page["items"]), (200, &json!([placed[0]])), "{path}");
    }
    let id = placed[0]["id"].as_str().unwrap();
    assert_eq!(site.get(&format!("/v1/pickups/{id}")).await, (200, placed[0].clone()));
    // Those from before there were shards are a member's as well: three, in the first shard.
    let (_, page) = site.get("/v1/pickups?member=M1&limit=3").await;
    assert_eq!(page["items"], json!(placed[..3]));
    let mut all: Vec<Value> = page["items"].as_array().unwrap().clone();
    let mut next = page["next"].clone();
    while let Some(after) = next.as_str() {
        let (_, page) = site.get(&format!("/v1/pickups?member=M1&limit=3&after={after}")).await;
        all.extend(page["items"].as_array().unwrap().clone());
        next = page["next"].clone();
    }
    let numbers: BTreeSet<&str> = all.iter().map(|order| order["number"].as_str().unwrap()).collect();
    assert_eq!((all.len(), numbers.len()), (8, 8));
    for nothing in ["number=W-9", "number=", "code=12345699", "code=x"] {
        assert_eq!(
            site.get(&format!("/v1/pickups?{nothing}")).await.1["items"],
            json!([]),
            "{nothing}"
        );
    }
    for (bad, status) in [
        ("", 422),
        ("code=1&number=2", 422),
        ("member=M9", 404),
        ("colour=red", 400),
    ] {
        assert_eq!(site.get(&format!("/v1/pickups?{bad}")).await.0, status, "{bad}");
    }
    // Who only reads sees no code: whoever has it may collect.
    let auditor = who(&chain, OperatorRole::Auditor).await;
    let (_, page) = auditor.get("/v1/pickups?number=W-4").await;
    assert_eq!(
        (&page["items"][0]["code"], &page["items"][0]["collector"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(auditor.get("/v1/pickups?code=12345600").await.0, 403);
    assert_eq!(auditor.post("/v1/pickups", "z", &new(&chain, "Z")).await.0, 403);
    // Two members who become one: the orders stay where they are, and are found.
    let other = literal(&chain, &random10().repeat(2)[..16]);
    chain
        .run(format!("INSERT INTO members (tenant, id, number, name, phone, recent_stores, created_at, version) SELECT tenant, {other}, 'M2', name, phone, recent_stores, created_at, version FROM members"))
        .await;
    let (status, merged) = site.post("/v1/members/M1/merge", "m", &json!({"into": "M2"})).await;
    assert_eq!(status, 200, "{merged}");
    for number in ["M1", "M2"] {
        let (_, page) = site.get(&format!("/v1/pickups?member={number}")).await;
        assert_eq!(page["items"].as_array().unwrap().len(), 8, "{number}");
    }
    sound(&chain).await;
}

async fn what_is_no_order_is_refused_with_reasons(on: On) {
    let chain = with(on, policy(6, 1, 1)).await;
    let site = who(&chain, OperatorRole::Operator).await;
    let long = "x".repeat(65);
    for (key, change, field) in [
        ("a", json!({"number": " "}), "number"),
        ("b", json!({"number": long}), "number"),
        ("c", json!({"collector": ""}), "collector"),
        ("d", json!({"lines": []}), "lines"),
        (
            "e",
            json!({"lines": [{"sku": "A", "name_zh": "甲", "name_en": "A", "quantity": 0, "unit_price": 1}]}),
            "lines.quantity",
        ),
        (
            "f",
            json!({"lines": [{"sku": "A", "name_zh": "甲", "name_en": "A", "quantity": 1, "unit_price": -1}]}),
            "lines.unit_price",
        ),
        ("g", json!({"store": "0190b6a0-0000-7000-8000-000000000000"}), "store"),
        ("h", json!({"member": "M9"}), "member"),
        ("i", json!({"deadline": 1}), "deadline"),
    ] {
        let mut asked = new(&chain, "W-1");
        for (name, value) in change.as_object().unwrap() {
            asked[name] = value.clone();
        }
        let (status, body) = site.post("/v1/pickups", key, &asked).await;
        assert_eq!(
            (status, body["errors"][0]["field"].as_str()),
            (422, Some(field)),
            "{body}"
        );
    }
    assert_eq!(
        chain
            .number("SELECT COUNT(*) FROM orders WHERE number NOT LIKE 'O%'")
            .await,
        0
    );
}

async fn many_are_placed_at_once(on: On) {
    let chain = with(on, policy(6, 4, 4)).await;
    let site = who(&chain, OperatorRole::Operator).await;
    // Thirty-two callers, each number asked for by two of them at once.
    let site = Arc::new(site);
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..32 {
        let (site, body) = (Arc::clone(&site), new(&chain, &format!("W-{}", n / 2)));
        tasks.spawn(async move { site.post("/v1/pickups", &format!("k{n}"), &body).await });
    }
    let answers = tasks.join_all().await;
    let codes: BTreeSet<String> = answers
        .iter()
        .map(|(status, body)| {
            assert!(matches!(status, 200 | 201), "{status} {body}");
            body["code"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(codes.len(), 16);
    assert_eq!(answers.iter().filter(|(status, _)| *status == 201).count(), 16);
    assert_eq!(
        chain.number("SELECT COUNT(*) FROM orders WHERE number LIKE 'W%'").await,
        16
    );
    sound(&chain).await;
}
