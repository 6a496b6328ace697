//! Batches, claims, grants and jobs over HTTP, on both engines.

use std::sync::Arc;

use calamine::{DataType, Reader, Xlsx};
use counterfoil_domain::{
    ids::{CouponId, FreezeId},
    operations::Outcome,
    people::OperatorRole,
    time::{DAY, MINUTE},
    transition::Answer,
};
use counterfoil_head_office::{
    admin,
    claims::admission::Admission,
    clock::{Clock as _, SystemRandom},
    coupons::templates::ending,
    jobs, on_both, serve,
};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::common::*;

on_both!(
    an_operator_makes_a_batch_and_a_member_claims,
    who_may_not_is_refused,
    a_grant_is_given_once_however_often_it_is_asked_for,
    what_has_ended_is_granted_by_nobody,
    a_version_whose_time_is_over_is_marked_and_what_was_given_stays_valid,
    a_job_is_watched_paused_and_cancelled,
    surplus_claims_are_answered_busy_without_reaching_the_engine,
);

struct Site {
    chain: Chain,
    address: String,
    client: Client,
    operator: String,
}

async fn site(on: On) -> Site {
    let chain = chain(on, 10).await;
    chain.run("UPDATE templates SET member_limit = 1, valid_days = 7").await;
    // Lists are in the order of time: what is made here comes after what the fixture made.
    chain.clock.advance(1);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(serve(Arc::clone(&chain.app), listener, None));
    let operator = chain.operator(OperatorRole::Operator).await;
    Site {
        chain,
        address,
        client: web().build().unwrap(),
        operator,
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.chain.app.stopping.cancel();
    }
}

impl Site {
    async fn send(
        &self,
        method: Method,
        path: &str,
        token: &str,
        key: Option<&str>,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.address))
            .bearer_auth(token);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        (status, answer.json().await.unwrap_or_default())
    }

    async fn get(&self, path: &str, token: &str) -> Value {
        let (status, body) = self.send(Method::GET, path, token, None, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    async fn post(&self, path: &str, token: &str, key: &str, body: Value) -> (StatusCode, Value) {
        self.send(Method::POST, path, token, Some(key), Some(body)).await
    }

    async fn done(&self, job: &str) {
        until(async || {
            let now = self.get(&format!("/v1/jobs/{job}"), &self.operator).await;
            assert!(
                matches!(now["status"].as_str(), Some("queued" | "running" | "done")),
                "{now}"
            );
            now["status"] == "done"
        })
        .await;
    }
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap().to_owned()
}

async fn an_operator_makes_a_batch_and_a_member_claims(on: On) {
    let site = site(on).await;
    jobs::start(&site.chain.app);
    let new = json!({ "template": site.chain.template, "count": 2_500 });
    let (status, begun) = site.post("/v1/batches", &site.operator, "b1", new.clone()).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{begun}");
    assert_eq!(
        site.post("/v1/batches", &site.operator, "b1", new).await,
        (status, begun.clone())
    );
    site.done(&text(&begun, "job")).await;
    let path = format!("/v1/batches/{}", text(&begun, "batch"));
    let batch = site.get(&path, &site.operator).await;
    assert_eq!((&batch["made"], &batch["status"]), (&json!(2_500), &json!("ready")));
    assert_eq!(
        site.get("/v1/batches?limit=1", &site.operator).await["items"][0]["id"],
        begun["batch"]
    );

    let member = site.chain.session("M1").await;
    let offered = site.get("/v1/member/claimable", &member).await;
    let first = &offered["items"][0];
    assert_eq!(
        (&first["claimable"], &first["left"]),
        (&json!(true), &json!(2_500)),
        "{offered}"
    );
    let claim = json!({ "template": site.chain.template });
    let (status, claimed) = site.post("/v1/member/claims", &member, "c1", claim.clone()).await;
    assert_eq!(status, StatusCode::CREATED, "{claimed}");
    assert_eq!(text(&claimed, "code").len(), 18);
    assert_eq!(claimed["valid_until"], json!(START + 1 + 7 * 24 * HOUR));
    assert_eq!(
        site.post("/v1/member/claims", &member, "c1", claim.clone()).await,
        (status, claimed.clone())
    );
    let (status, refused) = site.post("/v1/member/claims", &member, "c2", claim).await;
    assert_eq!(
        (status, &refused["code"]),
        (StatusCode::CONFLICT, &json!("not_claimable"))
    );
    assert_eq!(
        refused["reasons"],
        json!([{ "code": "limit_reached", "limit": 1, "counts": "taken" }])
    );
    let offered = site.get("/v1/member/claimable", &member).await;
    assert_eq!(offered["items"][0]["claimable"], false);
    assert_eq!(offered["items"][0]["reasons"], refused["reasons"]);

    let export = site
        .client
        .get(format!("{}{path}/codes", site.address))
        .bearer_auth(&site.operator);
    let answer = export.send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/csv; charset=utf-8");
    let csv = answer.text().await.unwrap();
    assert_eq!(csv.lines().count(), 2_501);
    assert!(csv.contains(&format!("{},available\r\n", text(&claimed, "code"))));
    assert_eq!(csv.matches(",waiting").count(), 2_499);
    let exported = "SELECT COUNT(*) FROM audit WHERE action = 'batch.codes_exported'";
    assert_eq!(site.chain.number(exported).await, 1);

    // The same as a workbook, in which no code is a number; by name and by the header.
    const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
    let wanted: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    for (query, accepted) in [("?format=xlsx", "*/*"), ("", XLSX)] {
        let export = site
            .client
            .get(format!("{}{path}/codes{query}", site.address))
            .header("accept", accepted)
            .bearer_auth(&site.operator);
        let answer = export.send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], XLSX);
        let file = answer.headers()["content-disposition"].to_str().unwrap().to_owned();
        assert!(file.ends_with(".xlsx\""), "{file}");
        let bytes = answer.bytes().await.unwrap();
        let mut book: Xlsx<_> = calamine::open_workbook_from_rs(std::io::Cursor::new(bytes)).unwrap();
        let (_, sheet) = book.worksheets().remove(0);
        let rows: Vec<Vec<&str>> = sheet
            .rows()
            .map(|row| row.iter().map(|cell| cell.get_string().unwrap()).collect())
            .collect();
        assert_eq!(rows, wanted);
    }
    let (status, _) = site
        .send(
            Method::GET,
            &format!("{path}/codes?format=ods"),
            &site.operator,
            None,
            None,
        )
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);

    let (status, closed) = site
        .post(&format!("{path}/close"), &site.operator, "x", json!({}))
        .await;
    assert_eq!((status, &closed["status"]), (StatusCode::OK, &json!("closed")));
    let (status, _) = site
        .post(&format!("{path}/close"), &site.operator, "y", json!({}))
        .await;
    assert_eq!(status, StatusCode::CONFLICT);
}

async fn who_may_not_is_refused(on: On) {
    let site = site(on).await;
    let auditor = site.chain.operator(OperatorRole::Auditor).await;
    let member = site.chain.session("M1").await;
    let new = json!({ "template": site.chain.template, "count": 5 });
    for (token, expected) in [
        (auditor.as_str(), StatusCode::FORBIDDEN),
        (member.as_str(), StatusCode::UNAUTHORIZED),
    ] {
        assert_eq!(site.post("/v1/batches", token, "k", new.clone()).await.0, expected);
        assert_eq!(
            site.post("/v1/grants", token, "k", new.clone()).await.0.as_u16() / 100,
            4
        );
    }
    let claim = json!({ "template": site.chain.template });
    assert_eq!(
        site.post("/v1/member/claims", &auditor, "k", claim.clone()).await.0,
        StatusCode::UNAUTHORIZED
    );
    let (status, missing) = site
        .send(Method::POST, "/v1/member/claims", &member, None, Some(claim))
        .await;
    assert_eq!(
        (status, &missing["code"]),
        (StatusCode::BAD_REQUEST, &json!("idempotency_key_missing"))
    );
    for bad in [
        json!({ "template": site.chain.template, "count": 0 }),
        json!({ "template": site.chain.template, "count": 5, "purpose": "grant" }),
        json!({ "template": uuid::Uuid::nil(), "count": 5 }),
    ] {
        let (status, problem) = site
            .post("/v1/batches", &site.operator, &bad.to_string()[..40], bad.clone())
            .await;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!("invalid")),
            "{bad}"
        );
    }
    // Nothing was ever offered.
    let (status, refused) = site
        .post(
            "/v1/member/claims",
            &member,
            "none",
            json!({ "template": uuid::Uuid::nil() }),
        )
        .await;
    assert_eq!(
        (status, &refused["reasons"]),
        (StatusCode::CONFLICT, &json!([{ "code": "not_offered" }]))
    );
    // Not more often than a person could.
    let mut limited = false;
    for n in 0..200 {
        let claim = json!({ "template": site.chain.template });
        let (status, _) = site
            .post("/v1/member/claims", &member, &format!("often-{n}"), claim)
            .await;
        limited |= status == StatusCode::TOO_MANY_REQUESTS;
    }
    assert!(limited);
}

async fn what_has_ended_is_granted_by_nobody(on: On) {
    let site = site(on).await;
    let chain = &site.chain;
    let ends = [
        ("claim_until = created_at", "template_over", StatusCode::CONFLICT),
        (
            "claim_until = NULL, valid_days = NULL, valid_until = created_at",
            "template_over",
            StatusCode::CONFLICT,
        ),
        (
            "valid_until = NULL, status = 'retired'",
            "not_found",
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
    ];
    for (n, (end, code, status)) in ends.into_iter().enumerate() {
        chain.run(format!("UPDATE templates SET {end}")).await;
        let by_hand = admin::NewGrant {
            member: "M1",
            template: chain.template,
            count: 1,
        };
        let db = &chain.app.db;
        let refused = admin::grant_coupons(db, chain.clock.as_ref(), &SystemRandom, chain.tenant, &by_hand).await;
        assert_eq!(refused.unwrap_err().code(), code, "{end}");
        let list = json!({ "template": chain.template, "members": ["M1"] });
        let key = format!("ended-{n}");
        assert_eq!(
            site.post("/v1/grants", &site.operator, &key, list).await.0,
            status,
            "{end}"
        );
    }
    assert_eq!(chain.number("SELECT COUNT(*) FROM grants").await, 0);
    assert_eq!(chain.number("SELECT COUNT(*) FROM coupons").await, 10);
}

async fn a_grant_is_given_once_however_often_it_is_asked_for(on: On) {
    let site = site(on).await;
    jobs::start(&site.chain.app);
    let list = json!({ "template": site.chain.template, "members": ["M1"] });
    let (status, made) = site.post("/v1/grants", &site.operator, "g1", list.clone()).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let path = format!("/v1/grants/{}", text(&made, "grant"));
    // It is theirs by the time of the answer.
    assert_eq!(site.get(&path, &site.operator).await["given"], 1);
    assert_eq!(
        site.post("/v1/grants", &site.operator, "g1", list.clone()).await,
        (status, made.clone())
    );
    site.done(&text(&made, "job")).await;
    assert_eq!(site.get(&path, &site.operator).await["given"], 1);
    let members = site.get(&format!("{path}/members"), &site.operator).await;
    assert_eq!(members["items"][0]["number"], "M1");
    assert!(members["items"][0]["coupon"].is_string());
    let (status, problem) = site
        .post(
            "/v1/grants",
            &site.operator,
            "g2",
            json!({ "template": site.chain.template, "members": ["M1", "nobody"] }),
        )
        .await;
    assert_eq!(
        (status, &problem["errors"][0]["field"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("members"))
    );
    // To all: one row, and the member's own when they look.
    let all = json!({ "template": site.chain.template, "all": true });
    let (status, made) = site.post("/v1/grants", &site.operator, "g3", all).await;
    assert_eq!((status, &made["members"]), (StatusCode::CREATED, &json!(1)));
    let path = format!("/v1/grants/{}", text(&made, "grant"));
    let (status, paused) = site
        .post(&format!("{path}/pause"), &site.operator, "p", json!({}))
        .await;
    assert_eq!((status, &paused["status"]), (StatusCode::OK, &json!("paused")));
    let member = site.chain.session("M1").await;
    site.get("/v1/member/claimable", &member).await;
    assert_eq!(site.get(&path, &site.operator).await["given"], 0);
    assert_eq!(
        site.post(&format!("{path}/resume"), &site.operator, "r", json!({}))
            .await
            .0,
        StatusCode::OK
    );
    for _ in 0..2 {
        site.get("/v1/member/claimable", &member).await;
    }
    assert_eq!(site.get(&path, &site.operator).await["given"], 1);
    assert_eq!(
        site.post(&format!("{path}/close"), &site.operator, "c", json!({}))
            .await
            .0,
        StatusCode::OK
    );
    assert_eq!(
        site.post(&format!("{path}/resume"), &site.operator, "r2", json!({}))
            .await
            .0,
        StatusCode::CONFLICT
    );
}

async fn a_version_whose_time_is_over_is_marked_and_what_was_given_stays_valid(on: On) {
    let site = site(on).await;
    let chain = &site.chain;
    jobs::start(&chain.app);
    let new = json!({ "template": chain.template, "count": 5 });
    let (_, begun) = site.post("/v1/batches", &site.operator, "b", new).await;
    site.done(&text(&begun, "job")).await;
    let member = chain.session("M1").await;
    let claim = json!({ "template": chain.template });
    let (_, mine) = site.post("/v1/member/claims", &member, "c", claim.clone()).await;
    let shown = format!("/v1/templates/{}", chain.template);
    let now = chain.clock.now();
    let marked = "SELECT COUNT(*) FROM audit WHERE action = 'template.ended' AND actor = 'head office'";
    let ends = [
        ("claim_until = $", "claim_over"),
        (
            "claim_until = NULL, valid_days = NULL, valid_until = $",
            "validity_over",
        ),
    ];
    for (n, (end, reason)) in (1..).zip(ends) {
        let end = end.replace('$', &(now + MINUTE).to_string());
        chain
            .run(format!("UPDATE templates SET ended_at = NULL, member_limit = 0, {end}"))
            .await;
        for (at, ended) in [(now + MINUTE - 1, 0), (now + MINUTE, 1), (now + 2 * MINUTE, 0)] {
            assert_eq!(ending::sweep(&chain.app, at, 500).await.unwrap(), ended, "{end} {at}");
        }
        assert_eq!(chain.number(marked).await, n);
        let version = site.get(&shown, &site.operator).await["versions"][0].clone();
        assert_eq!(
            (&version["ended_at"], &version["status"]),
            (&json!(now + MINUTE), &json!("published"))
        );
        // The time says so, not the mark: what is wrongly marked is claimed on.
        let key = format!("early-{n}");
        let early = site.post("/v1/member/claims", &member, &key, claim.clone()).await;
        assert_eq!(early.0, StatusCode::CREATED, "{}", early.1);
        chain.clock.advance(MINUTE);
        let key = format!("late-{n}");
        let (status, refused) = site.post("/v1/member/claims", &member, &key, claim.clone()).await;
        assert_eq!(
            (status, &refused["reasons"][0]["code"]),
            (StatusCode::CONFLICT, &json!(reason))
        );
        chain.clock.advance(-MINUTE);
    }
    chain.clock.advance(MINUTE);
    // What was given before is as good as it was.
    let mut counter = chain.counter().await;
    let coupon = mine["coupon"].as_str().unwrap().parse().unwrap();
    let used = counter.make(chain.redeem(CouponId(coupon), None), chain.clock.now());
    let applied = Answer::Done {
        outcome: Outcome::Applied,
        replayed: false,
    };
    assert_eq!(chain.push(&[used]).await, [applied]);
    // Nor is a draft or what a person ended marked.
    chain
        .run("UPDATE templates SET ended_at = NULL, status = 'retired', valid_until = 1")
        .await;
    assert_eq!(ending::sweep(&chain.app, now + DAY, 500).await.unwrap(), 0);
    chain
        .run("UPDATE templates SET status = 'draft', claim_until = 1")
        .await;
    assert_eq!(ending::sweep(&chain.app, now + DAY, 500).await.unwrap(), 0);
}

async fn a_job_is_watched_paused_and_cancelled(on: On) {
    let site = site(on).await;
    let new = json!({ "template": site.chain.template, "count": 100 });
    let (_, begun) = site.post("/v1/batches", &site.operator, "b", new.clone()).await;
    let path = format!("/v1/jobs/{}", text(&begun, "job"));
    let (status, paused) = site
        .post(&format!("{path}/pause"), &site.operator, "p", json!({}))
        .await;
    assert_eq!((status, &paused["status"]), (StatusCode::OK, &json!("paused")));
    assert_eq!(
        site.post(&format!("{path}/pause"), &site.operator, "p2", json!({}))
            .await
            .0,
        StatusCode::CONFLICT
    );
    // While it stands, the answer is neither yes nor no.
    let member = site.chain.session("M1").await;
    let (status, busy) = site
        .post(
            "/v1/member/claims",
            &member,
            "c",
            json!({ "template": site.chain.template }),
        )
        .await;
    assert_eq!(
        (status, &busy["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("busy"))
    );
    let events = site
        .client
        .get(format!("{}{path}/events", site.address))
        .bearer_auth(&site.operator);
    let events = events.send().await.unwrap();
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    assert_eq!(events.headers()["cache-control"], "no-store");
    let events = tokio::spawn(async move { in_time(events.text()).await.unwrap() });
    assert_eq!(
        site.post(&format!("{path}/resume"), &site.operator, "r", json!({}))
            .await
            .0,
        StatusCode::OK
    );
    jobs::start(&site.chain.app);
    let events = events.await.unwrap();
    // Each is two lines and an empty one; nothing else comes while there is news.
    let told: Vec<&str> = events
        .strip_suffix("\n\n")
        .unwrap()
        .split("\n\n")
        .filter(|event| *event != ":")
        .map(|event| event.strip_prefix("event: job\ndata: ").unwrap())
        .collect();
    assert!(told.iter().all(|data| !data.contains('\n')), "{events}");
    let last = *told.last().unwrap();
    let last: Value = serde_json::from_str(last).unwrap();
    assert_eq!((&last["status"], &last["done"]), (&json!("done"), &json!(100)));
    assert_eq!(
        site.post(
            "/v1/member/claims",
            &member,
            "c",
            json!({ "template": site.chain.template })
        )
        .await
        .0,
        StatusCode::CREATED
    );
    let missing = format!("/v1/jobs/{}", uuid::Uuid::nil());
    assert_eq!(
        site.send(Method::GET, &missing, &site.operator, None, None).await.0,
        StatusCode::NOT_FOUND
    );
    // One that only a newer head office knows is shown, and left to that.
    let (_, begun) = site.post("/v1/batches", &site.operator, "b2", new).await;
    let path = format!("/v1/jobs/{}", text(&begun, "job"));
    site.chain
        .run("UPDATE jobs SET kind = 'stamps', status = 'queued'")
        .await;
    let shown = site.get(&path, &site.operator).await;
    assert_eq!((&shown["kind"], &shown["status"]), (&json!("stamps"), &json!("queued")));
    for action in ["pause", "resume", "cancel"] {
        let (status, refused) = site
            .post(&format!("{path}/{action}"), &site.operator, action, json!({}))
            .await;
        assert_eq!(
            (status, &refused["code"]),
            (StatusCode::CONFLICT, &json!("state_conflict"))
        );
        assert!(text(&refused, "detail").contains("stamps"), "{refused}");
    }
    assert_eq!(site.get(&path, &site.operator).await, shown);
}

async fn surplus_claims_are_answered_busy_without_reaching_the_engine(on: On) {
    let site = site(on).await;
    let chain = &site.chain;
    chain.run("UPDATE templates SET member_limit = 0").await;
    let counter = chain.counter().await;
    chain.app.own.put(Admission::of(3));
    jobs::start(&chain.app);
    let new = json!({ "template": chain.template, "count": 100 });
    let (_, begun) = site.post("/v1/batches", &site.operator, "b", new).await;
    site.done(&text(&begun, "job")).await;
    let member = chain.session("M1").await;
    let claim = async |key: &str| {
        let request = site
            .client
            .post(format!("{}/v1/member/claims", site.address))
            .bearer_auth(&member)
            .header("idempotency-key", key)
            .json(&json!({ "template": chain.template }));
        request.send().await.unwrap()
    };
    let engine = &chain.app.engine;
    engine.gate().open(false);
    let before = engine.submitted();
    let admitted = async { tokio::join!(claim("0"), claim("1"), claim("2")) };
    let meanwhile = async {
        until(async || engine.submitted() == before + 3).await;
        // Ten times as many: all are answered while nothing is decided at all.
        for n in 3..30 {
            let refused = claim(&n.to_string()).await;
            assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(refused.headers()["retry-after"], "1");
            assert_eq!(refused.json::<Value>().await.unwrap()["code"], "busy");
        }
        assert_eq!(engine.submitted(), before + 3);
        // Who doesn't claim notices nothing: reads are answered, and a counter's question stands right behind the three.
        site.get("/v1/member/claimable", &member).await;
        let frozen = chain.freeze(&counter, FreezeId::new(START, random10()), chain.coupons[0]);
        let opened = async {
            until(async || engine.submitted() == before + 4).await;
            engine.gate().open(true);
        };
        let (frozen, ()) = tokio::join!(frozen, opened);
        assert!(matches!(frozen, Answer::Granted { .. }), "{frozen:?}");
    };
    let ((first, second, third), ()) = tokio::join!(admitted, meanwhile);
    for answer in [first, second, third] {
        assert_eq!(answer.status(), StatusCode::CREATED);
    }
    // Nothing was decided about the others: asked again under the same name, each gets its coupon.
    for n in 3..30 {
        assert_eq!(claim(&n.to_string()).await.status(), StatusCode::CREATED);
    }
    assert_eq!(
        chain
            .number("SELECT claimed FROM batches WHERE purpose = 'claim' AND size = 100")
            .await,
        30
    );
}
