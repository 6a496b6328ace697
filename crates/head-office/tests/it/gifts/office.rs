//! Operators keep the catalogue, and set stock right.

use counterfoil_domain::{ids::GiftId, people::OperatorRole};
use serde_json::{Value, json};

use super::{SKU, nothing, shop};
use crate::common::{On, START, random10};

counterfoil_head_office::on_both! {
    a_gift_is_drafted_changed_published_and_ended,
    what_is_no_gift_is_refused_with_every_fault,
    stock_is_set_right_with_a_reason_and_every_movement_stays,
}

fn terms(warehouse: impl serde::Serialize) -> Value {
    json!({
        "sku": SKU, "name_zh": "杯", "name_en": "cup", "points": 2_000, "worth": 3_000, "member_limit": 2,
        "from": START, "until": START + 1_000_000, "given": "shipped", "location": warehouse,
    })
}

async fn a_gift_is_drafted_changed_published_and_ended(on: On) {
    let shop = shop(on).await;
    let api = shop.operator(OperatorRole::Operator).await;
    let (status, draft) = api.post("/v1/gifts", "k", &terms(shop.warehouse)).await;
    assert_eq!((status, draft["status"].as_str()), (201, Some("draft")), "{draft}");
    let (status, again) = api.post("/v1/gifts", "k", &terms(shop.warehouse)).await;
    assert_eq!((status, &again), (201, &draft));
    let id = draft["id"].as_str().unwrap();
    let path = format!("/v1/gifts/{id}");
    assert_eq!(api.get(&path).await, (200, draft.clone()));
    let mut changed = terms(shop.warehouse);
    changed["points"] = json!(1_500);
    let edit = json!({ "version": 1, "terms": changed });
    let (status, edited) = api.put(&path, &edit).await;
    assert_eq!(
        (status, &edited["points"], &edited["version"]),
        (200, &json!(1_500), &json!(2))
    );
    let (status, problem) = api.put(&path, &edit).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("changed_meanwhile")));
    for (step, status) in [
        ("publish", "published"),
        ("publish", "published"),
        ("end", "ended"),
        ("end", "ended"),
    ] {
        let key = format!("{step}-{}", hex::encode(random10()));
        let (code, said) = api.post(&format!("{path}/{step}"), &key, &nothing()).await;
        assert_eq!((code, said["status"].as_str()), (200, Some(status)), "{said}");
    }
    let (status, problem) = api.post(&format!("{path}/publish"), "late", &nothing()).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("state_conflict")));
    let (status, problem) = api
        .put(&path, &json!({ "version": 4, "terms": terms(shop.warehouse) }))
        .await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (409, Some("state_conflict")),
        "{problem}"
    );
    let (_, page) = api.get("/v1/gifts").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    let nobody = GiftId::new(START, random10());
    for path in [format!("/v1/gifts/{nobody}"), "/v1/gifts/x".into()] {
        assert_eq!(api.get(&path).await.0, 404, "{path}");
    }
    assert_eq!(
        api.post(&format!("/v1/gifts/{nobody}/end"), "n", &nothing()).await.0,
        404
    );
    let audited = "SELECT COUNT(*) FROM audit WHERE action LIKE 'gifts.%'";
    assert_eq!(shop.chain.number(audited).await, 4);
}

async fn what_is_no_gift_is_refused_with_every_fault(on: On) {
    let shop = shop(on).await;
    let api = shop.operator(OperatorRole::Admin).await;
    let fields = |problem: &Value| -> Vec<(String, String)> {
        let errors = problem["errors"].as_array().unwrap();
        let word = |error: &Value, name: &str| error[name].as_str().unwrap().to_owned();
        errors
            .iter()
            .map(|error| (word(error, "field"), word(error, "code")))
            .collect()
    };
    let mut number = 0;
    for (change, expected) in [
        (json!({ "points": 0 }), ("points", "out_of_range")),
        (json!({ "points": -5 }), ("points", "out_of_range")),
        (json!({ "points": i64::MAX }), ("points", "out_of_range")),
        (json!({ "money": -1 }), ("money", "out_of_range")),
        (json!({ "worth": i64::MAX }), ("worth", "out_of_range")),
        (json!({ "member_limit": 0 }), ("member_limit", "out_of_range")),
        (json!({ "sku": " " }), ("sku", "required")),
        (json!({ "name_zh": "x".repeat(201) }), ("name_zh", "too_long")),
        (json!({ "until": START }), ("until", "out_of_range")),
        (json!({ "location": null }), ("location", "required")),
        (json!({ "location": shop.chain.store }), ("location", "unknown")),
        (json!({ "given": "collected" }), ("location", "not_allowed")),
    ] {
        number += 1;
        let mut body = terms(shop.warehouse);
        for (name, value) in change.as_object().unwrap() {
            body[name] = value.clone();
        }
        let (status, problem) = api.post("/v1/gifts", &format!("k{number}"), &body).await;
        assert_eq!((status, problem["code"].as_str()), (422, Some("invalid")), "{body}");
        let expected = (expected.0.to_owned(), expected.1.to_owned());
        assert_eq!(fields(&problem), [expected], "{body}");
    }
    assert_eq!(shop.chain.number("SELECT COUNT(*) FROM gifts").await, 0);
}

async fn stock_is_set_right_with_a_reason_and_every_movement_stays(on: On) {
    let shop = shop(on).await;
    let api = shop.operator(OperatorRole::Warehouse).await;
    let place = shop.warehouse;
    let body = |said: Value| {
        let mut body = json!({ "location": place, "sku": SKU, "reason": "delivery" });
        for (name, value) in said.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    };
    let (status, said) = api.post("/v1/stock", "a", &body(json!({ "on_hand": 10 }))).await;
    assert_eq!((status, &said["available"]), (200, &json!(10)), "{said}");
    // Again: the same, and no movement.
    assert_eq!(
        api.post("/v1/stock", "a", &body(json!({ "on_hand": 10 }))).await,
        (200, said)
    );
    let (_, said) = api.post("/v1/stock", "b", &body(json!({ "change": -4 }))).await;
    assert_eq!(said["on_hand"], 6);
    // One is promised: it can't be counted away.
    let gift = shop.gift(|gift| gift.money = 990).await;
    shop.give(shop.chain.member, 2_000, None).await;
    shop.exchange(gift, "k").await;
    for (said, key) in [
        (json!({ "on_hand": 0 }), "c"),
        (json!({ "change": -6 }), "d"),
        (json!({ "change": 1_000_000_000 }), "e"),
    ] {
        let (status, problem) = api.post("/v1/stock", key, &body(said)).await;
        assert_eq!((status, problem["code"].as_str()), (409, Some("state_conflict")));
    }
    let mut number = 0;
    for said in [
        json!({}),
        json!({ "on_hand": 1, "change": 1 }),
        json!({ "on_hand": -1 }),
        json!({ "on_hand": i64::MAX }),
        json!({ "change": i64::MIN }),
        json!({ "on_hand": 1, "reason": "" }),
        json!({ "on_hand": 1, "sku": "" }),
        json!({ "on_hand": 1, "location": GiftId::new(START, random10()) }),
    ] {
        number += 1;
        let (status, problem) = api.post("/v1/stock", &format!("bad{number}"), &body(said)).await;
        assert_eq!((status, problem["code"].as_str()), (422, Some("invalid")), "{problem}");
    }
    let (_, page) = api.get(&format!("/v1/stock?location={place}")).await;
    let row = &page["items"][0];
    assert_eq!(
        (&row["on_hand"], &row["reserved"], &row["available"]),
        (&json!(6), &json!(1), &json!(5))
    );
    let (_, moves) = api.get(&format!("/v1/stock/moves?location={place}&sku={SKU}")).await;
    let moves: Vec<_> = moves["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let word = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
            (word("kind"), row["quantity"].as_i64().unwrap(), word("reason"))
        })
        .collect();
    let reason = || "delivery".to_owned();
    assert_eq!(
        moves,
        [("adjusted".into(), -4, reason()), ("counted".into(), 10, reason())]
    );
    let nowhere = GiftId::new(START, random10());
    assert_eq!(api.get(&format!("/v1/stock?location={nowhere}")).await.0, 404);
    let audited = "SELECT COUNT(*) FROM audit WHERE action = 'stock.adjusted'";
    assert_eq!(shop.chain.number(audited).await, 2);
    // Warehouses.
    let operator = shop.operator(OperatorRole::Operator).await;
    let (status, made) = operator.post("/v1/warehouses", "w", &json!({ "name": "South" })).await;
    assert_eq!(status, 201, "{made}");
    let (status, problem) = operator.post("/v1/warehouses", "v", &json!({ "name": "South" })).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("state_conflict")));
    let (_, page) = operator.get("/v1/warehouses").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    shop.sound().await;
}
