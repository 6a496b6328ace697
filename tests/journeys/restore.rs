//! Head office is restored from an older copy: counters send again what they still hold.

use counterfoil_head_office::testing::On;
use counterfoil_tests::{desk::Desk, office::Office};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_head_office_gets_everything_again() {
    let mut office = Office::start(On::Sqlite, SEED).await;
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

    let copy = folder.path().join("copy.db");
    let mut database = office.database().await;
    sqlx::query(sqlx::AssertSqlSafe(format!("VACUUM INTO '{}'", copy.display())))
        .execute(&mut database)
        .await
        .unwrap();
    drop(database);

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

    // The disk of head office is lost; the copy takes its place.
    office.kill();
    let file = office.fresh.url.trim_start_matches("sqlite:").to_owned();
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{file}{suffix}"));
    }
    std::fs::copy(&copy, &file).unwrap();
    office.go();
    assert_eq!(office.number("SELECT COUNT(*) FROM operations").await, 5);

    for desk in [&mut first, &mut second] {
        desk.wait_until("sent again", |status| {
            status["queue"]["pending"] == 0
                && status["link"]["state"] == "online"
                && status["placed"]["resyncing"] == false
        });
    }
    let told = lost.ask(serde_json::json!({"do": "doctor"}));
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
    lost.ask(serde_json::json!({"do": "hurry"}));
    let begun = std::time::Instant::now();
    while office.number("SELECT COUNT(*) FROM operations").await != 20 {
        assert!(begun.elapsed().as_secs() < 60, "not everything came again");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(
        office
            .number("SELECT COUNT(*) FROM coupons WHERE state = 'redeemed'")
            .await,
        20
    );
    assert_eq!(office.number("SELECT COUNT(*) FROM exceptions").await, 0);
    for desk in [&mut first, &mut second, &mut lost] {
        assert_eq!(desk.drained()["queue"]["exceptions"], 0);
    }
    office.verify();
}
