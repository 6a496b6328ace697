//! `verify` on a chain that has seen everything: nothing is broken, and whatever is damaged by hand is found.

mod damages;
mod lived_in;

use std::collections::BTreeSet;

use counterfoil_head_office::verify::{Check, verify};
use sqlx::{AnyConnection, AssertSqlSafe, Connection};

use self::{damages::DAMAGES, lived_in::lived_in};
use crate::common::{Chain, On, random10};

counterfoil_head_office::on_both! {
    nothing_is_broken_and_every_damage_is_found,
    losses_are_told_by_store,
}

async fn checks(chain: &Chain) -> Vec<Check> {
    let mut checks = Vec::new();
    let holds = verify(&chain.app.db, |check| checks.push(check.clone())).await.unwrap();
    assert_eq!(holds, checks.iter().all(|check| check.ok));
    checks
}

async fn broken(chain: &Chain) -> BTreeSet<&'static str> {
    let checks = checks(chain).await;
    for check in checks.iter().filter(|check| !check.ok) {
        assert!(
            check.broken_count > 0 && !check.broken.is_empty() && check.broken.len() <= 10,
            "{check:?}"
        );
    }
    checks
        .iter()
        .filter(|check| !check.ok)
        .map(|check| check.check)
        .collect()
}

/// A connection on which nothing but the damage counts.
async fn vandal(chain: &Chain, on: On) -> AnyConnection {
    let mut connection = AnyConnection::connect(&chain.fresh.url).await.unwrap();
    let careless: &[&'static str] = match on {
        On::Sqlite => &["PRAGMA foreign_keys = OFF", "PRAGMA busy_timeout = 5000"],
        On::Postgres => &["SET session_replication_role = replica"],
    };
    for sql in careless {
        sqlx::raw_sql(*sql).execute(&mut connection).await.unwrap();
    }
    connection
}

async fn nothing_is_broken_and_every_damage_is_found(on: On) {
    let chain = lived_in(on).await;
    assert_eq!(broken(&chain).await, BTreeSet::new());
    let kinds = chain
        .number("SELECT COUNT(DISTINCT outcome || COALESCE(detail, '')) FROM operations")
        .await;
    assert_eq!(
        kinds, 7,
        "applied, double_redeem, double_pickup, late, unreadable, closed_epoch, device_revoked"
    );

    let mut connection = vandal(&chain, on).await;
    let tables: BTreeSet<&str> = DAMAGES.iter().map(|damage| damage.table).collect();
    for table in &tables {
        let sql = format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}");
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .unwrap();
    }
    let mut shown = BTreeSet::new();
    for damage in DAMAGES {
        let mut query = sqlx::query(damage.sql);
        if damage.sql.contains("$1") {
            query = query.bind(random10().repeat(2)[..16].to_vec());
        }
        let damaged = query.execute(&mut connection).await.unwrap().rows_affected();
        assert!(damaged > 0, "damages nothing: {}", damage.sql);
        let found = broken(&chain).await;
        for check in damage.found_by {
            assert!(
                found.contains(check),
                "{check} does not find: {}\nfound by {found:?}",
                damage.sql
            );
            shown.insert(*check);
        }
        let table = damage.table;
        let heal = format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM kept_{table}");
        sqlx::raw_sql(AssertSqlSafe(heal))
            .execute(&mut connection)
            .await
            .unwrap();
    }
    let all = checks(&chain).await;
    assert!(all.iter().all(|check| check.ok));
    // Each check has been seen to fail, but the one that only tells, and those that are damaged in tests of their own.
    let elsewhere = [
        "losses",
        "batches_given",
        "claims",
        "holdings",
        "grants",
        "jobs",
        "code_counters",
        "accounts",
        "ledger_lots",
        "ledger_entries",
        "ledger_holds",
        "earnings",
        "point_days",
        "merged_members",
        "stocks",
        "exchanges",
        "exchanged_goods",
        "gift_limits",
        "shipments",
        "waybills",
        "parcel_generations",
        "outbox",
        "inbox",
    ];
    for check in all.iter().filter(|check| !elsewhere.contains(&check.check)) {
        assert!(
            shown.contains(check.check),
            "{} was never seen to find anything",
            check.check
        );
        assert!(
            check.count > 0 || check.check == "token_keys",
            "{} had nothing to look at",
            check.check
        );
    }
}

async fn losses_are_told_by_store(on: On) {
    let chain = lived_in(on).await;
    let checks = checks(&chain).await;
    let losses = checks.iter().find(|check| check.check == "losses").unwrap();
    // A double redemption, a late one, a double hand-over; the voided one is no loss.
    assert_eq!(losses.count, 3);
    let store = &losses.stores[0];
    assert_eq!((store.tenant.as_str(), store.store.as_str()), ("demo", "s-01"));
    assert_eq!((store.open, store.loss), (3, 2_000 + 2_000 + 1_000));
}
