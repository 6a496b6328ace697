//! Calls the API's routes without a socket.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, header},
};
use counterfoil_head_office::{App, capabilities::router, testing::Chain};
use serde_json::Value;
use tower::ServiceExt;

/// Somebody with a token.
pub struct Api {
    router: Router,
    token: String,
}

impl Api {
    pub fn new(chain: &Chain, token: String) -> Self {
        Self::of(&chain.app, token)
    }

    /// The same of another program on the same database.
    pub fn of(app: &Arc<App>, token: String) -> Self {
        Self {
            router: router(Arc::clone(app), None),
            token,
        }
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub async fn post(&self, path: &str, key: &str, body: &Value) -> (u16, Value) {
        let request = Request::post(path)
            .header("idempotency-key", key)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        self.send(request).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = Request::put(path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        self.send(request).await
    }

    /// The status, the kind of what is answered, and its bytes.
    pub async fn bytes(&self, path: &str) -> (u16, String, Vec<u8>) {
        self.answer(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn send(&self, request: Request<Body>) -> (u16, Value) {
        let (status, _, bytes) = self.answer(request).await;
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        (status, body)
    }

    async fn answer(&self, mut request: Request<Body>) -> (u16, String, Vec<u8>) {
        let bearer = format!("Bearer {}", self.token).parse().unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let kind = response.headers().get(header::CONTENT_TYPE);
        let kind = kind.map_or("", |kind| kind.to_str().unwrap()).to_owned();
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, kind, bytes.to_vec())
    }
}
