//! What can be looked at: pages, lists, the log, the description of the API.

use counterfoil_domain::people::OperatorRole;
use serde_json::{Value, json};

use super::{office, terms};
use crate::common::{On, START};

counterfoil_head_office::on_both! {
    lists_come_in_pages,
    operators_look_at_what_there_is,
    the_api_describes_itself,
}

async fn lists_come_in_pages(on: On) {
    let office = office(on).await;
    let token = office.chain.operator(OperatorRole::Auditor).await;
    let writer = office.chain.operator(OperatorRole::Admin).await;
    let mut made = vec![office.chain.template.to_string()];
    for number in 0..4 {
        office.chain.clock.advance(1);
        let draft = office
            .post("/v1/templates", &writer, &format!("k{number}"), &terms())
            .await;
        made.push(draft.done(201)["id"].as_str().unwrap().to_owned());
    }
    let mut seen = Vec::new();
    let mut path = "/v1/templates?limit=2".to_owned();
    loop {
        let page = office.get(&path, &token).await.done(200);
        let ids = page["items"].as_array().unwrap();
        assert!(ids.len() <= 2);
        seen.extend(ids.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        assert!(seen.len() <= made.len(), "{seen:?}");
        match page["next"].as_str() {
            Some(next) => path = format!("/v1/templates?limit=2&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, made);
    let drafts = office.get("/v1/templates?status=draft", &token).await.done(200);
    assert_eq!(drafts["items"].as_array().unwrap().len(), 4);
    for wrong in [
        "limit=0",
        "limit=201",
        "limit=x",
        "after=%00",
        "after=zzz",
        "status=x",
        "page=2",
    ] {
        let answer = office.get(&format!("/v1/templates?{wrong}"), &token).await;
        assert_eq!(answer.code(), (400, "malformed"), "{wrong}");
    }
}

async fn operators_look_at_what_there_is(on: On) {
    let office = office(on).await;
    let mut counter = office.chain.counter().await;
    let admin = office.chain.operator(OperatorRole::Admin).await;
    let auditor = office.chain.operator(OperatorRole::Auditor).await;
    let warehouse = office.chain.operator(OperatorRole::Warehouse).await;

    let stores = office.get("/v1/stores", &warehouse).await.done(200);
    assert_eq!(stores["items"][0]["code"], "s-01");
    assert_eq!(stores["items"][0]["offline_limits"]["max_count"], 500);
    let devices = office.get("/v1/devices", &auditor).await.done(200);
    assert_eq!(devices["items"][0]["id"], counter.device.to_string());
    assert_eq!(devices["items"][0]["status"], "active");
    let elsewhere = format!("/v1/devices?store={}", office.chain.member);
    assert_eq!(office.get(&elsewhere, &auditor).await.done(200)["items"], json!([]));

    let whole = office.get("/v1/members/M1", &admin).await.done(200);
    assert_eq!(
        (&whole["name"], &whole["phone"]),
        (&json!("王小明"), &json!("13800000000"))
    );
    let masked = office.get("/v1/members?phone=13800000000", &auditor).await.done(200);
    assert_eq!(masked["items"][0]["phone"], "138****0000");
    assert_eq!(masked["items"][0]["name"], "王**");
    assert_eq!(
        office.get("/v1/members?phone=1", &admin).await.done(200)["items"],
        json!([])
    );
    assert_eq!(office.get("/v1/members/M2", &admin).await.code(), (404, "not_found"));

    // Goods handed over twice: a case each time.
    let order = office.chain.orders[0];
    let mut cases = Vec::new();
    for number in 0..3 {
        let one = counter.make(office.chain.collect(order), START + number);
        cases.push(one.id.to_string());
        office.chain.push(&[one]).await;
        office.chain.clock.advance(1);
    }
    cases.remove(0);
    cases.reverse();
    let mut seen = Vec::new();
    let mut path = "/v1/exceptions?status=open&limit=1".to_owned();
    loop {
        let page = office.get(&path, &auditor).await.done(200);
        for case in page["items"].as_array().unwrap() {
            assert_eq!(
                (&case["kind"], &case["subject"]),
                (&json!("double_pickup"), &json!(order))
            );
            seen.push(case["operation"].as_str().unwrap().to_owned());
        }
        assert!(seen.len() <= cases.len(), "{seen:?}");
        match page["next"].as_str() {
            Some(next) => path = format!("/v1/exceptions?status=open&limit=1&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, cases);
    let one = office
        .get(&format!("/v1/exceptions/{}", cases[0]), &admin)
        .await
        .done(200);
    assert_eq!(one["status"], "open");
    let by_kind = |kind: &str| format!("/v1/exceptions/{}?kind={kind}", cases[0]);
    assert_eq!(office.get(&by_kind("double_pickup"), &admin).await.done(200), one);
    assert_eq!(office.get(&by_kind("late"), &admin).await.code(), (404, "not_found"));
    let decided = office.get("/v1/exceptions?status=decided", &admin).await.done(200);
    assert_eq!(decided["items"], json!([]));

    office.chain.clock.advance(1);
    office.post("/v1/templates", &admin, "k", &terms()).await.done(201);
    let log = office.get("/v1/audit?limit=1", &auditor).await.done(200);
    assert_eq!(log["items"][0]["action"], "template.drafted");
    let actor = log["items"][0]["actor"].as_str().unwrap();
    assert!(actor.starts_with("operator:"));
    let theirs = office
        .get(&format!("/v1/audit?actor={actor}"), &auditor)
        .await
        .done(200);
    assert_eq!(theirs["items"].as_array().unwrap().len(), 1);
    let operator = office.chain.operator(OperatorRole::Operator).await;
    assert_eq!(office.get("/v1/audit", &operator).await.code(), (403, "forbidden"));
    let all = office.get("/v1/audit", &auditor).await.done(200).to_string();
    assert!(!all.contains("cfo_"), "no token stands in the log");
}

async fn the_api_describes_itself(on: On) {
    let office = office(on).await;
    let document: Value = office
        .client
        .get(format!("{}/openapi.json", office.address))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    let create = &document["paths"]["/v1/templates"]["post"];
    assert_eq!(create["security"], json!([{ "operator": ["admin", "operator"] }]));
    assert_eq!(create["parameters"][0]["name"], "Idempotency-Key");
    let page = office
        .client
        .get(format!("{}/docs", office.address))
        .send()
        .await
        .unwrap();
    assert!(
        page.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .starts_with("default-src 'none'")
    );
    let page = page.text().await.unwrap();
    assert!(page.contains("/v1/templates/{id}/retire"));
    assert!(
        !page.contains("http://") && !page.contains("<script"),
        "it loads nothing from elsewhere"
    );
}
