//! Templates from draft to retirement, and what is wrong with them.

use counterfoil_domain::people::OperatorRole;
use reqwest::Method;
use serde_json::{Value, json};

use super::{office, terms};
use crate::common::{HOUR, On, START};

counterfoil_head_office::on_both! {
    a_template_lives_from_draft_to_retirement,
    a_draft_is_not_overwritten_unread,
    every_field_that_makes_no_sense_is_named,
    what_does_not_read_is_named,
}

async fn a_template_lives_from_draft_to_retirement(on: On) {
    let office = office(on).await;
    let token = office.chain.operator(OperatorRole::Operator).await;
    let mut all = terms();
    for (field, value) in [
        ("logo", json!("https://shop.example/logo.png")),
        ("scope", json!({ "categories": ["hair"], "except_skus": ["X"] })),
        ("stacking", json!({ "exclusive": true })),
        ("stores", json!([office.chain.store])),
        ("validity", json!({ "from": START, "until": START + 48 * HOUR })),
        ("claim", json!({ "from": START, "until": START + 24 * HOUR })),
        ("member_limit", json!(2)),
        ("limit_counts", json!("held")),
        ("offline", json!("floor_limit")),
        ("floor_limit", json!(2_000)),
        ("worth_unbounded", json!(0)),
    ] {
        all[field] = value;
    }
    let draft = office.post("/v1/templates", &token, "k1", &all).await.done(201);
    let id = draft["id"].as_str().unwrap().to_owned();
    for (field, value) in all.as_object().unwrap() {
        assert_eq!(&draft[field], value, "{field}");
    }
    assert_eq!(
        (
            &draft["version"],
            &draft["status"],
            &draft["revision"],
            &draft["currency"]
        ),
        (&json!(1), &json!("draft"), &json!(1), &json!("CNY"))
    );
    let one = format!("/v1/templates/{id}/versions/1");
    let mut changed = all.clone();
    changed["rule"] = json!({ "kind": "amount_off", "amount": 500, "min_quantity": 2 });
    let edit = json!({ "revision": 1, "terms": changed });
    let edited = office
        .ask(Method::PUT, &one, Some(&token), None, Some(&edit))
        .await
        .done(200);
    assert_eq!((&edited["rule"], &edited["revision"]), (&changed["rule"], &json!(2)));
    // Counters hear of it when it is published, not before.
    assert_eq!(
        office
            .chain
            .number("SELECT COUNT(*) FROM feed WHERE entity = 'template'")
            .await,
        0
    );
    let publish = format!("{one}/publish");
    let published = office.post(&publish, &token, "k2", &json!({})).await.done(200);
    assert_eq!(
        (&published["status"], &published["published_at"]),
        (&json!("published"), &json!(START))
    );
    assert_eq!(
        office
            .chain
            .number("SELECT COUNT(*) FROM feed WHERE entity = 'template'")
            .await,
        1
    );
    for (method, path, key) in [(Method::PUT, &one, None), (Method::POST, &publish, Some("k3"))] {
        let mut edit = edit.clone();
        edit["revision"] = published["revision"].clone();
        let body = if key.is_some() { json!({}) } else { edit };
        let answer = office.ask(method, path, Some(&token), key, Some(&body)).await;
        assert_eq!(answer.code(), (409, "state_conflict"));
    }
    let next = format!("/v1/templates/{id}/versions");
    let second = office.post(&next, &token, "k4", &terms()).await.done(201);
    assert_eq!((&second["version"], &second["status"]), (&json!(2), &json!("draft")));
    office
        .post(&format!("{next}/2/publish"), &token, "k5", &json!({}))
        .await
        .done(200);
    let retire = format!("/v1/templates/{id}/retire");
    let retired = office.post(&retire, &token, "k6", &json!({})).await.done(200);
    let stand: Vec<_> = retired["versions"].as_array().unwrap().iter().collect();
    assert_eq!(stand.len(), 2);
    assert!(stand.iter().all(|version| version["status"] == "retired"));
    assert_eq!(
        office.get(&format!("/v1/templates/{id}"), &token).await.done(200),
        retired
    );
    assert_eq!(
        office.post(&retire, &token, "k7", &json!({})).await.code(),
        (409, "state_conflict")
    );
    // What is over can't be published.
    office.chain.clock.advance(72 * HOUR);
    office.post(&next, &token, "k8", &all).await.done(201);
    let late = office
        .post(&format!("{next}/3/publish"), &token, "k9", &json!({}))
        .await;
    assert_eq!(late.code(), (422, "invalid"));
    assert_eq!(late.fields(), ["validity.until", "claim.until"]);
    let nowhere = format!("/v1/templates/{}", office.chain.store);
    assert_eq!(office.get(&nowhere, &token).await.code(), (404, "not_found"));
    assert_eq!(
        office
            .post(&format!("{nowhere}/retire"), &token, "k10", &json!({}))
            .await
            .code(),
        (404, "not_found")
    );
    assert_eq!(
        office
            .chain
            .number("SELECT COUNT(*) FROM audit WHERE action LIKE 'template.%' AND actor LIKE 'operator:%'")
            .await,
        7
    );
}

async fn a_draft_is_not_overwritten_unread(on: On) {
    let office = office(on).await;
    let token = office.chain.operator(OperatorRole::Admin).await;
    let draft = office.post("/v1/templates", &token, "k1", &terms()).await.done(201);
    let path = format!("/v1/templates/{}/versions/1", draft["id"].as_str().unwrap());
    let edit = json!({ "revision": 1, "terms": terms() });
    let put = async |edit: &Value| office.ask(Method::PUT, &path, Some(&token), None, Some(edit)).await;
    put(&edit).await.done(200);
    assert_eq!(put(&edit).await.code(), (409, "changed_meanwhile"));
    // Many at once: one of them.
    let edit = json!({ "revision": 2, "terms": terms() });
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (client, url, token, edit) = (
            office.client.clone(),
            format!("{}{path}", office.address),
            token.clone(),
            edit.clone(),
        );
        tasks.spawn(async move {
            let request = client.put(url).bearer_auth(token).json(&edit);
            request.send().await.unwrap().status().as_u16()
        });
    }
    let mut answers = tasks.join_all().await;
    answers.sort_unstable();
    assert_eq!(answers, [200, 409, 409, 409, 409, 409, 409, 409]);
}

async fn every_field_that_makes_no_sense_is_named(on: On) {
    let office = office(on).await;
    let token = office.chain.operator(OperatorRole::Operator).await;
    let long = "x".repeat(81);
    let unknown = uuid::Uuid::nil();
    for (number, (field, value, named)) in [
        ("name_zh", json!("  "), "name_zh"),
        ("name_en", json!(long), "name_en"),
        ("name_en", json!("a\u{7}b"), "name_en"),
        ("logo", json!("http://shop.example"), "logo"),
        ("rule", json!({ "kind": "amount_off", "amount": -1 }), "rule.amount"),
        ("rule", json!({ "kind": "gift" }), "rule.kind"),
        (
            "rule",
            json!({ "kind": "amount_off", "amount": i64::MAX }),
            "rule.amount",
        ),
        (
            "rule",
            json!({ "kind": "percent_off", "percent_bp": 10_001 }),
            "rule.percent_bp",
        ),
        (
            "rule",
            json!({ "kind": "item_voucher", "sku": "A", "quantity": 1 }),
            "worth_unbounded",
        ),
        ("scope", json!({}), "scope"),
        ("scope", json!({ "skus": [""] }), "scope.skus[0]"),
        ("stacking", json!({ "group": 1 }), "stacking.group"),
        ("stores", json!([]), "stores"),
        ("stores", json!([unknown]), "stores[0]"),
        ("stores", json!([office.chain.store, office.chain.store]), "stores[1]"),
        ("validity", json!({}), "validity"),
        ("validity", json!({ "days": 0 }), "validity.days"),
        ("validity", json!({ "days": 1, "until": 5 }), "validity.days"),
        ("validity", json!({ "from": 5, "until": 5 }), "validity.until"),
        ("validity", json!({ "until": i64::MAX }), "validity.until"),
        ("claim", json!({ "from": 7, "until": 5 }), "claim.until"),
        ("member_limit", json!(0), "member_limit"),
        ("offline", json!("floor_limit"), "floor_limit"),
        ("floor_limit", json!(-1), "floor_limit"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut wrong = terms();
        wrong[field] = value.clone();
        let answer = office
            .post("/v1/templates", &token, &format!("k{number}"), &wrong)
            .await;
        assert_eq!(answer.code(), (422, "invalid"), "{field} {value}: {}", answer.body);
        assert_eq!(answer.fields(), [named], "{field} {value}: {}", answer.body);
    }
    // All at once.
    let mut wrong = terms();
    wrong["name_zh"] = json!("");
    wrong["rule"] = json!({ "kind": "every_off", "threshold": 0, "amount": 1 });
    wrong["validity"] = json!({ "days": 9_999 });
    let answer = office.post("/v1/templates", &token, "all", &wrong).await;
    assert_eq!(answer.fields(), ["name_zh", "rule.threshold", "validity.days"]);
}

async fn what_does_not_read_is_named(on: On) {
    let office = office(on).await;
    let token = office.chain.operator(OperatorRole::Admin).await;
    let mut wrong = terms();
    wrong["validity"]["days"] = json!("thirty");
    let answer = office.post("/v1/templates", &token, "k1", &wrong).await;
    assert_eq!(answer.code(), (400, "malformed"));
    assert_eq!(answer.fields(), ["validity.days"]);
    let mut wrong = terms();
    wrong["name_zh"] = json!("\u{0}");
    assert_eq!(
        office.post("/v1/templates", &token, "k2", &wrong).await.code(),
        (400, "malformed")
    );
    let send = async |body: Vec<u8>| {
        let request = office.client.post(format!("{}/v1/templates", office.address));
        let request = request.bearer_auth(&token).header("idempotency-key", "k3").body(body);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(send(b"{".to_vec()).await, 400);
    assert_eq!(send(vec![0xff; 9]).await, 400);
    assert_eq!(send(vec![b' '; 2 * 1024 * 1024]).await, 413);
    assert_eq!(office.get("/v1/templates/x", &token).await.code(), (404, "not_found"));
    assert_eq!(office.get("/v1/nothing", &token).await.code(), (404, "not_found"));
    // What was not decided may be asked properly under the same name.
    office.post("/v1/templates", &token, "k3", &terms()).await.done(201);
}
