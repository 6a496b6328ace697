//! What goes somewhere else, or nowhere: the carrier is told first, and only then there is another generation.

use serde_json::{Value, json};

use super::{Depot, MINUTE, address, depot, id, parcel, three_lines, waybill};
use crate::common::{HOUR, On};

counterfoil_head_office::on_both! {
    a_changed_address_cancels_first_and_then_raises_the_generation,
    what_the_carrier_has_already_stays_as_it_is,
    a_cancelled_request_gives_everything_back_once,
    a_change_while_an_order_is_unclear_clears_what_comes_late,
}

fn elsewhere() -> Value {
    let mut address = address();
    address["street"] = json!("elsewhere 9");
    address
}

async fn readdress(depot: &Depot, shipment: &Value, key: &str) -> (u16, Value) {
    let path = format!("/v1/shipments/{}/address", id(shipment));
    depot.office.post(&path, key, &elsewhere()).await
}

async fn a_changed_address_cancels_first_and_then_raises_the_generation(on: On) {
    let depot = depot(on).await;
    let shipment = depot.ask(&three_lines("W-1")).await;
    depot.work().await;
    let before = waybill(&depot.again(&shipment).await).to_owned();
    // While the carrier is silent nothing else happens.
    depot.control("control", json!({ "odds": { "fail": 100 } })).await;
    let (status, changed) = readdress(&depot, &shipment, "r").await;
    assert_eq!(status, 200, "{changed}");
    assert_eq!(parcel(&changed, 0)["change"], "address");
    depot.work().await;
    let waits = depot.again(&shipment).await;
    assert_eq!(
        (parcel(&waits, 0)["generation"].as_i64(), waybill(&waits)),
        (Some(1), before.as_str())
    );
    let one = id(parcel(&waits, 0)).to_owned();
    assert_eq!(
        depot.refused(format!("/v1/parcels/{one}/pack"), json!({})).await,
        "state_conflict"
    );

    depot.control("control", json!({ "odds": {} })).await;
    depot.advance(HOUR);
    depot.work().await;
    let now = depot.again(&shipment).await;
    assert_eq!(parcel(&now, 0)["generation"], 2);
    assert!(parcel(&now, 0)["change"].is_null());
    assert_ne!(waybill(&now), before);
    assert_eq!(depot.live().await, [waybill(&now)]);
    let sent = depot.carrier().await.waybills;
    assert_eq!(sent[1].key, format!("{one}.2"));
    assert_eq!(sent[1].consignment.street, "elsewhere 9");
    assert_eq!(depot.audited("parcel.generation_raised").await, 1);
    // The same question again changes nothing.
    assert_eq!(readdress(&depot, &shipment, "r").await.0, 200);
    depot.work().await;
    assert_eq!(depot.carrier().await.waybills.len(), 2);
    depot.shop.sound().await;
}

async fn what_the_carrier_has_already_stays_as_it_is(on: On) {
    let depot = depot(on).await;
    let shipment = depot.ask(&three_lines("W-1")).await;
    depot.work().await;
    let number = waybill(&depot.again(&shipment).await).to_owned();
    let event = json!({ "number": number, "progress": "collected", "text": "here", "at": depot.shop.now() });
    depot.control("control/events", event).await;
    assert_eq!(readdress(&depot, &shipment, "r").await.0, 200);
    depot.work().await;
    let now = depot.again(&shipment).await;
    assert_eq!(waybill(&now), number);
    assert_eq!(parcel(&now, 0)["generation"], 1);
    assert!(parcel(&now, 0)["change"].is_null());
    assert_eq!(depot.audited("parcel.change_refused").await, 1);
    depot.shop.sound().await;
}

async fn a_cancelled_request_gives_everything_back_once(on: On) {
    let depot = depot(on).await;
    let shop = &depot.shop;
    let gift = shop.gift(|_| {}).await;
    shop.count(shop.warehouse, 10).await;
    shop.give(shop.chain.member, 5_000, None).await;
    let exchange = shop.exchange(gift, "k").await;
    depot.work().await;
    let shipment = depot.shipment("exchange", &exchange.id.to_string()).await;
    let path = format!("/v1/shipments/{}/cancel", id(&shipment));
    let office = &depot.office;
    assert_eq!(office.post(&path, "c", &json!({})).await.0, 200);
    let (status, problem) = office.post(&path, "again", &json!({})).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("state_conflict")));
    depot.work().await;
    assert!(depot.live().await.is_empty());
    assert_eq!(parcel(&depot.again(&shipment).await, 0)["state"], "cancelled");
    assert_eq!(shop.balances(shop.chain.member).await, crate::gifts::available(5_000));
    assert_eq!(shop.stock(shop.warehouse).await, (10, 0));
    // Nothing more goes into it.
    let more = json!({ "lines": [{ "line": 0, "quantity": 1 }] });
    let refused = depot
        .refused(format!("/v1/shipments/{}/parcels", id(&shipment)), more)
        .await;
    assert_eq!(refused, "state_conflict");
    depot.advance(HOUR);
    depot.work().await;
    assert_eq!(shop.stock(shop.warehouse).await, (10, 0));
    shop.sound().await;
}

async fn a_change_while_an_order_is_unclear_clears_what_comes_late(on: On) {
    let depot = depot(on).await;
    depot.control("control", json!({ "dedupe": false })).await;
    depot.fails("order", "hang").await;
    let shipment = depot.ask(&three_lines("W-1")).await;
    assert_eq!(depot.errands().await, 1);
    assert_eq!(readdress(&depot, &shipment, "r").await.0, 200);
    depot.advance(MINUTE);
    depot.work().await;
    let now = depot.again(&shipment).await;
    assert_eq!(parcel(&now, 0)["generation"], 2);
    let live = waybill(&now).to_owned();
    // Now the first generation's order comes to something.
    depot.control("control/release", json!({})).await;
    depot.known(2).await;
    depot.work().await;
    depot.advance(HOUR);
    depot.work().await;
    assert_eq!(depot.live().await, [live]);
    depot.shop.sound().await;
}
