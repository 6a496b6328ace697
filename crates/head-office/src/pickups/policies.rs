//! SQL of the versions of how a tenant's pickup codes are made.

use counterfoil_domain::{ids::TenantId, pickup_codes::PickupPolicy, time::Millis};
use sqlx::{AnyConnection, Row, any::AnyRow};
use uuid::Uuid;

use crate::db::{
    DbError,
    batch::{Text, fetch, json, uuid_or_null},
};

/// Most versions of a tenant's: each look-up by code reads them.
pub const MOST: i64 = 100;

const SELECT: Text = Text::new(
    "SELECT version, policy, published_at, published_by FROM pickup_policies WHERE tenant = $1 AND version IN (",
    ") ORDER BY version",
);

/// A version as it was published.
#[derive(Debug, Clone)]
pub struct Published {
    /// What it says.
    pub policy: PickupPolicy,
    /// When.
    pub at: Millis,
    /// By which operator; `None` = by the program, for codes from before there were policies.
    pub by: Option<Uuid>,
}

fn read(row: &AnyRow) -> Result<Published, DbError> {
    let policy: PickupPolicy = json(row, "policy")?;
    Ok(Published {
        policy: PickupPolicy {
            version: row.try_get("version")?,
            ..policy
        },
        at: row.try_get("published_at")?,
        by: uuid_or_null(row, "published_by")?,
    })
}

/// Versions by their numbers.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn load(
    connection: &mut AnyConnection,
    tenant: TenantId,
    versions: &[i64],
) -> Result<Vec<Published>, DbError> {
    fetch(connection, SELECT, "", tenant, versions, |b, version| {
        b.number(*version);
    })
    .await?
    .read(read)
    .collect()
}

/// Versions before this one, the newest first.
///
/// # Errors
/// As [`load`].
pub async fn page(
    connection: &mut AnyConnection,
    tenant: TenantId,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Published>, DbError> {
    sqlx::query(
        "SELECT version, policy, published_at, published_by FROM pickup_policies WHERE tenant = $1 AND version < $2 ORDER BY version DESC LIMIT $3",
    )
    .bind(tenant.bytes().to_vec())
    .bind(before.unwrap_or(i64::MAX))
    .bind(limit)
    .fetch_all(connection)
    .await?
    .iter()
    .map(read)
    .collect()
}

/// All versions by which codes of the tenant may be read: the newest first, at the end the one of those who set none.
///
/// # Errors
/// As [`load`].
pub async fn all(connection: &mut AnyConnection, tenant: TenantId) -> Result<Vec<PickupPolicy>, DbError> {
    let published = page(connection, tenant, None, MOST).await?;
    let mut policies: Vec<PickupPolicy> = published.into_iter().map(|published| published.policy).collect();
    policies.push(PickupPolicy::default());
    Ok(policies)
}

/// The one that new codes are made by.
///
/// # Errors
/// As [`load`].
pub async fn newest(connection: &mut AnyConnection, tenant: TenantId) -> Result<PickupPolicy, DbError> {
    let newest = page(connection, tenant, None, 1).await?.pop();
    Ok(newest.map(|published| published.policy).unwrap_or_default())
}

/// Stores a new version.
///
/// # Errors
/// The driver's; of a version that exists as well.
pub async fn insert(connection: &mut AnyConnection, tenant: TenantId, published: &Published) -> Result<(), DbError> {
    let policy = serde_json::to_string(&published.policy).map_err(|_| DbError::Decode { column: "policy" })?;
    sqlx::query(
        "INSERT INTO pickup_policies (tenant, version, policy, published_at, published_by) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(tenant.bytes().to_vec())
    .bind(published.policy.version)
    .bind(policy)
    .bind(published.at)
    .bind(published.by.map(|by| by.as_bytes().to_vec()))
    .execute(connection)
    .await?;
    Ok(())
}

/// A code of the tenant's with so many signs that is taken, or rests.
///
/// # Errors
/// The driver's.
pub async fn code_of_length(
    connection: &mut AnyConnection,
    tenant: TenantId,
    length: usize,
) -> Result<Option<String>, DbError> {
    Ok(
        sqlx::query_scalar("SELECT code FROM pickup_codes WHERE tenant = $1 AND LENGTH(code) = $2 LIMIT 1")
            .bind(tenant.bytes().to_vec())
            .bind(i64::try_from(length).unwrap_or(i64::MAX))
            .fetch_optional(connection)
            .await?,
    )
}
