//! What people type finds what they mean, in every form and on every route that takes it, on both engines.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::Request,
};
use counterfoil_domain::{
    ids::OrderId,
    people::OperatorRole,
    pickups::OrderLine,
    typed::{member_number, phone},
};
use counterfoil_head_office::{
    admin,
    capabilities::router,
    clock::{Clock, SystemRandom},
    members::sessions::Link,
    outbox,
    processes::Role,
    stores,
};
use counterfoil_protocol::{
    enrolment::EnrolRequest,
    paths,
    questions::{LookupRequest, LookupResponse},
    signing::{self, Signed},
};
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::common::{Chain, Counter, On, START, chain, random10};

counterfoil_head_office::on_both! {
    every_route_knows_every_form,
    counters_ask_in_every_form,
    the_command_line_takes_every_form,
    texts_of_other_systems_are_read,
}

const MEMBER: &str = "M00012345";
const PHONE: &str = "13800138000";
const CODE: &str = "100120260712345678";
const PICKUP: &str = "12345600";

/// Groups of so many.
fn grouped(text: &str, by: &str) -> String {
    let signs: Vec<char> = text.chars().collect();
    let groups: Vec<String> = signs.chunks(4).map(|group| group.iter().collect()).collect();
    groups.join(by)
}

fn full_width(text: &str) -> String {
    text.chars()
        .map(|sign| char::from_u32(u32::from(sign) + 0xfee0).unwrap())
        .collect()
}

/// What people, clipboards and input methods make of it.
fn forms(text: &str) -> Vec<String> {
    vec![
        text.to_owned(),
        format!("  {text}\t"),
        format!("{text}\r\n"),
        grouped(text, " "),
        grouped(text, "-"),
        grouped(text, "\u{2013}"),
        grouped(text, "\u{a0}"),
        grouped(text, "\u{3000}"),
        full_width(text),
        full_width(&grouped(text, "-")),
        format!("\u{feff}{}", grouped(text, "\u{200b}")),
        format!("\u{202d}{text}\u{202c}"),
    ]
}

fn codes(code: &str) -> Vec<String> {
    let mut forms = forms(code);
    forms.push(format!("]C1{code}"));
    forms.push(format!("]Q1 {code}\r"));
    forms
}

fn phones() -> Vec<String> {
    let mut forms = forms(PHONE);
    forms.extend(
        [
            "+86 138-0013-8000",
            "+8613800138000",
            "0086 13800138000",
            "＋８６　１３８００１３８０００",
        ]
        .map(str::to_owned),
    );
    forms
}

fn numbers() -> Vec<String> {
    let mut forms = codes(MEMBER);
    forms.push(MEMBER.to_lowercase());
    forms
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

struct Office {
    chain: Chain,
    router: Router,
    operator: String,
    counter: Counter,
    order: OrderId,
}

async fn office(on: On) -> Office {
    let chain = chain(on, 2).await;
    chain
        .run(format!("UPDATE members SET number = '{MEMBER}', phone = '{PHONE}'"))
        .await;
    chain
        .run(format!(
            "UPDATE coupons SET code = '{CODE}' WHERE code = '000000000000000000'"
        ))
        .await;
    let line = OrderLine {
        sku: "A".into(),
        name_zh: "茶".into(),
        name_en: "Tea".into(),
        quantity: 1,
        unit_price: 100,
    };
    let new = admin::NewOrder {
        store: chain.store,
        number: "P-1",
        code: Some(" １２３４-5600 "),
        lines: vec![line],
        collector: "Anna",
        member: Some(" m000 12345 "),
        days: None,
    };
    let added = admin::add_order(&chain.app.db, chain.clock.as_ref(), &SystemRandom, chain.tenant, &new)
        .await
        .unwrap();
    assert_eq!(added.code, PICKUP);
    Office {
        router: router(Arc::clone(&chain.app), None),
        operator: chain.operator(OperatorRole::Operator).await,
        counter: chain.counter().await,
        order: added.id,
        chain,
    }
}

impl Office {
    async fn send(&self, request: Request<Body>) -> (u16, Value) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn ask(&self, method: &str, path: &str, body: Option<String>) -> (u16, Value) {
        self.asked_by(&self.operator, method, path, body).await
    }

    async fn asked_by(&self, token: &str, method: &str, path: &str, body: Option<String>) -> (u16, Value) {
        let random = random10();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {token}"))
            .header("idempotency-key", hex::encode(random))
            .header("content-type", "application/json")
            .body(body.map_or_else(Body::empty, Body::from))
            .unwrap();
        self.send(request).await
    }

    async fn look(&self, asked: &LookupRequest) -> LookupResponse {
        let body = serde_json::to_vec(asked).unwrap();
        let time = self.chain.clock.now();
        let signed = Signed {
            method: "POST",
            path: paths::LOOKUPS,
            tenant: self.chain.tenant,
            device: self.counter.device,
            time,
            body: &body,
        };
        let request = Request::post(paths::LOOKUPS)
            .header(signing::TENANT, self.chain.tenant.to_string())
            .header(signing::DEVICE, self.counter.device.to_string())
            .header(signing::TIME, time.to_string())
            .header(signing::SIGNATURE, signed.sign(&self.counter.key))
            .body(Body::from(body))
            .unwrap();
        let (status, answer) = self.send(request).await;
        assert_eq!(status, 200, "{asked:?}: {answer}");
        serde_json::from_value(answer).unwrap()
    }
}

/// A place of `/openapi.json` where somebody names a member, a coupon or an order.
type Place = (&'static str, &'static str, &'static str);

/// Every such place, as the test below tries them.
const PLACES: [Place; 28] = [
    ("get", "/v1/members", "phone"),
    ("get", "/v1/members/{number}", "number"),
    ("get", "/v1/members/{number}/coupons", "number"),
    ("put", "/v1/members/{number}/email", "number"),
    ("get", "/v1/members/{number}/account", "number"),
    ("get", "/v1/members/{number}/ledger", "number"),
    ("post", "/v1/members/{number}/merge", "number"),
    ("post", "/v1/points/earnings", "member"),
    ("post", "/v1/points/top-ups", "member"),
    ("post", "/v1/points/adjustments", "member"),
    ("get", "/v1/coupons/{coupon}", "coupon"),
    ("get", "/v1/coupons/{coupon}/record", "coupon"),
    ("post", "/v1/grants", "members"),
    ("post", "/v1/messages", "members"),
    ("post", "/v1/order-freezes", "member"),
    ("post", "/v1/order-freezes", "coupons"),
    ("post", "/v1/member/sessions", "member"),
    ("get", "/v1/exchanges", "member"),
    ("get", "/v1/pickups", "code"),
    ("get", "/v1/pickups", "number"),
    ("get", "/v1/pickups", "member"),
    ("post", "/v1/pickups", "number"),
    ("post", "/v1/pickups", "member"),
    ("post", "/v1/shipments", "member"),
    ("post", "/v1/shipments/{id}/address", "phone"),
    ("post", "/v1/member/addresses", "phone"),
    ("post", "/v1/member/addresses/{id}", "phone"),
    ("post", "/v1/parcels/{id}/waybill", "number"),
];

/// The places of the document, by the names that such parameters and fields have.
fn described(document: &Value) -> BTreeSet<(String, String, String)> {
    let is_one = |name: &str| {
        [
            "number", "member", "members", "phone", "coupon", "coupons", "code", "codes",
        ]
        .contains(&name)
    };
    let mut places = BTreeSet::new();
    // Members and coupons of a quote are those of its document, whatever they are called there.
    let paths = document["paths"].as_object().unwrap();
    for (path, item) in paths.iter().filter(|(path, _)| *path != "/v1/quotes") {
        for (method, operation) in item.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let mut names: Vec<String> = parameters
                .filter_map(|parameter| parameter["name"].as_str())
                .map(str::to_owned)
                .collect();
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            if let Some(name) = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()) {
                let fields = document["components"]["schemas"][name]["properties"].as_object();
                names.extend(fields.into_iter().flat_map(|fields| fields.keys().cloned()));
            }
            places.extend(
                names
                    .into_iter()
                    .filter(|name| is_one(name))
                    .map(|name| (method.clone(), path.clone(), name)),
            );
        }
    }
    places
}

fn address(phone: &str) -> Value {
    json!({ "recipient": "Anna", "phone": phone, "region": "x", "street": "x" })
}

fn shipment(source: &str, member: &str, phone: &str) -> Value {
    json!({
        "source": source,
        "member": member,
        "lines": [{ "sku": "A", "name": "A", "quantity": 1 }],
        "address": address(phone),
    })
}

/// Phone numbers of addresses, and waybills that somebody types.
async fn addresses(office: &Office) {
    let session = office.chain.session(MEMBER).await;
    let fulfils = outbox::consumers(&office.chain.app, &[Role::Fulfilment]);
    for (n, text) in phones().into_iter().enumerate() {
        let body = Some(address(&text).to_string());
        let (status, kept) = office
            .asked_by(&session, "POST", "/v1/member/addresses", body.clone())
            .await;
        assert_eq!(
            (status, &kept["address"]["phone"]),
            (201, &json!(PHONE)),
            "{text:?}: {kept}"
        );
        let path = format!("/v1/member/addresses/{}", kept["id"].as_str().unwrap());
        let (status, kept) = office.asked_by(&session, "POST", &path, body.clone()).await;
        assert_eq!(
            (status, &kept["address"]["phone"]),
            (200, &json!(PHONE)),
            "{text:?}: {kept}"
        );
        let (status, _) = office
            .asked_by(&session, "POST", &format!("{path}/delete"), Some("{}".into()))
            .await;
        assert_eq!(status, 200);

        let source = format!("P-{n}");
        let asked = shipment(&source, MEMBER, &text).to_string();
        assert_eq!(
            office.ask("POST", "/v1/shipments", Some(asked)).await.0,
            202,
            "{text:?}"
        );
        outbox::turn(&office.chain.app, &fulfils).await.unwrap();
        let (_, page) = office
            .ask("GET", &format!("/v1/shipments?kind=purchase&source={source}"), None)
            .await;
        let made = &page["items"][0];
        assert_eq!(made["address"]["phone"], PHONE, "{text:?}");
        let readdress = format!("/v1/shipments/{}/address", made["id"].as_str().unwrap());
        let (status, made) = office.ask("POST", &readdress, body).await;
        assert_eq!((status, &made["address"]["phone"]), (200, &json!(PHONE)), "{text:?}");
    }
    for (n, text) in forms("SF00000001").into_iter().enumerate() {
        let text = text.replace(['-', '\u{2013}', '－'], " ");
        let source = format!("W-{n}");
        let asked = shipment(&source, MEMBER, PHONE).to_string();
        assert_eq!(office.ask("POST", "/v1/shipments", Some(asked)).await.0, 202);
        outbox::turn(&office.chain.app, &fulfils).await.unwrap();
        let (_, page) = office
            .ask("GET", &format!("/v1/shipments?kind=purchase&source={source}"), None)
            .await;
        let parcel = page["items"][0]["parcels"][0]["id"].as_str().unwrap();
        let typed = json!({ "carrier": format!("c{n}"), "number": text }).to_string();
        let (status, made) = office
            .ask("POST", &format!("/v1/parcels/{parcel}/waybill"), Some(typed))
            .await;
        let number = &made["parcels"][0]["waybill"]["number"];
        assert_eq!((status, number), (200, &json!("SF00000001")), "{text:?}: {made}");
    }
}

async fn every_route_knows_every_form(on: On) {
    let office = office(on).await;
    let (_, document) = office.ask("GET", "/openapi.json", None).await;
    let tried = PLACES.map(|(method, path, name)| (method.to_owned(), path.to_owned(), name.to_owned()));
    assert_eq!(
        described(&document),
        BTreeSet::from(tried),
        "a place that this test does not try"
    );

    for text in phones() {
        let (status, answer) = office
            .ask("GET", &format!("/v1/members?phone={}", encoded(&text)), None)
            .await;
        assert_eq!(
            (status, &answer["items"][0]["number"]),
            (200, &json!(MEMBER)),
            "{text:?}"
        );
    }
    addresses(&office).await;
    let coupon = office.chain.coupons[0].to_string();
    for (n, text) in codes(CODE).into_iter().chain([format!(" {coupon}\r\n")]).enumerate() {
        for tail in ["", "/record"] {
            let (status, answer) = office
                .ask("GET", &format!("/v1/coupons/{}{tail}", encoded(&text)), None)
                .await;
            assert_eq!(status, 200, "{text:?}: {answer}");
        }
        let asked = json!({ "order": format!("O-{n}"), "coupons": [text], "amount": 0, "deadline": START + 1_000 });
        let (status, answer) = office.ask("POST", "/v1/order-freezes", Some(asked.to_string())).await;
        assert_eq!(
            (status, &answer["coupons"][0]["id"]),
            (201, &json!(coupon)),
            "{text:?}: {answer}"
        );
        let cancel = format!("/v1/order-freezes/O-{n}/cancel");
        assert_eq!(office.ask("POST", &cancel, None).await.0, 200);
    }
    let key = admin::make_link_key(
        &office.chain.app.db,
        office.chain.clock.as_ref(),
        &SystemRandom,
        office.chain.tenant,
        true,
    )
    .await
    .unwrap();
    let mut secret = [0; 32];
    hex::decode_to_slice(key, &mut secret).unwrap();
    let admin = crate::api::Api::new(&office.chain, office.chain.operator(OperatorRole::Admin).await);
    for (n, text) in numbers().into_iter().enumerate() {
        let path = format!("/v1/members/{}", encoded(&text));
        let (status, answer) = office.ask("GET", &path, None).await;
        assert_eq!((status, &answer["number"]), (200, &json!(MEMBER)), "{text:?}");
        let (status, answer) = office.ask("GET", &format!("{path}/coupons"), None).await;
        assert_eq!(status, 200, "{text:?}: {answer}");
        for tail in ["account", "ledger"] {
            let (status, answer) = office.ask("GET", &format!("{path}/{tail}"), None).await;
            assert_eq!(status, 200, "{text:?}: {answer}");
        }
        // Found by either form, and the same person.
        let into = json!({ "into": text });
        let (status, answer) = admin.post(&format!("{path}/merge"), &format!("m{n}"), &into).await;
        assert_eq!((status, &answer["code"]), (409, &json!("state_conflict")), "{text:?}");
        let posts = [
            (
                "earnings",
                json!({ "member": text, "kind": "gift", "id": format!("g{n}"), "points": 1 }),
                201,
            ),
            (
                "top-ups",
                json!({ "member": text, "amount": 1, "receipt": format!("r{n}") }),
                201,
            ),
            (
                "adjustments",
                json!({ "member": text, "asset": "points", "amount": 1, "reason": "x" }),
                202,
            ),
        ];
        for (route, body, expected) in posts {
            let (status, answer) = office
                .ask("POST", &format!("/v1/points/{route}"), Some(body.to_string()))
                .await;
            assert_eq!(status, expected, "{text:?}: {answer}");
        }
        let (status, answer) = office
            .ask("GET", &format!("/v1/exchanges?member={}", encoded(&text)), None)
            .await;
        assert_eq!(status, 200, "{text:?}: {answer}");
        let shipment = shipment(&format!("S-{n}"), &text, PHONE);
        let (status, answer) = office.ask("POST", "/v1/shipments", Some(shipment.to_string())).await;
        assert_eq!(status, 202, "{text:?}: {answer}");
        let email = Some(json!({ "email": "anna@example.com" }).to_string());
        let (status, answer) = office.ask("PUT", &format!("{path}/email"), email).await;
        assert_eq!(status, 204, "{text:?}: {answer}");
        // One member, however often they are named.
        let twice = json!([text, MEMBER]);
        let grant = json!({ "template": office.chain.template, "members": twice });
        let (status, answer) = office.ask("POST", "/v1/grants", Some(grant.to_string())).await;
        assert_eq!((status, &answer["members"]), (201, &json!(1)), "{text:?}: {answer}");
        let message = json!({ "title_zh": "a", "title_en": "a", "body_zh": "a", "body_en": "a", "members": twice });
        let (status, answer) = office.ask("POST", "/v1/messages", Some(message.to_string())).await;
        assert_eq!(status, 201, "{text:?}: {answer}");
        let asked = json!({ "order": format!("M-{n}"), "coupons": ["9"], "member": text, "amount": 0, "deadline": START + 1_000 });
        let (status, answer) = office.ask("POST", "/v1/order-freezes", Some(asked.to_string())).await;
        let member = json!(office.chain.member);
        assert_eq!((status, &answer["member"]), (200, &member), "{text:?}: {answer}");
        let order = json!({
            "number": format!(" W-{n} "), "store": office.chain.store, "member": text, "collector": "Anna",
            "lines": [{"sku": "A", "name_zh": "甲", "name_en": "A", "quantity": 1, "unit_price": 100}],
        });
        let (status, answer) = office.ask("POST", "/v1/pickups", Some(order.to_string())).await;
        assert_eq!(
            (status, &answer["number"], &answer["member"]),
            (201, &json!(format!("W-{n}")), &member),
            "{text:?}: {answer}"
        );
        let path = format!("/v1/pickups?member={}&limit=200", encoded(&text));
        let (_, page) = office.ask("GET", &path, None).await;
        assert!(page["items"].as_array().unwrap().contains(&answer), "{text:?}: {page}");
        let link = Link {
            tenant: "demo",
            member: &text,
            expires: office.chain.clock.now() + 60_000,
        };
        let body =
            json!({ "tenant": "demo", "member": text, "expires": link.expires, "signature": link.sign(&secret) });
        let (status, answer) = office.ask("POST", "/v1/member/sessions", Some(body.to_string())).await;
        assert_eq!((status, &answer["member"]), (201, &member), "{text:?}: {answer}");
    }
    for text in forms(PICKUP) {
        let path = format!("/v1/pickups?code={}", encoded(&text));
        let (status, page) = office.ask("GET", &path, None).await;
        assert_eq!(
            (status, &page["items"][0]["number"]),
            (200, &json!("P-1")),
            "{text:?}: {page}"
        );
    }
    // A shop's own numbers are what they are, but for blanks around them.
    for text in ["W-1", " W-1", "W-1\r\n", "\tW-1 "] {
        let path = format!("/v1/pickups?number={}", encoded(text));
        let (status, page) = office.ask("GET", &path, None).await;
        assert_eq!(
            (status, &page["items"][0]["number"]),
            (200, &json!("W-1")),
            "{text:?}: {page}"
        );
    }
    // What is somebody else's stays so.
    for text in ["M00012346", "M0001234", "00012345", ""] {
        let (status, _) = office.ask("GET", &format!("/v1/members/{}", encoded(text)), None).await;
        assert_eq!(status, 404, "{text:?}");
    }
}

async fn counters_ask_in_every_form(on: On) {
    let office = office(on).await;
    let asked = codes(CODE)
        .into_iter()
        .map(LookupRequest::CouponCode)
        .chain(codes(PICKUP).into_iter().map(LookupRequest::PickupCode))
        .chain(numbers().into_iter().map(LookupRequest::MemberNumber))
        .chain(phones().into_iter().map(LookupRequest::Phone));
    for asked in asked {
        assert!(!office.look(&asked).await.rows.is_empty(), "{asked:?}");
    }
    assert_eq!(
        office.chain.number("SELECT COUNT(*) FROM lookup_misses").await,
        0,
        "nobody guessed"
    );

    let db = &office.chain.app.db;
    for form in [0, 1, 2] {
        let code = stores::enrol::make_code(
            db,
            office.chain.clock.as_ref(),
            &SystemRandom,
            office.chain.tenant,
            office.chain.store,
        )
        .await
        .unwrap();
        let code = match form {
            0 => full_width(&code),
            1 => format!("\u{feff}{}\r\n", grouped(&code.to_lowercase(), "\u{2013}")),
            _ => grouped(&code, "\u{200b}"),
        };
        let key = SigningKey::from_bytes(&[form + 1; 32]);
        let request = EnrolRequest {
            public_key: hex::encode(key.verifying_key().to_bytes()),
            proof: EnrolRequest::prove(&code, &key),
            code: code.clone(),
            name: "till".into(),
            app_version: "1".into(),
        };
        let body = Body::from(format!("\u{feff}{}", serde_json::to_string(&request).unwrap()));
        let (status, answer) = office.send(Request::post(paths::ENROL).body(body).unwrap()).await;
        assert_eq!(status, 200, "{code:?}: {answer}");
    }
}

async fn the_command_line_takes_every_form(on: On) {
    let office = office(on).await;
    let (db, clock) = (&office.chain.app.db, office.chain.clock.as_ref());
    for text in numbers() {
        let new = admin::NewGrant {
            member: &text,
            template: office.chain.template,
            count: 1,
        };
        let granted = admin::grant_coupons(db, clock, &SystemRandom, office.chain.tenant, &new).await;
        assert!(granted.is_ok(), "{text:?}");
    }
    let rows = office.look(&LookupRequest::PickupCode(PICKUP.into())).await.rows;
    assert!(!rows.is_empty(), "{}", office.order);
}

async fn texts_of_other_systems_are_read(on: On) {
    let office = office(on).await;
    let message = json!({
        "title_zh": "一\r\n", "title_en": " One", "body_zh": "一\r\n二\r三", "body_en": "one\r\n\r\ntwo\n",
        "members": [MEMBER],
    });
    let marked = format!("\u{feff}{message}");
    let (status, sent) = office.ask("POST", "/v1/messages", Some(marked)).await;
    assert_eq!(status, 201, "{sent}");
    let fields = ["title_zh", "title_en", "body_zh", "body_en"].map(|field| sent[field].as_str().unwrap());
    assert_eq!(fields, ["一", "One", "一\n二\n三", "one\n\ntwo\n"]);

    let basket = r#"{"currency":"CNY","at":"2026-11-11T12:00:00+08:00","lines":[{"id":"1","sku":"A","unit_price":1000,"quantity":1}]}"#;
    let (status, quote) = office
        .ask("POST", "/v1/quotes", Some(format!("\u{feff}{basket}")))
        .await;
    assert_eq!((status, &quote["payable"]), (200, &json!(1_000)), "{quote}");
    let (status, refused) = office
        .ask("POST", "/v1/quotes", Some(format!("\u{feff}\u{feff}{basket}")))
        .await;
    assert_eq!((status, &refused["code"]), (400, &json!("malformed")));
}

#[test]
fn what_is_stored_is_in_the_form_that_is_looked_for() {
    for text in numbers() {
        assert_eq!(member_number(&text), MEMBER, "{text:?}");
    }
    for text in phones() {
        assert_eq!(phone(&text), PHONE, "{text:?}");
    }
    // As `seed` makes them.
    for number in ["000010000001", "P00001-000001"] {
        assert_eq!(member_number(number), number);
    }
}
