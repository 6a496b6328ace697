//! What is refused before anything of it is believed, or even read.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use counterfoil_domain::{
    ids::{DeviceId, FreezeId},
    people::OperatorRole,
    transition::Subject,
};
use counterfoil_head_office::{capabilities::router, http::caller::BELIEVED};
use counterfoil_protocol::{
    REQUEST_BYTES, paths,
    problem::Problem,
    questions::{FreezeRequest, FreezeResponse},
    signing::{self, Signed},
    sync::SyncResponse,
};
use futures_core::Stream;
use reqwest::{Method, StatusCode};
use sqlx::Connection;
use tower::ServiceExt;

use super::{Answer, code_of, office};
use crate::common::{HOUR, On, START, chain, random10, until};

counterfoil_head_office::on_both! {
    what_is_wrongly_signed_is_refused_before_it_is_read,
    what_is_too_large_or_cut_off_is_refused,
    who_may_not_call_is_told_before_the_body_is_asked_for,
    a_strangers_body_is_small,
    a_device_that_is_frozen_meanwhile_is_told_within_seconds,
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

/// A status that was read lately is believed for a moment; the engine never believes it.
async fn a_device_that_is_frozen_meanwhile_is_told_within_seconds(on: On) {
    let office = office(on, 2).await;
    let counter = office.chain.counter().await;
    let freeze = async |coupon: usize| {
        let ask = FreezeRequest {
            amounts: counterfoil_domain::points::Amounts::default(),
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
