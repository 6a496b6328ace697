//! Pickup orders are placed from everywhere at once while a head office is killed.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use counterfoil_head_office::{
    on_both,
    testing::{On, in_time, until, web},
};
use counterfoil_tests::office::Office;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

/// Orders, unless `COUNTERFOIL_TEST_PICKUPS` says how many.
const ORDERS: usize = 4_000;
/// Callers at once.
const CALLERS: usize = 64;

on_both! {
    codes_are_issued_once_each_while_an_office_is_killed,
}

struct Site {
    client: Client,
    token: String,
    addresses: Vec<String>,
    store: String,
}

impl Site {
    async fn post(&self, at: usize, path: &str, key: &str, body: &Value) -> reqwest::Result<(StatusCode, Value)> {
        let answer = self
            .client
            .post(format!("{}{path}", self.addresses[at % self.addresses.len()]))
            .bearer_auth(&self.token)
            .header("idempotency-key", key)
            .json(body)
            .send()
            .await?;
        Ok((answer.status(), answer.json().await?))
    }

    /// Places an order; asks again, wherever somebody listens, until there is an answer. Its code.
    async fn place(&self, n: usize) -> String {
        let body = json!({
            "number": format!("W-{n}"), "store": self.store, "collector": "x",
            "lines": [{"sku": "A", "name_zh": "甲", "name_en": "A", "quantity": 1, "unit_price": 100}],
        });
        let mut at = n;
        loop {
            let answer = self.post(at, "/v1/pickups", &format!("k{n}"), &body).await;
            at += 1;
            match answer {
                Ok((StatusCode::OK | StatusCode::CREATED, placed)) => {
                    return placed["code"].as_str().unwrap().to_owned();
                }
                Ok((StatusCode::SERVICE_UNAVAILABLE | StatusCode::CONFLICT, body))
                    if body["code"] != "state_conflict" =>
                {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Ok((status, body)) => panic!("{status}: {body}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

async fn codes_are_issued_once_each_while_an_office_is_killed(on: On) {
    let orders = std::env::var("COUNTERFOIL_TEST_PICKUPS").map_or(ORDERS, |orders| orders.parse().unwrap());
    let seed = [
        "--members",
        "1",
        "--coupons",
        "0",
        "--stores",
        "1",
        "--pickups",
        "0",
        "--seed",
        "23",
    ];
    let mut office = Office::start(on, &seed).await;
    let added = office.command(&["admin", "operator", "add", "--name", "ops", "--role", "admin"]);
    let added: Value = serde_json::from_str(added.trim()).unwrap();
    let store: Vec<u8> = sqlx::query_scalar("SELECT id FROM stores ORDER BY id LIMIT 1")
        .fetch_one(&mut office.database().await)
        .await
        .unwrap();
    // Two processes on PostgreSQL; on SQLite, one that is started again.
    let mut second = (on == On::Postgres).then(|| office.beside());
    let mut addresses = vec![office.address.clone()];
    addresses.extend(second.as_ref().map(|second| second.address.clone()));
    let site = Arc::new(Site {
        client: web().build().unwrap(),
        token: added["token"].as_str().unwrap().to_owned(),
        addresses,
        store: uuid::Uuid::from_slice(&store).unwrap().to_string(),
    });
    let policy = json!({
        "parts": [{"kind": "random", "signs": 6}, {"kind": "database"}, {"kind": "table"}],
        "shards": {"databases": 4, "tables": 4}, "stores": 10, "orders_a_day": 500, "waiting_days": 7,
    });
    let (status, body) = site.post(0, "/v1/pickup-policies", "policy", &policy).await.unwrap();
    assert_eq!(status, StatusCode::CREATED, "{body}");

    let (next, answered) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        let (site, next, answered) = (Arc::clone(&site), Arc::clone(&next), Arc::clone(&answered));
        callers.push(tokio::spawn(async move {
            let mut codes = Vec::new();
            loop {
                let n = next.fetch_add(1, Ordering::SeqCst);
                if n >= orders {
                    return codes;
                }
                codes.push((in_time(site.place(n)).await, n));
                answered.fetch_add(1, Ordering::SeqCst);
            }
        }));
    }
    until(async || answered.load(Ordering::SeqCst) >= orders.min(4_000) / 4).await;
    match &mut second {
        Some(second) => second.kill(),
        None => {
            office.kill();
            office.go();
        }
    }
    let mut acknowledged = BTreeMap::new();
    for caller in callers {
        for (code, n) in caller.await.unwrap() {
            assert_eq!(
                acknowledged.insert(code, format!("W-{n}")),
                None,
                "a code was issued twice"
            );
        }
    }
    assert_eq!(acknowledged.len(), orders);
    // What was answered is there, and nothing else; each code leads to its order in the shard that it says.
    let rows = sqlx::query_as::<_, (String, String, i64)>(
        "SELECT c.code, o.number, c.shard FROM pickup_codes c JOIN orders o ON o.tenant = c.tenant AND o.shard = c.shard AND o.id = c.order_id",
    )
    .fetch_all(&mut office.database().await)
    .await
    .unwrap();
    for (code, _, shard) in &rows {
        assert_eq!(code[6..], format!("{}{}", shard / 4, shard % 4));
    }
    let there: BTreeMap<String, String> = rows.into_iter().map(|(code, number, _)| (code, number)).collect();
    assert_eq!(there, acknowledged);
    office.verify();
}
