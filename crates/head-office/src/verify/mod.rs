//! Checks every invariant on a live database, within one snapshot of it.
//!
//! What can be said in SQL is said there, by the [`Rule`]s of each capability, so that only what is broken travels;
//! journals are read in pages and hashed again (`journals`). Nothing is changed.

mod journals;
mod sales;
mod surplus;

use std::collections::HashSet;

use ed25519_dalek::SigningKey;
use serde::Serialize;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};
use uuid::Uuid;

use crate::{
    capabilities,
    db::{Db, DbError, batch::hash, rule::Rule},
};

/// Examples of what is broken that are told.
const EXAMPLES: usize = 10;
/// What one case counts for at most in the sum of losses: a device may claim any worth, and sums must not overflow.
const LARGEST_LOSS: i64 = 1_000_000_000_000;

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its name; stable.
    pub check: &'static str,
    /// Whether the invariant holds.
    pub ok: bool,
    /// How many rows were looked at.
    pub count: i64,
    /// How many break it.
    pub broken_count: i64,
    /// Some of them.
    pub broken: Vec<Broken>,
    /// Of the check `losses`: what each store has lost. For people to know, nothing that is broken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stores: Vec<Loss>,
}

/// Something that breaks an invariant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// Id of the row.
    pub id: String,
    /// What is wrong with it.
    pub what: String,
}

/// What a store has lost, voided redemptions not counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// Code of the tenant.
    pub tenant: String,
    /// Code of the store.
    pub store: String,
    /// Cases that no person has decided yet.
    pub open: i64,
    /// The loss, minor units.
    pub loss: i64,
}

/// What is broken so far.
#[derive(Debug, Default)]
struct Findings {
    count: i64,
    broken_count: i64,
    broken: Vec<Broken>,
}

impl Findings {
    fn add(&mut self, id: &[u8], what: impl Into<String>) {
        self.broken_count += 1;
        if self.broken.len() < EXAMPLES {
            self.broken.push(Broken {
                id: written(id),
                what: what.into(),
            });
        }
    }

    fn into_check(self, check: &'static str) -> Check {
        Check {
            check,
            ok: self.broken_count == 0,
            count: self.count,
            broken_count: self.broken_count,
            broken: self.broken,
            stores: Vec::new(),
        }
    }
}

/// An id as people write it; other keys as hex digits.
fn written(id: &[u8]) -> String {
    Uuid::from_slice(id).map_or_else(|_| hex::encode(id), |id| id.to_string())
}

/// Runs every check and hands over each as it is done. True when all hold.
///
/// # Errors
/// The database's, and [`DbError::Decode`] when a row does not even read.
pub async fn verify(db: &Db, mut each: impl FnMut(&Check)) -> Result<bool, DbError> {
    let mut connection = db.apart().await?;
    let mut snapshot = db.snapshot_on(&mut connection).await?;
    let mut all = true;
    let mut done = |check: Check| {
        all &= check.ok;
        each(&check);
    };
    let read = journals::read(&mut snapshot).await?;
    done(read.chain.into_check("journal_chain"));
    done(journals::branches(&mut snapshot).await?.into_check("branches"));
    for rule in capabilities::rules() {
        done(run(&mut snapshot, rule).await?.into_check(rule.name));
    }
    done(
        collected_once(&mut snapshot, &read.voided)
            .await?
            .into_check("collected_once"),
    );
    done(sales::check(&mut snapshot).await?.into_check("sales"));
    done(surplus::check(&mut snapshot).await?.into_check("surplus"));
    done(token_keys(&mut snapshot).await?.into_check("token_keys"));
    done(losses(&mut snapshot).await?);
    snapshot.rollback().await?;
    connection.close().await?;
    Ok(all)
}

async fn run(connection: &mut AnyConnection, rule: &Rule) -> Result<Findings, DbError> {
    let mut findings = Findings {
        count: sqlx::query_scalar(rule.counted).fetch_one(&mut *connection).await?,
        ..Findings::default()
    };
    for broken in rule.broken {
        let sql = format!("SELECT id, what FROM ({broken}) AS broken LIMIT {EXAMPLES}");
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut *connection).await?;
        for row in &rows {
            findings.add(&row.try_get::<Vec<u8>, _>("id")?, row.try_get::<String, _>("what")?);
        }
        if rows.len() == EXAMPLES {
            let sql = format!("SELECT COUNT(*) FROM ({broken}) AS broken");
            let all: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
                .fetch_one(&mut *connection)
                .await?;
            findings.broken_count += all - i64::try_from(EXAMPLES).unwrap_or(0);
        }
    }
    Ok(findings)
}

/// Orders have no record of their own as coupons do: an applied hand-over holds its order, or it was voided.
async fn collected_once(connection: &mut AnyConnection, voided: &HashSet<Vec<u8>>) -> Result<Findings, DbError> {
    let mut findings = Findings {
        count: sqlx::query_scalar("SELECT COUNT(*) FROM operations WHERE subject_kind = 'order'")
            .fetch_one(&mut *connection)
            .await?,
        ..Findings::default()
    };
    let rows = sqlx::query(
        "SELECT o.id AS id FROM operations o LEFT JOIN orders r ON r.tenant = o.tenant AND r.id = o.subject WHERE o.subject_kind = 'order' AND o.outcome = 'applied' AND (r.id IS NULL OR r.state <> 'collected' OR r.holder IS NULL OR r.holder <> o.id)",
    )
    .fetch_all(&mut *connection)
    .await?;
    for row in &rows {
        let id: Vec<u8> = row.try_get("id")?;
        if !voided.contains(&id) {
            findings.add(&id, "was applied, was not voided, and its order does not name it");
        }
    }
    Ok(findings)
}

async fn token_keys(connection: &mut AnyConnection) -> Result<Findings, DbError> {
    let mut findings = Findings::default();
    for row in &sqlx::query("SELECT tenant, public_key, secret_key FROM token_keys")
        .fetch_all(connection)
        .await?
    {
        findings.count += 1;
        let secret = hash(row, "secret_key")?;
        if SigningKey::from_bytes(&secret).verifying_key().to_bytes() != hash(row, "public_key")? {
            findings.add(
                &row.try_get::<Vec<u8>, _>("tenant")?,
                "a token key's two halves don't belong together",
            );
        }
    }
    Ok(findings)
}

async fn losses(connection: &mut AnyConnection) -> Result<Check, DbError> {
    let sql = format!(
        "SELECT t.code AS tenant, s.code AS store, CAST(SUM(CASE WHEN x.status = 'open' THEN 1 ELSE 0 END) AS BIGINT) AS open_cases, CAST(SUM(CASE WHEN x.loss > {LARGEST_LOSS} THEN {LARGEST_LOSS} ELSE x.loss END) AS BIGINT) AS loss, COUNT(*) AS cases FROM exceptions x JOIN stores s ON s.tenant = x.tenant AND s.id = x.store JOIN tenants t ON t.tenant = x.tenant WHERE x.status <> 'voided' GROUP BY t.code, s.code ORDER BY t.code, s.code"
    );
    let mut check = Findings::default().into_check("losses");
    for row in &sqlx::query(AssertSqlSafe(sql)).fetch_all(connection).await? {
        check.count += row.try_get::<i64, _>("cases")?;
        check.stores.push(Loss {
            tenant: row.try_get("tenant")?,
            store: row.try_get("store")?,
            open: row.try_get("open_cases")?,
            loss: row.try_get("loss")?,
        });
    }
    Ok(check)
}
