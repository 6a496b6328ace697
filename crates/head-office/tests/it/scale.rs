//! docs/SCALE.md against the schema as both engines have it, and what keeps a database from being spread over nodes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use counterfoil_domain::{ids::Place, people::Role};
use counterfoil_head_office::{
    admin,
    clock::{ManualClock, SystemRandom},
    db::Db,
    on_both,
    stores::enrol,
};
use counterfoil_protocol::enrolment::EnrolRequest;
use ed25519_dalek::SigningKey;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row, migrate::Migrator};

use crate::common::{On, START, chain, fresh};

on_both! {
    every_table_has_a_place_and_its_keys_lead_with_the_tenant,
    an_older_database_loses_nothing,
    what_happens_at_a_store_is_named_with_its_place,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Distributed,
    Reference,
    Local,
}

/// The statements of the document, in their order.
fn places() -> Vec<(String, Kind)> {
    let text = fs::read_to_string(root().join("docs/SCALE.md")).unwrap();
    text.lines()
        .filter_map(|line| {
            let named = |line: &str, end: &str| line.strip_suffix(end).map(str::to_owned);
            if let Some(rest) = line.strip_prefix("SELECT create_distributed_table('") {
                return Some((named(rest, "', 'tenant');").unwrap(), Kind::Distributed));
            }
            if let Some(rest) = line.strip_prefix("SELECT create_reference_table('") {
                return Some((named(rest, "');").unwrap(), Kind::Reference));
            }
            line.strip_prefix("-- stays where it is: ")
                .map(|table| (table.to_owned(), Kind::Local))
        })
        .collect()
}

/// What the engine itself says of the schema.
#[derive(Default)]
struct Schema {
    tables: BTreeSet<String>,
    /// Table and first column of each key that is unique.
    unique: Vec<(String, String)>,
    /// Table, its first column, and the table that it refers to.
    references: Vec<(String, String, String)>,
}

async fn rows(connection: &mut AnyConnection, sql: String) -> Vec<sqlx::any::AnyRow> {
    sqlx::query(AssertSqlSafe(sql)).fetch_all(connection).await.unwrap()
}

async fn schema(on: On, connection: &mut AnyConnection) -> Schema {
    let mut schema = Schema::default();
    match on {
        On::Sqlite => {
            let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
            for table in rows(connection, tables.into()).await {
                let table: String = table.get(0);
                let unique = format!(
                    "SELECT i.name FROM pragma_index_list('{table}') l, pragma_index_info(l.name) i WHERE l.\"unique\" = 1 AND i.seqno = 0"
                );
                for row in rows(connection, unique).await {
                    schema.unique.push((table.clone(), row.get(0)));
                }
                let references =
                    format!("SELECT \"from\", \"table\" FROM pragma_foreign_key_list('{table}') WHERE seq = 0");
                for row in rows(connection, references).await {
                    schema.references.push((table.clone(), row.get(0), row.get(1)));
                }
                schema.tables.insert(table);
            }
        }
        On::Postgres => {
            let tables = "SELECT CAST(c.relname AS TEXT) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition";
            schema.tables = rows(connection, tables.into())
                .await
                .iter()
                .map(|row| row.get(0))
                .collect();
            let unique = "SELECT CAST(c.relname AS TEXT), CAST(a.attname AS TEXT) FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = x.indkey[0] WHERE x.indisunique AND n.nspname = 'public' AND NOT c.relispartition";
            for row in rows(connection, unique.into()).await {
                schema.unique.push((row.get(0), row.get(1)));
            }
            let references = "SELECT CAST(c.relname AS TEXT), CAST(a.attname AS TEXT), CAST(r.relname AS TEXT) FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_class r ON r.oid = f.confrelid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = f.conkey[1] WHERE f.contype = 'f' AND NOT c.relispartition";
            for row in rows(connection, references.into()).await {
                schema.references.push((row.get(0), row.get(1), row.get(2)));
            }
        }
    }
    schema
}

async fn every_table_has_a_place_and_its_keys_lead_with_the_tenant(on: On) {
    let fresh = fresh(on).await;
    let clock = ManualClock::at(START);
    Db::open(&fresh.url, &clock, &SystemRandom).await.unwrap().close().await;
    let mut connection = AnyConnection::connect(&fresh.url).await.unwrap();
    let schema = schema(on, &mut connection).await;
    connection.close().await.unwrap();

    let listed = places();
    let place: BTreeMap<&str, Kind> = listed.iter().map(|(table, kind)| (table.as_str(), *kind)).collect();
    assert_eq!(place.len(), listed.len(), "a table is listed twice");
    let known: BTreeSet<&str> = schema.tables.iter().map(String::as_str).collect();
    assert_eq!(place.keys().copied().collect::<BTreeSet<_>>(), known);

    assert!(schema.unique.len() >= known.len());
    for (table, first) in &schema.unique {
        if place[table.as_str()] == Kind::Distributed {
            assert_eq!(first, "tenant", "a unique key of {table}");
        }
    }
    assert!(!schema.references.is_empty());
    let order: Vec<&str> = listed.iter().map(|(table, _)| table.as_str()).collect();
    let at = |table: &str| order.iter().position(|known| *known == table).unwrap();
    for (table, first, to) in &schema.references {
        match (place[table.as_str()], place[to.as_str()]) {
            (_, Kind::Reference) => {}
            // On one node: both lead with the tenant.
            (Kind::Distributed, Kind::Distributed) => assert_eq!(first, "tenant", "{table} refers to {to}"),
            (kind, other) => panic!("{table} ({kind:?}) refers to {to} ({other:?})"),
        }
        assert!(at(to) < at(table), "{to} must be placed before {table}");
    }
}

/// Every `JOIN` in the program's SQL but those with a table of one row, and of PostgreSQL's own catalogue.
#[test]
fn joins_stay_within_a_tenant() {
    let mut sources = Vec::new();
    let mut folders = vec![root().join("crates/head-office/src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                sources.push(path);
            }
        }
    }
    let mut seen = 0;
    for source in sources {
        let text = fs::read_to_string(&source).unwrap();
        // Tests of how statements are put together join what they like.
        let text = text.split("#[cfg(test)]").next().unwrap();
        for (at, _) in text.match_indices(" JOIN ") {
            let rest = &text[at + 6..];
            // The word alone: it is looked for in a statement there.
            if rest.starts_with('"') {
                continue;
            }
            // A table made up in place has words of its own before its condition.
            let condition = closing(rest);
            let end = [" JOIN ", " WHERE ", "\"", ") ON CONFLICT"]
                .iter()
                .filter_map(|word| condition.find(word))
                .min();
            let joined = &condition[..end.unwrap()];
            if joined.starts_with("history h") || joined.starts_with("pg_class") {
                continue;
            }
            seen += 1;
            // Where the order of tables is fixed, the condition stands behind all of them.
            let name = joined.split_whitespace().nth(1).unwrap_or_default();
            let behind = condition[joined.len()..].split('"').next().unwrap();
            let within = joined.contains(".tenant =") || behind.contains(&format!(" {name}.tenant = "));
            assert!(within, "{}: JOIN {joined}", source.display());
        }
    }
    assert!(seen > 60, "{seen}");
}

/// What follows a parenthesis that the text begins with; all of it where it begins with none.
fn closing(text: &str) -> &str {
    let mut open = 0;
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => open += 1,
            ')' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return &text[at..];
        }
    }
    panic!("{text}");
}

fn id(kind: u8, n: u8) -> Vec<u8> {
    let mut id = vec![kind; 16];
    id[15] = n;
    id
}

async fn an_older_database_loses_nothing(on: On) {
    let fresh = fresh(on).await;
    let url = match fresh.url.strip_prefix("sqlite:") {
        Some(file) => format!("sqlite:{file}?mode=rwc"),
        None => fresh.url.clone(),
    };
    let mut old = AnyConnection::connect(&url).await.unwrap();
    let migrations = Migrator::new(root().join("migrations/head-office")).await.unwrap();
    migrations.run_to(11, &mut old).await.unwrap();
    let tenant = id(1, 0);
    sqlx::query("INSERT INTO tenants (tenant, code, name, currency, code_key, created_at) VALUES ($1, 'demo', 'Demo', 'CNY', $2, $3)")
        .bind(tenant.clone()).bind(vec![7u8; 32]).bind(START).execute(&mut old).await.unwrap();
    sqlx::query("INSERT INTO stores (tenant, id, code, name_zh, name_en, time_zone, max_count, max_amount, max_each, max_per_member, max_hours, created_at, version) VALUES ($1, $2, 's-01', '一店', 'First', 'Asia/Shanghai', 1, 2, 3, 4, 5, $3, 1)")
        .bind(tenant.clone()).bind(id(2, 0)).bind(START).execute(&mut old).await.unwrap();
    sqlx::query("INSERT INTO members (tenant, id, number, name, phone, recent_stores, created_at, version) VALUES ($1, $2, 'M1', 'A', '1', $3, $4, 1)")
        .bind(tenant.clone()).bind(id(3, 0)).bind(id(2, 0)).bind(START).execute(&mut old).await.unwrap();
    for n in 0..3u8 {
        // One is used, the others are not.
        sqlx::query("INSERT INTO enrol_codes (code_hash, tenant, store, created_at, expires_at, device) VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(id(4, n)).bind(tenant.clone()).bind(id(2, 0)).bind(START).bind(START + i64::from(n))
            .bind((n == 0).then(|| id(5, 0))).execute(&mut old).await.unwrap();
        sqlx::query("INSERT INTO member_sessions (token_hash, tenant, member, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)")
            .bind(id(6, n)).bind(tenant.clone()).bind(id(3, 0)).bind(START).bind(START + i64::from(n)).execute(&mut old).await.unwrap();
    }
    assert_eq!(
        schema(on, &mut old)
            .await
            .references
            .iter()
            .filter(|(table, ..)| table == "enrol_codes")
            .count(),
        1
    );
    let clock = ManualClock::at(START);
    for _ in 0..2 {
        Db::open(&fresh.url, &clock, &SystemRandom).await.unwrap().close().await;
        for (table, key) in [("enrol_codes", "code_hash"), ("member_sessions", "token_hash")] {
            let sql = format!("SELECT {key} AS hash, tenant, created_at, expires_at FROM {table} ORDER BY {key}");
            let found: Vec<(Vec<u8>, Vec<u8>, i64, i64)> = rows(&mut old, sql)
                .await
                .iter()
                .map(|row| (row.get(0), row.get(1), row.get(2), row.get(3)))
                .collect();
            let kind = found[0].0[0];
            let expected: Vec<_> = (0..3u8)
                .map(|n| (id(kind, n), tenant.clone(), START, START + i64::from(n)))
                .collect();
            assert_eq!(found, expected, "{table}");
        }
        let used = rows(
            &mut old,
            "SELECT store, device FROM enrol_codes ORDER BY code_hash".into(),
        )
        .await;
        let used: Vec<(Vec<u8>, Option<Vec<u8>>)> = used.iter().map(|row| (row.get(0), row.get(1))).collect();
        assert_eq!(used, [(id(2, 0), Some(id(5, 0))), (id(2, 0), None), (id(2, 0), None)]);
        let whose = rows(&mut old, "SELECT member FROM member_sessions".into()).await;
        assert!(whose.iter().all(|row| row.get::<Vec<u8>, _>(0) == id(3, 0)));
        let schema = schema(on, &mut old).await;
        assert!(
            !schema
                .references
                .iter()
                .any(|(table, ..)| table == "enrol_codes" || table == "member_sessions")
        );
        assert!(!schema.tables.iter().any(|table| table.ends_with("_kept")));
    }
    old.close().await.unwrap();
}

async fn what_happens_at_a_store_is_named_with_its_place(on: On) {
    let chain = chain(on, 1).await;
    let (db, clock, tenant) = (&chain.app.db, chain.clock.as_ref(), chain.tenant);
    let place = Place::try_from(700).unwrap();
    let new = admin::NewStore {
        code: "s-02",
        name_zh: "二店",
        name_en: "Second",
        time_zone: "Asia/Shanghai",
        place,
    };
    let second = admin::add_store(db, clock, &SystemRandom, tenant, &new).await.unwrap();
    assert_eq!(second.place(), place);
    for (store, expected) in [(chain.store, Place::ZERO), (second, place)] {
        let new = admin::NewClerk {
            name: "Anna",
            role: Role::Clerk,
            pin: "246801",
        };
        let clerk = admin::add_clerk(db, clock, &SystemRandom, tenant, store, &new)
            .await
            .unwrap();
        assert_eq!(clerk.place(), expected);
        let line =
            serde_json::json!([{"sku": "1", "name_zh": "豆", "name_en": "Beans", "quantity": 1, "unit_price": 1}]);
        let new = admin::NewOrder {
            store,
            number: &store.to_string(),
            code: None,
            lines: serde_json::from_value(line).unwrap(),
            collector: "x",
            member: Some("M1"),
            days: None,
        };
        let order = admin::add_order(db, clock, &SystemRandom, tenant, &new).await.unwrap();
        assert_eq!(order.id.place(), expected);
        let key = SigningKey::from_bytes(&[9; 32]);
        let code = enrol::make_code(db, clock, &SystemRandom, tenant, store).await.unwrap();
        let request = EnrolRequest {
            code: code.clone(),
            public_key: hex::encode(key.verifying_key().to_bytes()),
            proof: EnrolRequest::prove(&code, &key),
            name: "d".into(),
            app_version: "1".into(),
        };
        for _ in 0..2 {
            let told = enrol::enrol(&chain.app, &request).await.unwrap();
            assert_eq!((told.place, told.device.place()), (expected, expected));
        }
    }
    // A member's for what is theirs.
    let new = admin::NewGrant {
        member: "M1",
        template: chain.template,
        count: 1,
    };
    let given = admin::grant_coupons(db, clock, &SystemRandom, tenant, &new)
        .await
        .unwrap();
    assert_eq!(given.coupons[0].0.place(), chain.member.place());
}

#[tokio::test]
async fn pages_keep_room_by_a_migration_and_not_at_each_start() {
    let fresh = fresh(On::Postgres).await;
    let clock = ManualClock::at(START);
    Db::open(&fresh.url, &clock, &SystemRandom).await.unwrap().close().await;
    let mut connection = AnyConnection::connect(&fresh.url).await.unwrap();
    let roomy = "SELECT DISTINCT CASE WHEN relispartition THEN regexp_replace(CAST(relname AS TEXT), '_[0-9]+$', '') ELSE CAST(relname AS TEXT) END AS name FROM pg_class WHERE relkind = 'r' AND 'fillfactor=70' = ANY (reloptions) ORDER BY name";
    let found = async |connection: &mut AnyConnection| -> Vec<String> {
        rows(connection, roomy.into())
            .await
            .iter()
            .map(|row| row.get(0))
            .collect()
    };
    let expected = [
        "batches",
        "code_counters",
        "coupons",
        "devices",
        "feed_heads",
        "freezes",
        "holdings",
        "orders",
        "parcel_generations",
        "parcels",
        "waybills",
    ];
    assert_eq!(found(&mut connection).await, expected);
    rows(&mut connection, "ALTER TABLE coupons RESET (fillfactor)".into()).await;
    Db::open(&fresh.url, &clock, &SystemRandom).await.unwrap().close().await;
    assert!(!found(&mut connection).await.contains(&"coupons".to_owned()));
    connection.close().await.unwrap();
}

#[tokio::test]
async fn plans_are_generic_unless_the_address_says_otherwise() {
    let fresh = fresh(On::Postgres).await;
    let clock = ManualClock::at(START);
    for (more, expected) in [
        ("", "force_generic_plan"),
        ("?options[plan_cache_mode]=force_custom_plan", "force_custom_plan"),
        ("?options=-c%20plan_cache_mode%3Dauto", "auto"),
    ] {
        let db = Db::open(&format!("{}{more}", fresh.url), &clock, &SystemRandom)
            .await
            .unwrap();
        let mut lease = db.lease().await.unwrap();
        let mut writer = lease.begin().await.unwrap();
        let mut reader = db.snapshot().await.unwrap();
        let mut apart = db.apart().await.unwrap();
        for connection in [&mut *writer, &mut *reader, &mut apart] {
            let mode: String = sqlx::query_scalar("SELECT current_setting('plan_cache_mode')")
                .fetch_one(connection)
                .await
                .unwrap();
            assert_eq!(mode, expected, "{more}");
        }
        drop((writer, reader));
        drop(lease);
        apart.close().await.unwrap();
        db.close().await;
    }
}
