//! SQL of tenants, their keys, and operators.

use counterfoil_domain::{
    ids::{OperatorId, TenantId},
    people::OperatorRole,
    time::Millis,
};
use ed25519_dalek::SigningKey;
use sqlx::{AnyConnection, Row, any::AnyRow};

use super::{KnownOperator, NewOperator, NewTenant};
use crate::{
    db::{
        DbError,
        batch::{hash, id},
    },
    http::Operator,
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
    operator: OperatorId,
    new: &NewOperator<'_>,
    token_hash: &[u8; 32],
    now: Millis,
) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO operators (tenant, id, name, role, token_hash, active, created_at) VALUES ($1, $2, $3, $4, $5, 1, $6)",
    )
    .bind(tenant.bytes().to_vec())
    .bind(operator.bytes().to_vec())
    .bind(new.name.to_owned())
    .bind(new.role.as_str().to_owned())
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

fn operator_role(row: &AnyRow) -> Result<OperatorRole, DbError> {
    OperatorRole::parse(&row.try_get::<String, _>("role")?).ok_or(DbError::Decode { column: "role" })
}

/// The active operator whose token has this hash.
pub(crate) async fn operator_by_token(
    connection: &mut AnyConnection,
    token_hash: &[u8; 32],
) -> Result<Option<Operator>, DbError> {
    sqlx::query("SELECT tenant, id, role FROM operators WHERE token_hash = $1 AND active = 1")
        .bind(token_hash.to_vec())
        .fetch_optional(connection)
        .await?
        .map(|row| {
            Ok(Operator {
                tenant: id(&row, "tenant", TenantId::from_bytes)?,
                id: id(&row, "id", OperatorId::from_bytes)?,
                role: operator_role(&row)?,
            })
        })
        .transpose()
}

/// A tenant's operators, by name.
pub(super) async fn operators(connection: &mut AnyConnection, tenant: TenantId) -> Result<Vec<KnownOperator>, DbError> {
    sqlx::query("SELECT id, name, role, active, created_at FROM operators WHERE tenant = $1 ORDER BY name")
        .bind(tenant.bytes().to_vec())
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| {
            Ok(KnownOperator {
                id: id(row, "id", OperatorId::from_bytes)?,
                name: row.try_get("name")?,
                role: operator_role(row)?,
                active: row.try_get::<i64, _>("active")? == 1,
                created_at: row.try_get("created_at")?,
            })
        })
        .collect()
}

/// Takes an operator's token away; false when nobody active has this name.
pub(super) async fn deactivate_operator(
    connection: &mut AnyConnection,
    tenant: TenantId,
    name: &str,
) -> Result<Option<OperatorId>, DbError> {
    sqlx::query("UPDATE operators SET active = 0 WHERE tenant = $1 AND name = $2 AND active = 1 RETURNING id")
        .bind(tenant.bytes().to_vec())
        .bind(name.to_owned())
        .fetch_optional(connection)
        .await?
        .map(|row| id(&row, "id", OperatorId::from_bytes))
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
