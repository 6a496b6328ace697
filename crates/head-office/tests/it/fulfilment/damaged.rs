//! `verify` finds what is wrong with requests, parcels and waybills.

use std::collections::BTreeSet;

use counterfoil_head_office::verify::verify;
use serde_json::json;

use super::{depot, id, parcel, three_lines};
use crate::common::On;

counterfoil_head_office::on_both! {
    every_damage_of_shipping_is_found,
}

async fn every_damage_of_shipping_is_found(on: On) {
    let depot = depot(on).await;
    let chain = &depot.shop.chain;
    // One that waits, one on its way, one cancelled, one that is to be cancelled, one that nobody has ordered yet.
    let waits = depot.ask(&three_lines("W-1")).await;
    let gone = depot.ask(&three_lines("W-2")).await;
    let cancelled = depot.ask(&three_lines("W-3")).await;
    let changing = depot.ask(&three_lines("W-4")).await;
    depot.work().await;
    let one = id(parcel(&gone, 0));
    depot.done(format!("/v1/parcels/{one}/pack"), json!({})).await;
    depot.done(format!("/v1/parcels/{one}/hand-over"), json!({})).await;
    depot
        .done(format!("/v1/parcels/{}/cancel", id(parcel(&cancelled, 0))), json!({}))
        .await;
    depot.work().await;
    depot
        .done(format!("/v1/parcels/{}/cancel", id(parcel(&changing, 0))), json!({}))
        .await;
    depot.ask(&three_lines("W-5")).await;
    depot.shop.sound().await;
    let waiting = id(parcel(&waits, 0)).replace('-', "");
    let waiting = match on {
        On::Sqlite => format!("x'{waiting}'"),
        On::Postgres => format!("decode('{waiting}', 'hex')"),
    };
    let tables = [
        "shipment_lines",
        "parcel_lines",
        "waybills",
        "parcel_generations",
        "parcels",
        "shipments",
    ];
    for table in tables {
        chain
            .run(format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}"))
            .await;
    }
    for (table, damage, found_by) in [
        (
            "shipments",
            "UPDATE shipments SET parcels = parcels + 1".to_owned(),
            "shipments",
        ),
        ("shipments", "DELETE FROM shipments".to_owned(), "shipments"),
        ("shipment_lines", "DELETE FROM shipment_lines".to_owned(), "shipments"),
        (
            "shipment_lines",
            "UPDATE shipment_lines SET in_parcels = in_parcels - 1 WHERE in_parcels > 0".to_owned(),
            "shipments",
        ),
        ("parcel_lines", "DELETE FROM parcel_lines".to_owned(), "shipments"),
        (
            "waybills",
            format!("DELETE FROM waybills WHERE parcel = {waiting}"),
            "parcel_generations",
        ),
        ("waybills", "DELETE FROM waybills".to_owned(), "waybills"),
        (
            "waybills",
            "UPDATE waybills SET generation = generation + 1 WHERE status = 'live'".to_owned(),
            "waybills",
        ),
        (
            "waybills",
            "UPDATE waybills SET status = 'live' WHERE status = 'cancelled'".to_owned(),
            "waybills",
        ),
        (
            "parcels",
            format!("UPDATE parcels SET generation = generation + 1 WHERE id = {waiting}"),
            "parcel_generations",
        ),
        (
            "parcel_generations",
            "DELETE FROM parcel_generations".to_owned(),
            "parcel_generations",
        ),
        (
            "parcel_generations",
            "UPDATE parcel_generations SET errand = NULL, errand_at = NULL".to_owned(),
            "parcel_generations",
        ),
        (
            "parcel_generations",
            format!(
                "UPDATE parcel_generations SET errand = 'order', errand_at = 1, generation = 9 WHERE parcel = {waiting}"
            ),
            "parcel_generations",
        ),
    ] {
        chain.run(damage.as_str()).await;
        let mut broken = BTreeSet::new();
        verify(&chain.app.db, |check| {
            if !check.ok {
                broken.insert(check.check);
            }
        })
        .await
        .unwrap();
        assert!(broken.contains(found_by), "{damage}: {broken:?}");
        chain
            .run(format!(
                "DELETE FROM {table}; INSERT INTO {table} SELECT * FROM kept_{table}"
            ))
            .await;
    }
    depot.shop.sound().await;
}
