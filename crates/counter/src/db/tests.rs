//! Files that can't be used: each says so, and nothing is lost.

use std::{
    io::{Seek, SeekFrom, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use tempfile::TempDir;

use super::*;
use crate::{
    Confirmation, Counter, Input,
    desk::{confirm, look_up},
    salvage,
    testing::{HeadOffice, NOW, Shop, Shut, clerk_id, coupon},
};

async fn fault(folder: &Path) -> String {
    Database::open(folder).await.unwrap_err().code().to_owned()
}

async fn run(folder: &Path, sql: &'static str) {
    let options = SqliteConnectOptions::new().filename(folder.join(FILE_NAME));
    let mut db = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query(sql).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

async fn redeem(shop: &Shop, n: u8) {
    shop.go_offline();
    let scanned = Input::CouponCode(coupon(n, 1).code);
    let ticket = look_up(&shop.inner, &scanned, None).await.unwrap().ticket.unwrap();
    assert!(matches!(
        confirm(&shop.inner, &ticket, clerk_id(1)).await.unwrap(),
        Confirmation::Done(_)
    ));
}

/// A counter that was ended with this in its journal.
async fn three_delivered_and_two_pending() -> (HeadOffice, Shut) {
    let mut office = HeadOffice::new(60, 0);
    office.limits.max_per_member = 100;
    let shop = Shop::of(&mut office).await;
    for n in [0, 1, 3] {
        redeem(&shop, n).await;
    }
    shop.settle(&mut office).await;
    for n in [4, 6] {
        redeem(&shop, n).await;
    }
    (office, shop.shut().await)
}

#[tokio::test]
async fn a_new_database_is_its_owners_alone() {
    let folder = TempDir::new().unwrap();
    let inside = folder.path().join("counter");
    let db = Database::open(&inside).await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&inside), 0o700);
    for name in [FILE_NAME, "counter.sqlite-wal", "counter.sqlite-shm", "open.lock"] {
        assert_eq!(mode(&inside.join(name)), 0o600, "{name}");
    }
    db.close().await.unwrap();
    // And a second time it is just opened.
    Database::open(&inside).await.unwrap();
}

#[tokio::test]
async fn a_file_that_cannot_be_written_says_so() {
    let folder = TempDir::new().unwrap();
    Database::open(folder.path()).await.unwrap().close().await.unwrap();
    let error = Database::open_as(folder.path(), Mode::ReadOnly, 1, None)
        .await
        .unwrap_err();
    assert_eq!(error.code(), "database_read_only", "{error}");
}

#[tokio::test]
async fn a_newer_schema_is_left_alone() {
    for sql in [
        "PRAGMA user_version = 9999",
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'tomorrow', TRUE, x'00', 0)",
    ] {
        let folder = TempDir::new().unwrap();
        Database::open(folder.path()).await.unwrap().close().await.unwrap();
        run(folder.path(), sql).await;
        assert_eq!(fault(folder.path()).await, "database_newer", "{sql}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_kept() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(FILE_NAME);
    let text = "this is a shopping list, not a database ".repeat(200);
    std::fs::write(&path, &text).unwrap();
    assert_eq!(fault(folder.path()).await, "database_corrupt");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    // Not even its identity can be read: it stays as it is.
    assert_eq!(
        salvage(folder.path(), NOW).await.unwrap_err().code(),
        "database_corrupt"
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    assert!(!folder.path().join(SALVAGING).exists());
}

#[tokio::test]
async fn a_note_that_a_power_cut_left_empty_is_of_a_salvage_that_did_nothing() {
    let (_, shut) = three_delivered_and_two_pending().await;
    let folder = shut.folder.path();
    std::fs::write(folder.join(SALVAGING), "").unwrap();
    assert_eq!(fault(folder).await, "database_corrupt");
    let saved = salvage(folder, NOW).await.unwrap();
    assert_eq!((saved.operations, saved.pending, saved.lost), (5, 2, 0));
    Database::open(folder).await.unwrap();
}

#[tokio::test]
async fn the_journal_is_saved_from_a_damaged_file() {
    let (mut office, shut) = three_delivered_and_two_pending().await;
    let folder = shut.folder.path();

    // Scribble over the copies of head office's rows.
    let options = SqliteConnectOptions::new().filename(folder.join(FILE_NAME));
    let mut db = SqliteConnection::connect_with(&options).await.unwrap();
    let pages: Vec<i64> = sqlx::query_scalar("SELECT pageno FROM dbstat WHERE name = 'replica' AND pagetype = 'leaf'")
        .fetch_all(&mut db)
        .await
        .unwrap();
    db.close().await.unwrap();
    assert!(pages.len() > 3);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .open(folder.join(FILE_NAME))
        .unwrap();
    for page in &pages[1..3] {
        file.seek(SeekFrom::Start(u64::try_from((page - 1) * 4096).unwrap()))
            .unwrap();
        file.write_all(&[0xAB; 4096]).unwrap();
    }
    drop(file);
    let error = Counter::open(folder, shut.clock.clone(), shut.random.clone())
        .await
        .unwrap_err();
    assert_eq!(error.code(), "database_corrupt");

    let saved = salvage(folder, NOW).await.unwrap();
    assert_eq!((saved.operations, saved.pending, saved.lost), (5, 2, 0));
    assert!(!saved.end_unreadable);
    assert!(saved.kept.exists());
    let shop = shut.open().await;
    shop.settle(&mut office).await;
    let counts = crate::queue::counts(&mut shop.inner.db.read().await.unwrap())
        .await
        .unwrap();
    assert_eq!((counts.pending, counts.delivered, counts.exceptions), (0, 5, 0));
    // And the chain goes on.
    redeem(&shop, 7).await;
    shop.settle(&mut office).await;
    assert_eq!(
        office.state.devices[&crate::testing::device(1)]
            .as_ref()
            .unwrap()
            .last_seq,
        6
    );
}

#[tokio::test]
async fn a_journal_whose_newest_page_is_torn_is_saved_up_to_it_and_says_so() {
    let mut office = HeadOffice::new(90, 0);
    office.limits.max_per_member = 1_000;
    office.limits.max_count = 1_000;
    office.limits.max_amount = 1_000_000;
    let shop = Shop::of(&mut office).await;
    shop.go_offline();
    for n in (0..90).filter(|n| n % 3 != 2) {
        let scanned = Input::CouponCode(coupon(n, 1).code);
        let ticket = look_up(&shop.inner, &scanned, None).await.unwrap().ticket.unwrap();
        let done = confirm(&shop.inner, &ticket, clerk_id(1)).await.unwrap();
        assert!(matches!(done, Confirmation::Done(_)));
    }
    let folder = shop.shut().await.folder;

    let path = folder.path().join(FILE_NAME);
    let options = SqliteConnectOptions::new().filename(&path);
    let mut db = SqliteConnection::connect_with(&options).await.unwrap();
    let pages: Vec<(i64, i64)> =
        sqlx::query_as("SELECT pageno, ncell FROM dbstat WHERE name = 'journal' AND pagetype = 'leaf' ORDER BY path")
            .fetch_all(&mut db)
            .await
            .unwrap();
    db.close().await.unwrap();
    assert!(pages.len() > 3, "{pages:?}");
    // The newest, and one in the middle, whose places are known to be lost.
    let (middle, newest) = (pages[1], pages[pages.len() - 1]);
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    for (page, _) in [middle, newest] {
        file.seek(SeekFrom::Start(u64::try_from((page - 1) * 4096).unwrap()))
            .unwrap();
        file.write_all(&[0; 4096]).unwrap();
    }
    drop(file);

    let saved = salvage(folder.path(), NOW).await.unwrap();
    let left = u64::try_from(60 - middle.1 - newest.1).unwrap();
    assert_eq!(
        (saved.operations, saved.pending, saved.lost, saved.end_unreadable),
        (left, left, u64::try_from(middle.1).unwrap(), true)
    );
}

#[tokio::test]
async fn two_processes_may_open_it_at_once_and_one_drains() {
    let folder = TempDir::new().unwrap();
    let (one, two) = tokio::join!(Database::open(folder.path()), Database::open(folder.path()));
    let (_one, _two) = (one.unwrap(), two.unwrap());
    let held = crate::sync::DrainLock::try_take(folder.path()).unwrap();
    assert!(held.is_some());
    assert!(crate::sync::DrainLock::try_take(folder.path()).unwrap().is_none());
    drop(held);
    assert!(crate::sync::DrainLock::try_take(folder.path()).unwrap().is_some());
}

#[tokio::test]
async fn the_log_is_folded_back_while_the_writer_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let db = Database::open(folder.path()).await.unwrap();
    let mut writer = db.write().await;
    let mut tx = writer.begin().await.unwrap();
    sqlx::query("UPDATE identity SET epoch = epoch")
        .execute(&mut *tx)
        .await
        .unwrap();
    sqlx::query("CREATE TABLE filled (x)").execute(&mut *tx).await.unwrap();
    tx.commit("test").await.unwrap();
    let open = writer.begin().await.unwrap();
    let before = std::fs::metadata(db.path()).unwrap().len();
    db.checkpoint().await.unwrap();
    assert!(std::fs::metadata(db.path()).unwrap().len() > before);
    open.rollback().await.unwrap();
}

/// Every row of a table, as text, without the columns that nobody reads any more.
async fn rows(folder: &Path, table: &str) -> Vec<String> {
    let options = SqliteConnectOptions::new().filename(folder.join(FILE_NAME));
    let mut db = SqliteConnection::connect_with(&options).await.unwrap();
    let columns: Vec<String> = sqlx::query_scalar(
        "SELECT 'quote(' || name || ')' FROM pragma_table_info($1) WHERE name NOT IN ('subject_kind', 'subject') ORDER BY name",
    )
    .bind(table)
    .fetch_all(&mut db)
    .await
    .unwrap();
    let sql = format!(
        "SELECT concat_ws(' ', {}) AS line FROM {table} ORDER BY line",
        columns.join(", ")
    );
    let lines = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
        .fetch_all(&mut db)
        .await
        .unwrap();
    db.close().await.unwrap();
    lines
}

#[tokio::test]
async fn a_database_of_the_first_schema_is_brought_up_to_date() {
    let (mut office, mut shut) = three_delivered_and_two_pending().await;

    // The same rows as the first schema held them.
    let old = TempDir::new().unwrap();
    let options = SqliteConnectOptions::new()
        .filename(old.path().join(FILE_NAME))
        .create_if_missing(true)
        .foreign_keys(false);
    let mut db = SqliteConnection::connect_with(&options).await.unwrap();
    MIGRATIONS.run_to(1, &mut db).await.unwrap();
    let new = shut.folder.path().join(FILE_NAME);
    sqlx::query("ATTACH $1 AS new")
        .bind(new.to_str())
        .execute(&mut db)
        .await
        .unwrap();
    for sql in [
        "INSERT INTO identity SELECT one, tenant, store, device, address, epoch, device_status, history_id, tenant_seq,
             tenant_mark, store_seq, store_mark, generation, resyncing, clock_high_water, last_pull, last_contact, skew,
             server_time FROM new.identity",
        "INSERT INTO replica SELECT * FROM new.replica",
        "UPDATE replica SET lookup2 = NULL WHERE entity = 'coupon'",
        "INSERT INTO journal SELECT j.epoch, j.seq, op_id, kind, occurred_at, fingerprint, prev_hash, body, clerk, clerk_name,
             title_zh, title_en, entity, id, worth, member, confirmed, state, conflict, outcome, detail, feed, delivered_at,
             earlier_outcome, earlier_detail, voided_by
         FROM new.journal j JOIN new.subjects s ON s.epoch = j.epoch AND s.seq = j.seq",
        "INSERT INTO touches SELECT entity, id, epoch, seq FROM new.touches",
        "INSERT INTO pin_failures (clerk, failures, locked_until) VALUES (x'01', 5, 9999999999999)",
        "DETACH new",
    ] {
        sqlx::query(sql).execute(&mut db).await.unwrap();
    }
    db.close().await.unwrap();

    Database::open(old.path()).await.unwrap().close().await.unwrap();
    for table in ["identity", "replica", "journal", "subjects", "touches"] {
        let expected = rows(shut.folder.path(), table).await;
        assert!(!expected.is_empty(), "{table}");
        assert_eq!(rows(old.path(), table).await, expected, "{table}");
    }
    shut.folder = old;
    let shop = shut.open().await;
    redeem(&shop, 7).await;
    shop.settle(&mut office).await;
    let counts = crate::queue::counts(&mut shop.inner.db.read().await.unwrap())
        .await
        .unwrap();
    assert_eq!((counts.pending, counts.delivered, counts.exceptions), (0, 6, 0));
}
