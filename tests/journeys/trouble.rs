//! What a clerk scans wrongly, and what happens to a counter's files.

use counterfoil_head_office::testing::On;
use counterfoil_tests::{desk::Desk, office::Office};
use serde_json::{Value, json};

const SEED: &[&str] = &[
    "--members",
    "40",
    "--coupons",
    "600",
    "--stores",
    "2",
    "--pickups",
    "20",
    "--seed",
    "11",
];

fn reasons(answer: &Value) -> Vec<String> {
    let verdict = if answer["verdict"].is_null() {
        answer
    } else {
        &answer["verdict"]
    };
    verdict["reasons"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer:#}"))
        .iter()
        .map(|reason| reason["code"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_code_has_its_reason_and_leaves_nothing_behind() {
    let office = Office::start(On::Sqlite, SEED).await;
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::enrol(&folder.path().join("desk"), &office.address, &office.enrol_code("s-01"));
    desk.ready();
    let mut look = |code: &str| desk.ask(json!({"do": "look", "code": code}));
    assert_eq!(reasons(&look("000000000000000000")), ["unknown_code"]);
    assert_eq!(reasons(&look("99999999")), ["unknown_code"]);
    assert_eq!(reasons(&look("CF1:AAAA")), ["malformed_code"]);
    let other = office
        .texts("SELECT o.code FROM orders o JOIN stores s ON s.tenant = o.tenant AND s.id = o.store WHERE s.code = 's-02' AND o.state = 'ready'")
        .await
        .remove(0);
    assert_eq!(reasons(&look(&other)), ["other_store"]);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis();
    let expired = office
        .texts(&format!("SELECT c.code FROM coupons c JOIN stores s ON s.tenant = c.tenant AND s.id = c.home_store WHERE c.valid_until < {now} AND c.state IN ('available', 'expired') AND s.code = 's-01' ORDER BY c.code"))
        .await
        .remove(0);
    let said = reasons(&look(&expired));
    assert!(said.contains(&"expired".to_owned()), "{said:?}");
    // Nothing but the two tries with codes that nobody has.
    let kinds: Vec<Value> = desk.queue().into_iter().map(|entry| entry["kind"].clone()).collect();
    assert_eq!(kinds, ["failed_attempt", "failed_attempt"]);
    desk.drained();
    assert_eq!(office.number("SELECT COUNT(*) FROM operations").await, 2);
    let about = office
        .number("SELECT COUNT(*) FROM operations WHERE subject IS NOT NULL")
        .await;
    assert_eq!(about, 0, "they touch nothing");
    office.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_device_delivers_into_quarantine_and_forgets_members() {
    let office = Office::start(On::Sqlite, SEED).await;
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::enrol(&folder.path().join("desk"), &office.address, &office.enrol_code("s-01"));
    desk.ready();
    let codes = office.coupons("home_store", "s-01").await;
    let mut office = office;
    office.kill();
    desk.offline();
    assert_eq!(desk.redeem(&codes[0])["receipt"]["delivery"], "toBeDelivered");
    let device = desk.status()["placed"]["device"].as_str().unwrap().to_owned();
    office.command(&["admin", "device", "revoke", "--device", &device]);
    office.go();
    let status = desk.drained();
    assert_eq!(status["queue"]["exceptions"], 1, "{status:#}");
    let entry = desk.queue().remove(0);
    assert_eq!(entry["exception"], "device_revoked");
    desk.wait_until("revoked", |status| status["placed"]["deviceStatus"] == "revoked");
    let answer = desk.redeem(&codes[1]);
    assert_eq!(answer["code"], "device_revoked", "{answer:#}");
    assert_eq!(
        office
            .number("SELECT COUNT(*) FROM coupons WHERE state = 'redeemed'")
            .await,
        0
    );
    office.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloned_disk_is_found_out_before_its_branch_applies() {
    let mut office = Office::start(On::Sqlite, SEED).await;
    let folder = tempfile::tempdir().unwrap();
    let (own, clone) = (folder.path().join("own"), folder.path().join("clone"));
    let mut desk = Desk::enrol(&own, &office.address, &office.enrol_code("s-01"));
    desk.ready();
    let codes = office.coupons("home_store", "s-01").await;
    assert_eq!(desk.redeem(&codes[0])["result"], "done");
    desk.drained();
    desk.kill();
    std::fs::create_dir(&clone).unwrap();
    for entry in std::fs::read_dir(&own)
        .unwrap()
        .map(Result::unwrap)
        .filter(|entry| entry.path().is_file())
    {
        std::fs::copy(entry.path(), clone.join(entry.file_name())).unwrap();
    }
    office.kill();
    let (mut desk, mut twin) = (Desk::start(&own), Desk::start(&clone));
    desk.offline();
    twin.offline();
    assert_eq!(desk.redeem(&codes[1])["result"], "done");
    twin.ask(json!({"do": "stop_sync"}));
    assert_eq!(twin.redeem(&codes[2])["result"], "done");
    office.go();
    desk.drained();
    twin.ask(json!({"do": "start_sync"}));
    twin.wait_until("found out", |status| status["placed"]["deviceStatus"] == "frozen");
    assert_eq!(office.number("SELECT COUNT(*) FROM operations").await, 2);
    assert_eq!(office.number("SELECT COUNT(*) FROM branches").await, 1);
    assert_eq!(twin.status()["queue"]["pending"], 1, "the twin keeps what it did");
    office.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_pickup_order_is_at_the_desk_at_once() {
    let office = Office::start(On::Sqlite, SEED).await;
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::enrol(&folder.path().join("desk"), &office.address, &office.enrol_code("s-01"));
    desk.ready();
    desk.ask(json!({"do": "status"}));
    let lines = r#"[{"sku":"A1","name_zh":"洗发水","name_en":"Shampoo","quantity":2,"unit_price":3990}]"#;
    let printed = office.command(&[
        "admin",
        "order",
        "add",
        "--store",
        "s-01",
        "--number",
        "T-1",
        "--collector",
        "member",
        "--lines",
        lines,
    ]);
    let order: Value = serde_json::from_str(printed.trim()).unwrap();
    let code = order["code"].as_str().unwrap_or_else(|| panic!("{order:#}")).to_owned();
    let verdict = desk.ask(json!({"do": "look", "code": code}));
    assert_eq!(verdict["verdict"]["decision"], "honour", "{verdict:#}");
    assert_eq!(verdict["verdict"]["subject"]["kind"], "order");
}

#[test]
fn a_counter_says_what_is_wrong_with_its_database() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::start(folder.path());
    desk.status();
    desk.kill();
    let run = || {
        std::process::Command::new(counterfoil_tests::program("counterfoil-syncd"))
            .args(["--once", "--data-dir"])
            .arg(folder.path())
            .output()
            .unwrap()
    };
    let file = folder.path().join(counterfoil_counter::db::FILE_NAME);
    assert!(file.exists());
    std::fs::write(
        &file,
        b"this is no database at all, whatever its name says; it is long enough to be read",
    )
    .unwrap();
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", file.display()));
    }
    let output = run();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("database_corrupt"), "{said}");
    assert!(file.exists(), "the file is kept");
}
