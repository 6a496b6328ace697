//! Operators set how codes are made.

use counterfoil_domain::{ids::DeviceId, people::OperatorRole};
use counterfoil_head_office::feed::{
    Item,
    images::{Gallery, Viewer},
};
use counterfoil_protocol::sync::Image;
use serde_json::json;

use super::{by_code, eight, order, sound, who};
use crate::common::{On, START, chain, random10};

counterfoil_head_office::on_both! {
    a_policy_is_published_and_told,
    what_is_no_policy_is_refused_with_reasons,
    codes_that_would_lead_elsewhere_are_seen_first,
}

async fn a_policy_is_published_and_told(on: On) {
    let chain = chain(on, 0).await;
    let operator = who(&chain, OperatorRole::Operator).await;
    assert_eq!(operator.post("/v1/pickup-policies", "p", &eight()).await.0, 403);
    assert_eq!(operator.get("/v1/pickup-policies").await.1["items"], json!([]));
    let admin = who(&chain, OperatorRole::Admin).await;
    let (status, body) = admin.post("/v1/pickup-policies", "p", &eight()).await;
    assert_eq!((status, &body["version"]), (201, &json!(1)), "{body}");
    assert_eq!(
        (
            &body["length"],
            &body["room"],
            &body["like_ean8"],
            &body["policy"]["rest_days"]
        ),
        (&json!(8), &json!(1_000_000), &json!(true), &json!(30))
    );
    let (_, again) = admin.post("/v1/pickup-policies", "p", &eight()).await;
    assert_eq!(again, body);
    let nine = json!({
        "parts": [{"kind": "random", "signs": 6}, {"kind": "shard"}, {"kind": "check"}],
        "stores": 10, "orders_a_day": 5, "waiting_days": 3,
    });
    assert_eq!(admin.post("/v1/pickup-policies", "q", &nine).await.0, 201);
    let (_, listed) = operator.get("/v1/pickup-policies?limit=1").await;
    assert_eq!(listed["items"][0]["version"], 2);
    let next = listed["next"].as_str().unwrap();
    let (_, rest) = operator.get(&format!("/v1/pickup-policies?after={next}")).await;
    assert_eq!(rest["items"], json!([body]));
    for (sql, count) in [
        ("SELECT COUNT(DISTINCT id) FROM feed WHERE entity = 'pickup_policy'", 2),
        ("SELECT COUNT(*) FROM audit WHERE action = 'pickup_policy.published'", 2),
    ] {
        assert_eq!(chain.number(sql).await, count, "{sql}");
    }
    // Orders are in sixteen shards: there are never fewer.
    let mut fewer = nine.clone();
    fewer["shards"] = json!({"databases": 3, "tables": 5});
    let (status, body) = admin.post("/v1/pickup-policies", "r", &fewer).await;
    assert_eq!(
        (status, body["errors"][0]["field"].as_str()),
        (422, Some("shards")),
        "{body}"
    );
    // New codes are made by the newest, and those of before live on.
    let made = order(&chain, "A").await;
    assert_eq!(made.code.len(), 9);
    assert_eq!(by_code(&chain, &made.code).await.unwrap(), made);
    assert_eq!(by_code(&chain, "00000100").await.unwrap().number, "O1");
    // Counters are told.
    let mut snapshot = chain.app.db.snapshot().await.unwrap();
    let items = [Item::PickupPolicy(1), Item::PickupPolicy(2), Item::PickupPolicy(3)];
    let viewer = Viewer {
        store: chain.store,
        device: DeviceId::new(START, random10()),
        now: START,
    };
    let gallery = chain.app.own.of::<Gallery>();
    let told = gallery.load(&mut snapshot, chain.tenant, &items, viewer).await.unwrap();
    drop(snapshot);
    let told = told.iter().filter(|row| matches!(row.image, Image::PickupPolicy(_)));
    assert_eq!(told.count(), 2);
    sound(&chain).await;
}

async fn what_is_no_policy_is_refused_with_reasons(on: On) {
    let chain = chain(on, 0).await;
    let admin = who(&chain, OperatorRole::Admin).await;
    let full = json!({
        "parts": [{"kind": "random", "signs": 6}, {"kind": "shard"}],
        "shards": {"databases": 4, "tables": 4}, "stores": 10_000, "orders_a_day": 50, "waiting_days": 3,
    });
    let (status, body) = admin.post("/v1/pickup-policies", "a", &full).await;
    assert_eq!(status, 422, "{body}");
    let text = body["errors"][0].to_string();
    for number in ["16500000", "16000000", "16 shards x 1000000"] {
        assert!(text.contains(number), "{text}");
    }
    for (key, change, field) in [
        ("b", json!({"parts": [{"kind": "random", "signs": 11}]}), "parts"),
        (
            "c",
            json!({"parts": [{"kind": "random", "signs": 12}, {"kind": "check"}]}),
            "parts",
        ),
        ("d", json!({"alphabet": "abc"}), "alphabet"),
        ("e", json!({"shards": {"databases": 11, "tables": 0}}), "shards"),
        // A counter may be without head office for three days.
        ("f", json!({"rest_days": 3}), "rest_days"),
    ] {
        let mut new = eight();
        for (name, value) in change.as_object().unwrap() {
            new[name] = value.clone();
        }
        new["shards"] = if field == "shards" {
            new["shards"].clone()
        } else {
            json!({"databases": 1, "tables": 1})
        };
        let (status, body) = admin.post("/v1/pickup-policies", key, &new).await;
        assert_eq!(
            (status, body["errors"][0]["field"].as_str()),
            (422, Some(field)),
            "{body}"
        );
    }
    let (status, body) = admin
        .post(
            "/v1/pickup-policies",
            "g",
            &json!({"parts": [{"kind": "crystal"}], "stores": 1}),
        )
        .await;
    assert!(status == 400 || status == 422, "{status} {body}");
    assert_eq!(chain.number("SELECT COUNT(*) FROM pickup_policies").await, 0);
}

async fn codes_that_would_lead_elsewhere_are_seen_first(on: On) {
    let chain = chain(on, 0).await;
    let admin = who(&chain, OperatorRole::Admin).await;
    assert_eq!(admin.post("/v1/pickup-policies", "a", &eight()).await.0, 201);
    order(&chain, "A").await;
    let mut digits = eight();
    digits["parts"] = json!([{"kind": "random", "signs": 6}, {"kind": "database"}, {"kind": "table"}]);
    let (status, body) = admin.post("/v1/pickup-policies", "b", &digits).await;
    assert_eq!((status, body["code"].as_str()), (409, Some("state_conflict")), "{body}");
    // More databases lead nowhere else, another length neither.
    let mut more = eight();
    more["shards"]["databases"] = json!(5);
    assert_eq!(admin.post("/v1/pickup-policies", "c", &more).await.0, 201);
    digits["shards"]["databases"] = json!(5);
    digits["parts"][0]["signs"] = json!(7);
    assert_eq!(admin.post("/v1/pickup-policies", "d", &digits).await.0, 201);
    // Once all of that length have rested, it may be changed.
    chain.run("DELETE FROM pickup_codes WHERE LENGTH(code) = 8").await;
    digits["parts"][0]["signs"] = json!(6);
    assert_eq!(admin.post("/v1/pickup-policies", "e", &digits).await.0, 201);
}
