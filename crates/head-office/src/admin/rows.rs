//! SQL of tenants, their keys, and operators.

use counterfoil_domain::{ids::TenantId, time::Millis};
use ed25519_dalek::SigningKey;
use sqlx::{AnyConnection, Row};
use uuid::Uuid;

use super::{NewOperator, NewTenant};
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

pub(super) async fn insert_operator(
    connection: &mut AnyConnection,
    tenant: TenantId,
    operator: Uuid,
    new: &NewOperator<'_>,
    token_hash: &[u8; 32],
    now: Millis,
) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO operators (tenant, id, name, role, token_hash, active, created_at) VALUES ($1, $2, $3, $4, $5, 1, $6)",
    )
    .bind(tenant.bytes().to_vec())
    .bind(operator.as_bytes().to_vec())
    .bind(new.name.to_owned())
    .bind(new.role.to_owned())
    .bind(token_hash.to_vec())
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
