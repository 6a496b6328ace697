//! What is asked of head office about its catalogue.

use std::sync::Arc;

use counterfoil_domain::{
    ids::{DeviceId, StoreId},
    people::OperatorRole,
};
use counterfoil_head_office::{capabilities, clock::Clock, feed::images::Viewer, serve, sync::page};
use counterfoil_protocol::sync::{Cursor, Image};
use reqwest::Method;
use serde_json::{Value, json};

use crate::common::{Chain, On, chain, random10, web};

/// A head office with an operator who calls it.
pub struct Office {
    pub chain: Chain,
    pub address: String,
    pub client: reqwest::Client,
    pub token: String,
}

impl Drop for Office {
    fn drop(&mut self) {
        self.chain.app.stopping.cancel();
    }
}

pub async fn office(on: On, coupons: usize) -> Office {
    let chain = chain(on, coupons).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(serve(Arc::clone(&chain.app), listener, None));
    let token = chain.operator(OperatorRole::Operator).await;
    Office {
        chain,
        address,
        client: web().build().unwrap(),
        token,
    }
}

impl Office {
    pub async fn send(&self, method: Method, path: &str, token: &str, body: Vec<u8>) -> (u16, Value) {
        let request = self
            .client
            .request(method, format!("{}{path}", self.address))
            .bearer_auth(token)
            .header("idempotency-key", hex::encode(random10()))
            .body(body);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let body = response.bytes().await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    pub async fn ask(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        self.send(method, path, &self.token, body).await
    }

    pub async fn put(&self, sku: &str, body: &Value) -> (u16, Value) {
        self.ask(Method::PUT, &format!("/v1/products/{sku}"), body).await
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask(Method::GET, path, &Value::Null).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    pub async fn skus(&self, query: &str) -> Vec<String> {
        let page = self.get(&format!("/v1/products?{query}")).await;
        let items = page["items"].as_array().unwrap().iter();
        items.map(|item| item["sku"].as_str().unwrap().to_owned()).collect()
    }

    pub async fn import(&self, file: &[u8]) -> Value {
        let (status, preview) = self.post_import("", file).await;
        assert_eq!(status, 201, "{preview}");
        preview
    }

    pub async fn post_import(&self, query: &str, file: &[u8]) -> (u16, Value) {
        let path = format!("/v1/products/imports{query}");
        self.send(Method::POST, &path, &self.token, file.to_vec()).await
    }

    pub async fn apply(&self, preview: &Value) -> (u16, Value) {
        let path = format!("/v1/products/imports/{}/apply", preview["id"].as_str().unwrap());
        self.ask(Method::POST, &path, &json!({})).await
    }

    /// The products that a counter reading from zero would hold.
    pub async fn held(&self) -> Vec<(String, i64)> {
        let mut snapshot = self.chain.app.db.snapshot().await.unwrap();
        let tenant = self.chain.tenant;
        let viewer = Viewer {
            store: StoreId(uuid::Uuid::max()),
            device: DeviceId(uuid::Uuid::max()),
            now: self.chain.clock.now(),
        };
        let gallery = capabilities::gallery();
        let page = page::read(&gallery, &mut snapshot, tenant, viewer, Cursor::default(), 1_000);
        let rows = page.await.unwrap().rows.into_iter();
        rows.filter_map(|row| match row.image {
            Image::Product(product) => Some((product.sku, product.version)),
            _ => None,
        })
        .collect()
    }
}

pub fn tea(version: i64) -> Value {
    json!({
        "name_zh": "龙井茶", "name_en": "Longjing tea", "barcodes": ["6901234567892"], "category": "tea",
        "unit_price": 1_680, "currency": "CNY", "version": version,
    })
}

pub fn codes(errors: &Value) -> Vec<&str> {
    let errors = errors.as_array().unwrap().iter();
    errors.map(|error| error["code"].as_str().unwrap()).collect()
}
