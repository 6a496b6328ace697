//! SQL of tenants and their keys.

use counterfoil_domain::{ids::TenantId, time::Millis};
use ed25519_dalek::SigningKey;
use sqlx::{AnyConnection, Row};

use super::NewTenant;
use crate::db::{
    DbError,
    batch::{hash, id},
};

pub(super) async fn insert_tenant(
    connection: &mut AnyConnection,
    tenant: TenantId,
    new: &NewTenant<'_>,
    code_key: &[u8; 32],
    now: Millis,
) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO tenants (tenant, code, name, currency, code_key, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(tenant.bytes().to_vec())
    .bind(new.code.to_owned())
    .bind(new.name.to_owned())
    .bind(new.currency.to_owned())
    .bind(code_key.to_vec())
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn insert_token_key(
    connection: &mut AnyConnection,
    tenant: TenantId,
    key_id: u32,
    secret: &[u8; 32],
    now: Millis,
) -> Result<(), DbError> {
    let public = SigningKey::from_bytes(secret).verifying_key();
    sqlx::query("INSERT INTO token_keys (tenant, key_id, public_key, secret_key, created_at, version) VALUES ($1, $2, $3, $4, $5, 1)")
        .bind(tenant.bytes().to_vec())
        .bind(i64::from(key_id))
        .bind(public.to_bytes().to_vec())
        .bind(secret.to_vec())
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}

/// The tenant of this code, if there is one.
pub(crate) async fn tenant_by_code(connection: &mut AnyConnection, code: &str) -> Result<Option<TenantId>, DbError> {
    sqlx::query("SELECT tenant FROM tenants WHERE code = $1")
        .bind(code.to_owned())
        .fetch_optional(connection)
        .await?
        .map(|row| id(&row, "tenant", TenantId::from_bytes))
        .transpose()
}

/// A tenant's money and the key behind its coupon codes.
pub(crate) struct Tenant {
    pub currency: String,
    pub code_key: [u8; 32],
}

/// The ISO 4217 code of a tenant's amounts.
///
/// # Errors
/// The driver's.
pub(crate) async fn currency(connection: &mut AnyConnection, tenant: TenantId) -> Result<String, DbError> {
    Ok(sqlx::query_scalar("SELECT currency FROM tenants WHERE tenant = $1")
        .bind(tenant.bytes().to_vec())
        .fetch_one(connection)
        .await?)
}

/// Loads a tenant; `lock` keeps others from making codes for it until the transaction ends.
pub(crate) async fn load_tenant(
    connection: &mut AnyConnection,
    tenant: TenantId,
    lock: &'static str,
) -> Result<Tenant, DbError> {
    let sql = format!("SELECT currency, code_key FROM tenants WHERE tenant = $1{lock}");
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(tenant.bytes().to_vec())
        .fetch_one(connection)
        .await?;
    Ok(Tenant {
        currency: row.try_get("currency")?,
        code_key: hash(&row, "code_key")?,
    })
}

/// The key that tokens are signed with at present.
pub(crate) async fn signing_key(
    connection: &mut AnyConnection,
    tenant: TenantId,
) -> Result<Option<(u32, SigningKey)>, DbError> {
    let row = sqlx::query(
        "SELECT key_id, secret_key FROM token_keys WHERE tenant = $1 AND retired_at IS NULL ORDER BY key_id DESC LIMIT 1",
    )
    .bind(tenant.bytes().to_vec())
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        let key_id =
            u32::try_from(row.try_get::<i64, _>("key_id")?).map_err(|_| DbError::Decode { column: "key_id" })?;
        Ok((key_id, SigningKey::from_bytes(&hash(&row, "secret_key")?)))
    })
    .transpose()
}

/// Sets the key that the shop's own site signs links with; false when there is one and `again` is not set.
pub(super) async fn set_link_key(
    connection: &mut AnyConnection,
    tenant: TenantId,
    key: &[u8; 32],
    again: bool,
) -> Result<bool, DbError> {
    let set = sqlx::query("UPDATE tenants SET link_key = $1 WHERE tenant = $2 AND (link_key IS NULL OR $3 = 1)")
        .bind(key.to_vec())
        .bind(tenant.bytes().to_vec())
        .bind(i64::from(again))
        .execute(connection)
        .await?;
    Ok(set.rows_affected() == 1)
}

/// The tenant of this code with the key that its links are signed with.
pub(crate) async fn link_key(
    connection: &mut AnyConnection,
    code: &str,
) -> Result<Option<(TenantId, [u8; 32])>, DbError> {
    sqlx::query("SELECT tenant, link_key FROM tenants WHERE code = $1 AND link_key IS NOT NULL")
        .bind(code.to_owned())
        .fetch_optional(connection)
        .await?
        .map(|row| Ok((id(&row, "tenant", TenantId::from_bytes)?, hash(&row, "link_key")?)))
        .transpose()
}

/// Finds a tenant by its code; with no code, the only one there is.
///
/// # Errors
/// The driver's, and [`DbError::Config`] when there is none, or more than one and no code.
pub async fn find_tenant(connection: &mut AnyConnection, code: Option<&str>) -> Result<TenantId, DbError> {
    let rows = sqlx::query("SELECT tenant, code FROM tenants ORDER BY code")
        .fetch_all(connection)
        .await?;
    let mut found = Vec::new();
    for row in &rows {
        if code.is_none_or(|code| row.try_get::<String, _>("code").is_ok_and(|found| found == code)) {
            found.push(id(row, "tenant", TenantId::from_bytes)?);
        }
    }
    match (found.as_slice(), code) {
        ([one], _) => Ok(*one),
        ([], Some(code)) => Err(DbError::config(format!("there is no tenant {code}"))),
        ([], None) => Err(DbError::config(
            "there is no tenant yet; add one with `admin tenant add`",
        )),
        _ => Err(DbError::config("there are several tenants; name one with --tenant")),
    }
}
