//! Products, imports, quotes and return previews over real HTTP.

mod importing;
mod office;
mod upgrade;

use counterfoil_domain::{
    operations::Action,
    people::OperatorRole,
    sales::{SaleLine, Settlement, UsedCoupon},
};
use counterfoil_head_office::sales::quoting::Quoting;
use reqwest::Method;
use serde_json::{Value, json};

use self::office::{codes, office, tea};
use crate::common::{HOUR, On, START};

counterfoil_head_office::on_both! {
    a_product_is_written_found_and_no_longer_sold,
    a_barcode_belongs_to_one_product,
    what_is_not_acceptable_is_named,
    one_number_is_one_barcode_and_no_sku,
    what_people_do_not_tell_apart_is_found,
    a_basket_is_quoted_for_operators_and_members,
    quotes_wait_for_their_turn_and_are_sent_away,
    a_return_is_previewed,
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

async fn one_number_is_one_barcode_and_no_sku(on: On) {
    let office = office(on, 0).await;
    let with = |barcodes: Value, version: i64| {
        let mut product = tea(version);
        product["barcodes"] = barcodes;
        product
    };
    let refused = |answer: (u16, Value)| {
        (
            answer.0,
            answer.1["errors"][0]["code"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let (status, stored) = office.put("G-1", &with(json!(["0 36000 29145 2"]), 0)).await;
    assert_eq!((status, &stored["barcodes"]), (201, &json!(["036000291452"])));
    for other in ["0036000291452", "00036000291452", "０３６０００２９１４５２"] {
        let answer = office.put("G-2", &with(json!([other]), 0)).await;
        assert_eq!(refused(answer), (422, "barcode_taken".to_owned()), "{other}");
        let query = format!("text={other}");
        assert_eq!(office.skus(&query).await, ["G-1"], "{other}");
        // Another spelling of what it has is no change.
        assert_eq!(office.put("G-1", &with(json!([other]), 7)).await, (200, stored.clone()));
    }
    let answer = office.put("0036000291452", &with(json!([]), 0)).await;
    assert_eq!(refused(answer), (422, "sku_is_barcode".to_owned()));
    assert_eq!(
        office.put("6901234567892", &with(json!(["6901234567892"]), 0)).await.0,
        201
    );
    assert_eq!(office.put("6901234567892", &with(json!([]), 1)).await.0, 200);
    let answer = office.put("G-3", &with(json!(["06901234567892"]), 0)).await;
    assert_eq!(refused(answer), (422, "barcode_is_sku".to_owned()));
    let answer = office.put("INV%E2%80%8B", &with(json!([]), 0)).await;
    assert_eq!(refused(answer), (422, "bad_sku".to_owned()));
    assert_eq!(office.put("abc-1", &with(json!([]), 0)).await.0, 201);
    assert_eq!(office.put("ABC-1", &with(json!([]), 0)).await.0, 201);
}

async fn what_people_do_not_tell_apart_is_found(on: On) {
    let office = office(on, 0).await;
    let mut product = tea(0);
    product["name_en"] = json!("Crème Brûlée ПЕЛЬМЕНИ\u{200b}");
    let (_, stored) = office.put("É-1", &product).await;
    assert_eq!(stored["name_en"], "Crème Brûlée ПЕЛЬМЕНИ");
    for text in [
        "CRÈME",
        "cre%CC%80me",
        "%D0%BF%D0%B5%D0%BB%D1%8C",
        "é-1",
        "É-",
        "ｂｒûｌéｅ",
        "井%E2%80%8B茶",
    ] {
        assert_eq!(office.skus(&format!("text={text}")).await, ["É-1"], "{text}");
    }
    // Not from one field into the next.
    assert_eq!(office.skus("text=茶%0Acr").await, [""; 0]);
    product["name_en"] = json!("Ünlü");
    product["version"] = json!(1);
    assert_eq!(office.put("É-1", &product).await.0, 200);
    assert_eq!(office.skus("text=ÜNLÜ").await, ["É-1"]);
    assert_eq!(office.skus("text=crème").await, [""; 0]);
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
    let all = u32::try_from(office.chain.app.own.of::<Quoting>().small.available_permits()).unwrap();
    let taken = office
        .chain
        .app
        .own
        .of::<Quoting>()
        .small
        .acquire_many(all)
        .await
        .unwrap();
    let (status, problem) = office.ask(Method::POST, "/v1/quotes", &basket()).await;
    assert_eq!((status, &problem["code"]), (503, &json!("busy")));
    drop(taken);
    assert_eq!(office.ask(Method::POST, "/v1/quotes", &basket()).await.0, 200);
}

async fn a_return_is_previewed(on: On) {
    let office = office(on, 1).await;
    let mut counter = office.chain.counter().await;
    let settled = Settlement {
        account: counterfoil_domain::points::AccountUse::default(),
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
