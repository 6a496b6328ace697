//! Products, imports, quotes and return previews over real HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that fails fails"
)]

mod common;

use std::sync::Arc;

use common::{Chain, HOUR, On, START, chain};
use counterfoil_domain::{
    ids::{DeviceId, StoreId},
    operations::Action,
    people::OperatorRole,
    sales::{SaleLine, Settlement, UsedCoupon},
};
use counterfoil_head_office::{clock::Clock, serve, sync::page};
use counterfoil_protocol::sync::{Cursor, Image};
use reqwest::Method;
use serde_json::{Value, json};

counterfoil_head_office::on_both! {
    a_product_is_written_found_and_no_longer_sold,
    a_barcode_belongs_to_one_product,
    what_is_not_acceptable_is_named,
    a_file_is_looked_through_and_applied_as_it_was,
    a_file_with_errors_or_of_yesterday_is_not_applied,
    twenty_thousand_products_at_once,
    a_basket_is_quoted_for_operators_and_members,
    quotes_wait_for_their_turn_and_are_sent_away,
    a_return_is_previewed,
}

struct Office {
    chain: Chain,
    address: String,
    client: reqwest::Client,
    token: String,
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
    let token = chain.operator(OperatorRole::Operator).await;
    Office {
        chain,
        address,
        client: reqwest::Client::new(),
        token,
    }
}

impl Office {
    async fn send(&self, method: Method, path: &str, token: &str, body: Vec<u8>) -> (u16, Value) {
        let request = self
            .client
            .request(method, format!("{}{path}", self.address))
            .bearer_auth(token)
            .header("idempotency-key", hex::encode(common::random10()))
            .body(body);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let body = response.bytes().await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        self.send(method, path, &self.token, body).await
    }

    async fn put(&self, sku: &str, body: &Value) -> (u16, Value) {
        self.ask(Method::PUT, &format!("/v1/products/{sku}"), body).await
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask(Method::GET, path, &Value::Null).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    async fn skus(&self, query: &str) -> Vec<String> {
        let page = self.get(&format!("/v1/products?{query}")).await;
        let items = page["items"].as_array().unwrap().iter();
        items.map(|item| item["sku"].as_str().unwrap().to_owned()).collect()
    }

    async fn import(&self, text: &[u8]) -> Value {
        let answer = self
            .send(Method::POST, "/v1/products/imports", &self.token, text.to_vec())
            .await;
        assert_eq!(answer.0, 201, "{}", answer.1);
        answer.1
    }

    async fn apply(&self, preview: &Value) -> (u16, Value) {
        let path = format!("/v1/products/imports/{}/apply", preview["id"].as_str().unwrap());
        self.ask(Method::POST, &path, &json!({})).await
    }

    /// The products that a counter reading from zero would hold.
    async fn held(&self) -> Vec<(String, i64)> {
        let mut snapshot = self.chain.app.db.snapshot().await.unwrap();
        let tenant = self.chain.tenant;
        let viewer = page::Viewer {
            store: StoreId(uuid::Uuid::max()),
            device: DeviceId(uuid::Uuid::max()),
            now: self.chain.clock.now(),
        };
        let page = page::read(&mut snapshot, tenant, viewer, Cursor::default(), 1_000);
        let rows = page.await.unwrap().rows.into_iter();
        rows.filter_map(|row| match row.image {
            Image::Product(product) => Some((product.sku, product.version)),
            _ => None,
        })
        .collect()
    }
}

fn tea(version: i64) -> Value {
    json!({
        "name_zh": "龙井茶", "name_en": "Longjing tea", "barcodes": ["6901234567892"], "category": "tea",
        "unit_price": 1_680, "currency": "CNY", "version": version,
    })
}

async fn a_product_is_written_found_and_no_longer_sold(on: On) {
    let office = office(on, 0).await;
    let (status, new) = office.put("A-1", &tea(0)).await;
    assert_eq!(
        (status, &new["version"], &new["active"]),
        (201, &json!(1), &json!(true))
    );
    // The same again changes nothing, whatever version it names; another word over an unread version is refused.
    assert_eq!(office.put("A-1", &tea(0)).await, (200, new.clone()));
    let mut dearer = tea(0);
    dearer["unit_price"] = json!(1_780);
    assert_eq!(office.put("A-1", &dearer).await.1["code"], "changed_meanwhile");
    dearer["version"] = json!(1);
    assert_eq!(office.put("A-1", &dearer).await.1["version"], 2);
    for query in ["", "text=a-1", "text=LONG", "text=井", "text=6901234567892"] {
        assert_eq!(office.skus(query).await, ["A-1"], "{query}");
    }
    for query in ["text=690123456789", "text=%25", "text=_", "text=coffee"] {
        assert_eq!(office.skus(query).await, [""; 0], "{query}");
    }
    assert_eq!(office.held().await, [("A-1".to_owned(), 2)]);
    assert_eq!(
        office.ask(Method::DELETE, "/v1/products/A-1", &Value::Null).await.0,
        204
    );
    assert_eq!(
        office.ask(Method::DELETE, "/v1/products/A-1", &Value::Null).await.0,
        204
    );
    assert_eq!(office.skus("").await, [""; 0]);
    assert_eq!(office.skus("inactive=true").await, ["A-1"]);
    assert_eq!(office.get("/v1/products/A-1").await["active"], false);
    assert_eq!(office.held().await, [("A-1".to_owned(), 3)]);
    assert_eq!(office.ask(Method::GET, "/v1/products/B", &Value::Null).await.0, 404);
    let audited = office
        .chain
        .number("SELECT COUNT(*) FROM audit WHERE action LIKE 'products.%'");
    assert_eq!(audited.await, 3);
    let auditor = office.chain.operator(OperatorRole::Auditor).await;
    let put = office.send(
        Method::PUT,
        "/v1/products/A-1",
        &auditor,
        tea(0).to_string().into_bytes(),
    );
    assert_eq!(put.await.0, 403);
}

async fn a_barcode_belongs_to_one_product(on: On) {
    let office = office(on, 0).await;
    assert_eq!(office.put("A", &tea(0)).await.0, 201);
    let (status, problem) = office.put("B", &tea(0)).await;
    assert_eq!((status, &problem["errors"][0]["code"]), (422, &json!("barcode_taken")));
    assert_eq!(office.ask(Method::GET, "/v1/products/B", &Value::Null).await.0, 404);
    let mut without = tea(1);
    without["barcodes"] = json!([]);
    assert_eq!(office.put("A", &without).await.0, 200);
    assert_eq!(office.put("B", &tea(0)).await.0, 201);
    assert_eq!(office.skus("text=6901234567892").await, ["B"]);
}

async fn what_is_not_acceptable_is_named(on: On) {
    let office = office(on, 0).await;
    let mut bad = tea(0);
    bad["unit_price"] = json!(-1);
    bad["barcodes"] = json!(["6901234567893"]);
    bad["name_zh"] = json!("a\nb");
    let (status, problem) = office.put("A", &bad).await;
    assert_eq!(status, 422);
    assert_eq!(codes(&problem["errors"]), ["bad_name", "bad_price", "bad_check_digit"]);
    bad["colour"] = json!("green");
    assert_eq!(office.put("A", &bad).await.1["code"], "malformed");
    let long = "x".repeat(65);
    assert_eq!(office.put(&long, &tea(0)).await.0, 404);
}

fn codes(errors: &Value) -> Vec<&str> {
    let errors = errors.as_array().unwrap().iter();
    errors.map(|error| error["code"].as_str().unwrap()).collect()
}

async fn a_file_is_looked_through_and_applied_as_it_was(on: On) {
    let office = office(on, 0).await;
    assert_eq!(office.put("A", &tea(0)).await.0, 201);
    assert_eq!(
        office
            .put(
                "B",
                &json!({"name_zh": "乙", "name_en": "B", "unit_price": 100, "currency": "CNY"})
            )
            .await
            .0,
        201
    );
    // A loses its barcode to B, C is new, D in another encoding.
    let text = "sku,barcode,name_zh,name_en,price,category\nA,,龙井茶,Longjing tea,16.80,tea\n\
        B,6901234567892,乙,B,1.00,\nC,S-1 S-2,丙,C,0.5,gifts\n";
    let preview = office.import(format!("\u{feff}{text}").as_bytes()).await;
    assert_eq!(
        (
            &preview["new"],
            &preview["changed"],
            &preview["unchanged"],
            &preview["wrong"]
        ),
        (&json!(1), &json!(2), &json!(0), &json!(0))
    );
    assert_eq!(preview["rows"][0]["changes"], json!(["barcodes"]));
    assert_eq!(office.skus("").await, ["A", "B"]);
    let (status, applied) = office.apply(&preview).await;
    assert_eq!((status, &applied["new"]), (200, &json!(1)));
    assert_eq!(office.skus("").await, ["A", "B", "C"]);
    assert_eq!(office.skus("text=6901234567892").await, ["B"]);
    assert_eq!(office.get("/v1/products/C").await["barcodes"], json!(["S-1", "S-2"]));
    assert_eq!(office.held().await.len(), 3);
    assert_eq!(office.apply(&preview).await.1["code"], "state_conflict");
    let again = office.import(text.as_bytes()).await;
    assert_eq!((&again["unchanged"], &again["wrong"]), (&json!(3), &json!(0)));
    assert_eq!(office.apply(&again).await.0, 200);
    // 丁 in GB18030.
    let encoded = office.import(b"sku,name_zh,name_en,price\nD,\xb6\xa1,D,1\n").await;
    assert_eq!(office.apply(&encoded).await.0, 200);
    assert_eq!(office.get("/v1/products/D").await["name_zh"], "丁");
}

async fn a_file_with_errors_or_of_yesterday_is_not_applied(on: On) {
    let office = office(on, 0).await;
    assert_eq!(office.put("A", &tea(0)).await.0, 201);
    let head = "sku,barcode,name_zh,name_en,price\n";
    let wrong = office
        .import(format!("{head}B,,乙,B,x\nC,6901234567892,丙,C,1\n").as_bytes())
        .await;
    assert_eq!(codes(&wrong["errors"]), ["bad_price", "barcode_taken"]);
    assert_eq!((&wrong["errors"][1]["line"], &wrong["wrong"]), (&json!(3), &json!(2)));
    assert_eq!(office.apply(&wrong).await.1["code"], "state_conflict");
    let fine = office
        .import(format!("{head}A,,茶,Tea,1\nB,S-1,乙,B,1\n").as_bytes())
        .await;
    let mut other = tea(1);
    other["unit_price"] = json!(5);
    assert_eq!(office.put("A", &other).await.0, 200);
    assert_eq!(office.apply(&fine).await.1["code"], "changed_meanwhile");
    // Nothing of it was written.
    assert_eq!(office.skus("").await, ["A"]);
    let fine = office.import(format!("{head}B,S-1,乙,B,1\n").as_bytes()).await;
    let mut taken = tea(0);
    taken["barcodes"] = json!(["S-1"]);
    assert_eq!(office.put("C", &taken).await.0, 201);
    assert_eq!(office.apply(&fine).await.1["code"], "changed_meanwhile");
    assert_eq!(office.apply(&json!({"id": uuid::Uuid::nil()})).await.0, 404);
    let post = |body: &[u8]| office.send(Method::POST, "/v1/products/imports", &office.token, body.to_vec());
    assert_eq!(post(b"a\xff\xff").await.0, 400);
    assert_eq!(post(&vec![b'a'; 5 * 1024 * 1024]).await.0, 413);
    office.chain.clock.advance(8 * 24 * HOUR);
    office.import(head.as_bytes()).await;
    assert_eq!(office.chain.number("SELECT COUNT(*) FROM product_imports").await, 1);
}

async fn twenty_thousand_products_at_once(on: On) {
    let office = office(on, 0).await;
    let mut text = String::from("sku,barcode,name_zh,name_en,price\n");
    for n in 0..20_001 {
        text.push_str(&format!("P{n:05},S-{n},品{n},Product {n},{n}\n"));
    }
    let preview = office.import(text.as_bytes()).await;
    assert_eq!(codes(&preview["errors"]), ["too_many"]);
    let cut = text.trim_end().rsplit_once('\n').unwrap().0;
    let preview = office.import(cut.as_bytes()).await;
    assert_eq!((&preview["new"], &preview["wrong"]), (&json!(20_000), &json!(0)));
    assert_eq!(office.apply(&preview).await.0, 200);
    assert_eq!(office.chain.number("SELECT COUNT(*) FROM products").await, 20_000);
    assert_eq!(
        office.chain.number("SELECT COUNT(*) FROM product_barcodes").await,
        20_000
    );
    assert_eq!(office.held().await.len(), 1_000);
}

fn basket() -> Value {
    json!({
        "currency": "CNY", "at": "2026-11-11T12:00:00+08:00",
        "lines": [{"id": "1", "sku": "A", "unit_price": 1_000, "quantity": 2}],
        "coupons": [{"id": "c", "status": "available", "rule": {"kind": "amount_off", "amount": 300}}],
    })
}

async fn a_basket_is_quoted_for_operators_and_members(on: On) {
    let office = office(on, 0).await;
    let (status, answer) = office.ask(Method::POST, "/v1/quotes", &basket()).await;
    assert_eq!((status, &answer["payable"]), (200, &json!(1_700)), "{answer}");
    let session = office.chain.session("M1").await;
    let body = basket().to_string().into_bytes();
    assert_eq!(
        office.send(Method::POST, "/v1/quotes", &session, body).await,
        (200, answer)
    );
    let mut wrong = basket();
    wrong["lines"][0]["quantity"] = json!(0);
    let (status, problem) = office.ask(Method::POST, "/v1/quotes", &wrong).await;
    assert_eq!((status, &problem["code"]), (422, &json!("invalid")));
    assert_eq!(problem["errors"][0]["field"], "$.lines[0].quantity");
    assert_eq!(problem["errors"][0]["code"], "out_of_range");
    let unread = office
        .send(Method::POST, "/v1/quotes", &office.token, b"{".to_vec())
        .await;
    assert_eq!((unread.0, &unread.1["errors"][0]["code"]), (400, &json!("malformed")));
}

async fn quotes_wait_for_their_turn_and_are_sent_away(on: On) {
    let office = office(on, 0).await;
    let all = u32::try_from(office.chain.app.quoting.small.available_permits()).unwrap();
    let taken = office.chain.app.quoting.small.acquire_many(all).await.unwrap();
    let (status, problem) = office.ask(Method::POST, "/v1/quotes", &basket()).await;
    assert_eq!((status, &problem["code"]), (503, &json!("busy")));
    drop(taken);
    assert_eq!(office.ask(Method::POST, "/v1/quotes", &basket()).await.0, 200);
}

async fn a_return_is_previewed(on: On) {
    let office = office(on, 1).await;
    let mut counter = office.chain.counter().await;
    let settled = Settlement {
        currency: "CNY".into(),
        lines: vec![SaleLine {
            sku: "A".into(),
            name_zh: "茶".into(),
            name_en: "Tea".into(),
            category: None,
            merchant: None,
            unit_price: 2_500,
            quantity: 4,
        }],
        coupons: vec![UsedCoupon {
            coupon: office.chain.coupons[0],
            template: office.chain.template,
            template_version: 1,
            discount: 2_000,
            shares: vec![2_000],
            freeze: None,
        }],
        member: Some(office.chain.member),
        payable: 8_000,
        tender: "cash".into(),
        receipt: "R-1".into(),
    };
    let sold = counter.make(Action::SettleSale(settled), START);
    office.chain.push(std::slice::from_ref(&sold)).await;
    let sales = office.get("/v1/sales").await;
    assert_eq!(sales["items"][0]["id"], sold.id.to_string());
    let none = format!("/v1/sales?store={}", uuid::Uuid::nil());
    assert_eq!(office.get(&none).await["items"], json!([]));
    assert_eq!(office.get(&format!("/v1/sales/{}", sold.id)).await["payable"], 8_000);
    let path = format!("/v1/sales/{}/returns/preview", sold.id);
    let preview = async |body: Value| office.ask(Method::POST, &path, &body).await;
    let (status, back) = preview(json!({"lines": [{"line": 0, "quantity": 1}]})).await;
    assert_eq!(
        (status, &back["refund"], &back["coupons"]),
        (200, &json!(2_000), &json!([]))
    );
    // What stays still takes 20.00 off: 25.00 go back for the unit.
    let (_, back) = preview(json!({"lines": [{"line": 0, "quantity": 1}], "policy": "requote"})).await;
    assert_eq!(back["refund"], 2_500);
    let (_, back) = preview(json!({"lines": [{"line": 0, "quantity": 4}]})).await;
    assert_eq!(back["refund"], 8_000);
    assert_eq!(
        back["coupons"][0],
        json!({"coupon": office.chain.coupons[0], "state": "available"})
    );
    office.chain.clock.advance(48 * HOUR);
    let token = office.chain.operator(OperatorRole::Auditor).await;
    let body = json!({"lines": [{"line": 0, "quantity": 4}]}).to_string().into_bytes();
    let (_, back) = office.send(Method::POST, &path, &token, body).await;
    assert_eq!(back["coupons"][0]["state"], "expired");
    let (status, problem) = preview(json!({"lines": [{"line": 0, "quantity": 5}]})).await;
    assert_eq!((status, &problem["errors"][0]["code"]), (422, &json!("bad_quantity")));
    assert_eq!(preview(json!({"lines": []})).await.0, 422);
    let unknown = format!("/v1/sales/{}/returns/preview", uuid::Uuid::nil());
    assert_eq!(office.ask(Method::POST, &unknown, &json!({"lines": []})).await.0, 404);
}
