//! Two counters that are online want the same coupons.

use counterfoil_head_office::{on_both, testing::On};
use counterfoil_tests::{desk::Desk, line::Line, office::Office};
use serde_json::json;

const SEED: &[&str] = &[
    "--members",
    "80",
    "--coupons",
    "2400",
    "--stores",
    "2",
    "--pickups",
    "10",
    "--seed",
    "8",
];

on_both! {
    each_of_200_coupons_is_honoured_once_and_nothing_is_an_exception,
    a_freeze_whose_answer_is_lost_lapses,
}

fn race(mut desk: Desk, codes: Vec<String>) -> (Desk, Vec<String>) {
    let mut honoured = Vec::new();
    for code in codes {
        let answer = desk.redeem(&code);
        match answer["result"].as_str() {
            Some("done") => {
                assert_eq!(answer["receipt"]["delivery"], "confirmed", "{answer:#}");
                honoured.push(code);
            }
            Some("refused") => {}
            _ => panic!("{answer:#}"),
        }
    }
    (desk, honoured)
}

async fn each_of_200_coupons_is_honoured_once_and_nothing_is_an_exception(on: On) {
    let office = Office::start(on, SEED).await;
    let folder = tempfile::tempdir().unwrap();
    let desks: Vec<Desk> = ["first", "second"]
        .map(|name| {
            let mut desk = Desk::enrol(&folder.path().join(name), &office.address, &office.enrol_code("s-01"));
            desk.ready();
            desk
        })
        .into();
    let codes: Vec<String> = office
        .coupons("home_store", "s-01")
        .await
        .into_iter()
        .take(200)
        .collect();
    assert_eq!(codes.len(), 200);
    let racers: Vec<_> = desks
        .into_iter()
        .map(|desk| {
            let codes = codes.clone();
            std::thread::spawn(move || race(desk, codes))
        })
        .collect();
    let mut honoured = Vec::new();
    for racer in racers {
        let (mut desk, codes) = racer.join().unwrap();
        assert_eq!(desk.drained()["queue"]["exceptions"], 0);
        honoured.extend(codes);
    }
    honoured.sort_unstable();
    assert_eq!(honoured, codes, "each coupon once");
    assert_eq!(office.number("SELECT COUNT(*) FROM operations").await, 200);
    assert_eq!(office.number("SELECT COUNT(*) FROM exceptions").await, 0);
    assert_eq!(
        office
            .number("SELECT COUNT(*) FROM coupons WHERE state = 'redeemed'")
            .await,
        200
    );
    office.verify();
}

async fn a_freeze_whose_answer_is_lost_lapses(on: On) {
    let mut office = Office::start(on, SEED).await;
    let line = Line::to(&office.address).await;
    let folder = tempfile::tempdir().unwrap();
    let mut first = Desk::enrol(&folder.path().join("first"), &line.address, &office.enrol_code("s-01"));
    let mut second = Desk::enrol(
        &folder.path().join("second"),
        &office.address,
        &office.enrol_code("s-01"),
    );
    first.ready();
    second.ready();
    let code = office.coupons("online_only", "s-01").await.remove(0);

    // The question arrives, its answer doesn't, and neither does the answer to the cancel.
    first.ask(json!({"do": "stop_sync"}));
    line.lose_answers();
    let unsure = first.redeem(&code);
    assert_eq!(unsure["result"], "refused", "{unsure:#}");
    assert_eq!(unsure["verdict"]["decision"], "unconfirmed", "{unsure:#}");
    assert_eq!(first.queue().len(), 0, "nothing was journaled");
    line.cut();
    assert_eq!(office.number("SELECT COUNT(*) FROM freezes").await, 1);

    // Five minutes later nobody holds it, whether or not the cancel arrived.
    office.kill();
    office.go_with_clock(360);
    second.ready();
    let done = second.redeem(&code);
    assert_eq!(done["result"], "done", "{done:#}");
    assert_eq!(done["receipt"]["delivery"], "confirmed");
    second.drained();
    assert_eq!(office.number("SELECT COUNT(*) FROM exceptions").await, 0);
    office.verify();
}
