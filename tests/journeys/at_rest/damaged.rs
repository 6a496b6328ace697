//! Pages of a counter's database are overwritten: what can be read of its journal is delivered, what can't is named.

use std::{
    io::{Seek, SeekFrom, Write},
    path::Path,
};

use counterfoil_head_office::testing::On;
use counterfoil_tests::{desk::Desk, office::Office};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Row};

use super::{SEED, connect, database_in, ended_at, fold, syncd};

/// The leaf pages of a table in the order of their rows: number, and how many rows.
async fn leaves(database: &Path, table: &str) -> Vec<(i64, i64)> {
    let mut connection = connect(database).await;
    let sql = format!("SELECT pageno, ncell FROM dbstat WHERE name = '{table}' AND pagetype = 'leaf' ORDER BY path");
    let rows = sqlx::query(AssertSqlSafe(sql))
        .fetch_all(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

fn overwrite(database: &Path, pages: &[(i64, i64)], with: u8) {
    let mut file = std::fs::OpenOptions::new().write(true).open(database).unwrap();
    for (page, _) in pages {
        let start = u64::try_from((page - 1) * 4096).unwrap();
        file.seek(SeekFrom::Start(start)).unwrap();
        file.write_all(&[with; 4096]).unwrap();
    }
}

/// A counter that has delivered some operations and holds others, ended, with its log folded back.
async fn ended(delivered: usize, pending: usize, folder: &Path) -> (Office, Vec<String>) {
    let mut office = Office::start(On::Sqlite, SEED).await;
    let mut desk = Desk::enrol(folder, &office.address, &office.enrol_code("s-01"));
    desk.ready();
    let mut codes = office.coupons("home_store", "s-01").await;
    let rest = codes.split_off(delivered + pending);
    for code in &codes[..delivered] {
        assert_eq!(desk.redeem(code)["result"], "done");
    }
    desk.drained();
    office.kill();
    desk.offline();
    for code in &codes[delivered..] {
        assert_eq!(desk.redeem(code)["result"], "done");
    }
    desk.kill();
    fold(&database_in(folder)).await;
    (office, rest)
}

/// What a salvage printed, and its exit code.
fn salvage(folder: &Path) -> (Option<i32>, Value, String) {
    let (status, said, output) = syncd(folder, &["--salvage"]);
    let printed = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (status, printed, said)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_of_a_damaged_file_is_salvaged_and_delivered() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("desk");
    let (mut office, rest) = ended(3, 12, &folder).await;
    let database = database_in(&folder);
    let pages = leaves(&database, "replica").await;
    overwrite(&database, &pages[1..3], 0xAB);
    let (status, said, _) = syncd(&folder, &["--once"]);
    assert_eq!(
        (status, said.starts_with("database_corrupt: ")),
        (Some(1), true),
        "{said}"
    );

    let (status, saved, said) = salvage(&folder);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(
        (
            &saved["operations"],
            &saved["pending"],
            &saved["lost"],
            &saved["end_unreadable"]
        ),
        (&json!(15), &json!(12), &json!(0), &json!(false))
    );
    assert!(Path::new(saved["kept"].as_str().unwrap()).is_file());
    office.go();
    let mut desk = Desk::start(&folder);
    assert_eq!(desk.drained()["queue"]["exceptions"], 0);
    assert_eq!(
        office
            .number("SELECT COUNT(*) FROM operations WHERE outcome = 'applied'")
            .await,
        15
    );
    desk.ready();
    assert_eq!(desk.redeem(&rest[0])["receipt"]["delivery"], "confirmed");
    desk.drained();
    office.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_torn_journal_still_says_is_delivered_and_the_rest_is_named() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("desk");
    let (mut office, rest) = ended(3, 17, &folder).await;
    let database = database_in(&folder);
    let pages = leaves(&database, "journal").await;
    assert!(pages.len() >= 5, "{pages:?}");
    // Pending ones in the middle, and the newest.
    let (middle, newest) = (pages[pages.len() - 3], pages[pages.len() - 1]);
    overwrite(&database, &[middle, newest], 0);
    let before: i64 = pages[..pages.len() - 3].iter().map(|(_, rows)| rows).sum();
    let after = pages[pages.len() - 2].1;

    let (status, saved, said) = salvage(&folder);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.starts_with("journal_end_unreadable: "), "{said}");
    assert_eq!(
        (&saved["operations"], &saved["lost"], &saved["end_unreadable"]),
        (&json!(before + after), &json!(middle.1), &json!(true))
    );

    // Up to the hole all is delivered. Behind it nothing may be applied until a person has said so.
    office.go();
    let (status, said, _) = syncd(&folder, &["--once"]);
    assert_eq!((status, said.starts_with("journal_gap: ")), (Some(1), true), "{said}");
    assert_eq!(
        office
            .number("SELECT COUNT(*) FROM operations WHERE outcome = 'applied'")
            .await,
        before
    );
    let mut desk = Desk::start(&folder);
    let device = desk.status()["placed"]["device"].as_str().unwrap().to_owned();
    office.command(&["admin", "device", "new-epoch", "--device", &device, "--damaged"]);
    desk.ask(json!({"do": "hurry"}));
    desk.drained();
    assert_eq!(office.number("SELECT COUNT(*) FROM operations").await, before + after);
    assert_eq!(
        office
            .number("SELECT COUNT(*) FROM operations WHERE outcome = 'quarantined'")
            .await,
        after
    );
    desk.ready();
    assert_eq!(desk.redeem(&rest[0])["receipt"]["delivery"], "confirmed");
    desk.drained();
    office.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_that_lost_what_it_had_delivered_does_not_go_on_as_if_nothing_was() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("desk");
    let (mut office, rest) = ended(14, 0, &folder).await;
    let database = database_in(&folder);
    let pages = leaves(&database, "journal").await;
    overwrite(&database, &pages[pages.len() - 1..], 0);
    let (status, _, said) = salvage(&folder);
    assert_eq!(status, Some(1), "{said}");

    // It does not know that these numbers are taken: head office does, and applies no second branch.
    office.go();
    let mut desk = Desk::start(&folder);
    desk.ready();
    assert_eq!(desk.redeem(&rest[0])["result"], "done");
    let status = desk.wait_until("found out", |status| status["placed"]["deviceStatus"] == "frozen");
    assert_eq!(status["queue"]["pending"], 1);
    assert_eq!(office.number("SELECT COUNT(*) FROM operations").await, 14);
    assert_eq!(office.number("SELECT COUNT(*) FROM branches").await, 1);
    let device = status["placed"]["device"].as_str().unwrap();
    office.command(&["admin", "device", "new-epoch", "--device", device]);
    desk.ask(json!({"do": "hurry"}));
    desk.drained();
    desk.ready();
    assert_eq!(desk.redeem(&rest[1])["receipt"]["delivery"], "confirmed");
    desk.drained();
    office.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_salvage_that_was_interrupted_is_completed_by_the_next() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("desk");
    let (mut office, _) = ended(3, 12, &folder).await;
    let database = database_in(&folder);
    let pages = leaves(&database, "replica").await;
    overwrite(&database, &pages[1..3], 0xAB);

    let mut interrupted = 0;
    for part in 0u64.. {
        let arguments = ["--salvage", "--data-dir", folder.to_str().unwrap()];
        match ended_at((36 + 24 * part) * 1024, "counterfoil-syncd", &arguments) {
            None => return,
            Some(false) => break,
            Some(true) => interrupted += 1,
        }
        // Nobody takes what lies there for a counter that was never enrolled.
        let (status, said, _) = syncd(&folder, &["--once"]);
        assert_eq!(
            (status, said.starts_with("database_corrupt: ")),
            (Some(1), true),
            "{said}"
        );
    }
    assert!(interrupted >= 5, "{interrupted} times");
    office.go();
    let mut desk = Desk::start(&folder);
    assert_eq!(desk.drained()["queue"]["exceptions"], 0);
    assert_eq!(
        office
            .number("SELECT COUNT(*) FROM operations WHERE outcome = 'applied'")
            .await,
        15
    );
    office.verify();
}
