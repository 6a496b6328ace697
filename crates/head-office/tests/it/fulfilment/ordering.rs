//! Waybills are ordered once, however the carrier answers.

use serde_json::json;

use super::{Depot, MINUTE, depot, id, parcel, three_lines, waybill};
use crate::common::{HOUR, On};

counterfoil_head_office::on_both! {
    a_carrier_that_answers_twice_leaves_one_waybill,
    an_unclear_answer_is_looked_for_before_it_is_ordered_again,
    two_waybills_of_one_order_are_cleared_away,
    whoever_dies_after_the_answer_finds_the_waybill_again,
    a_carrier_that_keeps_failing_is_left_alone_and_then_asked_again,
}

/// The third example: 5,000 points, a gift of 2,000, ten of it.
async fn a_carrier_that_answers_twice_leaves_one_waybill(on: On) {
    for (outcome, points, stock) in [("returned", 5_000, 10), ("lost", 5_000, 9)] {
        let depot = depot(on).await;
        let shop = &depot.shop;
        let gift = shop.gift(|_| {}).await;
        shop.count(shop.warehouse, 10).await;
        shop.give(shop.chain.member, 5_000, None).await;
        depot.control("control", json!({ "dedupe": false })).await;
        let exchange = shop.exchange(gift, "k").await;
        assert_eq!(shop.balances(shop.chain.member).await, crate::gifts::available(3_000));
        assert_eq!(shop.stock(shop.warehouse).await, (9, 0));

        depot.fails("order", "hang").await;
        assert_eq!(depot.turn().await, 2);
        assert_eq!(depot.carrier().await.hanging, 1);
        depot.advance(MINUTE);
        depot.work().await;
        let asked = depot.carrier().await.asked;
        // Found nothing, then ordered.
        assert_eq!((asked[0], asked[1]), (2, 1));
        let shipment = depot.shipment("exchange", &exchange.id.to_string()).await;
        let first = waybill(&shipment).to_owned();
        assert_eq!(depot.live().await, [first.as_str()]);
        // The first call says another one.
        depot.control("control/release", json!({})).await;
        depot.known(2).await;
        depot.work().await;
        assert_eq!(depot.carrier().await.waybills.len(), 2);
        assert_eq!(depot.live().await, [first.as_str()]);
        assert_eq!(depot.audited("waybill.surplus").await, 1);
        assert_eq!(depot.audited("waybill.cancelled").await, 1);
        let shipment = depot.again(&shipment).await;
        assert_eq!(shipment["parcels"].as_array().unwrap().len(), 1);
        assert_eq!(waybill(&shipment), first);
        assert_eq!(
            depot
                .shop
                .chain
                .number("SELECT COUNT(*) FROM outbox WHERE status = 'confirmed'")
                .await,
            1
        );

        let one = id(parcel(&shipment, 0));
        depot.done(format!("/v1/parcels/{one}/pack"), json!({})).await;
        depot.done(format!("/v1/parcels/{one}/hand-over"), json!({})).await;
        depot
            .done(format!("/v1/parcels/{one}/settle"), json!({ "outcome": outcome }))
            .await;
        depot.work().await;
        assert_eq!(shop.balances(shop.chain.member).await, crate::gifts::available(points));
        assert_eq!(shop.stock(shop.warehouse).await, (stock, 0));
        // Booked once, whatever is said later.
        for again in ["returned", "lost"] {
            let refused = depot
                .refused(format!("/v1/parcels/{one}/settle"), json!({ "outcome": again }))
                .await;
            assert_eq!(refused, "state_conflict");
        }
        depot.advance(HOUR);
        depot.work().await;
        assert_eq!(shop.balances(shop.chain.member).await, crate::gifts::available(points));
        assert_eq!(shop.stock(shop.warehouse).await, (stock, 0));
        shop.sound().await;
    }
}

/// Lets time go by, again and again, until the only parcel has a waybill.
async fn until_ordered(depot: &Depot, shipment: &serde_json::Value) -> String {
    for _ in 0..30 {
        depot.work().await;
        let now = depot.again(shipment).await;
        if !waybill(&now).is_empty() {
            return waybill(&now).to_owned();
        }
        depot.advance(2 * MINUTE);
    }
    panic!("it is never ordered");
}

async fn an_unclear_answer_is_looked_for_before_it_is_ordered_again(on: On) {
    // How the first order ends, and how often the carrier is asked for one in the end.
    for (fault, orders) in [("lose", 1), ("html", 2), ("fail", 2), ("refuse", 2), ("slow", 1)] {
        let depot = depot(on).await;
        depot
            .control("control", json!({ "dedupe": false, "slow_ms": 600 }))
            .await;
        depot.fails("order", fault).await;
        let shipment = depot.ask(&three_lines("W-1")).await;
        assert_eq!(depot.errands().await, 1, "{fault}");
        let number = until_ordered(&depot, &shipment).await;
        let shown = depot.carrier().await;
        assert_eq!(shown.asked[0], orders, "{fault}: {:?}", shown.asked);
        assert_eq!(depot.live().await, [number], "{fault}");
        depot.advance(HOUR);
        depot.work().await;
        assert_eq!(depot.live().await.len(), 1, "{fault}");
        depot.shop.sound().await;
    }
}

async fn two_waybills_of_one_order_are_cleared_away(on: On) {
    let depot = depot(on).await;
    depot.fails("order", "twice").await;
    let shipment = depot.ask(&three_lines("W-1")).await;
    depot.work().await;
    let number = waybill(&depot.again(&shipment).await).to_owned();
    assert_eq!(depot.live().await.len(), 2);
    depot.advance(12 * MINUTE);
    depot.work().await;
    assert_eq!(depot.live().await, [number]);
    assert_eq!(depot.audited("waybill.surplus").await, 1);
    depot.shop.sound().await;
}

/// The carrier has answered, and whoever asked dies before it is written.
async fn whoever_dies_after_the_answer_finds_the_waybill_again(on: On) {
    let depot = depot(on).await;
    depot.control("control", json!({ "dedupe": false })).await;
    let shipment = depot.ask(&three_lines("W-1")).await;
    // As if a process had taken the errand, had ordered, and was killed.
    let key = format!("{}.1", id(parcel(&shipment, 0)));
    let order = json!({ "key": key, "consignment": {
        "recipient": "x", "phone": "1", "region": "x", "street": "x", "goods": []
    } });
    let url = depot.carrier.join("orders").unwrap();
    let answer = depot
        .client
        .post(url)
        .bearer_auth(super::TOKEN)
        .json(&order)
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success());
    depot
        .shop
        .chain
        .run("UPDATE parcel_generations SET tries = 1, turn = turn + 1, errand_at = errand_at + 20000, doubtful_until = errand_at + 660000")
        .await;
    assert_eq!(depot.errands().await, 0);
    depot.advance(MINUTE);
    depot.work().await;
    let shown = depot.carrier().await;
    assert_eq!((shown.asked[0], shown.waybills.len()), (1, 1));
    assert_eq!(waybill(&depot.again(&shipment).await), shown.waybills[0].number);
    depot.shop.sound().await;
}

async fn a_carrier_that_keeps_failing_is_left_alone_and_then_asked_again(on: On) {
    let depot = depot(on).await;
    depot.control("control", json!({ "odds": { "fail": 100 } })).await;
    let mut shipments = Vec::new();
    for n in 0..4 {
        shipments.push(depot.ask(&three_lines(&format!("W-{n}"))).await);
    }
    for _ in 0..40 {
        depot.work().await;
        depot.advance(5_000);
    }
    // Left alone most of the time.
    let asked: u64 = depot.carrier().await.asked.iter().sum();
    assert!((5..60).contains(&asked), "{asked}");
    let stuck = depot.again(&shipments[0]).await;
    assert!(parcel(&stuck, 0)["trouble"].is_string(), "{stuck}");
    // Whoever waits is served once it does its work again; nobody has given up.
    depot.control("control", json!({ "odds": {} })).await;
    for shipment in &shipments {
        until_ordered(&depot, shipment).await;
    }
    depot.advance(HOUR);
    depot.work().await;
    assert_eq!(depot.live().await.len(), 4);
    depot.shop.sound().await;
}
