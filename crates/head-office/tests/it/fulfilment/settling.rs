//! What becomes of a parcel for good: booked by the warehouse, once.

use serde_json::json;

use super::{depot, id, parcel, three_lines};
use crate::common::{HOUR, On};

counterfoil_head_office::on_both! {
    only_what_the_carrier_has_is_booked_as_returned_or_lost,
    points_that_ended_on_the_way_have_their_grace,
}

async fn only_what_the_carrier_has_is_booked_as_returned_or_lost(on: On) {
    let depot = depot(on).await;
    let shipment = depot.ask(&three_lines("W-1")).await;
    depot.work().await;
    let one = id(parcel(&shipment, 0)).to_owned();
    let settle = format!("/v1/parcels/{one}/settle");
    let lost = json!({ "outcome": "lost" });
    assert_eq!(depot.refused(settle.clone(), lost.clone()).await, "state_conflict");
    assert_eq!(
        depot.refused(settle.clone(), json!({ "outcome": "eaten" })).await,
        "malformed"
    );
    depot.done(format!("/v1/parcels/{one}/pack"), json!({})).await;
    assert_eq!(depot.refused(settle.clone(), lost.clone()).await, "state_conflict");
    depot.done(format!("/v1/parcels/{one}/hand-over"), json!({})).await;
    let booked = depot.done(settle.clone(), lost.clone()).await;
    assert_eq!(parcel(&booked, 0)["state"], "lost");
    assert_eq!(depot.refused(settle, lost).await, "state_conflict");
    // Nobody's points are in it.
    assert_eq!(
        depot
            .shop
            .chain
            .number("SELECT COUNT(*) FROM outbox WHERE topic = 'settled'")
            .await,
        0
    );
    let nobody = format!("/v1/parcels/{}/settle", depot.shop.chain.template);
    assert_eq!(depot.refused(nobody, json!({ "outcome": "lost" })).await, "not_found");
    depot.shop.sound().await;
}

async fn points_that_ended_on_the_way_have_their_grace(on: On) {
    let depot = depot(on).await;
    let shop = &depot.shop;
    let gift = shop.gift(|_| {}).await;
    shop.count(shop.warehouse, 10).await;
    shop.give(shop.chain.member, 5_000, Some(shop.now() + 24 * HOUR)).await;
    let exchange = shop.exchange(gift, "k").await;
    depot.work().await;
    let shipment = depot.shipment("exchange", &exchange.id.to_string()).await;
    let one = id(parcel(&shipment, 0)).to_owned();
    depot.done(format!("/v1/parcels/{one}/pack"), json!({})).await;
    depot.done(format!("/v1/parcels/{one}/hand-over"), json!({})).await;
    depot.advance(48 * HOUR);
    depot
        .done(format!("/v1/parcels/{one}/settle"), json!({ "outcome": "returned" }))
        .await;
    depot.work().await;
    // The chain has published no rule: no days of grace, so they end with what they came from.
    assert_eq!(shop.balances(shop.chain.member).await, crate::gifts::available(0));
    assert_eq!(shop.stock(shop.warehouse).await, (10, 0));
    shop.sound().await;
}
