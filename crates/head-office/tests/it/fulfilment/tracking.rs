//! How far parcels are, as carriers tell when they are asked.

use serde_json::{Value, json};

use super::{Depot, MINUTE, depot, id, parcel, three_lines, waybill};
use crate::common::{HOUR, On};

counterfoil_head_office::on_both! {
    what_is_held_is_shown_with_its_age_and_asked_for_seldom,
    an_older_report_changes_nothing,
    the_last_known_is_shown_while_the_carrier_is_down,
    a_waybill_is_never_asked_about_too_often,
}

async fn travelling(depot: &Depot) -> (String, String) {
    let shipment = depot.ask(&three_lines("W-1")).await;
    depot.work().await;
    let shipment = depot.again(&shipment).await;
    let one = id(parcel(&shipment, 0)).to_owned();
    depot.done(format!("/v1/parcels/{one}/pack"), json!({})).await;
    depot.done(format!("/v1/parcels/{one}/hand-over"), json!({})).await;
    (one, waybill(&shipment).to_owned())
}

async fn happens(depot: &Depot, number: &str, progress: &str, at: i64) {
    let event = json!({ "number": number, "progress": progress, "text": progress, "at": at });
    depot.control("control/events", event).await;
}

async fn progress(depot: &Depot, parcel: &str, fresh: bool) -> Value {
    let (status, shown) = depot
        .hands
        .get(&format!("/v1/parcels/{parcel}/progress?fresh={fresh}"))
        .await;
    assert_eq!(status, 200, "{shown}");
    shown
}

async fn what_is_held_is_shown_with_its_age_and_asked_for_seldom(on: On) {
    let depot = depot(on).await;
    let (one, number) = travelling(&depot).await;
    assert!(progress(&depot, &one, false).await["waybill"]["progress"].is_null());
    let at = depot.shop.now();
    happens(&depot, &number, "collected", at).await;
    let shown = progress(&depot, &one, true).await;
    assert_eq!(shown["waybill"]["progress"], "collected", "{shown}");
    let events = shown["waybill"]["events"].as_array().unwrap();
    assert!(events.iter().any(|event| event["text"] == "collected"), "{shown}");
    assert_eq!(shown["waybill"]["age"], 0);
    happens(&depot, &number, "delivering", at + MINUTE).await;
    depot.advance(10 * MINUTE);
    let shown = progress(&depot, &one, true).await;
    assert_eq!(
        (&shown["trouble"], &shown["waybill"]["progress"]),
        (&json!("spared"), &json!("collected"))
    );
    assert_eq!(shown["waybill"]["age"], 10 * MINUTE);
    depot.advance(22 * MINUTE);
    assert_eq!(progress(&depot, &one, true).await["waybill"]["progress"], "delivering");
    assert_eq!(depot.carrier().await.asked[4], 2);
    depot.shop.sound().await;
}

async fn an_older_report_changes_nothing(on: On) {
    let depot = depot(on).await;
    let (one, number) = travelling(&depot).await;
    let at = depot.shop.now();
    // Delivered, not met, delivered again; signed, and on its way back all the same.
    for (n, word) in (1..).zip(["delivering", "problem", "delivering", "signed", "returning", "refused"]) {
        happens(&depot, &number, word, at + n * MINUTE).await;
        depot.advance(HOUR);
        assert_eq!(progress(&depot, &one, true).await["waybill"]["progress"], word);
    }
    depot
        .shop
        .chain
        .run(format!("UPDATE waybills SET event_at = {}", at + 100 * MINUTE))
        .await;
    happens(&depot, &number, "in_transit", at + 50 * MINUTE).await;
    depot.advance(HOUR);
    assert_eq!(progress(&depot, &one, true).await["waybill"]["progress"], "refused");
    happens(&depot, &number, "returned_signed", at + 101 * MINUTE).await;
    depot.advance(HOUR);
    assert_eq!(
        progress(&depot, &one, true).await["waybill"]["progress"],
        "returned_signed"
    );
    // Booking it is the warehouse's.
    let path = format!("/v1/parcels/{one}/settle");
    let booked = depot.done(path, json!({ "outcome": "returned" })).await;
    assert_eq!(parcel(&booked, 0)["state"], "returned");
    depot.shop.sound().await;
}

async fn the_last_known_is_shown_while_the_carrier_is_down(on: On) {
    let depot = depot(on).await;
    let (one, number) = travelling(&depot).await;
    happens(&depot, &number, "collected", depot.shop.now()).await;
    assert_eq!(progress(&depot, &one, true).await["waybill"]["progress"], "collected");
    for odds in ["fail", "html", "hang"] {
        depot.control("control", json!({ "odds": { odds: 100 } })).await;
        depot.advance(HOUR);
        let shown = progress(&depot, &one, true).await;
        assert_eq!(shown["waybill"]["progress"], "collected", "{odds}");
        assert!(
            shown["trouble"].as_str().unwrap().starts_with("carrier_"),
            "{odds} {shown}"
        );
        assert!(shown["waybill"]["age"].as_i64().unwrap() >= HOUR);
    }
    depot.control("control", json!({ "odds": {} })).await;
    depot.control("control/release", json!({})).await;
    happens(&depot, &number, "signed", depot.shop.now()).await;
    depot.advance(2 * HOUR);
    assert_eq!(progress(&depot, &one, true).await["waybill"]["progress"], "signed");
}

/// Somebody asks each minute for a day and a half, and the sweep asks too.
async fn a_waybill_is_never_asked_about_too_often(on: On) {
    let depot = depot(on).await;
    let (one, number) = travelling(&depot).await;
    happens(&depot, &number, "collected", depot.shop.now()).await;
    let (mut asked, mut before) = (Vec::new(), 0);
    for minute in 0..2_000_i64 {
        if minute % 3 == 0 {
            progress(&depot, &one, true).await;
        } else if minute % 50 == 1 {
            counterfoil_head_office::fulfilment::tracking::sweep(depot.app())
                .await
                .unwrap();
        }
        let now = depot
            .shop
            .chain
            .number("SELECT COALESCE(MAX(asked_at), 0) FROM waybills")
            .await;
        if now != before {
            (before, asked) = (now, [asked, vec![now]].concat());
        }
        depot.advance(MINUTE);
    }
    assert!(asked.len() > 40, "{}", asked.len());
    assert!(asked.windows(2).all(|two| two[1] - two[0] > 30 * MINUTE));
    for (place, first) in asked.iter().enumerate() {
        assert!(asked[place..].iter().filter(|at| **at - first < 24 * HOUR).count() < 48);
    }
    assert_eq!(depot.carrier().await.asked[4], asked.len() as u64);
}
