//! The API for counters over real HTTP, on both engines. Here stands what its tests share.

mod delivering;
mod enrolling;
mod full_disk;
mod histories;
mod lookups;
mod questions;
mod refused;

use std::sync::Arc;

use counterfoil_head_office::{clock::Clock, serve};
use counterfoil_protocol::{
    VERSION, paths,
    problem::Problem,
    signing::{self, Signed},
    sync::{Cursor, SyncRequest, SyncResponse},
};
use reqwest::{Method, StatusCode};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::common::{Chain, Counter, On, chain, web};

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

async fn office(on: On, coupons: usize) -> Office {
    let chain = chain(on, coupons).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(serve(Arc::clone(&chain.app), listener, None));
    Office {
        chain,
        address,
        client: web().build().unwrap(),
    }
}

type Answer<T> = Result<T, (StatusCode, Problem)>;

impl Office {
    async fn send<T: DeserializeOwned>(
        &self,
        counter: &Counter,
        method: Method,
        path: &str,
        body: Vec<u8>,
        change: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> Answer<T> {
        let time = self.chain.clock.now();
        let signed = Signed {
            method: method.as_str(),
            path,
            tenant: self.chain.tenant,
            device: counter.device,
            time,
            body: &body,
        };
        let signature = signed.sign(&counter.key);
        let request = self
            .client
            .request(method, format!("{}{path}", self.address))
            .header(signing::TENANT, self.chain.tenant.to_string())
            .header(signing::DEVICE, counter.device.to_string())
            .header(signing::TIME, time.to_string())
            .header(signing::SIGNATURE, signature)
            .body(body);
        let response = change(request).send().await.unwrap();
        let status = response.status();
        if status.is_success() {
            Ok(response.json().await.unwrap())
        } else {
            assert_eq!(response.headers()["content-type"], "application/problem+json");
            Err((status, response.json().await.unwrap()))
        }
    }

    async fn post<B: Serialize, T: DeserializeOwned>(&self, counter: &Counter, path: &str, body: &B) -> Answer<T> {
        self.send(
            counter,
            Method::POST,
            path,
            serde_json::to_vec(body).unwrap(),
            |request| request,
        )
        .await
    }

    async fn ask(&self, operations: &[String]) -> SyncRequest {
        SyncRequest {
            protocol: VERSION,
            history_id: self.chain.app.db.history_of(self.chain.tenant).await.unwrap(),
            cursor: Cursor::default(),
            epoch: 1,
            acknowledged_seq: 0,
            operations: operations
                .iter()
                .map(|text| RawValue::from_string(text.clone()).unwrap())
                .collect(),
            more_waiting: false,
            page_rows: 100,
            wait: 0,
            app_version: "test".into(),
        }
    }

    async fn sync(&self, counter: &Counter, operations: &[String]) -> Answer<SyncResponse> {
        self.post(counter, paths::SYNC, &self.ask(operations).await).await
    }
}

fn code_of<T: std::fmt::Debug>(answer: Answer<T>) -> (u16, String) {
    let (status, problem) = answer.unwrap_err();
    assert_eq!(status.as_u16(), problem.status);
    (problem.status, problem.code)
}
