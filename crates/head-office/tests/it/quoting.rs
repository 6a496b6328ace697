//! Expensive quotes over real HTTP: they keep nobody else waiting, and end when nobody waits for them.

use counterfoil_head_office::sales::quoting::Quoting;
use std::sync::Arc;

use counterfoil_domain::people::OperatorRole;
use counterfoil_head_office::serve;
use reqwest::RequestBuilder;
use serde_json::Value;

use crate::common::{Chain, On, chain, heavy_basket, until, web};

/// Ten percentages in ten groups: more combinations than may be tried.
fn big() -> Value {
    heavy_basket(500, 10)
}

fn small() -> Value {
    heavy_basket(1, 1)
}

struct Office {
    chain: Chain,
    address: String,
}

impl Drop for Office {
    fn drop(&mut self) {
        self.chain.app.stopping.cancel();
    }
}

impl Office {
    async fn open() -> Self {
        let chain = chain(On::Sqlite, 0).await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/v1/quotes", listener.local_addr().unwrap());
        tokio::spawn(serve(Arc::clone(&chain.app), listener, None));
        Self { chain, address }
    }

    /// A question over a connection of its own.
    fn question(&self, token: &str, basket: &Value) -> RequestBuilder {
        let client = web().pool_max_idle_per_host(0).build().unwrap();
        client.post(&self.address).bearer_auth(token).body(basket.to_string())
    }

    /// Status, code and seconds to wait.
    async fn ask(&self, token: &str, basket: &Value) -> (u16, Option<String>, Option<String>) {
        let response = self.question(token, basket).send().await.unwrap();
        let status = response.status().as_u16();
        let retry_after = response.headers().get("retry-after");
        let retry_after = retry_after.map(|value| value.to_str().unwrap().to_owned());
        let body: Value = response.json().await.unwrap();
        (status, body["code"].as_str().map(str::to_owned), retry_after)
    }
}

fn refused(status: u16, code: &str) -> (u16, Option<String>, Option<String>) {
    (status, Some(code.to_owned()), Some("1".to_owned()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_big_quote_keeps_no_small_one_waiting_and_ends_when_its_caller_goes() {
    let office = Office::open().await;
    let quoting = &office.chain.app.own.of::<Quoting>();
    // Room for one, however many cores there are.
    let cores = quoting.big.available_permits();
    let others = quoting
        .big
        .acquire_many(u32::try_from(cores - 1).unwrap())
        .await
        .unwrap();
    let member = office.chain.session("M1").await;
    let operator = office.chain.operator(OperatorRole::Operator).await;
    let first = tokio::spawn(office.question(&member, &big()).send());
    until(async || quoting.big.available_permits() == 0).await;
    for token in [&member, &operator] {
        assert_eq!(office.ask(token, &small()).await, (200, None, None));
    }
    // Another of the same member is one too many; of somebody else there is no room for it.
    assert_eq!(office.ask(&member, &big()).await, refused(429, "rate_limited"));
    assert_eq!(office.ask(&operator, &big()).await, refused(503, "busy"));
    assert_eq!(quoting.given_up(), 0);
    first.abort();
    until(async || quoting.given_up() == 1).await;
    assert_eq!(quoting.big.available_permits(), 1);
    // Its turn is free again.
    let again = tokio::spawn(office.question(&member, &big()).send());
    until(async || quoting.big.available_permits() == 0).await;
    again.abort();
    until(async || quoting.given_up() == 2).await;
    drop(others);
}
