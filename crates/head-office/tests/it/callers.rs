//! The API for operators and members over real HTTP: who is let in, what is answered twice, templates.

use counterfoil_domain::people::OperatorRole;
use counterfoil_head_office::{
    App, admin,
    clock::{Clock, SystemRandom},
    http::{caller::BELIEVED, idempotency::KEPT},
    jobs::upkeep::forget,
    members::sessions::{LINK_LASTS, Link, SESSION_LASTS},
    serve,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::common::{Chain, HOUR, On, START, chain, web};

counterfoil_head_office::on_both! {
    a_token_lets_in_whom_it_names_until_it_is_taken_away,
    roles_decide_what_an_operator_may,
    a_signed_link_is_traded_for_a_session,
    an_address_that_guesses_is_heard_no_more,
    a_question_asked_twice_has_one_effect,
    a_refusal_is_an_answer_too,
    a_question_in_flight_is_not_asked_again,
    a_template_lives_from_draft_to_retirement,
    a_draft_is_not_overwritten_unread,
    every_field_that_makes_no_sense_is_named,
    lists_come_in_pages,
    what_does_not_read_is_named,
    what_is_over_is_forgotten,
    operators_look_at_what_there_is,
    the_api_describes_itself,
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

async fn listen(app: &Arc<App>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(serve(Arc::clone(app), listener, None));
    address
}

async fn office(on: On) -> Office {
    let chain = chain(on, 0).await;
    let address = listen(&chain.app).await;
    Office {
        chain,
        address,
        client: web().build().unwrap(),
    }
}

struct Answer {
    status: StatusCode,
    body: Value,
}

impl Answer {
    fn code(&self) -> (u16, &str) {
        assert_eq!(self.body["status"], self.status.as_u16(), "{}", self.body);
        (self.status.as_u16(), self.body["code"].as_str().unwrap())
    }
    fn done(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self.body
    }
    fn fields(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().unwrap();
        errors.iter().map(|error| error["field"].as_str().unwrap()).collect()
    }
}

impl Office {
    async fn ask(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Answer {
        let mut request = self.client.request(method, format!("{}{path}", self.address));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        let media_type = response
            .headers()
            .get("content-type")
            .map(|value| value.to_str().unwrap().to_owned());
        let text = response.text().await.unwrap();
        if !status.is_success() {
            assert_eq!(media_type.as_deref(), Some("application/problem+json"), "{text}");
        }
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap()
        };
        Answer { status, body }
    }

    async fn get(&self, path: &str, token: &str) -> Answer {
        self.ask(Method::GET, path, Some(token), None, None).await
    }

    async fn post(&self, path: &str, token: &str, key: &str, body: &Value) -> Answer {
        self.ask(Method::POST, path, Some(token), Some(key), Some(body)).await
    }

    async fn link_key(&self) -> [u8; 32] {
        let app = &self.chain.app;
        let key = admin::make_link_key(
            &app.db,
            self.chain.clock.as_ref(),
            &SystemRandom,
            self.chain.tenant,
            true,
        );
        let mut bytes = [0; 32];
        hex::decode_to_slice(key.await.unwrap(), &mut bytes).unwrap();
        bytes
    }

    async fn sign_in(&self, link: Link<'_>, signature: &str) -> Answer {
        let body =
            json!({ "tenant": link.tenant, "member": link.member, "expires": link.expires, "signature": signature });
        self.ask(Method::POST, "/v1/member/sessions", None, None, Some(&body))
            .await
    }
}

fn terms() -> Value {
    json!({
        "name_zh": "满 100 减 20", "name_en": "20 off from 100", "category": "01", "product_line": "10",
        "rule": { "kind": "threshold_off", "threshold": 10_000, "amount": 2_000 },
        "validity": { "days": 30 },
    })
}

async fn a_token_lets_in_whom_it_names_until_it_is_taken_away(on: On) {
    let office = office(on).await;
    let token = office.chain.operator(OperatorRole::Admin).await;
    let listing = "/v1/templates";
    assert_eq!(office.get(listing, &token).await.status, 200);
    for wrong in [None, Some("x"), Some("cfo_00"), Some(token.trim_start_matches("cfo_"))] {
        let answer = office.ask(Method::GET, listing, wrong, None, None).await;
        assert_eq!(answer.code(), (401, "unauthenticated"), "{wrong:?}");
    }
    let unknown = format!("cfo_{}", "0".repeat(64));
    assert_eq!(office.get(listing, &unknown).await.code(), (401, "unauthenticated"));
    let response = office
        .client
        .get(format!("{}{listing}", office.address))
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    // A member's token is no operator's.
    let member = office.chain.session("M1").await;
    assert_eq!(office.get(listing, &member).await.code().0, 401);
    assert_eq!(office.get("/v1/member", &token).await.code().0, 401);

    let (app, tenant) = (&office.chain.app, office.chain.tenant);
    let known = admin::operators(&app.db, tenant).await.unwrap();
    let name = &known[0].name;
    admin::deactivate_operator(&app.db, office.chain.clock.as_ref(), &SystemRandom, tenant, name)
        .await
        .unwrap();
    // What was read a moment ago may still be believed; not for long.
    office.chain.clock.advance(BELIEVED);
    assert_eq!(office.get(listing, &token).await.code(), (401, "unauthenticated"));
    assert!(
        admin::deactivate_operator(&app.db, office.chain.clock.as_ref(), &SystemRandom, tenant, name)
            .await
            .is_err()
    );
    assert_eq!(
        office
            .chain
            .number("SELECT COUNT(*) FROM audit WHERE action = 'operator.deactivated'")
            .await,
        1
    );
}

async fn roles_decide_what_an_operator_may(on: On) {
    let office = office(on).await;
    let mut tokens = Vec::new();
    for &role in OperatorRole::ALL {
        tokens.push((role, office.chain.operator(role).await));
    }
    for (role, token) in &tokens {
        let reads = office.get("/v1/templates", token).await.status;
        let writes = office.post("/v1/templates", token, "k", &terms()).await.status;
        let expected = match role {
            OperatorRole::Admin | OperatorRole::Operator => (200, 201),
            OperatorRole::Auditor => (200, 403),
            OperatorRole::Warehouse => (403, 403),
        };
        assert_eq!((reads.as_u16(), writes.as_u16()), expected, "{role:?}");
    }
    // The same key of two people is two questions.
    assert_eq!(
        office
            .chain
            .number("SELECT COUNT(*) FROM templates WHERE status = 'draft'")
            .await,
        2
    );
}

async fn a_signed_link_is_traded_for_a_session(on: On) {
    let office = office(on).await;
    let key = office.link_key().await;
    let now = office.chain.clock.now();
    let link = Link {
        tenant: "demo",
        member: "M1",
        expires: now + LINK_LASTS,
    };
    let session = office.sign_in(link, &link.sign(&key)).await.done(201);
    let token = session["token"].as_str().unwrap();
    assert_eq!(session["member"], office.chain.member.to_string());
    let me = office.get("/v1/member", token).await.done(200);
    assert_eq!(me["number"], "M1");

    let far = Link {
        expires: now + LINK_LASTS + 1,
        ..link
    };
    let stranger = Link { member: "M2", ..link };
    let nobody = Link { tenant: "x", ..link };
    for (link, signature) in [
        (far, far.sign(&key)),
        (stranger, stranger.sign(&key)),
        (nobody, nobody.sign(&key)),
        (stranger, link.sign(&key)),
        (link, link.sign(&[0; 32])),
        (link, String::new()),
    ] {
        assert_eq!(
            office.sign_in(link, &signature).await.code(),
            (401, "link_invalid"),
            "{link:?}"
        );
    }
    // Another key: links signed with the old one are no longer good.
    let rotated = office.link_key().await;
    assert_eq!(office.sign_in(link, &link.sign(&key)).await.code().1, "link_invalid");
    office.sign_in(link, &link.sign(&rotated)).await.done(201);
    office.chain.clock.advance(LINK_LASTS);
    assert_eq!(
        office.sign_in(link, &link.sign(&rotated)).await.code(),
        (401, "link_expired")
    );
    // Signed out is out; the other session ends by itself.
    let out = office
        .ask(Method::DELETE, "/v1/member/sessions", Some(token), None, None)
        .await;
    assert_eq!(out.status, 204);
    assert_eq!(office.get("/v1/member", token).await.code().0, 401);
    let other = office.chain.session("M1").await;
    assert_eq!(office.get("/v1/member", &other).await.status, 200);
    office.chain.clock.advance(SESSION_LASTS);
    assert_eq!(office.get("/v1/member", &other).await.code(), (401, "unauthenticated"));
    // Only hashes are kept, and the next sign-in clears up.
    office.chain.session("M1").await;
    assert_eq!(office.chain.number("SELECT COUNT(*) FROM member_sessions").await, 1);
}

async fn an_address_that_guesses_is_heard_no_more(on: On) {
    let office = office(on).await;
    let good = office.chain.operator(OperatorRole::Admin).await;
    let fresh = office.chain.operator(OperatorRole::Admin).await;
    let from = async |address: &str, token: &str| {
        let request = office.client.get(format!("{}/v1/templates", office.address));
        let response = request.bearer_auth(token).header("x-forwarded-for", address);
        response.send().await.unwrap().status().as_u16()
    };
    assert_eq!(from("192.0.2.1", &good).await, 200);
    let mut limited = 0;
    for guess in 0..200 {
        match from("192.0.2.1", &format!("cfo_{guess:064}")).await {
            401 => assert_eq!(limited, 0, "heard again"),
            429 => limited += 1,
            other => panic!("{other}"),
        }
    }
    assert!(limited > 100, "{limited}");
    // Whoever was let in lately goes on, also from there; others come from elsewhere.
    assert_eq!(from("192.0.2.1", &good).await, 200);
    assert_eq!(from("192.0.2.1", &fresh).await, 429);
    assert_eq!(from("192.0.2.2", &fresh).await, 200);
}

async fn a_question_asked_twice_has_one_effect(on: On) {
    let office = office(on).await;
    let token = office.chain.operator(OperatorRole::Operator).await;
    let missing = office
        .ask(Method::POST, "/v1/templates", Some(&token), None, Some(&terms()))
        .await;
    assert_eq!(missing.code(), (400, "idempotency_key_missing"));
    let first = office.post("/v1/templates", &token, "k1", &terms()).await.done(201);
    let again = office.post("/v1/templates", &token, "k1", &terms()).await.done(201);
    assert_eq!(first, again);
    let mut other = terms();
    other["name_en"] = json!("Another one");
    assert_eq!(
        office.post("/v1/templates", &token, "k1", &other).await.code(),
        (422, "idempotency_key_reused")
    );
    let path = format!("/v1/templates/{}/retire", first["id"].as_str().unwrap());
    assert_eq!(
        office.post(&path, &token, "k1", &json!({})).await.code(),
        (422, "idempotency_key_reused")
    );
    // Another process on the same database gives the same answer.
    let app = App::open(
        &office.chain.fresh.url,
        office.chain.clock.clone(),
        Arc::new(SystemRandom),
    )
    .await
    .unwrap();
    let address = listen(&app).await;
    let response = office
        .client
        .post(format!("{address}/v1/templates"))
        .bearer_auth(&token)
        .header("idempotency-key", "k1")
        .json(&terms());
    let response = response.send().await.unwrap();
    assert_eq!(response.status(), 201);
    assert_eq!(response.json::<Value>().await.unwrap(), first);
    app.stopping.cancel();
    assert_eq!(office.chain.number("SELECT COUNT(*) FROM templates").await, 2);
    assert_eq!(
        office
            .chain
            .number("SELECT COUNT(*) FROM audit WHERE action = 'template.drafted'")
            .await,
        1
    );
}

async fn a_refusal_is_an_answer_too(on: On) {
    let office = office(on).await;
    let token = office.chain.operator(OperatorRole::Operator).await;
    let draft = office.post("/v1/templates", &token, "k1", &terms()).await.done(201);
    let id = draft["id"].as_str().unwrap();
    let versions = format!("/v1/templates/{id}/versions");
    let refused = office.post(&versions, &token, "k2", &terms()).await;
    assert_eq!(refused.code(), (409, "state_conflict"));
    office
        .post(&format!("{versions}/1/publish"), &token, "k3", &json!({}))
        .await
        .done(200);
    // It would be granted now; the question was answered, though.
    let replayed = office.post(&versions, &token, "k2", &terms()).await;
    assert_eq!(replayed.body, refused.body);
    office.post(&versions, &token, "k4", &terms()).await.done(201);
    let mut wrong = terms();
    wrong["name_en"] = json!("");
    let invalid = office.post("/v1/templates", &token, "k5", &wrong).await;
    assert_eq!(invalid.code(), (422, "invalid"));
    assert_eq!(
        office.post("/v1/templates", &token, "k5", &wrong).await.body,
        invalid.body
    );
    // Of a refusal nothing is left but the answer.
    assert_eq!(office.chain.number("SELECT COUNT(*) FROM idempotency").await, 5);
    assert_eq!(
        office
            .chain
            .number("SELECT COUNT(*) FROM audit WHERE action LIKE 'template.%'")
            .await,
        3
    );
}

async fn a_question_in_flight_is_not_asked_again(on: On) {
    let office = office(on).await;
    let token = office.chain.operator(OperatorRole::Operator).await;
    // Whichever of the two comes first waits for the writer; the other one is told so.
    let lease = office.chain.app.db.lease().await.unwrap();
    let terms = terms();
    let mut one = Box::pin(office.post("/v1/templates", &token, "k", &terms));
    let mut two = Box::pin(office.post("/v1/templates", &token, "k", &terms));
    let waiting = tokio::select! {
        answer = &mut one => { assert_eq!(answer.code(), (409, "in_flight")); two }
        answer = &mut two => { assert_eq!(answer.code(), (409, "in_flight")); one }
    };
    drop(lease);
    let done = waiting.await.done(201);
    assert_eq!(office.post("/v1/templates", &token, "k", &terms).await.done(201), done);
    assert_eq!(
        office
            .chain
            .number("SELECT COUNT(*) FROM templates WHERE status = 'draft'")
            .await,
        1
    );
}

async fn a_template_lives_from_draft_to_retirement(on: On) {
    let office = office(on).await;
    let token = office.chain.operator(OperatorRole::Operator).await;
    let mut all = terms();
    for (field, value) in [
        ("logo", json!("https://shop.example/logo.png")),
        ("scope", json!({ "categories": ["hair"], "except_skus": ["X"] })),
        ("stacking", json!({ "exclusive": true })),
        ("stores", json!([office.chain.store])),
        ("validity", json!({ "from": START, "until": START + 48 * HOUR })),
        ("claim", json!({ "from": START, "until": START + 24 * HOUR })),
        ("member_limit", json!(2)),
        ("limit_counts", json!("held")),
        ("offline", json!("floor_limit")),
        ("floor_limit", json!(2_000)),
        ("worth_unbounded", json!(0)),
    ] {
        all[field] = value;
    }
    let draft = office.post("/v1/templates", &token, "k1", &all).await.done(201);
    let id = draft["id"].as_str().unwrap().to_owned();
    for (field, value) in all.as_object().unwrap() {
        assert_eq!(&draft[field], value, "{field}");
    }
    assert_eq!(
        (
            &draft["version"],
            &draft["status"],
            &draft["revision"],
            &draft["currency"]
        ),
        (&json!(1), &json!("draft"), &json!(1), &json!("CNY"))
    );
    let one = format!("/v1/templates/{id}/versions/1");
    let mut changed = all.clone();
    changed["rule"] = json!({ "kind": "amount_off", "amount": 500, "min_quantity": 2 });
    let edit = json!({ "revision": 1, "terms": changed });
    let edited = office
        .ask(Method::PUT, &one, Some(&token), None, Some(&edit))
        .await
        .done(200);
    assert_eq!((&edited["rule"], &edited["revision"]), (&changed["rule"], &json!(2)));
    // Counters hear of it when it is published, not before.
    assert_eq!(
        office
            .chain
            .number("SELECT COUNT(*) FROM feed WHERE entity = 'template'")
            .await,
        0
    );
    let publish = format!("{one}/publish");
    let published = office.post(&publish, &token, "k2", &json!({})).await.done(200);
    assert_eq!(
        (&published["status"], &published["published_at"]),
        (&json!("published"), &json!(START))
    );
    assert_eq!(
        office
            .chain
            .number("SELECT COUNT(*) FROM feed WHERE entity = 'template'")
            .await,
        1
    );
    for (method, path, key) in [(Method::PUT, &one, None), (Method::POST, &publish, Some("k3"))] {
        let mut edit = edit.clone();
        edit["revision"] = published["revision"].clone();
        let body = if key.is_some() { json!({}) } else { edit };
        let answer = office.ask(method, path, Some(&token), key, Some(&body)).await;
        assert_eq!(answer.code(), (409, "state_conflict"));
    }
    let next = format!("/v1/templates/{id}/versions");
    let second = office.post(&next, &token, "k4", &terms()).await.done(201);
    assert_eq!((&second["version"], &second["status"]), (&json!(2), &json!("draft")));
    office
        .post(&format!("{next}/2/publish"), &token, "k5", &json!({}))
        .await
        .done(200);
    let retire = format!("/v1/templates/{id}/retire");
    let retired = office.post(&retire, &token, "k6", &json!({})).await.done(200);
    let stand: Vec<_> = retired["versions"].as_array().unwrap().iter().collect();
    assert_eq!(stand.len(), 2);
    assert!(stand.iter().all(|version| version["status"] == "retired"));
    assert_eq!(
        office.get(&format!("/v1/templates/{id}"), &token).await.done(200),
        retired
    );
    assert_eq!(
        office.post(&retire, &token, "k7", &json!({})).await.code(),
        (409, "state_conflict")
    );
    // What is over can't be published.
    office.chain.clock.advance(72 * HOUR);
    office.post(&next, &token, "k8", &all).await.done(201);
    let late = office
        .post(&format!("{next}/3/publish"), &token, "k9", &json!({}))
        .await;
    assert_eq!(late.code(), (422, "invalid"));
    assert_eq!(late.fields(), ["validity.until", "claim.until"]);
    let nowhere = format!("/v1/templates/{}", office.chain.store);
    assert_eq!(office.get(&nowhere, &token).await.code(), (404, "not_found"));
    assert_eq!(
        office
            .post(&format!("{nowhere}/retire"), &token, "k10", &json!({}))
            .await
            .code(),
        (404, "not_found")
    );
    assert_eq!(
        office
            .chain
            .number("SELECT COUNT(*) FROM audit WHERE action LIKE 'template.%' AND actor LIKE 'operator:%'")
            .await,
        7
    );
}

async fn a_draft_is_not_overwritten_unread(on: On) {
    let office = office(on).await;
    let token = office.chain.operator(OperatorRole::Admin).await;
    let draft = office.post("/v1/templates", &token, "k1", &terms()).await.done(201);
    let path = format!("/v1/templates/{}/versions/1", draft["id"].as_str().unwrap());
    let edit = json!({ "revision": 1, "terms": terms() });
    let put = async |edit: &Value| office.ask(Method::PUT, &path, Some(&token), None, Some(edit)).await;
    put(&edit).await.done(200);
    assert_eq!(put(&edit).await.code(), (409, "changed_meanwhile"));
    // Many at once: one of them.
    let edit = json!({ "revision": 2, "terms": terms() });
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (client, url, token, edit) = (
            office.client.clone(),
            format!("{}{path}", office.address),
            token.clone(),
            edit.clone(),
        );
        tasks.spawn(async move {
            let request = client.put(url).bearer_auth(token).json(&edit);
            request.send().await.unwrap().status().as_u16()
        });
    }
    let mut answers = tasks.join_all().await;
    answers.sort_unstable();
    assert_eq!(answers, [200, 409, 409, 409, 409, 409, 409, 409]);
}

async fn every_field_that_makes_no_sense_is_named(on: On) {
    let office = office(on).await;
    let token = office.chain.operator(OperatorRole::Operator).await;
    let long = "x".repeat(81);
    let unknown = uuid::Uuid::nil();
    for (number, (field, value, named)) in [
        ("name_zh", json!("  "), "name_zh"),
        ("name_en", json!(long), "name_en"),
        ("name_en", json!("a\u{7}b"), "name_en"),
        ("logo", json!("http://shop.example"), "logo"),
        ("rule", json!({ "kind": "amount_off", "amount": -1 }), "rule.amount"),
        ("rule", json!({ "kind": "gift" }), "rule.kind"),
        (
            "rule",
            json!({ "kind": "amount_off", "amount": i64::MAX }),
            "rule.amount",
        ),
        (
            "rule",
            json!({ "kind": "percent_off", "percent_bp": 10_001 }),
            "rule.percent_bp",
        ),
        (
            "rule",
            json!({ "kind": "item_voucher", "sku": "A", "quantity": 1 }),
            "worth_unbounded",
        ),
        ("scope", json!({}), "scope"),
        ("scope", json!({ "skus": [""] }), "scope.skus[0]"),
        ("stacking", json!({ "group": 1 }), "stacking.group"),
        ("stores", json!([]), "stores"),
        ("stores", json!([unknown]), "stores[0]"),
        ("stores", json!([office.chain.store, office.chain.store]), "stores[1]"),
        ("validity", json!({}), "validity"),
        ("validity", json!({ "days": 0 }), "validity.days"),
        ("validity", json!({ "days": 1, "until": 5 }), "validity.days"),
        ("validity", json!({ "from": 5, "until": 5 }), "validity.until"),
        ("validity", json!({ "until": i64::MAX }), "validity.until"),
        ("claim", json!({ "from": 7, "until": 5 }), "claim.until"),
        ("member_limit", json!(0), "member_limit"),
        ("offline", json!("floor_limit"), "floor_limit"),
        ("floor_limit", json!(-1), "floor_limit"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut wrong = terms();
        wrong[field] = value.clone();
        let answer = office
            .post("/v1/templates", &token, &format!("k{number}"), &wrong)
            .await;
        assert_eq!(answer.code(), (422, "invalid"), "{field} {value}: {}", answer.body);
        assert_eq!(answer.fields(), [named], "{field} {value}: {}", answer.body);
    }
    // All at once.
    let mut wrong = terms();
    wrong["name_zh"] = json!("");
    wrong["rule"] = json!({ "kind": "every_off", "threshold": 0, "amount": 1 });
    wrong["validity"] = json!({ "days": 9_999 });
    let answer = office.post("/v1/templates", &token, "all", &wrong).await;
    assert_eq!(answer.fields(), ["name_zh", "rule.threshold", "validity.days"]);
}

async fn lists_come_in_pages(on: On) {
    let office = office(on).await;
    let token = office.chain.operator(OperatorRole::Auditor).await;
    let writer = office.chain.operator(OperatorRole::Admin).await;
    let mut made = vec![office.chain.template.to_string()];
    for number in 0..4 {
        office.chain.clock.advance(1);
        let draft = office
            .post("/v1/templates", &writer, &format!("k{number}"), &terms())
            .await;
        made.push(draft.done(201)["id"].as_str().unwrap().to_owned());
    }
    let mut seen = Vec::new();
    let mut path = "/v1/templates?limit=2".to_owned();
    loop {
        let page = office.get(&path, &token).await.done(200);
        let ids = page["items"].as_array().unwrap();
        assert!(ids.len() <= 2);
        seen.extend(ids.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        assert!(seen.len() <= made.len(), "{seen:?}");
        match page["next"].as_str() {
            Some(next) => path = format!("/v1/templates?limit=2&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, made);
    let drafts = office.get("/v1/templates?status=draft", &token).await.done(200);
    assert_eq!(drafts["items"].as_array().unwrap().len(), 4);
    for wrong in [
        "limit=0",
        "limit=201",
        "limit=x",
        "after=%00",
        "after=zzz",
        "status=x",
        "page=2",
    ] {
        let answer = office.get(&format!("/v1/templates?{wrong}"), &token).await;
        assert_eq!(answer.code(), (400, "malformed"), "{wrong}");
    }
}

async fn what_does_not_read_is_named(on: On) {
    let office = office(on).await;
    let token = office.chain.operator(OperatorRole::Admin).await;
    let mut wrong = terms();
    wrong["validity"]["days"] = json!("thirty");
    let answer = office.post("/v1/templates", &token, "k1", &wrong).await;
    assert_eq!(answer.code(), (400, "malformed"));
    assert_eq!(answer.fields(), ["validity.days"]);
    let mut wrong = terms();
    wrong["name_zh"] = json!("\u{0}");
    assert_eq!(
        office.post("/v1/templates", &token, "k2", &wrong).await.code(),
        (400, "malformed")
    );
    let send = async |body: Vec<u8>| {
        let request = office.client.post(format!("{}/v1/templates", office.address));
        let request = request.bearer_auth(&token).header("idempotency-key", "k3").body(body);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(send(b"{".to_vec()).await, 400);
    assert_eq!(send(vec![0xff; 9]).await, 400);
    assert_eq!(send(vec![b' '; 2 * 1024 * 1024]).await, 413);
    assert_eq!(office.get("/v1/templates/x", &token).await.code(), (404, "not_found"));
    assert_eq!(office.get("/v1/nothing", &token).await.code(), (404, "not_found"));
    // What was not decided may be asked properly under the same name.
    office.post("/v1/templates", &token, "k3", &terms()).await.done(201);
}

async fn what_is_over_is_forgotten(on: On) {
    let office = office(on).await;
    let (app, token) = (&office.chain.app, office.chain.operator(OperatorRole::Admin).await);
    office.chain.session("M1").await;
    office.post("/v1/templates", &token, "k1", &terms()).await.done(201);
    office.chain.clock.advance(KEPT);
    office.chain.session("M1").await;
    office.post("/v1/templates", &token, "k2", &terms()).await.done(201);
    assert!(!forget(app).await.unwrap());
    assert_eq!(office.chain.number("SELECT COUNT(*) FROM idempotency").await, 2);
    office.chain.clock.advance(SESSION_LASTS);
    assert!(!forget(app).await.unwrap());
    assert_eq!(office.chain.number("SELECT COUNT(*) FROM idempotency").await, 1);
    assert_eq!(office.chain.number("SELECT COUNT(*) FROM member_sessions").await, 0);
}

async fn operators_look_at_what_there_is(on: On) {
    let office = office(on).await;
    let mut counter = office.chain.counter().await;
    let admin = office.chain.operator(OperatorRole::Admin).await;
    let auditor = office.chain.operator(OperatorRole::Auditor).await;
    let warehouse = office.chain.operator(OperatorRole::Warehouse).await;

    let stores = office.get("/v1/stores", &warehouse).await.done(200);
    assert_eq!(stores["items"][0]["code"], "s-01");
    assert_eq!(stores["items"][0]["offline_limits"]["max_count"], 500);
    let devices = office.get("/v1/devices", &auditor).await.done(200);
    assert_eq!(devices["items"][0]["id"], counter.device.to_string());
    assert_eq!(devices["items"][0]["status"], "active");
    let elsewhere = format!("/v1/devices?store={}", office.chain.member);
    assert_eq!(office.get(&elsewhere, &auditor).await.done(200)["items"], json!([]));

    let whole = office.get("/v1/members/M1", &admin).await.done(200);
    assert_eq!(
        (&whole["name"], &whole["phone"]),
        (&json!("王小明"), &json!("13800000000"))
    );
    let masked = office.get("/v1/members?phone=13800000000", &auditor).await.done(200);
    assert_eq!(masked["items"][0]["phone"], "138****0000");
    assert_eq!(masked["items"][0]["name"], "王**");
    assert_eq!(
        office.get("/v1/members?phone=1", &admin).await.done(200)["items"],
        json!([])
    );
    assert_eq!(office.get("/v1/members/M2", &admin).await.code(), (404, "not_found"));

    // Goods handed over twice: a case each time.
    let order = office.chain.orders[0];
    let mut cases = Vec::new();
    for number in 0..3 {
        let one = counter.make(office.chain.collect(order), START + number);
        cases.push(one.id.to_string());
        office.chain.push(&[one]).await;
        office.chain.clock.advance(1);
    }
    cases.remove(0);
    cases.reverse();
    let mut seen = Vec::new();
    let mut path = "/v1/exceptions?status=open&limit=1".to_owned();
    loop {
        let page = office.get(&path, &auditor).await.done(200);
        for case in page["items"].as_array().unwrap() {
            assert_eq!(
                (&case["kind"], &case["subject"]),
                (&json!("double_pickup"), &json!(order))
            );
            seen.push(case["operation"].as_str().unwrap().to_owned());
        }
        assert!(seen.len() <= cases.len(), "{seen:?}");
        match page["next"].as_str() {
            Some(next) => path = format!("/v1/exceptions?status=open&limit=1&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, cases);
    let one = office
        .get(&format!("/v1/exceptions/{}", cases[0]), &admin)
        .await
        .done(200);
    assert_eq!(one["status"], "open");
    let decided = office.get("/v1/exceptions?status=decided", &admin).await.done(200);
    assert_eq!(decided["items"], json!([]));

    office.chain.clock.advance(1);
    office.post("/v1/templates", &admin, "k", &terms()).await.done(201);
    let log = office.get("/v1/audit?limit=1", &auditor).await.done(200);
    assert_eq!(log["items"][0]["action"], "template.drafted");
    let actor = log["items"][0]["actor"].as_str().unwrap();
    assert!(actor.starts_with("operator:"));
    let theirs = office
        .get(&format!("/v1/audit?actor={actor}"), &auditor)
        .await
        .done(200);
    assert_eq!(theirs["items"].as_array().unwrap().len(), 1);
    let operator = office.chain.operator(OperatorRole::Operator).await;
    assert_eq!(office.get("/v1/audit", &operator).await.code(), (403, "forbidden"));
    let all = office.get("/v1/audit", &auditor).await.done(200).to_string();
    assert!(!all.contains("cfo_"), "no token stands in the log");
}

async fn the_api_describes_itself(on: On) {
    let office = office(on).await;
    let document: Value = office
        .client
        .get(format!("{}/openapi.json", office.address))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    let create = &document["paths"]["/v1/templates"]["post"];
    assert_eq!(create["security"], json!([{ "operator": ["admin", "operator"] }]));
    assert_eq!(create["parameters"][0]["name"], "Idempotency-Key");
    let page = office
        .client
        .get(format!("{}/docs", office.address))
        .send()
        .await
        .unwrap();
    assert!(
        page.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .starts_with("default-src 'none'")
    );
    let page = page.text().await.unwrap();
    assert!(page.contains("/v1/templates/{id}/retire"));
    assert!(
        !page.contains("http://") && !page.contains("<script"),
        "it loads nothing from elsewhere"
    );
}
