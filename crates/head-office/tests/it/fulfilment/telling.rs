//! What Kuaidi100 tells by itself.

use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use counterfoil_head_office::{
    capabilities::router,
    carriers::{kuaidi100::sign_push, setting::Adapter},
};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{Depot, depot, id, parcel, three_lines, waybill};
use crate::common::On;

counterfoil_head_office::on_both! {
    only_what_is_signed_for_a_known_waybill_is_taken,
}

async fn told(depot: &Depot, tenant: &str, body: String) -> (u16, Value) {
    let request = Request::post(format!("/v1/callbacks/kuaidi100/{tenant}"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(body))
        .unwrap();
    let response = router(depot.app().clone(), None).oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}

fn form(param: &str, sign: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .append_pair("sign", sign)
        .append_pair("param", param)
        .finish()
}

fn report(number: &str, state: &str, time: &str) -> String {
    json!({
        "status": "polling", "message": "",
        "lastResult": {
            "message": "ok", "state": state, "status": "200", "ischeck": "0", "com": "shunfeng", "nu": number,
            "data": [{ "context": "…", "time": time, "ftime": time }],
        },
    })
    .to_string()
}

async fn only_what_is_signed_for_a_known_waybill_is_taken(on: On) {
    let depot = depot(on).await;
    let shipment = depot.ask(&three_lines("W-1")).await;
    // By hand, since this carrier is only asked where parcels are.
    depot.shop.chain.run("DELETE FROM carriers").await;
    let one = id(parcel(&shipment, 0)).to_owned();
    let typed = json!({ "carrier": "shunfeng", "number": "SF0000000000001" });
    let taken = depot.done(format!("/v1/parcels/{one}/waybill"), typed).await;
    assert_eq!(waybill(&taken), "SF0000000000001");
    depot
        .set_carrier(Adapter::Kuaidi100, "AB12", "very-secret", Some("https://hq.example"))
        .await;
    let salt = {
        let mut reader = depot.app().db.reader().acquire().await.unwrap();
        let known = counterfoil_head_office::carriers::rows::salt(&mut reader, "demo")
            .await
            .unwrap();
        known.unwrap().1
    };
    let signed = |param: &str| form(param, &sign_push(param, &salt));
    let state = async || {
        let now = depot.again(&shipment).await;
        parcel(&now, 0)["waybill"]["progress"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };

    let param = report("SF0000000000001", "5", "2026-11-01 09:30:00");
    let (status, answer) = told(&depot, "demo", signed(&param)).await;
    assert_eq!(
        (status, answer["result"].as_bool(), answer["returnCode"].as_str()),
        (200, Some(true), Some("200"))
    );
    assert_eq!(state().await, "delivering");
    // The same again, and an older one: taken, and nothing changes.
    assert_eq!(told(&depot, "demo", signed(&param)).await.0, 200);
    let older = report("SF0000000000001", "1", "2026-11-01 08:00:00");
    assert_eq!(told(&depot, "demo", signed(&older)).await.0, 200);
    assert_eq!(state().await, "delivering");
    for (code, word) in [
        ("2", "problem"),
        ("3", "signed"),
        ("6", "returning"),
        ("14", "refused"),
        ("401", "cancelled"),
    ] {
        let later = report("SF0000000000001", code, "2026-11-02 09:30:00");
        depot.shop.chain.run("UPDATE waybills SET event_at = 0").await;
        assert_eq!(told(&depot, "demo", signed(&later)).await.0, 200);
        assert_eq!(state().await, word);
    }
    let before = state().await;
    for (tenant, body, expected, code) in [
        ("demo", form(&param, "0".repeat(32).as_str()), 401, "bad_signature"),
        ("demo", form(&param, ""), 401, "bad_signature"),
        ("nobody", signed(&param), 401, "bad_signature"),
        (
            "demo",
            signed(&report("SF404", "3", "2026-11-05 09:30:00")),
            404,
            "not_found",
        ),
        (
            "demo",
            signed(&report("SF\u{0}1", "3", "2026-11-05 09:30:00")),
            404,
            "not_found",
        ),
        ("demo", signed("<html>"), 400, "malformed"),
        ("demo", signed("{}"), 400, "malformed"),
        ("demo", "sign=x".to_owned(), 400, "malformed"),
        ("demo", String::new(), 400, "malformed"),
    ] {
        let (status, problem) = told(&depot, tenant, body.clone()).await;
        assert_eq!((status, problem["code"].as_str()), (expected, Some(code)), "{body}");
        assert!(!problem.to_string().contains(salt.as_str()));
    }
    assert_eq!(state().await, before);
    let (status, _) = told(&depot, "demo", "x".repeat(600 * 1024)).await;
    assert_eq!(status, 413);
}
