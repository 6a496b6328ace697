//! SQL of where a tenant's site is, and of who must be told.

use counterfoil_domain::{ids::TenantId, time::Millis};
use sqlx::{AnyConnection, Row};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Webhook;
use crate::db::{DbError, batch::id};

/// All tenants.
///
/// # Errors
/// The driver's.
pub async fn tenants(connection: &mut AnyConnection) -> Result<Vec<TenantId>, DbError> {
    sqlx::query("SELECT tenant FROM tenants ORDER BY tenant")
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| id(row, "tenant", TenantId::from_bytes))
        .collect()
}

/// Where the tenant's site is, if it has one.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn webhook(connection: &mut AnyConnection, tenant: TenantId) -> Result<Option<Webhook>, DbError> {
    let row = sqlx::query("SELECT url, secret FROM webhooks WHERE tenant = $1")
        .bind(tenant.bytes().to_vec())
        .fetch_optional(connection)
        .await?;
    row.map(|row| {
        let url: String = row.try_get("url")?;
        Ok(Webhook {
            url: super::address(&url).map_err(|_| DbError::Decode { column: "url" })?,
            secret: Zeroizing::new(row.try_get("secret")?),
        })
    })
    .transpose()
}

/// Whether the tenant has a site.
///
/// # Errors
/// The driver's.
pub async fn has_webhook(connection: &mut AnyConnection, tenant: TenantId) -> Result<bool, DbError> {
    let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM webhooks WHERE tenant = $1")
        .bind(tenant.bytes().to_vec())
        .fetch_one(connection)
        .await?;
    Ok(count > 0)
}

/// Sets where the tenant's site is.
///
/// # Errors
/// The driver's.
pub async fn set_webhook(
    connection: &mut AnyConnection,
    tenant: TenantId,
    url: &str,
    secret: &[u8],
    now: Millis,
) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO webhooks (tenant, url, secret, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT (tenant) DO UPDATE SET url = excluded.url, secret = excluded.secret, created_at = excluded.created_at",
    )
    .bind(tenant.bytes().to_vec())
    .bind(url.to_owned())
    .bind(secret.to_vec())
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets where the tenant's site is, and what it should still have been told.
///
/// # Errors
/// The driver's.
pub async fn drop_webhook(connection: &mut AnyConnection, tenant: TenantId) -> Result<(), DbError> {
    for sql in [
        "DELETE FROM webhooks WHERE tenant = $1",
        "DELETE FROM notices WHERE tenant = $1",
    ] {
        sqlx::query(sql)
            .bind(tenant.bytes().to_vec())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Something the site must be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Its id.
    pub id: Uuid,
    /// What it is about.
    pub kind: String,
    /// JSON, as it is sent.
    pub body: String,
    /// How often it was tried.
    pub tries: i64,
}

/// Adds something the site must be told.
///
/// # Errors
/// The driver's.
pub async fn insert_notice(
    connection: &mut AnyConnection,
    tenant: TenantId,
    due: &Due,
    now: Millis,
) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO notices (tenant, id, kind, body, status, tries, next_try_at, created_at) VALUES ($1, $2, $3, $4, 'pending', 0, $5, $5)",
    )
    .bind(tenant.bytes().to_vec())
    .bind(due.id.as_bytes().to_vec())
    .bind(due.kind.clone())
    .bind(due.body.clone())
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

/// What the tenant's site must be told now, what waits longest first.
///
/// # Errors
/// The driver's.
pub async fn due(
    connection: &mut AnyConnection,
    tenant: TenantId,
    now: Millis,
    limit: i64,
) -> Result<Vec<Due>, DbError> {
    sqlx::query("SELECT id, kind, body, tries FROM notices WHERE tenant = $1 AND next_try_at <= $2 ORDER BY next_try_at LIMIT $3")
        .bind(tenant.bytes().to_vec())
        .bind(now)
        .bind(limit)
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| {
            Ok(Due {
                id: Uuid::from_slice(&row.try_get::<Vec<u8>, _>("id")?).map_err(|_| DbError::Decode { column: "id" })?,
                kind: row.try_get("kind")?,
                body: row.try_get("body")?,
                tries: row.try_get("tries")?,
            })
        })
        .collect()
}

/// The site was told: nothing is left to do.
///
/// # Errors
/// The driver's.
pub async fn told(connection: &mut AnyConnection, tenant: TenantId, id: Uuid) -> Result<(), DbError> {
    sqlx::query("DELETE FROM notices WHERE tenant = $1 AND id = $2")
        .bind(tenant.bytes().to_vec())
        .bind(id.as_bytes().to_vec())
        .execute(connection)
        .await?;
    Ok(())
}

/// The site was not told: it is tried again at this instant.
///
/// # Errors
/// The driver's.
pub async fn failed(
    connection: &mut AnyConnection,
    tenant: TenantId,
    due: &Due,
    next_try_at: Millis,
) -> Result<(), DbError> {
    sqlx::query(
        "UPDATE notices SET status = 'failed', tries = tries + 1, next_try_at = $1 WHERE tenant = $2 AND id = $3 AND tries = $4",
    )
    .bind(next_try_at)
    .bind(tenant.bytes().to_vec())
    .bind(due.id.as_bytes().to_vec())
    .bind(due.tries)
    .execute(connection)
    .await?;
    Ok(())
}
