//! How full shards are with pickup codes, and who is told before one is.

use counterfoil_domain::{
    ids::TenantId,
    pickup_codes::{PickupPolicy, Shard},
    time::Millis,
};
use sqlx::{AnyConnection, Row};

use super::policies;
use crate::{
    app::App,
    db::DbError,
    deed::{Actor, Deed},
    site,
};

/// Who stands in the audit log for alerts.
const PROGRAM: &str = "pickups";

/// A shard as it was last counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Which.
    pub shard: Shard,
    /// Codes that are taken, or rest.
    pub used: i64,
    /// How many there are in all.
    pub room: i64,
    /// When.
    pub at: Millis,
    /// When somebody was told that half of them are used up.
    pub alerted_at: Option<Millis>,
}

impl Counted {
    /// Whether half of its codes are used up.
    pub fn is_half_full(&self) -> bool {
        self.used >= self.room - self.used
    }
}

/// Counts the codes of all tenants' shards, and says once of each that is half full; how many those are.
///
/// # Errors
/// The database's. What was not counted is counted by the next sweep.
pub async fn sweep(app: &App, now: Millis) -> Result<u64, DbError> {
    let tenants = {
        let mut connection = app.db.reader().acquire().await?;
        site::rows::tenants(&mut connection).await?
    };
    let mut alerts = 0;
    for tenant in tenants {
        let (known, counted) = {
            let mut connection = app.db.reader().acquire().await?;
            let policy = policies::newest(&mut connection, tenant).await?;
            let known = load(&mut connection, tenant).await?;
            (known, count(&mut connection, tenant, &policy, now).await?)
        };
        let changed: Vec<Counted> = counted
            .into_iter()
            .filter_map(|counted| {
                let before = known.iter().find(|known| known.shard == counted.shard);
                let told = before.and_then(|before| before.alerted_at);
                let same = before.is_some_and(|before| (before.used, before.room) == (counted.used, counted.room));
                let alerted_at = counted.is_half_full().then(|| told.unwrap_or(now));
                (!same || alerted_at != told).then_some(Counted { alerted_at, ..counted })
            })
            .collect();
        if changed.is_empty() {
            continue;
        }
        let mut lease = app.db.lease_behind().await?;
        let mut deed = Deed::new(
            lease.begin().await?,
            app.random.as_ref(),
            Actor::of(tenant, PROGRAM),
            now,
        );
        for counted in &changed {
            store(&mut deed, tenant, counted).await?;
            if counted.alerted_at == Some(now) {
                let Counted { shard, used, room, .. } = counted;
                let shard = shard.number();
                tracing::warn!(%tenant, shard, used, room, "half of a shard's pickup codes are used up");
                let detail = format!("shard {shard}: {used} of {room}");
                deed.audit("pickup_codes.half_full", &detail).await?;
                alerts += 1;
            }
        }
        deed.commit("pickups.full").await?;
    }
    if alerts > 0 {
        metrics::counter!("counterfoil_alerts_total", "what" => "pickup_codes_half_full").increment(alerts);
    }
    Ok(alerts)
}

async fn count(
    connection: &mut AnyConnection,
    tenant: TenantId,
    policy: &PickupPolicy,
    at: Millis,
) -> Result<Vec<Counted>, DbError> {
    let room = i64::try_from(policy.room()).unwrap_or(i64::MAX);
    let mut counted = Vec::new();
    for shard in policy.shards.all() {
        let used = sqlx::query_scalar("SELECT COUNT(*) FROM pickup_codes WHERE tenant = $1 AND shard = $2")
            .bind(tenant.bytes().to_vec())
            .bind(shard.number())
            .fetch_one(&mut *connection)
            .await?;
        counted.push(Counted {
            shard,
            used,
            room,
            at,
            alerted_at: None,
        });
    }
    Ok(counted)
}

/// The shards of a tenant as they were last counted.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn load(connection: &mut AnyConnection, tenant: TenantId) -> Result<Vec<Counted>, DbError> {
    sqlx::query("SELECT shard, used, room, counted_at, alerted_at FROM pickup_shards WHERE tenant = $1 ORDER BY shard")
        .bind(tenant.bytes().to_vec())
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| {
            let shard = u8::try_from(row.try_get::<i64, _>("shard")?).ok();
            let shard = shard.and_then(|shard| Shard::try_from(shard).ok());
            Ok(Counted {
                shard: shard.ok_or(DbError::Decode { column: "shard" })?,
                used: row.try_get("used")?,
                room: row.try_get("room")?,
                at: row.try_get("counted_at")?,
                alerted_at: row.try_get("alerted_at")?,
            })
        })
        .collect()
}

async fn store(connection: &mut AnyConnection, tenant: TenantId, counted: &Counted) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO pickup_shards (tenant, shard, used, room, counted_at, alerted_at) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (tenant, shard) DO UPDATE SET used = excluded.used, room = excluded.room, counted_at = excluded.counted_at, alerted_at = excluded.alerted_at",
    )
    .bind(tenant.bytes().to_vec())
    .bind(counted.shard.number())
    .bind(counted.used)
    .bind(counted.room)
    .bind(counted.at)
    .bind(counted.alerted_at)
    .execute(connection)
    .await?;
    Ok(())
}
