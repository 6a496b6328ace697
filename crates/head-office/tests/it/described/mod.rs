//! Every operation of `/openapi.json`, also those that are added later, against a real server: without a token, with the
//! wrong one, with bodies and parameters made from its schemas and then spoilt. Never our fault (5xx), always a problem
//! with a known code, and what comes is what is described.

mod fields;
mod make;
mod operations;
mod shape;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use counterfoil_domain::{people::OperatorRole, words::Word};
use counterfoil_head_office::{admin, clock::SystemRandom, serve};
use counterfoil_protocol::problem::Code;
use reqwest::{Method, header::HeaderMap};
use serde_json::Value;

use self::make::Maker;
use self::operations::{Needs, Operation};
use crate::common::{Chain, On, chain, web};

counterfoil_head_office::on_both! {
    nobody_is_let_in_without_the_right_token,
    another_chain_sees_nothing_of_this_one,
    whatever_comes_is_answered_in_order,
    every_field_that_is_taken_is_described,
    operations_keep_their_names,
}

/// Requests of each kind and operation. `COUNTERFOIL_TEST_ROUNDS` asks for more.
const ROUNDS: u64 = 20;

struct Office {
    chain: Chain,
    address: String,
    client: reqwest::Client,
    document: Value,
    asked: AtomicU32,
}

impl Drop for Office {
    fn drop(&mut self) {
        self.chain.app.stopping.cancel();
    }
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    /// Nothing for a stream, which would never end.
    body: Vec<u8>,
}

async fn office(on: On) -> Office {
    let chain = chain(on, 3).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(serve(Arc::clone(&chain.app), listener, None));
    let client = web().timeout(Duration::from_secs(60)).build().unwrap();
    let document = client.get(format!("{address}/openapi.json")).send().await.unwrap();
    let document = document.json().await.unwrap();
    Office {
        chain,
        address,
        client,
        document,
        asked: AtomicU32::new(0),
    }
}

/// What is sent; printed when the answer is not as it should be.
#[derive(Debug, Clone)]
struct Call {
    method: Method,
    path: String,
    token: Option<String>,
    key: Option<String>,
    body: Option<Vec<u8>>,
}

impl Call {
    fn said(&self) -> String {
        let body = self.body.as_deref().map(|body| {
            let text = String::from_utf8_lossy(body);
            text.chars().take(2_000).collect::<String>()
        });
        format!("{} {} {:?}", self.method, self.path, body)
    }
}

impl Office {
    async fn send(&self, call: &Call) -> Answer {
        // Each from an address of its own, or guessing would be limited.
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let [_, a, b, c] = number.to_be_bytes();
        let mut request = self
            .client
            .request(call.method.clone(), format!("{}{}", self.address, call.path))
            .header("x-forwarded-for", format!("10.{a}.{b}.{c}"));
        if let Some(token) = &call.token {
            request = request.bearer_auth(token);
        }
        if let Some(key) = &call.key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = &call.body {
            request = request.header("content-type", "application/json").body(body.clone());
        }
        let mut response = request
            .send()
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", call.said()));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        // What is told as it happens has no end; its beginning is judged.
        let body = if is_stream(&headers) {
            response.chunk().await.unwrap().unwrap_or_default()
        } else {
            response.bytes().await.unwrap()
        };
        let body = body.to_vec();
        let answer = Answer { status, headers, body };
        judge(call, &answer);
        answer
    }

    async fn token(&self, needs: &Needs) -> Option<String> {
        match needs {
            Needs::Nothing => None,
            Needs::Member => Some(self.chain.session("M1").await),
            Needs::Operator(roles) => Some(self.chain.operator(roles[0]).await),
        }
    }

    fn maker(&self, seed: u64) -> Maker<'_> {
        let chain = &self.chain;
        let ids = [
            chain.store.to_string(),
            chain.member.to_string(),
            chain.template.to_string(),
            chain.coupons[0].to_string(),
            chain.orders[0].to_string(),
        ];
        Maker::new(&self.document, seed, ids.into())
    }
}

fn is_stream(headers: &HeaderMap) -> bool {
    media_type(headers) == "text/event-stream"
}

fn media_type(headers: &HeaderMap) -> &str {
    let value = headers.get("content-type").and_then(|value| value.to_str().ok());
    value.unwrap_or_default().split(';').next().unwrap_or_default()
}

/// What holds for every answer.
fn judge(call: &Call, answer: &Answer) {
    let text = String::from_utf8_lossy(&answer.body);
    assert!(
        answer.status < 500,
        "our fault: {}\n{} {text}",
        call.said(),
        answer.status
    );
    if answer.status < 400 {
        return;
    }
    assert_eq!(
        media_type(&answer.headers),
        "application/problem+json",
        "{}\n{} {text}",
        call.said(),
        answer.status
    );
    let problem: Value = serde_json::from_slice(&answer.body).unwrap();
    let code = problem["code"].as_str().unwrap();
    let known = Code::parse(code).unwrap_or_else(|| panic!("unknown code: {}\n{text}", call.said()));
    assert_eq!(known.status(), answer.status, "{}\n{text}", call.said());
    assert_eq!(problem["status"], answer.status, "{}\n{text}", call.said());
    for word in ["SELECT", "INSERT", "sqlx", "panicked", "constraint"] {
        assert!(!text.contains(word), "it tells too much: {}\n{text}", call.said());
    }
}

async fn nobody_is_let_in_without_the_right_token(on: On) {
    let office = office(on).await;
    let operations = operations::all(&office.document);
    let member = office.chain.session("M1").await;
    let mut operators = Vec::new();
    for &role in OperatorRole::ALL {
        operators.push((role, office.chain.operator(role).await));
    }
    let admin = &operators[0].1;
    let mut maker = office.maker(1);
    for operation in &operations {
        assert!(operation.says_who, "{operation:?} says nothing of who may call");
        let mut with = async |token: Option<&str>| {
            let call = maker.call(operation, token.map(str::to_owned));
            office.send(&call).await.status
        };
        let wrong = format!("cfo_{}", "f".repeat(64));
        let none = [
            None,
            Some(""),
            Some("cfo_"),
            Some(wrong.as_str()),
            Some("cfm_' OR 1=1 --"),
        ];
        match &operation.needs {
            Needs::Nothing => assert!(
                operation.is_open(),
                "{operation:?} asks for no token: is that meant? Then say so in `is_open`"
            ),
            Needs::Member => {
                for token in none.into_iter().chain([Some(admin.as_str())]) {
                    assert_eq!(with(token).await, 401, "{operation:?} {token:?}");
                }
            }
            Needs::Operator(roles) => {
                assert!(!roles.is_empty(), "{operation:?} names no role");
                let member = (!operation.members_too).then_some(Some(member.as_str()));
                for token in none.into_iter().chain(member) {
                    assert_eq!(with(token).await, 401, "{operation:?} {token:?}");
                }
                for (role, token) in &operators {
                    let status = with(Some(token)).await;
                    assert_eq!(status == 403, !roles.contains(role), "{operation:?} {role:?} {status}");
                }
                assert!(
                    !(operation.method != Method::GET && roles.contains(&OperatorRole::Auditor))
                        || operation.only_asks(),
                    "{operation:?}: an auditor only reads"
                );
            }
        }
    }
}

async fn another_chain_sees_nothing_of_this_one(on: On) {
    let office = office(on).await;
    let (chain, db) = (&office.chain, &office.chain.app.db);
    let other = admin::NewTenant {
        code: "other",
        name: "Other",
        currency: "EUR",
    };
    let tenant = admin::add_tenant(db, chain.clock.as_ref(), &SystemRandom, &other)
        .await
        .unwrap();
    let nosy = admin::NewOperator {
        name: "nosy",
        role: OperatorRole::Admin,
    };
    let (_, token) = admin::add_operator(db, chain.clock.as_ref(), &SystemRandom, tenant, &nosy)
        .await
        .unwrap();
    let operations = operations::all(&office.document);
    let ours = office.maker(0).known_ids();
    let mut maker = office.maker(3);
    // What the other chain made itself, it sees: an order, say, that it cancelled before it was known, or its own words.
    let (mut made, mut told): (Vec<String>, String) = (Vec::new(), String::new());
    for _ in 0..4 {
        for operation in operations.iter().filter(|one| matches!(one.needs, Needs::Operator(_))) {
            // Learning nothing, the maker knows this chain's ids and numbers only.
            let call = maker.call(operation, Some(token.clone()));
            told.push_str(&call.said());
            let answer = office.send(&call).await;
            let text = String::from_utf8_lossy(&answer.body);
            let asked = call.said();
            for id in ours.iter().filter(|id| !asked.contains(id.as_str())) {
                assert!(!text.contains(id), "{asked}\n{text}");
            }
            let secrets = ["王小明", "13800000000", "一店"];
            for secret in secrets.into_iter().filter(|secret| !told.contains(secret)) {
                assert!(!text.contains(secret), "{asked}\n{text}");
            }
            if operation.method != Method::GET && answer.status < 300 {
                made.push(call.path.clone());
            }
            let is_its_own = made.iter().any(|path| path.starts_with(&call.path));
            if operation.path.contains('{') && operation.method == Method::GET && !is_its_own {
                assert!((400..500).contains(&answer.status), "{asked}\n{text}");
            }
        }
    }
}

async fn every_field_that_is_taken_is_described(on: On) {
    let office = office(on).await;
    let (mut found, mut objects) = (Vec::new(), 0);
    for operation in &operations::all(&office.document) {
        let Some(schema) = &operation.body else { continue };
        let mut fields = fields::Fields {
            office: &office,
            token: office.token(&operation.needs).await,
            operation,
            found: Vec::new(),
            objects: 0,
        };
        fields.compare(schema, &|value| value, "$").await;
        assert!(fields.objects > 0, "{operation:?} describes no object");
        found.append(&mut fields.found);
        objects += fields.objects;
    }
    assert_eq!(found, Vec::<String>::new());
    // Rules, scopes, lines of baskets: what is nested was asked about too.
    assert!(objects > 40, "{objects}");
}

/// Clients are made from these names: one that goes breaks whoever calls it. A new one is added to the list.
async fn operations_keep_their_names(on: On) {
    let office = office(on).await;
    let mut now = Vec::new();
    for (path, item) in office.document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            now.push(format!(
                "{} {method} {path}",
                operation["operationId"].as_str().unwrap()
            ));
        }
    }
    now.sort();
    let mut kept: Vec<&str> = include_str!("operations.txt").lines().collect();
    kept.sort_unstable();
    assert_eq!(now, kept);
    let mut ids: Vec<&str> = now.iter().filter_map(|line| line.split(' ').next()).collect();
    ids.dedup();
    assert_eq!(ids.len(), now.len(), "two operations have one name");
}

async fn whatever_comes_is_answered_in_order(on: On) {
    let office = office(on).await;
    let operations = operations::all(&office.document);
    assert!(operations.len() >= 8, "{operations:?}");
    let rounds = std::env::var("COUNTERFOIL_TEST_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let mut maker = office.maker(7);
    let mut seen: BTreeMap<(String, u16), u64> = BTreeMap::new();
    for round in 0..rounds {
        // In another order each round, so that operations meet what others have left.
        let mut order: Vec<&Operation> = operations.iter().collect();
        maker.shuffle(&mut order);
        for operation in order {
            let token = office.token(&operation.needs).await;
            let good = maker.call(operation, token.clone());
            let answer = office.send(&good).await;
            if operation.needs != Needs::Nothing {
                assert_ne!(answer.status, 401, "{}", good.said());
            }
            described(&office.document, operation, &good, &answer);
            maker.learn(operation, &answer.body);
            *seen.entry((operation.name(), answer.status)).or_default() += 1;
            if answer.status != 429 && good.key.is_some() {
                let again = office.send(&good).await;
                // A limit on how often one may ask says nothing about the question.
                if again.status != 429 {
                    assert_eq!(
                        (again.status, String::from_utf8_lossy(&again.body)),
                        (answer.status, String::from_utf8_lossy(&answer.body)),
                        "asked again: {}",
                        good.said()
                    );
                }
            }
            let token = office.token(&operation.needs).await;
            let bad = maker.spoilt(operation, token);
            let answer = office.send(&bad).await;
            described(&office.document, operation, &bad, &answer);
            maker.learn(operation, &answer.body);
            if round == 0 {
                edges(&office, operation, &good).await;
            }
        }
    }
    // For whoever wants to know how far it came.
    println!("{seen:#?}");
}

/// What every operation refuses alike.
async fn edges(office: &Office, operation: &Operation, good: &Call) {
    let token = office.token(&operation.needs).await;
    if good.key.is_some() {
        let call = Call {
            key: None,
            token: token.clone(),
            ..good.clone()
        };
        let answer = office.send(&call).await;
        let problem: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(problem["code"], "idempotency_key_missing", "{}", call.said());
    }
    if good.body.is_some() {
        let large = Call {
            body: Some(vec![b' '; 20 * 1024 * 1024]),
            key: good.key.as_ref().map(|key| format!("{key}-large")),
            token: token.clone(),
            ..good.clone()
        };
        // The server may hang up before everything was sent: that is an answer too.
        let request = office
            .client
            .request(large.method.clone(), format!("{}{}", office.address, large.path));
        let request = request
            .bearer_auth(token.clone().unwrap_or_default())
            .header("idempotency-key", large.key.clone().unwrap_or_default())
            .body(large.body.clone().unwrap_or_default());
        if let Ok(response) = request.send().await {
            assert_eq!(response.status().as_u16(), 413, "{}", good.said());
        }
        for text in [&b"{"[..], b"[]", b"null", b"\xff\xfe", b"{\"a\":\"\\u0000\"}", b"1e999"] {
            let call = Call {
                body: Some(text.to_vec()),
                key: good.key.as_ref().map(|key| format!("{key}-{}", text.len())),
                token: token.clone(),
                ..good.clone()
            };
            let status = office.send(&call).await.status;
            assert!((400..500).contains(&status), "{} {status}", call.said());
        }
    }
}

/// Whether an answer is one that the document knows.
fn described(document: &Value, operation: &Operation, call: &Call, answer: &Answer) {
    let said = &operation.responses[answer.status.to_string()];
    if answer.status >= 400 {
        return;
    }
    assert!(said.is_object(), "{} is not described: {}", answer.status, call.said());
    if is_stream(&answer.headers) {
        assert!(said["content"]["text/event-stream"].is_object(), "{}", call.said());
        assert!(answer.body.starts_with(b"event: "), "{}", call.said());
    }
    if let Some(schema) = said["content"]["application/json"].get("schema") {
        let value: Value =
            serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{}\n{error}", call.said()));
        if let Err(why) = shape::fits(document, schema, &value) {
            panic!("{}\nanswers {value}\n{why}", call.said());
        }
    }
}
