//! The API for counters over real HTTP: what it takes and what it refuses, on both engines.

mod full_disk;
mod lookups;

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use counterfoil_domain::{
    ids::{DeviceId, FreezeId, StoreId, TenantId},
    operations::Outcome,
    people::{OperatorRole, Store},
    transition::{DeviceStatus, Subject},
};
use counterfoil_head_office::{capabilities::router, clock::Clock, http::caller::BELIEVED, serve, stores};
use counterfoil_protocol::{
    REQUEST_BYTES, VERSION,
    enrolment::{EnrolRequest, EnrolResponse},
    paths,
    problem::Problem,
    questions::{FreezeRequest, FreezeResponse, LookupRequest, LookupResponse},
    signing::{self, Signed},
    sync::{Cursor, Image, SyncRequest, SyncResponse},
};
use ed25519_dalek::SigningKey;
use futures_core::Stream;
use reqwest::{Method, StatusCode};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use sqlx::Connection;
use tower::ServiceExt;

use crate::common::{Chain, Counter, HOUR, On, START, chain, random10, until, web};

counterfoil_head_office::on_both! {
    a_device_enrols_once_with_a_code_and_again_with_the_same_key,
    pushes_and_pulls_go_together,
    what_is_wrongly_signed_is_refused_before_it_is_read,
    what_is_too_large_or_cut_off_is_refused,
    operations_out_of_order_are_named,
    a_fork_is_refused_and_freezes_the_device,
    a_revoked_device_delivers_but_learns_nothing,
    a_long_poll_ends_when_there_is_news,
    a_restored_database_begins_a_new_history,
    a_made_up_claim_costs_nobody_else_anything,
    overlapping_requests_of_one_device_stop_nobody,
    who_may_not_call_is_told_before_the_body_is_asked_for,
    a_strangers_body_is_small,
    a_device_that_is_frozen_meanwhile_is_told_within_seconds,
    an_epoch_lost_with_a_backup_waits_for_a_person,
    questions_are_answered_once,
    rows_are_looked_up_by_code,
}

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

async fn a_device_enrols_once_with_a_code_and_again_with_the_same_key(on: On) {
    let office = office(on, 0).await;
    let (app, chain) = (&office.chain.app, &office.chain);
    let code = stores::enrol::make_code(
        &app.db,
        chain.clock.as_ref(),
        app.random.as_ref(),
        chain.tenant,
        chain.store,
    )
    .await
    .unwrap();
    let enrol = async |code: &str, key: &SigningKey| {
        let request = EnrolRequest {
            code: code.to_lowercase(),
            public_key: hex::encode(key.verifying_key().to_bytes()),
            proof: EnrolRequest::prove(code, key),
            name: "till 1".into(),
            app_version: "1".into(),
        };
        office
            .client
            .post(format!("{}{}", office.address, paths::ENROL))
            .json(&request)
            .send()
            .await
            .unwrap()
    };
    let (mine, other) = (SigningKey::from_bytes(&[5; 32]), SigningKey::from_bytes(&[6; 32]));
    let first: EnrolResponse = enrol(&code, &mine).await.json().await.unwrap();
    assert_eq!(first.store.id, chain.store);
    // The answer was lost: asking again gives the same place. Somebody else gets nothing.
    let again: EnrolResponse = enrol(&code, &mine).await.json().await.unwrap();
    assert_eq!(again.device, first.device);
    let refused: Problem = enrol(&code, &other).await.json().await.unwrap();
    assert_eq!(refused.code, "enrol_code_invalid");
    let unknown: Problem = enrol("AAAAA-AAAAA", &mine).await.json().await.unwrap();
    assert_eq!(unknown.code, "enrol_code_invalid");
    let late = stores::enrol::make_code(
        &app.db,
        chain.clock.as_ref(),
        app.random.as_ref(),
        chain.tenant,
        chain.store,
    )
    .await
    .unwrap();
    chain.clock.advance(HOUR / 4);
    assert_eq!(
        enrol(&late, &other).await.json::<Problem>().await.unwrap().code,
        "enrol_code_invalid"
    );
    assert_eq!(chain.number("SELECT COUNT(*) FROM devices").await, 1);
    assert_eq!(
        chain
            .number("SELECT COUNT(*) FROM audit WHERE action = 'device.enrolled'")
            .await,
        1
    );
}

async fn pushes_and_pulls_go_together(on: On) {
    let office = office(on, 2).await;
    let mut counter = office.chain.counter().await;
    let operation = counter.seal(office.chain.redeem(office.chain.coupons[0], None), START);
    let first = office.sync(&counter, std::slice::from_ref(&operation)).await.unwrap();
    assert_eq!(first.outcomes.len(), 1);
    assert_eq!(
        (first.outcomes[0].outcome, first.outcomes[0].replayed),
        (Outcome::Applied, false)
    );
    assert_eq!(first.device.last_applied_seq, 1);
    let page = first.page.unwrap();
    assert!(page.cursor.store_seq >= first.outcomes[0].feed);
    assert!(matches!(&page.rows[0].image, Image::Coupon(coupon) if coupon.id == office.chain.coupons[0]));

    let again = office.sync(&counter, &[operation]).await.unwrap();
    assert_eq!(
        (again.outcomes[0].outcome, again.outcomes[0].replayed),
        (Outcome::Applied, true)
    );
    let mut ask = office.ask(&[]).await;
    ask.cursor = page.cursor;
    let later: SyncResponse = office.post(&counter, paths::SYNC, &ask).await.unwrap();
    assert_eq!(later.page.unwrap().rows, []);
}

async fn what_is_wrongly_signed_is_refused_before_it_is_read(on: On) {
    let office = office(on, 1).await;
    let counter = office.chain.counter().await;
    let send = async |body: &[u8], name: &'static str, value: String| {
        let answer: Answer<SyncResponse> = office
            .send(&counter, Method::POST, paths::SYNC, body.to_vec(), |request| {
                let mut request = request.build().unwrap();
                request.headers_mut().insert(name, value.parse().unwrap());
                reqwest::RequestBuilder::from_parts(office.client.clone(), request)
            })
            .await;
        code_of(answer)
    };
    let bad = (401, "bad_signature".to_owned());
    assert_eq!(send(b"not json", signing::SIGNATURE, "00".repeat(64)).await, bad);
    assert_eq!(send(b"{}", signing::SIGNATURE, "short".into()).await, bad);
    assert_eq!(send(b"{}", signing::DEVICE, uuid::Uuid::nil().to_string()).await, bad);
    assert_eq!(send(b"{}", signing::DEVICE, "x".into()).await, bad);
    // The clock is looked at first: that needs no body.
    let off = (401, "clock_skew".to_owned());
    assert_eq!(send(b"{}", signing::TIME, "1".into()).await, off);
    // Rightly signed, but an hour ago by head office's clock.
    let body = serde_json::to_vec(&office.ask(&[]).await).unwrap();
    let time = START - HOUR;
    let signed = Signed {
        method: "POST",
        path: paths::SYNC,
        tenant: office.chain.tenant,
        device: counter.device,
        time,
        body: &body,
    };
    let response = office
        .client
        .post(format!("{}{}", office.address, paths::SYNC))
        .header(signing::TENANT, office.chain.tenant.to_string())
        .header(signing::DEVICE, counter.device.to_string())
        .header(signing::TIME, time.to_string())
        .header(signing::SIGNATURE, signed.sign(&counter.key))
        .body(body.clone())
        .send()
        .await
        .unwrap();
    let problem: Problem = response.json().await.unwrap();
    assert_eq!(
        (problem.code.as_str(), problem.server_time),
        ("clock_skew", Some(START))
    );
}

async fn what_is_too_large_or_cut_off_is_refused(on: On) {
    let office = office(on, 1).await;
    let mut counter = office.chain.counter().await;
    let whole = vec![b' '; REQUEST_BYTES + 1];
    let answer: Answer<SyncResponse> = office.send(&counter, Method::POST, paths::SYNC, whole, |r| r).await;
    assert_eq!(code_of(answer), (413, "too_large".into()));
    let operation = counter.seal(office.chain.redeem(office.chain.coupons[0], None), START);
    let body = serde_json::to_vec(&office.ask(std::slice::from_ref(&operation)).await).unwrap();
    let cut = body[..body.len() / 2].to_vec();
    let answer: Answer<SyncResponse> = office.send(&counter, Method::POST, paths::SYNC, cut, |r| r).await;
    assert_eq!(code_of(answer), (400, "malformed".into()));
    let many = vec![operation; 201];
    assert_eq!(code_of(office.sync(&counter, &many).await), (413, "too_large".into()));
    let mut newer = office.ask(&[]).await;
    newer.protocol = 99;
    let answer: Answer<SyncResponse> = office.post(&counter, paths::SYNC, &newer).await;
    assert_eq!(code_of(answer), (400, "unsupported_version".into()));
    let nowhere: Answer<SyncResponse> = office.post(&counter, "/v1/nowhere", &newer).await;
    assert_eq!(code_of(nowhere), (404, "not_found".into()));
    assert_eq!(office.chain.number("SELECT COUNT(*) FROM operations").await, 0);
}

async fn operations_out_of_order_are_named(on: On) {
    let office = office(on, 3).await;
    let mut counter = office.chain.counter().await;
    let [one, two, three] = [0, 1, 2].map(|n| counter.seal(office.chain.redeem(office.chain.coupons[n], None), START));
    let (_, gap) = office.sync(&counter, std::slice::from_ref(&three)).await.unwrap_err();
    assert_eq!(
        (gap.code.as_str(), gap.status, gap.expected_seq),
        ("journal_gap", 409, Some(1))
    );
    let partly = office.sync(&counter, &[one, three.clone()]).await.unwrap();
    assert_eq!(partly.outcomes.len(), 1);
    assert!(partly.stopped.is_some());
    assert_eq!(office.sync(&counter, &[two, three]).await.unwrap().outcomes.len(), 2);
    // Another device's operation in this device's push.
    let mut other = office.chain.counter().await;
    let foreign = other.seal(office.chain.redeem(office.chain.coupons[0], None), START);
    assert_eq!(
        code_of(office.sync(&counter, &[foreign]).await),
        (400, "malformed".into())
    );
}

async fn a_fork_is_refused_and_freezes_the_device(on: On) {
    let office = office(on, 2).await;
    let mut counter = office.chain.counter().await;
    let one = counter.seal(office.chain.redeem(office.chain.coupons[0], None), START);
    office.sync(&counter, &[one]).await.unwrap();
    counter.seq = 0;
    counter.head = [0; 32];
    let branch = counter.seal(office.chain.redeem(office.chain.coupons[1], None), START);
    assert_eq!(
        code_of(office.sync(&counter, &[branch]).await),
        (422, "journal_fork".into())
    );
    assert_eq!(
        office.sync(&counter, &[]).await.unwrap().device.status,
        DeviceStatus::Frozen
    );
    let ask = FreezeRequest {
        id: FreezeId::new(START, random10()),
        subject: Subject::Coupon(office.chain.coupons[1]),
        presented_by: None,
    };
    let body = serde_json::to_vec(&ask).unwrap();
    let key = ask.id.to_string();
    let answer: Answer<FreezeResponse> = office
        .send(&counter, Method::POST, paths::FREEZES, body, |r| {
            r.header(signing::IDEMPOTENCY_KEY, key)
        })
        .await;
    assert_eq!(code_of(answer), (403, "device_frozen".into()));
}

async fn a_revoked_device_delivers_but_learns_nothing(on: On) {
    let office = office(on, 1).await;
    let mut counter = office.chain.counter().await;
    office
        .chain
        .run("UPDATE devices SET status = 'revoked', version = version + 1")
        .await;
    let one = counter.seal(office.chain.redeem(office.chain.coupons[0], None), START);
    let answer = office.sync(&counter, &[one]).await.unwrap();
    assert!(matches!(answer.outcomes[0].outcome, Outcome::Quarantined { .. }));
    assert_eq!(answer.device.status, DeviceStatus::Revoked);
    assert!(answer.page.is_none());
    let look: Answer<LookupResponse> = office
        .post(
            &counter,
            paths::LOOKUPS,
            &LookupRequest::CouponCode("000000000000000000".into()),
        )
        .await;
    assert_eq!(code_of(look), (403, "device_revoked".into()));
}

/// A status that was read lately is believed for a moment; the engine never believes it.
async fn a_device_that_is_frozen_meanwhile_is_told_within_seconds(on: On) {
    let office = office(on, 2).await;
    let counter = office.chain.counter().await;
    let freeze = async |coupon: usize| {
        let ask = FreezeRequest {
            id: FreezeId::new(START, random10()),
            subject: Subject::Coupon(office.chain.coupons[coupon]),
            presented_by: None,
        };
        let key = ask.id.to_string();
        let body = serde_json::to_vec(&ask).unwrap();
        let answer: Answer<FreezeResponse> = office
            .send(&counter, Method::POST, paths::FREEZES, body, |r| {
                r.header(signing::IDEMPOTENCY_KEY, key)
            })
            .await;
        answer
    };
    assert!(matches!(freeze(0).await, Ok(FreezeResponse::Granted { .. })));
    for (set, answered) in [
        (
            "UPDATE devices SET status = 'frozen', version = version + 1",
            "device_frozen",
        ),
        (
            "UPDATE devices SET status = 'revoked', version = version + 1",
            "device_revoked",
        ),
    ] {
        office.chain.run(set).await;
        assert_eq!(code_of(freeze(1).await), (403, answered.into()));
        office.chain.clock.advance(BELIEVED);
        assert_eq!(code_of(freeze(1).await), (403, answered.into()));
    }
    // What is not active is never believed: a device that may work again works at once.
    let set = "UPDATE devices SET status = 'active', version = version + 1";
    office.chain.run(set).await;
    assert!(matches!(freeze(1).await, Ok(FreezeResponse::Granted { .. })));
}

async fn a_long_poll_ends_when_there_is_news(on: On) {
    let office = office(on, 1).await;
    let (waiting, mut busy) = (office.chain.counter().await, office.chain.counter().await);
    let mut ask = office.ask(&[]).await;
    ask.wait = 20_000;
    let poll = office.post::<_, SyncResponse>(&waiting, paths::SYNC, &ask);
    let work = async {
        // The poll has to be there first; if it is not, the news is found by its first look.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let one = busy.seal(office.chain.redeem(office.chain.coupons[0], None), START);
        office.sync(&busy, &[one]).await.unwrap();
    };
    let both = async { tokio::join!(poll, work) };
    let (answer, ()) = tokio::time::timeout(Duration::from_secs(15), both)
        .await
        .expect("the poll went on waiting");
    assert_eq!(answer.unwrap().page.unwrap().rows.len(), 1);
}

async fn a_restored_database_begins_a_new_history(on: On) {
    let office = office(on, 3).await;
    let mut counter = office.chain.counter().await;
    let mut cursors = Vec::new();
    for coupon in &office.chain.coupons {
        let one = counter.seal(office.chain.redeem(*coupon, None), START);
        let mut ask = office.ask(&[one]).await;
        ask.page_rows = 1_000;
        let answer: Answer<SyncResponse> = office.post(&counter, paths::SYNC, &ask).await;
        cursors.push(answer.unwrap().page.unwrap().cursor);
    }
    let old = office.chain.app.db.history_of(office.chain.tenant).await.unwrap();
    // Restored from a backup of before the last two: their numbers are as if they had never been given, and one of them
    // is given anew in another commit.
    office.chain.run("DELETE FROM feed WHERE number > 2").await;
    office
        .chain
        .run("UPDATE feed_heads SET number = 2 WHERE number > 2")
        .await;
    let begins = |ask: SyncRequest| {
        let (office, counter) = (&office, &counter);
        async move {
            let (_, problem) = office
                .post::<_, SyncResponse>(counter, paths::SYNC, &ask)
                .await
                .unwrap_err();
            assert_eq!(problem.code, "history_changed");
            problem.history_id
        }
    };
    // A device that may not work proves nothing to others; what it read is lost all the same, so it reads again, alone.
    let set = |status: &str| office.chain.run(format!("UPDATE devices SET status = '{status}'"));
    set("frozen").await;
    let mut ask = office.ask(&[]).await;
    ask.cursor = cursors[2];
    assert_eq!(begins(ask).await, Some(old));
    set("active").await;
    let mut ask = office.ask(&[]).await;
    ask.cursor = cursors[2];
    let present = begins(ask).await;
    assert_ne!(present, Some(old));
    assert_eq!(
        Some(office.chain.app.db.history_of(office.chain.tenant).await.unwrap()),
        present
    );
    // Other chains of the same database go on as they were.
    let other = TenantId::new(START, random10());
    assert_eq!(office.chain.app.db.history_of(other).await.unwrap(), old);
    // Somebody who still speaks of the first history is told of the present one, and begins none.
    let mut ask = office.ask(&[]).await;
    ask.history_id = old;
    ask.cursor = cursors[2];
    assert_eq!(begins(ask).await, present);
    // The lost mark proves one restore, not a second one: whoever keeps it reads everything again alone.
    for _ in 0..3 {
        let mut ask = office.ask(&[]).await;
        ask.cursor = cursors[2];
        assert_eq!(Some(ask.history_id), present);
        assert_eq!(begins(ask).await, present);
    }
    assert_eq!(
        Some(office.chain.app.db.history_of(office.chain.tenant).await.unwrap()),
        present
    );
}

/// A body that says when it is first asked for, and never comes.
struct Never(Arc<AtomicBool>);

impl Stream for Never {
    type Item = std::io::Result<Vec<u8>>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.store(true, Ordering::SeqCst);
        Poll::Pending
    }
}

/// The body of each of these requests never comes: the answer does, and the body was not even asked for.
async fn a_strangers_body_is_small(on: On) {
    let chain = chain(on, 1).await;
    let router = router(Arc::clone(&chain.app), None);
    for path in [paths::ENROL, "/v1/member/sessions"] {
        for (bytes, refused) in [(1_000, false), (20_000, true)] {
            let body = serde_json::json!({ "code": "x".repeat(bytes) }).to_string();
            let mut request = Request::post(path)
                .header("content-type", "application/json")
                .body(Body::from(body))
                .unwrap();
            let peer = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
            request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
            let status = router.clone().oneshot(request).await.unwrap().status();
            assert_eq!(
                status == StatusCode::PAYLOAD_TOO_LARGE,
                refused,
                "{path} {bytes}: {status}"
            );
        }
    }
}

async fn who_may_not_call_is_told_before_the_body_is_asked_for(on: On) {
    let chain = chain(on, 1).await;
    let router = router(Arc::clone(&chain.app), None);
    let auditor = chain.operator(OperatorRole::Auditor).await;
    let member = chain.session("M1").await;
    let (counter, frozen, revoked) = (chain.counter().await, chain.counter().await, chain.counter().await);
    for (device, status) in [(frozen.device, "frozen"), (revoked.device, "revoked")] {
        let mut connection = sqlx::AnyConnection::connect(&chain.fresh.url).await.unwrap();
        sqlx::query("UPDATE devices SET status = $1, version = version + 1 WHERE id = $2")
            .bind(status)
            .bind(device.bytes().to_vec())
            .execute(&mut connection)
            .await
            .unwrap();
    }
    let device = |device: DeviceId, time: i64| {
        vec![
            (signing::TENANT, chain.tenant.to_string()),
            (signing::DEVICE, device.to_string()),
            (signing::TIME, time.to_string()),
            (signing::SIGNATURE, "0".repeat(128)),
        ]
    };
    let bearer = |token: &str| vec![("authorization", format!("Bearer {token}"))];
    let stranger = DeviceId::new(START, random10());
    let hours_off = START + 5 * HOUR;
    let cancel = format!("{}/{}", paths::FREEZES, FreezeId::new(START, random10()));
    let unknown = format!("cfo_{}", "0".repeat(64));
    for (method, path, headers, status, code) in [
        ("POST", "/v1/products/imports", bearer(&auditor), 403, "forbidden"),
        ("POST", "/v1/order-freezes", bearer(&auditor), 403, "forbidden"),
        ("POST", "/v1/order-freezes", bearer(&member), 401, "unauthenticated"),
        (
            "POST",
            "/v1/order-freezes",
            bearer("cfo_nobody"),
            401,
            "unauthenticated",
        ),
        ("POST", "/v1/order-freezes", bearer(&unknown), 401, "unauthenticated"),
        ("POST", "/v1/order-freezes", Vec::new(), 401, "unauthenticated"),
        ("POST", "/v1/member/claims", bearer(&auditor), 401, "unauthenticated"),
        ("POST", paths::SYNC, Vec::new(), 401, "bad_signature"),
        ("POST", paths::SYNC, device(stranger, START), 401, "bad_signature"),
        (
            "POST",
            paths::SYNC,
            device(counter.device, hours_off),
            401,
            "clock_skew",
        ),
        ("POST", paths::FREEZES, device(stranger, START), 401, "bad_signature"),
        (
            "POST",
            paths::FREEZES,
            device(frozen.device, START),
            403,
            "device_frozen",
        ),
        (
            "POST",
            paths::FREEZES,
            device(revoked.device, START),
            403,
            "device_revoked",
        ),
        (
            "POST",
            paths::LOOKUPS,
            device(frozen.device, START),
            403,
            "device_frozen",
        ),
        (
            "POST",
            paths::LOOKUPS,
            device(revoked.device, START),
            403,
            "device_revoked",
        ),
        ("DELETE", &cancel, device(frozen.device, START), 403, "device_frozen"),
        ("DELETE", &cancel, device(revoked.device, START), 403, "device_revoked"),
    ] {
        let asked_for = Arc::new(AtomicBool::new(false));
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .header("content-length", "500000")
            .header("idempotency-key", "k");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Body::from_stream(Never(Arc::clone(&asked_for)))).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{method} {path} {code}");
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let problem: Problem = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem.code, code, "{method} {path}");
        assert!(
            !asked_for.load(Ordering::SeqCst),
            "{method} {path} {code} asked for the body"
        );
    }
    // A good one is asked for its body. This proves that asking shows.
    let asked_for = Arc::new(AtomicBool::new(false));
    let mut request = Request::post(paths::SYNC);
    for (name, value) in device(counter.device, START) {
        request = request.header(name, value);
    }
    let request = request.body(Body::from_stream(Never(Arc::clone(&asked_for)))).unwrap();
    let call = tokio::spawn(router.oneshot(request));
    until(async || asked_for.load(Ordering::SeqCst)).await;
    call.abort();
}

/// A time-out and a retry is all it takes to have two pushes of one device under way.
async fn overlapping_requests_of_one_device_stop_nobody(on: On) {
    let office = Arc::new(office(on, 20).await);
    let mut counter = office.chain.counter().await;
    let pushes: Vec<String> = office.chain.coupons[..10]
        .iter()
        .map(|coupon| counter.seal(office.chain.redeem(*coupon, None), START))
        .collect();
    let counter = Arc::new(counter);
    let mut running = tokio::task::JoinSet::new();
    for n in 0..100_usize {
        let (office, counter, pushes) = (Arc::clone(&office), Arc::clone(&counter), pushes.clone());
        running.spawn(async move {
            let request = async {
                match n % 4 {
                    // The same push, again and again, and its beginning.
                    0 => drop(office.sync(&counter, &pushes).await),
                    1 => drop(office.sync(&counter, &pushes[..5]).await),
                    2 => drop(office.sync(&counter, &[]).await),
                    _ => {
                        let question = FreezeRequest {
                            id: FreezeId::new(START, [u8::try_from(n).unwrap(); 10]),
                            subject: Subject::Coupon(office.chain.coupons[10 + n % 10]),
                            presented_by: None,
                        };
                        let _: Answer<FreezeResponse> = office.post(&counter, paths::FREEZES, &question).await;
                    }
                }
            };
            // Every third one is given up at once, or as soon as its connection is there.
            match n % 3 {
                0 => drop(tokio::time::timeout(Duration::from_millis(n as u64 % 7), request).await),
                _ => request.await,
            }
        });
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
    let alive = tokio::time::timeout(
        Duration::from_secs(30),
        office.client.get(format!("{}/healthz", office.address)).send(),
    );
    assert_eq!(
        alive.await.expect("nobody answers any more").unwrap().status(),
        StatusCode::OK
    );
    // Whatever was given up is sent again, and has had its one effect.
    let answer = office.sync(&counter, &pushes).await.unwrap();
    assert_eq!(answer.outcomes.len(), pushes.len());
    assert!(answer.outcomes.iter().all(|ended| ended.outcome == Outcome::Applied));
    let applied = "SELECT COUNT(*) FROM operations WHERE outcome = 'applied'";
    assert_eq!(office.chain.number(applied).await, 10);
}

/// Whoever claims what it can't prove reads everything again, alone.
async fn a_made_up_claim_costs_nobody_else_anything(on: On) {
    let office = office(on, 3).await;
    let (mut counter, honest) = (office.chain.counter().await, office.chain.counter().await);
    let one = counter.seal(office.chain.redeem(office.chain.coupons[0], None), START);
    let mut ask = office.ask(&[one]).await;
    ask.page_rows = 1_000;
    let answer: Answer<SyncResponse> = office.post(&counter, paths::SYNC, &ask).await;
    let read = answer.unwrap().page.unwrap().cursor;
    let history = office.chain.app.db.history_of(office.chain.tenant).await.unwrap();
    let claims = [
        (
            Cursor {
                store_seq: 1,
                store_mark: 42,
                ..Cursor::default()
            },
            0,
        ),
        (
            Cursor {
                tenant_seq: 7,
                tenant_mark: read.store_mark,
                ..read
            },
            0,
        ),
        (
            Cursor {
                store_seq: read.store_seq + 1,
                ..read
            },
            0,
        ),
        // The mark of one feed for the other.
        (
            Cursor {
                tenant_seq: read.store_seq,
                tenant_mark: read.store_mark,
                ..Cursor::default()
            },
            0,
        ),
        (
            Cursor {
                store_seq: i64::MAX,
                store_mark: i64::MIN,
                ..read
            },
            0,
        ),
        // Outcomes that were never given.
        (read, 5),
        (Cursor::default(), i64::MAX),
    ];
    for (cursor, acknowledged_seq) in claims {
        let mut ask = office.ask(&[]).await;
        (ask.cursor, ask.acknowledged_seq) = (cursor, acknowledged_seq);
        let (_, problem) = office
            .post::<_, SyncResponse>(&counter, paths::SYNC, &ask)
            .await
            .unwrap_err();
        assert_eq!(
            (problem.code.as_str(), problem.history_id, problem.expected_seq),
            ("history_changed", Some(history), Some(2)),
            "{cursor:?} {acknowledged_seq}"
        );
    }
    assert_eq!(
        office.chain.app.db.history_of(office.chain.tenant).await.unwrap(),
        history
    );
    let mut ask = office.ask(&[]).await;
    ask.cursor = read;
    let answer: Answer<SyncResponse> = office.post(&honest, paths::SYNC, &ask).await;
    assert_eq!(answer.unwrap().history_id, history);
    // A cursor of before marks had keys is known by its line.
    office.chain.run("UPDATE feed SET mark = 77 WHERE number = 1").await;
    let mut ask = office.ask(&[]).await;
    ask.cursor = Cursor {
        store_seq: 1,
        store_mark: 77,
        ..Cursor::default()
    };
    let answer: Answer<SyncResponse> = office.post(&honest, paths::SYNC, &ask).await;
    assert_eq!(answer.unwrap().history_id, history);
}

async fn an_epoch_lost_with_a_backup_waits_for_a_person(on: On) {
    let office = office(on, 1).await;
    let counter = office.chain.counter().await;
    let history = office.chain.app.db.history().await.unwrap();
    let mut ask = office.ask(&[]).await;
    ask.epoch = 2;
    for _ in 0..2 {
        let answer: Answer<SyncResponse> = office.post(&counter, paths::SYNC, &ask).await;
        if let Err((_, problem)) = answer {
            assert_eq!(problem.code, "device_frozen");
        }
    }
    assert_eq!(
        office
            .chain
            .number("SELECT COUNT(*) FROM devices WHERE status = 'frozen'")
            .await,
        1
    );
    assert_eq!(
        office.chain.app.db.history().await.unwrap(),
        history,
        "one device begins no new history"
    );
}

async fn questions_are_answered_once(on: On) {
    let office = office(on, 1).await;
    let counter = office.chain.counter().await;
    let ask = FreezeRequest {
        id: FreezeId::new(START, random10()),
        subject: Subject::Coupon(office.chain.coupons[0]),
        presented_by: None,
    };
    let body = serde_json::to_vec(&ask).unwrap();
    let missing: Answer<FreezeResponse> = office
        .send(&counter, Method::POST, paths::FREEZES, body.clone(), |r| r)
        .await;
    assert_eq!(code_of(missing), (400, "idempotency_key_missing".into()));
    let key = ask.id.to_string();
    for _ in 0..2 {
        let granted: Answer<FreezeResponse> = office
            .send(&counter, Method::POST, paths::FREEZES, body.clone(), |r| {
                r.header(signing::IDEMPOTENCY_KEY, &key)
            })
            .await;
        assert!(matches!(granted, Ok(FreezeResponse::Granted { .. })));
    }
    let another = FreezeRequest {
        subject: Subject::Order(office.chain.orders[0]),
        ..ask
    };
    let body = serde_json::to_vec(&another).unwrap();
    let reused: Answer<FreezeResponse> = office
        .send(&counter, Method::POST, paths::FREEZES, body, |r| {
            r.header(signing::IDEMPOTENCY_KEY, &key)
        })
        .await;
    assert_eq!(code_of(reused), (422, "idempotency_key_reused".into()));
    let path = format!("{}/{key}", paths::FREEZES);
    let cancelled: Answer<FreezeResponse> = office.send(&counter, Method::DELETE, &path, vec![], |r| r).await;
    assert_eq!(cancelled, Ok(FreezeResponse::Cancelled));
    assert_eq!(
        office
            .chain
            .number("SELECT COUNT(*) FROM coupons WHERE state = 'available'")
            .await,
        1
    );
}

async fn rows_are_looked_up_by_code(on: On) {
    let office = office(on, 1).await;
    let counter = office.chain.counter().await;
    let look = async |asked: LookupRequest| {
        office
            .post::<_, LookupResponse>(&counter, paths::LOOKUPS, &asked)
            .await
            .unwrap()
            .rows
    };
    let coupon = look(LookupRequest::CouponCode("000000000000000000".into())).await;
    let kinds: Vec<_> = coupon.iter().map(|row| std::mem::discriminant(&row.image)).collect();
    assert_eq!(kinds.len(), 3, "template, member, coupon: {coupon:?}");
    assert!(matches!(coupon[2].image, Image::Coupon(_)));
    assert_eq!(look(LookupRequest::CouponCode("000000000000000009".into())).await, []);
    let order = look(LookupRequest::PickupCode("00000001".into())).await;
    assert!(matches!(&order[2].image, Image::Order(order) if order.number == "O1"));
    assert_eq!(look(LookupRequest::Order(office.chain.orders[2])).await.len(), 3);
    assert_eq!(look(LookupRequest::CouponCode("\u{0}".into())).await, []);
    // Of an order that waits elsewhere: where, and nothing of what or whose it is.
    let elsewhere = Store {
        id: StoreId::new(START, random10()),
        code: "s-02".into(),
        name_zh: "二店".into(),
        name_en: "Second".into(),
        time_zone: "Asia/Shanghai".into(),
    };
    let mut lease = office.chain.app.db.lease().await.unwrap();
    let mut transaction = lease.begin().await.unwrap();
    stores::rows::insert_store(
        &mut transaction,
        office.chain.tenant,
        &elsewhere,
        &Default::default(),
        START,
    )
    .await
    .unwrap();
    sqlx::query("UPDATE orders SET store = $1")
        .bind(elsewhere.id.bytes().to_vec())
        .execute(&mut *transaction)
        .await
        .unwrap();
    transaction.commit("test").await.unwrap();
    drop(lease);
    let found = look(LookupRequest::PickupCode("00000001".into())).await;
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(matches!(&found[0].image, Image::Store(store) if store.id == elsewhere.id));
    assert!(matches!(&found[1].image, Image::Order(order) if order.lines.is_empty() && order.member.is_none()));
}
