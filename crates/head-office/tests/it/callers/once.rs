//! A question has one answer, however often it is asked, until it is forgotten.

use std::sync::Arc;

use counterfoil_domain::people::OperatorRole;
use counterfoil_head_office::{
    App, clock::SystemRandom, http::idempotency::KEPT, jobs::upkeep::forget, members::sessions::SESSION_LASTS,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{listen, office, terms};
use crate::common::On;

counterfoil_head_office::on_both! {
    a_question_asked_twice_has_one_effect,
    a_refusal_is_an_answer_too,
    a_question_in_flight_is_not_asked_again,
    what_is_over_is_forgotten,
}

async fn a_question_asked_twice_has_one_effect(on: On) {
    let office = office(on).await;
    let token = office.chain.operator(OperatorRole::Operator).await;
    let missing = office
        .ask(Method::POST, "/v1/templates", Some(&token), None, Some(&terms()))
        .await;
    assert_eq!(missing.code(), (400, "idempotency_key_missing"));
    let first = office.post("/v1/templates", &token, "k1", &terms()).await.done(201);
    let again = office.post("/v1/templates", &token, "k1", &terms()).await.done(201);
    assert_eq!(first, again);
    let mut other = terms();
    other["name_en"] = json!("Another one");
    assert_eq!(
        office.post("/v1/templates", &token, "k1", &other).await.code(),
        (422, "idempotency_key_reused")
    );
    let path = format!("/v1/templates/{}/retire", first["id"].as_str().unwrap());
    assert_eq!(
        office.post(&path, &token, "k1", &json!({})).await.code(),
        (422, "idempotency_key_reused")
    );
    // Another process on the same database gives the same answer.
    let app = App::open(
        &office.chain.fresh.url,
        office.chain.clock.clone(),
        Arc::new(SystemRandom),
    )
    .await
    .unwrap();
    let address = listen(&app).await;
    let response = office
        .client
        .post(format!("{address}/v1/templates"))
        .bearer_auth(&token)
        .header("idempotency-key", "k1")
        .json(&terms());
    let response = response.send().await.unwrap();
    assert_eq!(response.status(), 201);
    assert_eq!(response.json::<Value>().await.unwrap(), first);
    app.stopping.cancel();
    assert_eq!(office.chain.number("SELECT COUNT(*) FROM templates").await, 2);
    assert_eq!(
        office
            .chain
            .number("SELECT COUNT(*) FROM audit WHERE action = 'template.drafted'")
            .await,
        1
    );
}

async fn a_refusal_is_an_answer_too(on: On) {
    let office = office(on).await;
    let token = office.chain.operator(OperatorRole::Operator).await;
    let draft = office.post("/v1/templates", &token, "k1", &terms()).await.done(201);
    let id = draft["id"].as_str().unwrap();
    let versions = format!("/v1/templates/{id}/versions");
    let refused = office.post(&versions, &token, "k2", &terms()).await;
    assert_eq!(refused.code(), (409, "state_conflict"));
    office
        .post(&format!("{versions}/1/publish"), &token, "k3", &json!({}))
        .await
        .done(200);
    // It would be granted now; the question was answered, though.
    let replayed = office.post(&versions, &token, "k2", &terms()).await;
    assert_eq!(replayed.body, refused.body);
    office.post(&versions, &token, "k4", &terms()).await.done(201);
    let mut wrong = terms();
    wrong["name_en"] = json!("");
    let invalid = office.post("/v1/templates", &token, "k5", &wrong).await;
    assert_eq!(invalid.code(), (422, "invalid"));
    assert_eq!(
        office.post("/v1/templates", &token, "k5", &wrong).await.body,
        invalid.body
    );
    // Of a refusal nothing is left but the answer.
    assert_eq!(office.chain.number("SELECT COUNT(*) FROM idempotency").await, 5);
    assert_eq!(
        office
            .chain
            .number("SELECT COUNT(*) FROM audit WHERE action LIKE 'template.%'")
            .await,
        3
    );
}

async fn a_question_in_flight_is_not_asked_again(on: On) {
    let office = office(on).await;
    let token = office.chain.operator(OperatorRole::Operator).await;
    // Whichever of the two comes first waits for the writer; the other one is told so.
    let lease = office.chain.app.db.lease().await.unwrap();
    let terms = terms();
    let mut one = Box::pin(office.post("/v1/templates", &token, "k", &terms));
    let mut two = Box::pin(office.post("/v1/templates", &token, "k", &terms));
    let waiting = tokio::select! {
        answer = &mut one => { assert_eq!(answer.code(), (409, "in_flight")); two }
        answer = &mut two => { assert_eq!(answer.code(), (409, "in_flight")); one }
    };
    drop(lease);
    let done = waiting.await.done(201);
    assert_eq!(office.post("/v1/templates", &token, "k", &terms).await.done(201), done);
    assert_eq!(
        office
            .chain
            .number("SELECT COUNT(*) FROM templates WHERE status = 'draft'")
            .await,
        1
    );
}

async fn what_is_over_is_forgotten(on: On) {
    let office = office(on).await;
    let (app, token) = (&office.chain.app, office.chain.operator(OperatorRole::Admin).await);
    office.chain.session("M1").await;
    office.post("/v1/templates", &token, "k1", &terms()).await.done(201);
    office.chain.clock.advance(KEPT);
    office.chain.session("M1").await;
    office.post("/v1/templates", &token, "k2", &terms()).await.done(201);
    assert!(!forget(app).await.unwrap());
    assert_eq!(office.chain.number("SELECT COUNT(*) FROM idempotency").await, 2);
    office.chain.clock.advance(SESSION_LASTS);
    assert!(!forget(app).await.unwrap());
    assert_eq!(office.chain.number("SELECT COUNT(*) FROM idempotency").await, 1);
    assert_eq!(office.chain.number("SELECT COUNT(*) FROM member_sessions").await, 0);
}
