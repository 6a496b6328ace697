//! Spans say which route, which chain and which device, and nothing of people.
//!
//! A program of its own: whoever listens to spans hears those of the whole process.

#![expect(clippy::unwrap_used, reason = "a test that fails fails")]

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, Mutex},
};

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use counterfoil_domain::people::OperatorRole;
use counterfoil_head_office::{
    capabilities::router,
    clock::Clock,
    testing::{On, START, chain},
};
use counterfoil_protocol::{
    paths,
    questions::LookupRequest,
    signing::{self, Signed},
};
use tower::ServiceExt;
use tracing::{
    Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer, layer::Context, layer::SubscriberExt as _, registry::LookupSpan, util::SubscriberInitExt as _,
};

/// A span's name, and what its fields say.
type Heard = (&'static str, BTreeMap<&'static str, String>);

#[derive(Clone, Default)]
struct Ears(Arc<Mutex<Vec<Heard>>>);

struct Words<'h>(&'h mut BTreeMap<&'static str, String>);

impl Visit for Words<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

/// Where a span stands among those that were heard. It may be open for long: the driver keeps that of its last statement.
struct Place(usize);

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Ears {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let metadata = attributes.metadata();
        if metadata.target().starts_with("counterfoil") {
            let mut fields = BTreeMap::new();
            attributes.record(&mut Words(&mut fields));
            let mut heard = self.0.lock().unwrap();
            heard.push((metadata.name(), fields));
            context
                .span(id)
                .unwrap()
                .extensions_mut()
                .insert(Place(heard.len() - 1));
        }
    }
    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(Place(place)) = context.span(id).unwrap().extensions().get() {
            values.record(&mut Words(&mut self.0.lock().unwrap()[*place].1));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_say_where_and_never_who() {
    const PHONE: &str = "13800000000";
    let ears = Ears::default();
    tracing_subscriber::registry().with(ears.clone()).init();
    let chain = chain(On::Sqlite, 1).await;
    let mut counter = chain.counter().await;
    let operator = chain.operator(OperatorRole::Admin).await;
    let member = chain.session("M1").await;
    let router = router(Arc::clone(&chain.app), None);
    let asked = async |method: &str, path: &str, token: &str| {
        let request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"));
        let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await;
        response.unwrap().status()
    };
    let coupon = format!("/v1/coupons/{}", chain.coupons[0]);
    for (path, token, status) in [
        ("/v1/members/M1", &operator, 200),
        (&*format!("/v1/members/{PHONE}"), &operator, 404),
        (&*coupon, &operator, 200),
        ("/v1/member", &member, 200),
        ("/v1/member", &"cfm_M1".to_owned(), 401),
        (&*format!("/{PHONE}?phone={PHONE}"), &operator, 404),
    ] {
        assert_eq!(asked("GET", path, token).await, status, "{path}");
    }
    asked(PHONE, "/v1/members/M1", &operator).await;
    let body = serde_json::to_vec(&LookupRequest::Phone(PHONE.into())).unwrap();
    let time = chain.clock.now();
    let signature = Signed {
        method: "POST",
        path: paths::LOOKUPS,
        tenant: chain.tenant,
        device: counter.device,
        time,
        body: &body,
    }
    .sign(&counter.key);
    let looked_up = Request::post(paths::LOOKUPS)
        .header(signing::TENANT, chain.tenant.to_string())
        .header(signing::DEVICE, counter.device.to_string())
        .header(signing::TIME, time.to_string())
        .header(signing::SIGNATURE, &signature)
        .body(Body::from(body))
        .unwrap();
    let answer = router.clone().oneshot(looked_up).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let one = counter.make(chain.redeem(chain.coupons[0], None), START);
    chain.push(&[one]).await;

    let heard = ears.0.lock().unwrap().clone();
    let (tenant, device) = (chain.tenant.to_string(), counter.device.to_string());
    let said = |name: &str, fields: &[(&'static str, &str)]| {
        let fields = fields
            .iter()
            .map(|(field, value)| (*field, (*value).to_owned()))
            .collect();
        assert!(
            heard.iter().any(|(span, words)| *span == name && *words == fields),
            "no {name} with {fields:?} in {heard:#?}"
        );
    };
    let of_tenant = |route, status| {
        said(
            "request",
            &[
                ("method", "GET"),
                ("route", route),
                ("status", status),
                ("tenant", &tenant),
            ],
        );
    };
    of_tenant("/v1/members/{number}", "200");
    of_tenant("/v1/members/{number}", "404");
    of_tenant("/v1/coupons/{coupon}", "200");
    of_tenant("/v1/member", "200");
    let of_nobody =
        |method, route, status| said("request", &[("method", method), ("route", route), ("status", status)]);
    of_nobody("GET", "/v1/member", "401");
    of_nobody("GET", "none", "404");
    said(
        "request",
        &[
            ("method", "POST"),
            ("route", paths::LOOKUPS),
            ("status", "200"),
            ("tenant", &tenant),
            ("device", &device),
        ],
    );
    said("group", &[("commands", "1"), ("tenant", &tenant)]);
    let secrets = [
        PHONE,
        "M1",
        "cfo_",
        "cfm_",
        &signature,
        &chain.coupons[0].to_string(),
        &chain.member.to_string(),
    ];
    for (name, words) in &heard {
        for (field, value) in words {
            assert!(
                !secrets.iter().any(|secret| value.contains(secret)),
                "{name} says {field} = {value}"
            );
        }
    }
}
