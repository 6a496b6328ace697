//! Head office is restored from an older copy: counters send again what they still hold.

use counterfoil_head_office::{on_both, testing::On};
use counterfoil_tests::{desk::Desk, office::Office};
use serde_json::json;

const SEED: &[&str] = &[
    "--members",
    "40",
    "--coupons",
    "600",
    "--stores",
    "2",
    "--pickups",
    "10",
    "--seed",
    "9",
];

on_both! { a_restored_head_office_gets_everything_again }

async fn a_restored_head_office_gets_everything_again(on: On) {
    let mut office = Office::start(on, SEED).await;
    let folder = tempfile::tempdir().unwrap();
    let mut first = Desk::enrol(
        &folder.path().join("first"),
        &office.address,
        &office.enrol_code("s-01"),
    );
    let mut second = Desk::enrol(
        &folder.path().join("second"),
        &office.address,
        &office.enrol_code("s-01"),
    );
    first.ready();
    second.ready();
    let codes = office.coupons("home_store", "s-01").await;
    for code in &codes[..5] {
        assert_eq!(first.redeem(code)["result"], "done");
    }
    first.drained();

    if on == On::Postgres {
        office.kill();
    }
    office.back_up().await;
    if on == On::Postgres {
        office.go();
        for desk in [&mut first, &mut second] {
            desk.ask(json!({"do": "hurry"}));
            desk.ready();
        }
    }

    // A counter that the copy will not know.
    let lost_folder = folder.path().join("lost");
    let mut lost = Desk::enrol(&lost_folder, &office.address, &office.enrol_code("s-01"));
    lost.ready();
    for code in &codes[18..20] {
        assert_eq!(lost.redeem(code)["result"], "done");
    }
    lost.drained();

    for code in &codes[5..15] {
        assert_eq!(first.redeem(code)["result"], "done");
    }
    for code in &codes[15..18] {
        assert_eq!(second.redeem(code)["result"], "done");
    }
    first.drained();
    second.drained();
    assert_eq!(office.number("SELECT COUNT(*) FROM operations").await, 20);

    // The disk of head office is lost, and the counters work on alone; then the copy takes its place.
    office.kill();
    for desk in [&mut first, &mut second] {
        desk.offline();
    }
    for code in &codes[20..23] {
        assert_eq!(first.redeem(code)["receipt"]["delivery"], "toBeDelivered");
    }
    assert_eq!(second.redeem(&codes[23])["receipt"]["delivery"], "toBeDelivered");
    office.restore().await;
    office.go();
    assert_eq!(office.number("SELECT COUNT(*) FROM operations").await, 5);

    for desk in [&mut first, &mut second] {
        desk.wait_until("sent again", |status| {
            status["queue"]["pending"] == 0
                && status["link"]["state"] == "online"
                && status["placed"]["resyncing"] == false
        });
    }
    let told = lost.ask(json!({"do": "doctor"}));
    let advice = told["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["name"] == "key")
        .and_then(|check| check["advice"].as_str())
        .unwrap();
    let words: Vec<&str> = advice.split([' ', ',']).collect();
    let after = |word| words[words.iter().position(|one| *one == word).unwrap() + 1];
    let readmit = [
        "admin",
        "device",
        "readmit",
        "--store",
        after("store"),
        "--device",
        after("device"),
        "--public-key",
        after("key"),
    ];
    office.command(&readmit);
    let (again, _) = office.try_command(&readmit);
    assert_eq!(again, Some(2), "it is known by now");
    lost.ask(json!({"do": "hurry"}));
    let begun = std::time::Instant::now();
    while office.number("SELECT COUNT(*) FROM operations").await != 24 {
        assert!(begun.elapsed().as_secs() < 60, "not everything came again");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(
        office
            .number("SELECT COUNT(*) FROM coupons WHERE state = 'redeemed'")
            .await,
        24
    );
    assert_eq!(office.number("SELECT COUNT(*) FROM exceptions").await, 0);
    for desk in [&mut first, &mut second, &mut lost] {
        assert_eq!(desk.drained()["queue"]["exceptions"], 0);
    }
    office.verify();
}
