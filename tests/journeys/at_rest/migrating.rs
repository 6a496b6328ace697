//! A program is ended in the middle of bringing its database up to date. The next start completes that, and what comes
//! out is what an upgrade that nobody disturbs makes of it.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use counterfoil_counter::{Counter, System};
use counterfoil_head_office::testing::{Fresh, On, fresh};
use counterfoil_tests::{desk::Desk, office::Office, program};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, migrate::Migrator};

use super::{SEED, connect, copy, database_in, ended_at, fold, hq};

/// Below this not even the index of the log can be made.
const LEAST: u64 = 36 * 1024;
/// Into how many parts a file is cut.
const PARTS: u64 = 24;

async fn migrations(of: &str) -> Migrator {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations").join(of);
    Migrator::new(folder).await.unwrap()
}

/// Every row of every table, in order, but for what differs from one upgrade to the next.
async fn rows(connection: &mut AnyConnection, on: On) -> BTreeMap<String, Vec<String>> {
    let tables = match on {
        On::Sqlite => "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
        On::Postgres => "SELECT CAST(tablename AS TEXT) FROM pg_tables WHERE schemaname = current_schema()",
    };
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut *connection).await.unwrap();
    let mut all = BTreeMap::new();
    for table in tables {
        let line = match on {
            On::Sqlite => {
                let columns: Vec<String> =
                    sqlx::query_scalar("SELECT 'quote(' || name || ')' FROM pragma_table_info($1)")
                        .bind(table.clone())
                        .fetch_all(&mut *connection)
                        .await
                        .unwrap();
                format!("concat_ws(' ', {})", columns.join(", "))
            }
            On::Postgres => "CAST(t AS TEXT)".to_owned(),
        };
        let line = match table.as_str() {
            // Made at the first start.
            "history" | "mark_keys" => "CAST(singleton AS TEXT)".to_owned(),
            // Not when each was applied, and how long it took.
            "_sqlx_migrations" => "CAST(version AS TEXT) || CAST(success AS TEXT)".to_owned(),
            _ => line,
        };
        let sql = format!("SELECT {line} AS line FROM {table} t ORDER BY line");
        let lines = sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_all(&mut *connection)
            .await
            .unwrap();
        all.insert(table, lines);
    }
    all
}

/// The rows of the counter in this folder, once it has been opened as it always is.
async fn opened(folder: &Path) -> BTreeMap<String, Vec<String>> {
    let system = Arc::new(System::new());
    let counter = Counter::open(folder, system.clone(), system).await.unwrap();
    counter.end().await.unwrap();
    let mut connection = connect(&database_in(folder)).await;
    rows(&mut connection, On::Sqlite).await
}

/// The same rows as the first schema held them.
async fn first_schema(from: &Path, to: &Path) {
    let mut old = AnyConnection::connect(&format!("sqlite:{}?mode=rwc", to.display()))
        .await
        .unwrap();
    migrations("counter").await.run_to(1, &mut old).await.unwrap();
    sqlx::query("ATTACH $1 AS new")
        .bind(from.display().to_string())
        .execute(&mut old)
        .await
        .unwrap();
    for sql in [
        "PRAGMA foreign_keys = OFF",
        "INSERT INTO identity SELECT one, tenant, store, device, address, epoch, device_status, history_id, tenant_seq,
             tenant_mark, store_seq, store_mark, generation, resyncing, clock_high_water, last_pull, last_contact, skew,
             server_time FROM new.identity",
        "INSERT INTO replica SELECT * FROM new.replica",
        "INSERT INTO journal SELECT j.epoch, j.seq, op_id, kind, occurred_at, fingerprint, prev_hash, body, clerk, clerk_name,
             title_zh, title_en, entity, id, worth, member, confirmed, state, conflict, outcome, detail, feed, delivered_at,
             earlier_outcome, earlier_detail, voided_by
         FROM new.journal j JOIN new.subjects s ON s.epoch = j.epoch AND s.seq = j.seq",
        "INSERT INTO touches SELECT entity, id, epoch, seq FROM new.touches",
        "INSERT INTO pin_failures (clerk, failures, locked_until) VALUES (x'01', 5, 9999999999999)",
        "DETACH new",
        "PRAGMA journal_mode = WAL",
    ] {
        sqlx::raw_sql(sql).execute(&mut old).await.unwrap();
    }
    old.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_completes_it_at_the_next_start() {
    let mut office = Office::start(On::Sqlite, SEED).await;
    let folder = tempfile::tempdir().unwrap();
    let (new, own, left) = ["new", "own", "left"].map(|name| folder.path().join(name)).into();
    let mut desk = Desk::enrol(&new, &office.address, &office.enrol_code("s-01"));
    desk.ready();
    let codes = office.coupons("home_store", "s-01").await;
    for code in &codes[..3] {
        assert_eq!(desk.redeem(code)["result"], "done");
    }
    desk.drained();
    office.kill();
    desk.offline();
    for code in &codes[3..9] {
        assert_eq!(desk.redeem(code)["result"], "done");
    }
    desk.kill();
    fold(&database_in(&new)).await;
    copy(&new, &own);
    fs::remove_file(database_in(&own)).unwrap();
    first_schema(&database_in(&new), &database_in(&own)).await;
    copy(&own, &left);
    let expected = opened(&left).await;
    assert_eq!(expected["journal"].len(), 9);

    let step = fs::metadata(database_in(&own)).unwrap().len() / PARTS;
    let once = ["--once", "--data-dir", own.to_str().unwrap()];
    let mut ended = 0;
    for part in 0..10 * PARTS {
        match ended_at(LEAST + part * step, "counterfoil-syncd", &once) {
            None => return,
            Some(false) => break,
            Some(true) => ended += 1,
        }
        fs::remove_dir_all(&left).unwrap();
        copy(&own, &left);
        assert_eq!(opened(&left).await, expected, "ended at {part}");
    }
    assert!(ended >= 5, "it was ended {ended} times");

    office.go();
    let mut desk = Desk::start(&own);
    assert_eq!(desk.drained()["queue"]["exceptions"], 0);
    assert_eq!(desk.redeem(&codes[9])["receipt"]["delivery"], "confirmed");
    desk.drained();
    assert_eq!(office.number("SELECT COUNT(*) FROM operations").await, 10);
    office.verify();
}

const COUPONS: u32 = 600;
const NOW: i64 = 1_795_000_000_000;

/// A chain as the first schema held it.
async fn first_head_office(fresh: &Fresh) {
    let url = match fresh.url.strip_prefix("sqlite:") {
        Some(file) => format!("sqlite:{file}?mode=rwc"),
        None => fresh.url.clone(),
    };
    let mut old = AnyConnection::connect(&url).await.unwrap();
    migrations("head-office").await.run_to(1, &mut old).await.unwrap();
    let id = |kind: u8, n: u32| {
        let mut id = vec![kind; 16];
        id[12..].copy_from_slice(&n.to_be_bytes());
        id
    };
    let (tenant, store, template, batch) = (id(1, 0), id(2, 0), id(4, 0), id(5, 0));
    let mut tx = old.begin().await.unwrap();
    sqlx::query("INSERT INTO tenants (tenant, code, name, currency, code_key, created_at) VALUES ($1, 'demo', 'Demo', 'CNY', $2, $3)")
        .bind(tenant.clone()).bind(vec![7u8; 32]).bind(NOW).execute(&mut *tx).await.unwrap();
    sqlx::query("INSERT INTO stores (tenant, id, code, name_zh, name_en, time_zone, max_count, max_amount, max_each, max_per_member, max_hours, created_at, version) VALUES ($1, $2, 's-01', '一店', 'First', 'Asia/Shanghai', 20, 200000, 20000, 3, 24, $3, 1)")
        .bind(tenant.clone()).bind(store.clone()).bind(NOW).execute(&mut *tx).await.unwrap();
    for n in 0..20u32 {
        sqlx::query("INSERT INTO members (tenant, id, number, name, phone, recent_stores, created_at, version) VALUES ($1, $2, $3, 'M', '13800000000', $4, $5, 1)")
            .bind(tenant.clone()).bind(id(3, n)).bind(format!("M{n}")).bind(store.clone()).bind(NOW).execute(&mut *tx).await.unwrap();
    }
    sqlx::query("INSERT INTO templates (tenant, id, template_version, status, name_zh, name_en, category, product_line, currency, rule, scope, stacking, member_limit, limit_counts, offline, floor_limit, worth_unbounded, created_at, version) VALUES ($1, $2, 1, 'published', '减', 'Off', 'c', 'p', 'CNY', '{\"kind\":\"amount_off\",\"amount\":2000}', '{\"all\":true}', '{\"group\":\"amount_off\"}', 0, 'taken', 'home_store', 0, 0, $3, 1)")
        .bind(tenant.clone()).bind(template.clone()).bind(NOW).execute(&mut *tx).await.unwrap();
    sqlx::query("INSERT INTO batches (tenant, id, template, template_version, size, made, claimed, status, created_at) VALUES ($1, $2, $3, 1, $4, $4, $4, 'ready', $5)")
        .bind(tenant.clone()).bind(batch.clone()).bind(template.clone()).bind(i64::from(COUPONS)).bind(NOW).execute(&mut *tx).await.unwrap();
    for n in 0..COUPONS {
        // Some of nobody, as printed ones are; some without an end.
        let member = (n % 5 != 0).then(|| id(3, n % 20));
        let until = (n % 7 != 0).then_some(NOW + i64::from(n) * 86_400_000);
        sqlx::query("INSERT INTO coupons (tenant, id, code, member, template, template_version, batch, home_store, valid_until, state, version) VALUES ($1, $2, $3, $4, $5, 1, $6, $7, $8, 'available', 1)")
            .bind(tenant.clone()).bind(id(6, n)).bind(format!("{n:018}")).bind(member).bind(template.clone())
            .bind(batch.clone()).bind(store.clone()).bind(until).execute(&mut *tx).await.unwrap();
    }
    for n in 0..10u32 {
        sqlx::query("INSERT INTO orders (tenant, id, number, code, store, collector, lines, state, created_at, version) VALUES ($1, $2, $3, $4, $5, 'member', '[]', 'ready', $6, 1)")
            .bind(tenant.clone()).bind(id(8, n)).bind(format!("O{n}")).bind(format!("{n:08}")).bind(store.clone()).bind(NOW).execute(&mut *tx).await.unwrap();
        sqlx::query("INSERT INTO pickup_codes (tenant, code, order_id) VALUES ($1, $2, $3)")
            .bind(tenant.clone())
            .bind(format!("{n:08}"))
            .bind(id(8, n))
            .execute(&mut *tx)
            .await
            .unwrap();
    }
    sqlx::Transaction::commit(tx).await.unwrap();
    if fresh.url.starts_with("sqlite:") {
        sqlx::raw_sql("PRAGMA journal_mode = WAL")
            .execute(&mut old)
            .await
            .unwrap();
    }
    old.close().await.unwrap();
}

/// What an upgrade that nobody disturbs makes of it.
async fn upgraded(on: On) -> BTreeMap<String, Vec<String>> {
    let fresh = fresh(on).await;
    first_head_office(&fresh).await;
    up_to_date(&fresh.url, on).await
}

/// The rows after a start that nobody disturbs; every invariant holds.
async fn up_to_date(url: &str, on: On) -> BTreeMap<String, Vec<String>> {
    let (status, said) = hq(url, &["verify"]);
    assert_eq!(status, Some(0), "{said}");
    let mut connection = AnyConnection::connect(url).await.unwrap();
    rows(&mut connection, on).await
}

#[tokio::test(flavor = "multi_thread")]
async fn head_office_on_sqlite_completes_it_at_the_next_start() {
    let expected = upgraded(On::Sqlite).await;
    assert_eq!(expected["coupons"].len(), 600);
    assert!(!expected["coupon_days"].is_empty());
    let folder = tempfile::tempdir().unwrap();
    let (own, left) = (folder.path().join("own"), folder.path().join("left"));
    fs::create_dir(&own).unwrap();
    let url = |folder: &Path| format!("sqlite:{}/head-office.db", folder.display());
    let mut fresh = fresh(On::Sqlite).await;
    fresh.url = url(&own);
    first_head_office(&fresh).await;

    let step = fs::metadata(own.join("head-office.db")).unwrap().len() / PARTS;
    let mut ended = 0;
    for part in 0..10 * PARTS {
        match ended_at(
            LEAST + part * step,
            "counterfoil-hq",
            &["verify", "--database", &url(&own)],
        ) {
            None => return,
            Some(false) => break,
            Some(true) => ended += 1,
        }
        copy(&own, &left);
        assert!(up_to_date(&url(&left), On::Sqlite).await == expected, "ended at {part}");
        fs::remove_dir_all(&left).unwrap();
    }
    assert!(ended >= 5, "it was ended {ended} times");
    assert!(up_to_date(&url(&own), On::Sqlite).await == expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn head_office_on_postgresql_completes_it_at_the_next_start() {
    let expected = upgraded(On::Postgres).await;
    let fresh = fresh(On::Postgres).await;
    first_head_office(&fresh).await;
    // Who reads a table keeps the statement waiting that changes it: there the program is ended. What of the schema is
    // there then: at the first statement of an upgrade, in its middle, at its last.
    for (table, complete) in [
        ("tenants", 1),
        ("batches", 2),
        ("members", 3),
        ("coupons", 7),
        ("orders", 9),
        ("sales", 9),
    ] {
        end_at(&fresh.url, table).await;
        let mut connection = AnyConnection::connect(&fresh.url).await.unwrap();
        let found: i64 = sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations WHERE success")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(found, complete, "{table}");
    }
    assert!(up_to_date(&fresh.url, On::Postgres).await == expected);
}

/// Starts the program, and kills it when it waits for this table; ends when the server has noticed.
async fn end_at(url: &str, table: &str) {
    let mut reader = AnyConnection::connect(url).await.unwrap();
    let mut watcher = AnyConnection::connect(url).await.unwrap();
    let lock = format!("BEGIN; LOCK TABLE {table} IN ACCESS SHARE MODE");
    sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut reader).await.unwrap();
    let mut child = Command::new(program("counterfoil-hq"))
        .args(["verify", "--database", url])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until(
        &mut watcher,
        "SELECT COUNT(*) = 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'relation'",
    )
    .await;
    child.kill().unwrap();
    child.wait().unwrap();
    sqlx::raw_sql("ROLLBACK").execute(&mut reader).await.unwrap();
    reader.close().await.unwrap();
    until(
        &mut watcher,
        "SELECT COUNT(*) = 0 FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()",
    )
    .await;
}

async fn until(watcher: &mut AnyConnection, sql: &'static str) {
    let begun = Instant::now();
    while !sqlx::query_scalar::<_, bool>(sql)
        .fetch_one(&mut *watcher)
        .await
        .unwrap()
    {
        assert!(begun.elapsed() < Duration::from_secs(60), "still not: {sql}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
