//! SQL of adjustments by hand.

use counterfoil_domain::{
    ids::{MemberId, TenantId},
    points::Asset,
    time::Millis,
    words::Word,
};
use sqlx::{AnyConnection, Row, any::AnyRow};
use uuid::Uuid;

use crate::db::{
    DbError,
    batch::{id, uuid, uuid_or_null, word},
};

/// Where an adjustment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum AdjustmentStatus {
    /// It waits for a second person.
    Waiting,
    /// It was approved: it is posted.
    Approved,
    /// It was refused.
    Refused,
}

/// An adjustment that takes two.
#[derive(Debug, Clone)]
pub struct Adjustment {
    /// Its id.
    pub id: Uuid,
    /// Whose account.
    pub member: MemberId,
    /// Of which asset.
    pub asset: Asset,
    /// How much more, or less.
    pub amount: i64,
    /// Why.
    pub reason: String,
    /// Where it stands.
    pub status: AdjustmentStatus,
    /// Who asked.
    pub asked_by: Uuid,
    /// When.
    pub asked_at: Millis,
    /// Who decided, and when.
    pub decided: Option<(Uuid, Millis)>,
}

fn read_adjustment(row: &AnyRow) -> Result<Adjustment, DbError> {
    let decided_at: Option<Millis> = row.try_get("decided_at")?;
    Ok(Adjustment {
        id: uuid(row, "id")?,
        member: id(row, "member", MemberId::from_bytes)?,
        asset: word(row, "asset")?,
        amount: row.try_get("amount")?,
        reason: row.try_get("reason")?,
        status: word(row, "status")?,
        asked_by: uuid(row, "asked_by")?,
        asked_at: row.try_get("asked_at")?,
        decided: uuid_or_null(row, "decided_by")?.zip(decided_at),
    })
}

/// Stores an adjustment that waits; one that is there stays as it is.
///
/// # Errors
/// The driver's.
pub async fn insert_adjustment(
    connection: &mut AnyConnection,
    tenant: TenantId,
    adjustment: &Adjustment,
) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO point_adjustments (tenant, id, member, asset, amount, reason, status, asked_by, asked_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
    )
    .bind(tenant.bytes().to_vec())
    .bind(adjustment.id.as_bytes().to_vec())
    .bind(adjustment.member.bytes().to_vec())
    .bind(adjustment.asset.as_str())
    .bind(adjustment.amount)
    .bind(adjustment.reason.clone())
    .bind(adjustment.status.as_str())
    .bind(adjustment.asked_by.as_bytes().to_vec())
    .bind(adjustment.asked_at)
    .execute(connection)
    .await?;
    Ok(())
}

/// One adjustment.
///
/// # Errors
/// As [`load`].
pub async fn adjustment(
    connection: &mut AnyConnection,
    tenant: TenantId,
    id: Uuid,
) -> Result<Option<Adjustment>, DbError> {
    sqlx::query(
        "SELECT id, member, asset, amount, reason, status, asked_by, asked_at, decided_by, decided_at FROM point_adjustments WHERE tenant = $1 AND id = $2",
    )
    .bind(tenant.bytes().to_vec())
    .bind(id.as_bytes().to_vec())
    .fetch_optional(connection)
    .await?
    .as_ref()
    .map(read_adjustment)
    .transpose()
}

/// Adjustments behind `after`, by id.
///
/// # Errors
/// As [`load`].
pub async fn adjustments(
    connection: &mut AnyConnection,
    tenant: TenantId,
    status: Option<AdjustmentStatus>,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Adjustment>, DbError> {
    sqlx::query(
        "SELECT id, member, asset, amount, reason, status, asked_by, asked_at, decided_by, decided_at FROM point_adjustments WHERE tenant = $1 AND id > $2 AND (CAST($3 AS TEXT) = '' OR status = $3) ORDER BY id LIMIT $4",
    )
    .bind(tenant.bytes().to_vec())
    .bind(after.map_or_else(Vec::new, |id| id.as_bytes().to_vec()))
    .bind(status.map_or("", Word::as_str).to_owned())
    .bind(limit)
    .fetch_all(connection)
    .await?
    .iter()
    .map(read_adjustment)
    .collect()
}

/// Decides an adjustment that waits; false when somebody else has.
///
/// # Errors
/// The driver's.
pub async fn decide_adjustment(
    connection: &mut AnyConnection,
    tenant: TenantId,
    id: Uuid,
    to: AdjustmentStatus,
    (by, at): (Uuid, Millis),
) -> Result<bool, DbError> {
    let changed = sqlx::query(
        "UPDATE point_adjustments SET status = $1, decided_by = $2, decided_at = $3 WHERE tenant = $4 AND id = $5 AND status = 'waiting'",
    )
    .bind(to.as_str())
    .bind(by.as_bytes().to_vec())
    .bind(at)
    .bind(tenant.bytes().to_vec())
    .bind(id.as_bytes().to_vec())
    .execute(connection)
    .await?
    .rows_affected();
    Ok(changed == 1)
}

/// How much one person has adjusted of one member's asset alone since an instant, whichever way.
///
/// # Errors
/// The driver's.
pub async fn adjusted_since(
    connection: &mut AnyConnection,
    tenant: TenantId,
    (member, asset): (MemberId, Asset),
    actor: Uuid,
    since: Millis,
) -> Result<i64, DbError> {
    Ok(sqlx::query_scalar(
        "SELECT CAST(COALESCE(SUM(ABS(e.amount)), 0) AS BIGINT) FROM ledger_entries e WHERE e.tenant = $1 AND e.member = $2 AND e.asset = $3 AND e.kind = 'adjust' AND e.actor = $4 AND e.at >= $5 \
         AND NOT EXISTS (SELECT 1 FROM point_adjustments a WHERE a.tenant = e.tenant AND a.id = e.source)",
    )
    .bind(tenant.bytes().to_vec())
    .bind(member.bytes().to_vec())
    .bind(asset.as_str().to_owned())
    .bind(actor.as_bytes().to_vec())
    .bind(since)
    .fetch_one(connection)
    .await?)
}
