//! What the warehouse does: lists, packs, splits, hands over, types waybills.

use counterfoil_head_office::{carriers::setting::Adapter, fulfilment::errands};
use serde_json::{Value, json};

use super::{Depot, TOKEN, depot, id, parcel, three_lines, waybill, without_carrier};
use crate::common::On;

counterfoil_head_office::on_both! {
    a_waybill_is_there_before_anybody_packs,
    never_more_is_in_parcels_than_was_ordered,
    waybills_are_typed_and_imported,
    what_waits_for_a_carrier_is_ordered_once_there_is_one,
}

async fn to_pack(depot: &Depot) -> Vec<String> {
    let (status, page) = depot.hands.get("/v1/packing-list").await;
    assert_eq!(status, 200, "{page}");
    let items = page["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["parcel"].as_str().unwrap().to_owned())
        .collect()
}

fn of(place: &Value, what: &str) -> String {
    format!("/v1/parcels/{}/{what}", id(place))
}

async fn a_waybill_is_there_before_anybody_packs(on: On) {
    let depot = depot(on).await;
    let asked = depot.ask(&three_lines("W-1")).await;
    assert!(parcel(&asked, 0)["waybill"].is_null());
    depot.work().await;
    let shipment = depot.again(&asked).await;
    let first = parcel(&shipment, 0);
    assert_eq!(first["state"], "waiting");
    let carriers = depot.carrier().await.waybills;
    assert_eq!(waybill(&shipment), carriers[0].number);
    assert_eq!(carriers[0].key, format!("{}.1", id(first)));
    assert_eq!(carriers[0].consignment.goods.len(), 3);
    assert_eq!(to_pack(&depot).await, [id(first)]);
    assert_eq!(depot.hands.get(&of(first, "label")).await.0, 200);

    assert_eq!(depot.refused(of(first, "hand-over"), json!({})).await, "state_conflict");
    let packed = depot.done(of(first, "pack"), json!({})).await;
    assert_eq!(parcel(&packed, 0)["state"], "packed");
    assert_eq!(depot.refused(of(first, "pack"), json!({})).await, "state_conflict");
    let gone = depot.done(of(first, "hand-over"), json!({})).await;
    assert_eq!(parcel(&gone, 0)["state"], "handed_over");
    assert_eq!(depot.refused(of(first, "hand-over"), json!({})).await, "state_conflict");
    assert!(to_pack(&depot).await.is_empty());
    // What is on its way is changed no more.
    let elsewhere = json!({ "recipient": "x", "phone": "13800001234", "region": "x", "street": "x" });
    let address = format!("/v1/shipments/{}/address", id(&shipment));
    let (status, problem) = depot.office.post(&address, "late", &elsewhere).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("state_conflict")));
    depot.shop.sound().await;
}

async fn never_more_is_in_parcels_than_was_ordered(on: On) {
    let depot = depot(on).await;
    let asked = depot.ask(&three_lines("W-1")).await;
    depot.work().await;
    let first = parcel(&asked, 0).clone();
    // Into a second parcel: not more than there is, and not all of it.
    for lines in [
        json!([{ "line": 0, "quantity": 3 }]),
        json!([{ "line": 7, "quantity": 1 }]),
        json!([{ "line": 0, "quantity": 2 }, { "line": 1, "quantity": 1 }, { "line": 2, "quantity": 3 }]),
    ] {
        let refused = depot.refused(of(&first, "split"), json!({ "lines": lines })).await;
        assert_eq!(refused, "state_conflict");
    }
    let refused = depot.refused(of(&first, "split"), json!({ "lines": [] })).await;
    assert_eq!(refused, "invalid");
    let lines = json!([{ "line": 0, "quantity": 1 }, { "line": 2, "quantity": 2 }]);
    let split = depot.done(of(&first, "split"), json!({ "lines": lines })).await;
    assert_eq!(split["parcels"].as_array().unwrap().len(), 2);
    depot.work().await;
    let split = depot.again(&split).await;
    assert_eq!(parcel(&split, 1)["number"], 2);
    assert_ne!(
        parcel(&split, 0)["waybill"]["number"],
        parcel(&split, 1)["waybill"]["number"]
    );
    // One of the two apples is missing: it is packed without, and outside of parcels again.
    let second = parcel(&split, 1).clone();
    let packed = json!({ "lines": [{ "line": 2, "quantity": 2 }] });
    let short = depot.done(of(&second, "pack"), packed).await;
    assert_eq!(short["lines"][0]["in_parcels"], 1, "{short}");
    assert_eq!(short["lines"][2]["in_parcels"], 3);
    let more = format!("/v1/shipments/{}/parcels", id(&short));
    let too_much = json!({ "lines": [{ "line": 0, "quantity": 2 }] });
    assert_eq!(depot.refused(more.clone(), too_much).await, "state_conflict");
    let rest = json!({ "lines": [{ "line": 0, "quantity": 1 }] });
    let third = depot.done(more.clone(), rest.clone()).await;
    assert_eq!(third["lines"][0]["in_parcels"], 2);
    assert_eq!(depot.refused(more, rest).await, "state_conflict");
    // More than planned is never packed.
    let more = json!({ "lines": [{ "line": 0, "quantity": 5 }] });
    assert_eq!(
        depot.refused(of(parcel(&third, 2), "pack"), more).await,
        "state_conflict"
    );
    let nothing = json!({ "lines": [] });
    assert_eq!(depot.refused(of(parcel(&third, 2), "pack"), nothing).await, "invalid");
    depot.work().await;
    assert_eq!(depot.live().await.len(), 3);
    depot.shop.sound().await;
}

async fn what_waits_for_a_carrier_is_ordered_once_there_is_one(on: On) {
    let depot = without_carrier(on).await;
    let asked = depot.ask(&three_lines("W-1")).await;
    depot.work().await;
    // Nothing was begun, so that nothing is in doubt; and it does not come up again all the time.
    let waits = "SELECT COUNT(*) FROM parcel_generations WHERE errand = 'order' AND tries = 0 AND doubtful_until IS NULL AND trouble = 'no_carrier'";
    assert_eq!(depot.shop.chain.number(waits).await, 1);
    depot.set_carrier(Adapter::Sandbox, "", TOKEN, None).await;
    let app = depot.app();
    errands::carrier_is_there(&app.db, depot.shop.chain.tenant, app.clock.now())
        .await
        .unwrap();
    depot.work().await;
    let shown = depot.again(&asked).await;
    assert_eq!(parcel(&shown, 0)["trouble"], Value::Null);
    assert_eq!(depot.live().await, [waybill(&shown)]);
    depot.shop.sound().await;
}

async fn waybills_are_typed_and_imported(on: On) {
    let depot = without_carrier(on).await;
    let shipments = [
        depot.ask(&three_lines("W-1")).await,
        depot.ask(&three_lines("W-2")).await,
        depot.ask(&three_lines("W-3")).await,
    ];
    depot.work().await;
    let stuck = depot.again(&shipments[0]).await;
    assert_eq!(parcel(&stuck, 0)["trouble"], "no_carrier");
    let typed = |number: &str| json!({ "carrier": "shunfeng", "number": number });
    let first = parcel(&shipments[0], 0).clone();
    for wrong in ["", "SF 1'; --", "1", &"9".repeat(65)] {
        assert_eq!(
            depot.refused(of(&first, "waybill"), typed(wrong)).await,
            "invalid",
            "{wrong}"
        );
    }
    // What is typed is brought to its one form.
    let taken = depot.done(of(&first, "waybill"), typed(" sf 0000 0000 00001 ")).await;
    assert_eq!(waybill(&taken), "SF0000000000001");
    assert_eq!(
        depot.refused(of(&first, "waybill"), typed("SF2222")).await,
        "state_conflict"
    );
    let second = parcel(&shipments[1], 0).clone();
    let refused = depot.refused(of(&second, "waybill"), typed("SF0000000000001")).await;
    assert_eq!(refused, "state_conflict");
    // All of a list, or nothing.
    let import = |last: &str| {
        json!({ "waybills": [
            { "parcel": second["id"], "carrier": "yuantong", "number": "YT2222" },
            { "parcel": parcel(&shipments[2], 0)["id"], "carrier": "yuantong", "number": last },
        ] })
    };
    let refused = depot.refused("/v1/waybills".into(), import("yt2222")).await;
    assert!(["state_conflict", "invalid"].contains(&refused.as_str()), "{refused}");
    assert!(parcel(&depot.again(&shipments[1]).await, 0)["waybill"].is_null());
    assert_eq!(depot.done("/v1/waybills".into(), import("YT3333")).await["imported"], 2);
    assert_eq!(waybill(&depot.again(&shipments[2]).await), "YT3333");
    // A carrier that comes later is not asked for what has one.
    depot.set_carrier(Adapter::Sandbox, "", TOKEN, None).await;
    depot.advance(super::HOUR);
    depot.work().await;
    assert!(depot.carrier().await.waybills.is_empty());
    depot.shop.sound().await;
}
