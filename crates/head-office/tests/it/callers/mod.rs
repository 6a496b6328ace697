//! The API for operators and members over real HTTP. Here stands what its tests share.

mod letting_in;
mod looking;
mod once;
mod templates;

use std::sync::Arc;

use counterfoil_head_office::{App, admin, clock::SystemRandom, members::sessions::Link, serve};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::common::{Chain, On, chain, web};

struct Office {
    chain: Chain,
    address: String,
    client: reqwest::Client,
}

impl Drop for Office {
    fn drop(&mut self) {
        self.chain.app.stopping.cancel();
    }
}

async fn listen(app: &Arc<App>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(serve(Arc::clone(app), listener, None));
    address
}

async fn office(on: On) -> Office {
    let chain = chain(on, 0).await;
    let address = listen(&chain.app).await;
    Office {
        chain,
        address,
        client: web().build().unwrap(),
    }
}

struct Answer {
    status: StatusCode,
    body: Value,
}

impl Answer {
    fn code(&self) -> (u16, &str) {
        assert_eq!(self.body["status"], self.status.as_u16(), "{}", self.body);
        (self.status.as_u16(), self.body["code"].as_str().unwrap())
    }
    fn done(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self.body
    }
    fn fields(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().unwrap();
        errors.iter().map(|error| error["field"].as_str().unwrap()).collect()
    }
}

impl Office {
    async fn ask(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Answer {
        let mut request = self.client.request(method, format!("{}{path}", self.address));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        let media_type = response
            .headers()
            .get("content-type")
            .map(|value| value.to_str().unwrap().to_owned());
        let text = response.text().await.unwrap();
        if !status.is_success() {
            assert_eq!(media_type.as_deref(), Some("application/problem+json"), "{text}");
        }
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap()
        };
        Answer { status, body }
    }

    async fn get(&self, path: &str, token: &str) -> Answer {
        self.ask(Method::GET, path, Some(token), None, None).await
    }

    async fn post(&self, path: &str, token: &str, key: &str, body: &Value) -> Answer {
        self.ask(Method::POST, path, Some(token), Some(key), Some(body)).await
    }

    async fn link_key(&self) -> [u8; 32] {
        let app = &self.chain.app;
        let key = admin::make_link_key(
            &app.db,
            self.chain.clock.as_ref(),
            &SystemRandom,
            self.chain.tenant,
            true,
        );
        let mut bytes = [0; 32];
        hex::decode_to_slice(key.await.unwrap(), &mut bytes).unwrap();
        bytes
    }

    async fn sign_in(&self, link: Link<'_>, signature: &str) -> Answer {
        let body =
            json!({ "tenant": link.tenant, "member": link.member, "expires": link.expires, "signature": signature });
        self.ask(Method::POST, "/v1/member/sessions", None, None, Some(&body))
            .await
    }
}

fn terms() -> Value {
    json!({
        "name_zh": "满 100 减 20", "name_en": "20 off from 100", "category": "01", "product_line": "10",
        "rule": { "kind": "threshold_off", "threshold": 10_000, "amount": 2_000 },
        "validity": { "days": 30 },
    })
}
