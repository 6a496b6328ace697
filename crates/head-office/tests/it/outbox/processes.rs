//! Which processes live, and what they do.

use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use counterfoil_head_office::{
    capabilities::router,
    http::Routes,
    outbox,
    processes::{self, Role},
    testing::Chain,
};
use serde_json::{Value, json};
use std::sync::Arc;
use tower::ServiceExt;

use crate::common::{On, START, chain, until};

counterfoil_head_office::on_both! {
    a_process_that_is_silent_is_dead_and_then_forgotten,
    readiness_says_whether_anybody_ships,
    a_process_says_that_it_lives_and_that_it_ends,
}

async fn lives(chain: &Chain, role: Role) -> bool {
    let now = counterfoil_head_office::clock::Clock::now(chain.clock.as_ref());
    let mut reader = chain.app.db.reader().acquire().await.unwrap();
    processes::lives(&mut reader, role, now).await.unwrap()
}

async fn a_process_that_is_silent_is_dead_and_then_forgotten(on: On) {
    let chain = chain(on, 0).await;
    assert!(!lives(&chain, Role::Api).await);
    processes::beat(&chain.app, &[1; 16], "api,jobs", START).await.unwrap();
    assert!(lives(&chain, Role::Api).await && lives(&chain, Role::Jobs).await);
    assert!(!lives(&chain, Role::Fulfilment).await);
    chain.clock.advance(14_000);
    assert!(lives(&chain, Role::Api).await);
    processes::beat(&chain.app, &[2; 16], "fulfilment", START)
        .await
        .unwrap();
    chain.clock.advance(1_000);
    assert!(!lives(&chain, Role::Api).await);
    assert!(lives(&chain, Role::Fulfilment).await);
    processes::beat(&chain.app, &[1; 16], "api,jobs", START).await.unwrap();
    assert!(lives(&chain, Role::Api).await);
    assert_eq!(chain.number("SELECT COUNT(*) FROM processes").await, 2);
    chain.clock.advance(600_000);
    processes::beat(&chain.app, &[3; 16], "jobs", START).await.unwrap();
    assert_eq!(chain.number("SELECT COUNT(*) FROM processes").await, 1);
    assert!(outbox::consumers(&chain.app, &[]).is_empty());
}

async fn answer(router: axum::Router, path: &str) -> (u16, Value) {
    let response = router
        .oneshot(Request::get(path).body(Body::empty()).unwrap())
        .await
        .unwrap();
    let status = response.status().as_u16();
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

async fn readiness_says_whether_anybody_ships(on: On) {
    let chain = chain(on, 0).await;
    let whole = || router(Arc::clone(&chain.app), None);
    let service = || Routes::service(None).serve(Arc::clone(&chain.app));
    let delayed = (200, json!({"status": "ready", "shipping": "delayed"}));
    assert_eq!(answer(whole(), "/readyz").await, delayed);
    processes::beat(&chain.app, &[1; 16], "fulfilment", START)
        .await
        .unwrap();
    let in_time = (200, json!({"status": "ready", "shipping": "in_time"}));
    assert_eq!(answer(whole(), "/readyz").await, in_time);
    // A process that answers neither people nor counters.
    assert_eq!(answer(service(), "/readyz").await, in_time);
    assert_eq!(answer(service(), "/healthz").await.0, 200);
    for path in ["/v1/audit", "/v1/outbox", "/openapi.json", "/docs", "/v1/freezes/1"] {
        assert_eq!(answer(service(), path).await.0, 404, "{path}");
    }
    chain.clock.advance(15_000);
    assert_eq!(answer(whole(), "/readyz").await, delayed);
}

async fn a_process_says_that_it_lives_and_that_it_ends(on: On) {
    let chain = chain(on, 0).await;
    processes::start(&chain.app, &Role::ALL);
    until(async || lives(&chain, Role::Fulfilment).await).await;
    let version = "SELECT COUNT(*) FROM processes WHERE roles = 'api,fulfilment,jobs' AND version <> ''";
    assert_eq!(chain.number(version).await, 1);
    chain.app.stopping.cancel();
    until(async || chain.number("SELECT COUNT(*) FROM processes").await == 0).await;
}
