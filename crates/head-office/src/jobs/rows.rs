//! SQL of jobs and sweeps.

use counterfoil_domain::{
    ids::{JobId, TenantId},
    time::Millis,
    words::Word,
};
use sqlx::{AnyConnection, Row, any::AnyRow};
use strum::VariantNames as _;

use super::{Job, Kind, LEASE, Owner, Status};
use crate::db::{DbError, batch::id};

const COLUMNS: &str = "tenant, id, kind, subject, status, done, total, detail, error, created_at, updated_at, version";

fn read(row: &AnyRow) -> Result<Job, DbError> {
    read_as(row, |kind| Kind::parse(&kind).ok_or(DbError::Decode { column: "kind" }))
}

fn read_as<K>(row: &AnyRow, kind: impl FnOnce(String) -> Result<K, DbError>) -> Result<Job<K>, DbError> {
    let status: String = row.try_get("status")?;
    let subject: Vec<u8> = row.try_get("subject")?;
    Ok(Job {
        tenant: id(row, "tenant", TenantId::from_bytes)?,
        id: id(row, "id", JobId::from_bytes)?,
        kind: kind(row.try_get("kind")?)?,
        subject: subject.try_into().map_err(|_| DbError::Decode { column: "subject" })?,
        status: Status::parse(&status).ok_or(DbError::Decode { column: "status" })?,
        done: row.try_get("done")?,
        total: row.try_get("total")?,
        detail: row.try_get("detail")?,
        error: row.try_get("error")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
        version: row.try_get("version")?,
    })
}

/// Stores a new job.
///
/// # Errors
/// The driver's.
pub async fn insert(connection: &mut AnyConnection, job: &Job) -> Result<(), DbError> {
    sqlx::query("INSERT INTO jobs (tenant, id, kind, subject, status, done, total, detail, lease_until, created_at, updated_at, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, $10, 1)")
        .bind(job.tenant.bytes().to_vec())
        .bind(job.id.bytes().to_vec())
        .bind(job.kind.as_str())
        .bind(job.subject.to_vec())
        .bind(job.status.as_str())
        .bind(job.done)
        .bind(job.total)
        .bind(job.detail.clone())
        .bind(job.created_at)
        .bind(job.updated_at)
        .execute(connection)
        .await?;
    Ok(())
}

/// Loads a job.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn load(connection: &mut AnyConnection, tenant: TenantId, job: JobId) -> Result<Option<Job>, DbError> {
    find(connection, tenant, job).await?.as_ref().map(read).transpose()
}

/// Loads a job of whatever kind, to be shown.
///
/// # Errors
/// As [`load`].
pub(super) async fn show(
    connection: &mut AnyConnection,
    tenant: TenantId,
    job: JobId,
) -> Result<Option<Job<String>>, DbError> {
    let row = find(connection, tenant, job).await?;
    row.as_ref().map(|row| read_as(row, Ok)).transpose()
}

async fn find(connection: &mut AnyConnection, tenant: TenantId, job: JobId) -> Result<Option<AnyRow>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM jobs WHERE tenant = $1 AND id = $2");
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(tenant.bytes().to_vec())
        .bind(job.bytes().to_vec())
        .fetch_optional(connection)
        .await?;
    Ok(row)
}

/// What jobs are that somebody here may work on. A newer process may know more kinds.
fn waiting() -> String {
    let known: Vec<String> = Kind::VARIANTS.iter().map(|word| format!("'{word}'")).collect();
    format!("status IN ('queued', 'running') AND kind IN ({})", known.join(", "))
}

/// Whether there is a job that nobody works on.
///
/// # Errors
/// The driver's.
pub(super) async fn any_waits(connection: &mut AnyConnection, now: Millis) -> Result<bool, DbError> {
    let sql = format!("SELECT 1 FROM jobs WHERE {} AND lease_until <= $1 LIMIT 1", waiting());
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(now)
        .fetch_optional(connection)
        .await?;
    Ok(row.is_some())
}

/// Takes the job that has waited longest and that nobody works on.
///
/// # Errors
/// As [`load`].
pub async fn lease(connection: &mut AnyConnection, owner: &Owner, now: Millis) -> Result<Option<Job>, DbError> {
    let waiting = waiting();
    let sql = format!(
        "UPDATE jobs SET status = 'running', lease_owner = $1, lease_until = $2, updated_at = $3, version = version + 1
         WHERE (tenant, id) IN (SELECT tenant, id FROM jobs WHERE {waiting} AND lease_until <= $4 ORDER BY updated_at, id LIMIT 1)
             AND status IN ('queued', 'running') AND lease_until <= $5 RETURNING {COLUMNS}"
    );
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(owner.to_vec())
        .bind(now + LEASE)
        .bind(now)
        .bind(now)
        .bind(now)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(read).transpose()
}

/// Moves a job on within the transaction that did the work: by so much, to this detail. False when the job is not this
/// owner's any more; then the transaction must not commit.
///
/// # Errors
/// The driver's.
pub async fn advance(
    connection: &mut AnyConnection,
    owner: &Owner,
    job: &mut Job,
    by: i64,
    detail: Option<String>,
    over: bool,
    now: Millis,
) -> Result<bool, DbError> {
    let status = if over { Status::Done } else { Status::Running };
    let detail = detail.unwrap_or_else(|| job.detail.clone());
    let moved = sqlx::query("UPDATE jobs SET done = done + $1, detail = $2, status = $3, lease_until = $4, updated_at = $5, version = version + 1 WHERE tenant = $6 AND id = $7 AND lease_owner = $8 AND status = 'running' AND done = $9")
        .bind(by)
        .bind(detail.clone())
        .bind(status.as_str())
        .bind(if over { 0 } else { now + LEASE })
        .bind(now)
        .bind(job.tenant.bytes().to_vec())
        .bind(job.id.bytes().to_vec())
        .bind(owner.to_vec())
        .bind(job.done)
        .execute(connection)
        .await?
        .rows_affected();
    if moved != 1 {
        return Ok(false);
    }
    job.done += by;
    job.detail = detail;
    job.status = status;
    job.version += 1;
    Ok(true)
}

/// Lets a job go, for anybody to take; with an error it has failed.
///
/// # Errors
/// The driver's.
pub async fn release(
    connection: &mut AnyConnection,
    owner: &Owner,
    job: &Job,
    error: Option<&str>,
    now: Millis,
) -> Result<(), DbError> {
    let status = if error.is_some() {
        Status::Failed
    } else {
        Status::Running
    };
    sqlx::query("UPDATE jobs SET status = $1, error = $2, lease_owner = NULL, lease_until = 0, updated_at = $3, version = version + 1 WHERE tenant = $4 AND id = $5 AND lease_owner = $6 AND status = 'running'")
        .bind(status.as_str())
        .bind(error.map(str::to_owned))
        .bind(now)
        .bind(job.tenant.bytes().to_vec())
        .bind(job.id.bytes().to_vec())
        .bind(owner.to_vec())
        .execute(connection)
        .await?;
    Ok(())
}

/// Changes where a job stands, if it stands where that is possible; false if not. Whoever works on it finds out with
/// the next slice, which then does not commit.
///
/// # Errors
/// The driver's.
pub async fn decide(
    connection: &mut AnyConnection,
    tenant: TenantId,
    job: JobId,
    next: Status,
    now: Millis,
) -> Result<bool, DbError> {
    let from = match next {
        Status::Paused => "'queued', 'running'",
        Status::Queued => "'paused', 'failed'",
        Status::Cancelled => "'queued', 'running', 'paused', 'failed'",
        Status::Running | Status::Done | Status::Failed => return Ok(false),
    };
    let sql = format!(
        "UPDATE jobs SET status = $1, error = NULL, lease_owner = NULL, lease_until = 0, updated_at = $2, version = version + 1 WHERE tenant = $3 AND id = $4 AND status IN ({from})"
    );
    let changed = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(next.as_str())
        .bind(now)
        .bind(tenant.bytes().to_vec())
        .bind(job.bytes().to_vec())
        .execute(connection)
        .await?
        .rows_affected();
    Ok(changed == 1)
}

/// Whether a sweep may be due: a read, so that looking costs the writer nothing.
///
/// # Errors
/// The driver's.
pub(super) async fn sweep_is_due(connection: &mut AnyConnection, name: &str, now: Millis) -> Result<bool, DbError> {
    let row = sqlx::query("SELECT next_at, lease_until FROM sweeps WHERE name = $1")
        .bind(name.to_owned())
        .fetch_optional(connection)
        .await?;
    match row {
        Some(row) => Ok(row.try_get::<i64, _>("next_at")? <= now && row.try_get::<i64, _>("lease_until")? <= now),
        None => Ok(true),
    }
}

/// Takes a sweep that is due and that nobody is at.
///
/// # Errors
/// The driver's.
pub(super) async fn lease_sweep(
    connection: &mut AnyConnection,
    owner: &Owner,
    name: &str,
    now: Millis,
) -> Result<bool, DbError> {
    sqlx::query("INSERT INTO sweeps (name, next_at, lease_until) VALUES ($1, 0, 0) ON CONFLICT DO NOTHING")
        .bind(name.to_owned())
        .execute(&mut *connection)
        .await?;
    let taken = sqlx::query(
        "UPDATE sweeps SET lease_owner = $1, lease_until = $2 WHERE name = $3 AND next_at <= $4 AND lease_until <= $5",
    )
    .bind(owner.to_vec())
    .bind(now + LEASE)
    .bind(name.to_owned())
    .bind(now)
    .bind(now)
    .execute(connection)
    .await?
    .rows_affected();
    Ok(taken == 1)
}

/// Keeps a sweep for as long as it goes on; false when another process has taken it over.
///
/// # Errors
/// The driver's.
pub(super) async fn keep_sweep(
    connection: &mut AnyConnection,
    owner: &Owner,
    name: &str,
    now: Millis,
) -> Result<bool, DbError> {
    let kept = sqlx::query("UPDATE sweeps SET lease_until = $1 WHERE name = $2 AND lease_owner = $3")
        .bind(now + LEASE)
        .bind(name.to_owned())
        .bind(owner.to_vec())
        .execute(connection)
        .await?
        .rows_affected();
    Ok(kept == 1)
}

/// Ends a sweep; it is due again then.
///
/// # Errors
/// The driver's.
pub(super) async fn end_sweep(
    connection: &mut AnyConnection,
    owner: &Owner,
    name: &str,
    next_at: Millis,
) -> Result<(), DbError> {
    sqlx::query(
        "UPDATE sweeps SET next_at = $1, lease_owner = NULL, lease_until = 0 WHERE name = $2 AND lease_owner = $3",
    )
    .bind(next_at)
    .bind(name.to_owned())
    .bind(owner.to_vec())
    .execute(connection)
    .await?;
    Ok(())
}
