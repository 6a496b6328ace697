//! SQL of operators.

use counterfoil_domain::{
    ids::{OperatorId, TenantId},
    time::Millis,
    words::Word,
};
use sqlx::{AnyConnection, Row};

use super::{KnownOperator, NewOperator};
use crate::{
    db::{DbError, batch::id},
    http::operator_role,
};

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
