//! A rush on a batch while a head office is killed, and a batch whose making is killed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use counterfoil_head_office::{
    clock::{Clock, SystemClock},
    members::sessions::Link,
    on_both,
    testing::{On, in_time, until, web},
};
use counterfoil_tests::office::Office;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

const MEMBERS: usize = 2_000;
const CLAIMS: usize = 10_000;
const STOCK: usize = 1_000;
/// Codes of the batch whose making is killed, unless `COUNTERFOIL_TEST_CODES` says how many.
const CODES: usize = 1_000_000;

on_both! {
    a_rush_with_a_kill_in_the_middle_gives_each_coupon_once,
    a_batch_killed_twice_has_every_code_once,
}

/// Somebody of head office, and the key of the shop's own site.
struct Desk {
    client: Client,
    token: String,
    link_key: [u8; 32],
    template: String,
}

async fn desk(office: &Office) -> Desk {
    let added = office.command(&["admin", "operator", "add", "--name", "ops", "--role", "admin"]);
    let added: Value = serde_json::from_str(added.trim()).unwrap();
    let key = office.command(&["admin", "tenant", "link-key", "--rotate"]);
    let mut link_key = [0; 32];
    hex::decode_to_slice(key.trim(), &mut link_key).unwrap();
    let mut database = office.database().await;
    sqlx::query("UPDATE templates SET member_limit = 1, limit_counts = 'taken'")
        .execute(&mut database)
        .await
        .unwrap();
    let id: Vec<u8> = sqlx::query_scalar("SELECT id FROM templates ORDER BY id LIMIT 1")
        .fetch_one(&mut database)
        .await
        .unwrap();
    Desk {
        client: web().build().unwrap(),
        token: added["token"].as_str().unwrap().to_owned(),
        link_key,
        template: uuid::Uuid::from_slice(&id).unwrap().to_string(),
    }
}

impl Desk {
    async fn begin_batch(&self, address: &str, count: usize) -> (String, String) {
        let answer = self
            .client
            .post(format!("{address}/v1/batches"))
            .bearer_auth(&self.token)
            .header("idempotency-key", "the batch")
            .json(&json!({ "template": self.template, "count": count }))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        let begun: Value = answer.json().await.unwrap();
        let text = |name: &str| begun[name].as_str().unwrap().to_owned();
        (text("batch"), text("job"))
    }

    async fn job(&self, address: &str, job: &str) -> Value {
        let answer = self
            .client
            .get(format!("{address}/v1/jobs/{job}"))
            .bearer_auth(&self.token);
        answer.send().await.unwrap().json().await.unwrap()
    }

    /// Waits until so much of the job is done.
    async fn until(&self, address: &str, job: &str, done: usize) {
        until(async || {
            let now = self.job(address, job).await;
            assert!(
                matches!(now["status"].as_str(), Some("queued" | "running" | "done")),
                "{now}"
            );
            now["done"].as_u64().unwrap() >= done as u64
        })
        .await;
    }

    async fn session(&self, address: &str, number: &str) -> String {
        let link = Link {
            tenant: "demo",
            member: number,
            expires: SystemClock.now() + 300_000,
        };
        let body = json!({ "tenant": link.tenant, "member": number, "expires": link.expires, "signature": link.sign(&self.link_key) });
        let answer = self
            .client
            .post(format!("{address}/v1/member/sessions"))
            .json(&body)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
        let session: Value = answer.json().await.unwrap();
        session["token"].as_str().unwrap().to_owned()
    }
}

/// Asks until there is an answer: the coupon, or `None` for a refusal. A lost answer is asked for again, with the same
/// key, wherever somebody listens.
async fn claim(
    client: &Client,
    addresses: &[String],
    first: usize,
    token: &str,
    template: &str,
    key: &str,
) -> Option<String> {
    let mut at = first;
    loop {
        let answer = client
            .post(format!("{}/v1/member/claims", addresses[at % addresses.len()]))
            .bearer_auth(token)
            .header("idempotency-key", key)
            .json(&json!({ "template": template }))
            .send()
            .await;
        at += 1;
        let Ok(answer) = answer else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        match answer.status() {
            StatusCode::CREATED => {
                if let Ok(body) = answer.json::<Value>().await {
                    return Some(body["coupon"].as_str().unwrap().to_owned());
                }
            }
            StatusCode::CONFLICT => {
                if let Ok(body) = answer.json::<Value>().await {
                    assert_eq!(body["code"], "not_claimable", "{body}");
                    assert!(!body["reasons"].as_array().unwrap().is_empty(), "{body}");
                    return None;
                }
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                assert!(answer.headers().contains_key("retry-after"));
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            other => panic!("{other}: {}", answer.text().await.unwrap_or_default()),
        }
    }
}

async fn a_rush_with_a_kill_in_the_middle_gives_each_coupon_once(on: On) {
    let seed = [
        "--members",
        "2000",
        "--coupons",
        "0",
        "--stores",
        "2",
        "--pickups",
        "0",
        "--seed",
        "21",
    ];
    let mut office = Office::start(on, &seed).await;
    let desk = Arc::new(desk(&office).await);
    let (_, job) = desk.begin_batch(&office.address, STOCK).await;
    desk.until(&office.address, &job, STOCK).await;
    // Two processes on PostgreSQL; on SQLite, one that is started again.
    let mut second = (on == On::Postgres).then(|| office.beside());
    let mut addresses = vec![office.address.clone()];
    addresses.extend(second.as_ref().map(|second| second.address.clone()));
    let numbers = office.texts("SELECT number FROM members ORDER BY number").await;
    assert_eq!(numbers.len(), MEMBERS);
    let mut tokens = Vec::new();
    for number in &numbers {
        tokens.push(desk.session(&office.address, number).await);
    }
    let (tokens, addresses) = (Arc::new(tokens), Arc::new(addresses));
    let (next, answered) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut callers = Vec::new();
    for _ in 0..64 {
        let (desk, tokens, addresses) = (Arc::clone(&desk), Arc::clone(&tokens), Arc::clone(&addresses));
        let (next, answered) = (Arc::clone(&next), Arc::clone(&answered));
        callers.push(tokio::spawn(async move {
            let mut coupons = Vec::new();
            loop {
                let n = next.fetch_add(1, Ordering::SeqCst);
                if n >= CLAIMS {
                    return coupons;
                }
                // Everybody asks five times, spread over the rush.
                let who = n * 7 % MEMBERS;
                let key = format!("k{n}");
                let asked = claim(&desk.client, &addresses, n, &tokens[who], &desk.template, &key);
                let coupon = in_time(asked).await;
                coupons.extend(coupon.map(|coupon| (coupon, who)));
                answered.fetch_add(1, Ordering::SeqCst);
            }
        }));
    }
    until(async || answered.load(Ordering::SeqCst) >= CLAIMS / 20).await;
    match &mut second {
        Some(second) => second.kill(),
        None => {
            office.kill();
            office.go();
        }
    }
    let mut acknowledged = BTreeMap::new();
    for caller in callers {
        for (coupon, who) in caller.await.unwrap() {
            assert_eq!(acknowledged.insert(coupon, who), None, "a coupon was given twice");
        }
    }
    assert_eq!(acknowledged.len(), STOCK);
    assert_eq!(acknowledged.values().collect::<BTreeSet<_>>().len(), STOCK, "one each");
    // What was acknowledged is there, and nothing else.
    let rows = sqlx::query_as::<_, (Vec<u8>, String)>(
        "SELECT c.id, m.number FROM coupons c JOIN members m ON m.tenant = c.tenant AND m.id = c.member",
    )
    .fetch_all(&mut office.database().await)
    .await
    .unwrap();
    let there: BTreeMap<String, String> = rows
        .into_iter()
        .map(|(id, number)| (uuid::Uuid::from_slice(&id).unwrap().to_string(), number))
        .collect();
    let expected: BTreeMap<String, String> = acknowledged
        .into_iter()
        .map(|(coupon, who)| (coupon, numbers[who].clone()))
        .collect();
    assert_eq!(there, expected);
    office.verify();
}

async fn a_batch_killed_twice_has_every_code_once(on: On) {
    let codes = std::env::var("COUNTERFOIL_TEST_CODES").map_or(CODES, |codes| codes.parse().unwrap());
    let seed = [
        "--members",
        "10",
        "--coupons",
        "0",
        "--stores",
        "1",
        "--pickups",
        "0",
        "--seed",
        "22",
    ];
    let mut office = Office::start(on, &seed).await;
    let desk = desk(&office).await;
    let (batch, job) = desk.begin_batch(&office.address, codes).await;
    for part in [codes / 4, codes / 2] {
        desk.until(&office.address, &job, part).await;
        office.kill();
        office.go();
    }
    desk.until(&office.address, &job, codes).await;
    assert_eq!(desk.job(&office.address, &job).await["status"], "done");
    let count = i64::try_from(codes).unwrap();
    assert_eq!(office.number("SELECT COUNT(DISTINCT code) FROM coupons").await, count);
    // As an operator sees them: every position once, none missing.
    let export = desk
        .client
        .get(format!("{}/v1/batches/{batch}/codes", office.address))
        .bearer_auth(&desk.token);
    let export = export.send().await.unwrap().text().await.unwrap();
    let lines: BTreeSet<&str> = export.lines().skip(1).collect();
    assert_eq!(lines.len(), codes);
    assert!(
        lines
            .iter()
            .all(|line| line.len() == 18 + 8 && line.ends_with(",waiting"))
    );
    office.verify();
}
