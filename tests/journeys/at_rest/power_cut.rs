//! The write-ahead log is cut where a power cut may have cut it: at every commit and inside one. What had been
//! acknowledged by then is there, and nothing is half there.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use counterfoil_counter::{Counter, Decision, Input, System};
use counterfoil_head_office::{
    clock::{SystemClock, SystemRandom},
    db::Db,
    testing::On,
    verify::verify,
};
use counterfoil_tests::{
    desk::Desk,
    log::{self, Log},
    office::Office,
};
use sqlx::{AnyConnection, Row};

use super::{SEED, connect, database_in, fold};

/// Reads from now on and keeps the log from being folded back, so that all of it stands there at the end.
async fn hold(database: &Path) -> AnyConnection {
    let mut reader = connect(database).await;
    sqlx::raw_sql("BEGIN").execute(&mut reader).await.unwrap();
    sqlx::query("SELECT COUNT(*) FROM sqlite_schema")
        .fetch_one(&mut reader)
        .await
        .unwrap();
    reader
}

/// What a power cut may have left of a log.
struct Cut {
    /// So much of the log is whole.
    whole: usize,
    log: Vec<u8>,
}

/// At each commit, inside the one after it (the header of a frame, its page, all but its last byte), and with a sector
/// of it that never reached the disk.
fn cuts(log: &Log) -> Vec<Cut> {
    let mut cuts = Vec::new();
    let mut before = 0;
    for (n, end) in log.commits().into_iter().enumerate() {
        let inside = match n % 4 {
            0 => log.cut(end - log.frame() + 11),
            1 => log.cut(end - log.frame() / 2),
            2 => log.cut(end - 1),
            _ => log.torn(end),
        };
        cuts.push(Cut {
            whole: before,
            log: inside,
        });
        cuts.push(Cut {
            whole: end,
            log: log.cut(end),
        });
        before = end;
    }
    cuts
}

/// A folder that costs no disk, where there is one.
fn quick_folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

/// Puts a database with what is left of its log into an empty place.
fn lay_out(base: &[u8], cut: &Cut, database: &Path) {
    for suffix in ["-shm", "-wal"] {
        let mut name = database.as_os_str().to_owned();
        name.push(suffix);
        let _ = fs::remove_file(PathBuf::from(name));
    }
    fs::write(database, base).unwrap();
    fs::write(log::beside(database), &cut.log).unwrap();
}

/// How many had been acknowledged when the log was so long.
fn acknowledged(lengths: &[usize], whole: usize) -> usize {
    lengths.iter().filter(|length| **length <= whole).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_counter_nothing_that_was_acknowledged() {
    let mut office = Office::start(On::Sqlite, SEED).await;
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("desk");
    let mut desk = Desk::enrol(&own, &office.address, &office.enrol_code("s-01"));
    desk.ready();
    let codes = office.coupons("home_store", "s-01").await;
    desk.kill();
    let database = database_in(&own);
    fold(&database).await;
    let reader = hold(&database).await;
    let base = fs::read(&database).unwrap();

    let mut desk = Desk::start(&own);
    desk.ready();
    let mut lengths = Vec::new();
    for (n, code) in codes[..24].iter().enumerate() {
        if n == 8 {
            desk.drained();
            office.kill();
            desk.offline();
        }
        assert_eq!(desk.redeem(code)["result"], "done");
        lengths.push(log::length(&database));
    }
    let mut made: Vec<String> = desk
        .queue()
        .iter()
        .map(|entry| entry["op_id"].as_str().unwrap().to_owned())
        .collect();
    made.reverse();
    assert_eq!(made.len(), 24);
    desk.kill();
    assert_eq!(fs::read(&database).unwrap(), base, "the log was folded back meanwhile");
    let log = Log::read(&database);
    drop(reader);

    let cuts = cuts(&log);
    // Two for each redemption at least; how many exchanges write something besides depends on the time.
    assert!(cuts.len() >= 48, "{} cuts", cuts.len());
    let place = quick_folder();
    super::copy(&own, place.path());
    let mut most = 0;
    for cut in &cuts {
        lay_out(&base, cut, &database_in(place.path()));
        let system = Arc::new(System::new());
        let counter = Counter::open(place.path(), system.clone(), system).await.unwrap();
        let mut kept = counter.queue(None, None, 500).await.unwrap();
        kept.reverse();
        let ids: Vec<String> = kept.iter().map(|entry| entry.op_id.to_string()).collect();
        assert_eq!(ids, made[..kept.len()], "a prefix without a gap");
        let promised = acknowledged(&lengths, cut.whole);
        assert!(kept.len() >= promised, "{} kept, {promised} promised", kept.len());
        assert!(kept.len() >= most, "what had reached the disk once stays there");
        most = kept.len();
        // The operation and its effect are there together, or neither is.
        if let Some(last) = kept.len().checked_sub(1) {
            assert!(!honourable(&counter, &codes[last]).await, "it is done");
        }
        if let Some(next) = codes[..24].get(kept.len()) {
            assert!(honourable(&counter, next).await, "it is not done");
        }
        counter.end().await.unwrap();
    }
    assert_eq!(most, 24);

    // What the last cut but one left is delivered as it is.
    let cut = &cuts[cuts.len() - 2];
    lay_out(&base, cut, &database_in(place.path()));
    office.go();
    let mut desk = Desk::start(place.path());
    desk.drained();
    let kept = i64::try_from(desk.queue().len()).unwrap();
    assert_eq!(office.number("SELECT COUNT(*) FROM operations").await, kept);
    assert_eq!(office.number("SELECT COUNT(*) FROM exceptions").await, 0);
    office.verify();
}

async fn honourable(counter: &Counter, code: &str) -> bool {
    let verdict = counter
        .look_up(&Input::CouponCode(code.to_owned()), None)
        .await
        .unwrap();
    matches!(verdict.decision, Decision::Honour | Decision::HonourOffline)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_head_office_nothing_that_was_answered() {
    let mut office = Office::start(On::Sqlite, SEED).await;
    let folder = tempfile::tempdir().unwrap();
    let mut desks: Vec<Desk> = ["first", "second"]
        .map(|name| {
            let mut desk = Desk::enrol(&folder.path().join(name), &office.address, &office.enrol_code("s-01"));
            desk.ready();
            desk
        })
        .into();
    let codes = office.coupons("home_store", "s-01").await;
    office.kill();
    let database = office.file();
    fold(&database).await;
    let reader = hold(&database).await;
    let base = fs::read(&database).unwrap();
    office.go();
    for desk in &mut desks {
        desk.ask(serde_json::json!({"do": "hurry"}));
        desk.ready();
    }

    let (mut granted, mut applied) = (Vec::new(), Vec::new());
    for pair in codes[..20].chunks_exact(2) {
        for (desk, code) in desks.iter_mut().zip(pair) {
            let done = desk.redeem(code);
            assert_eq!(done["receipt"]["delivery"], "confirmed", "{done:#}");
            granted.push(log::length(&database));
        }
        for desk in &mut desks {
            desk.drained();
            applied.push(log::length(&database));
        }
    }
    office.kill();
    assert_eq!(fs::read(&database).unwrap(), base, "the log was folded back meanwhile");
    let log = Log::read(&database);
    drop(reader);

    let cuts = cuts(&log);
    // Two for each redemption at least; how many exchanges write something besides depends on the time.
    assert!(cuts.len() >= 48, "{} cuts", cuts.len());
    let place = quick_folder();
    let copy = place.path().join("head-office.db");
    let mut most = 0;
    for cut in &cuts {
        lay_out(&base, cut, &copy);
        let url = format!("sqlite:{}", copy.display());
        let db = Db::open(&url, &SystemClock, &SystemRandom).await.unwrap();
        let row = sqlx::query("SELECT (SELECT COUNT(*) FROM freezes), (SELECT COUNT(*) FROM operations), (SELECT CAST(SUM(last_seq) AS BIGINT) FROM devices)")
            .fetch_one(db.reader())
            .await
            .unwrap();
        let count = |column: usize| usize::try_from(row.try_get::<i64, _>(column).unwrap()).unwrap();
        assert!(
            count(0) >= acknowledged(&granted, cut.whole),
            "a freeze that was granted"
        );
        assert!(
            count(1) >= acknowledged(&applied, cut.whole),
            "an operation that was answered"
        );
        assert!(count(1) >= most);
        most = count(1);
        assert_eq!(count(1), count(2));
        // Journals without a gap, every chain, every effect.
        let mut broken = Vec::new();
        let holds = verify(&db, |check| broken.extend(check.broken.clone())).await.unwrap();
        assert!(holds, "{broken:?}");
        db.close().await;
    }
    assert_eq!(most, 20);

    // Head office goes on from the middle of its last commit, which the counters have heard of: they make up for it.
    lay_out(&base, &cuts[cuts.len() - 2], &database);
    office.go();
    for desk in &mut desks {
        desk.ask(serde_json::json!({"do": "hurry"}));
        desk.ready();
    }
    let done = desks[0].redeem(&codes[20]);
    assert_eq!(done["receipt"]["delivery"], "confirmed", "{done:#}");
    for desk in &mut desks {
        assert_eq!(desk.drained()["queue"]["exceptions"], 0);
    }
    assert_eq!(office.number("SELECT COUNT(*) FROM operations").await, 21);
    office.verify();
}
