//! One request of each source, with the address as it was.

use serde_json::{Value, json};

use super::{Depot, address, depot, id, parcel, three_lines, without_carrier};
use crate::common::On;

counterfoil_head_office::on_both! {
    a_request_is_made_once_of_each_source,
    what_can_not_be_sent_is_refused_with_every_fault,
    an_address_is_its_members_and_a_snapshot,
}

async fn requests(depot: &Depot) -> i64 {
    depot.shop.chain.number("SELECT COUNT(*) FROM shipments").await
}

async fn a_request_is_made_once_of_each_source(on: On) {
    let depot = depot(on).await;
    let office = &depot.office;
    let order = three_lines("W-1");
    let made = depot.ask(&order).await;
    assert_eq!(
        (made["kind"].as_str(), made["source"].as_str()),
        (Some("purchase"), Some("W-1"))
    );
    assert_eq!(made["lines"].as_array().unwrap().len(), 3);
    assert_eq!(parcel(&made, 0)["lines"].as_array().unwrap().len(), 3);
    // The same question, the same answer; another question about the same order is refused.
    assert_eq!(office.post("/v1/shipments", "W-1", &order).await.0, 202);
    let (status, answer) = office.post("/v1/shipments", "other", &order).await;
    assert_eq!((status, answer["code"].as_str()), (409, Some("state_conflict")));
    // A message that is handed over again changes nothing.
    depot
        .shop
        .chain
        .run("UPDATE outbox SET status = 'sent', confirmed_at = NULL, next_try_at = 0")
        .await;
    depot.work().await;
    assert_eq!(requests(&depot).await, 1);
    assert_eq!(depot.carrier().await.waybills.len(), 1);
    depot.shop.sound().await;
}

async fn what_can_not_be_sent_is_refused_with_every_fault(on: On) {
    let depot = without_carrier(on).await;
    let office = &depot.office;
    let order = three_lines("W-1");
    let with = |path: &str, value: Value| {
        let mut order = order.clone();
        *order.pointer_mut(path).unwrap() = value;
        order
    };
    let lines = |count: usize| Value::Array(vec![json!({ "sku": "A", "name": "A", "quantity": 1 }); count]);
    for (wrong, field) in [
        (with("/source", json!("")), "source"),
        (with("/source", json!("x".repeat(65))), "source"),
        (with("/lines", json!([])), "lines"),
        (with("/lines", lines(201)), "lines"),
        (with("/lines/1/quantity", json!(0)), "lines[1].quantity"),
        (with("/lines/1/quantity", json!(-1)), "lines[1].quantity"),
        (with("/lines/1/quantity", json!(10_001)), "lines[1].quantity"),
        (with("/address/phone", json!("call me")), "address.phone"),
        (with("/address/recipient", json!(" ")), "address.recipient"),
        (with("/address/street", json!("x".repeat(201))), "address.street"),
    ] {
        let key = format!("k-{field}-{}", wrong.to_string().len());
        let (status, problem) = office.post("/v1/shipments", &key, &wrong).await;
        assert_eq!(status, 422, "{field}: {problem}");
        let named: Vec<&str> = problem["errors"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|error| error["field"].as_str())
            .collect();
        assert_eq!(named, [field], "{problem}");
    }
    let mut unknown = order.clone();
    unknown["member"] = json!("M404");
    let (status, problem) = office.post("/v1/shipments", "unknown", &unknown).await;
    assert_eq!((status, problem["errors"][0]["field"].as_str()), (422, Some("member")));
    let (status, _) = office
        .post("/v1/shipments", "huge", &with("/lines/1/quantity", json!(1.0e30)))
        .await;
    assert_eq!(status, 400);
    let (status, _) = office
        .post("/v1/shipments", "nul", &with("/lines/2/sku", json!("\u{0}")))
        .await;
    assert_eq!(status, 400);
    assert_eq!(requests(&depot).await, 0);
    assert_eq!(depot.shop.chain.number("SELECT COUNT(*) FROM outbox").await, 0);
    // A member's own request is shown to them, and to nobody else.
    let mut mine = order.clone();
    mine["member"] = json!("M1");
    let made = depot.ask(&mine).await;
    let member = depot.shop.member().await;
    let (_, page) = member.get("/v1/member/shipments").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1, "{page}");
    let other = depot.ask(&three_lines("W-2")).await;
    assert_eq!(member.get(&format!("/v1/member/shipments/{}", id(&made))).await.0, 200);
    assert_eq!(member.get(&format!("/v1/member/shipments/{}", id(&other))).await.0, 404);
}

async fn an_address_is_its_members_and_a_snapshot(on: On) {
    let depot = depot(on).await;
    let shop = &depot.shop;
    let others = shop.members(1).await;
    let gift = shop.gift(|_| {}).await;
    shop.count(shop.warehouse, 10).await;
    shop.give(shop.chain.member, 5_000, None).await;
    shop.give(others[0], 5_000, None).await;
    let member = shop.member().await;
    let other = crate::api::Api::new(&shop.chain, shop.chain.session("M2").await);

    let (status, kept) = member.post("/v1/member/addresses", "a", &address()).await;
    assert_eq!(status, 201, "{kept}");
    let (_, book) = member.get("/v1/member/addresses").await;
    let own = book["items"][0].clone();
    assert_eq!(own["address"], address(), "{book}");
    let path = format!("/v1/member/addresses/{}", id(&own));
    assert_eq!(other.post(&path, "steal", &address()).await.0, 404);
    assert_eq!(
        other.post(&format!("{path}/delete"), "steal too", &json!({})).await.0,
        404
    );
    let exchange = json!({ "gift": gift, "address": own["id"] });
    let (status, refused) = other.post("/v1/member/exchanges", "x", &exchange).await;
    assert_eq!(status, 409, "{refused}");
    assert_eq!(refused["reasons"][0]["code"], "unknown_address", "{refused}");

    let (status, exchange) = member.post("/v1/member/exchanges", "x", &exchange).await;
    assert_eq!(status, 201, "{exchange}");
    let mut moved = address();
    moved["street"] = json!("elsewhere 9");
    assert_eq!(member.post(&path, "move", &moved).await.0, 200);
    assert_eq!(
        member.post(&format!("{path}/delete"), "delete", &json!({})).await.0,
        200
    );
    depot.work().await;
    let shipment = depot.shipment("exchange", id(&exchange)).await;
    assert_eq!(shipment["address"], address());
    assert_eq!(shipment["lines"][0]["ordered"], 1);
    let sent = depot.carrier().await.waybills;
    assert_eq!(sent[0].consignment.street, address()["street"].as_str().unwrap());
    // The member follows it.
    let (_, page) = member.get("/v1/member/shipments").await;
    assert_eq!(page["items"][0]["parcels"][0]["waybill"]["number"], sent[0].number);

    // A book has its end.
    for n in 0..21 {
        let (status, answer) = member.post("/v1/member/addresses", &format!("n{n}"), &address()).await;
        assert_eq!(status == 201, n < 20, "{n} {answer}");
    }
    depot.shop.sound().await;
}
