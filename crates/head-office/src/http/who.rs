//! SQL of who calls: by the hash of a token, or by the key of a device.

use counterfoil_domain::{
    ids::{DeviceId, MemberId, OperatorId, StoreId, TenantId},
    people::OperatorRole,
    transition::DeviceStatus,
    words::Word,
};
use sqlx::{AnyConnection, Row, any::AnyRow};

use super::{MemberSession, Operator};
use crate::db::{
    DbError,
    batch::{hash, id},
};

/// How a device stands.
///
/// # Errors
/// [`DbError::Decode`] when the word is not known.
pub(crate) fn device_status(row: &AnyRow) -> Result<DeviceStatus, DbError> {
    let status: String = row.try_get("status")?;
    DeviceStatus::parse(&status).ok_or(DbError::Decode { column: "status" })
}

/// What an operator may do.
///
/// # Errors
/// [`DbError::Decode`] when the word is not known.
pub(crate) fn operator_role(row: &AnyRow) -> Result<OperatorRole, DbError> {
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

/// The session whose token has this hash.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub(crate) async fn member_by_token(
    connection: &mut AnyConnection,
    token_hash: &[u8; 32],
) -> Result<Option<MemberSession>, DbError> {
    sqlx::query("SELECT token_hash, tenant, member, expires_at FROM member_sessions WHERE token_hash = $1")
        .bind(token_hash.to_vec())
        .fetch_optional(connection)
        .await?
        .map(|row| {
            Ok(MemberSession {
                tenant: id(&row, "tenant", TenantId::from_bytes)?,
                member: id(&row, "member", MemberId::from_bytes)?,
                expires_at: row.try_get("expires_at")?,
                token_hash: hash(&row, "token_hash")?,
            })
        })
        .transpose()
}

/// A device's store and public key, which never change: what a signature is checked with. And whether it may work.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub(crate) async fn device_key(
    connection: &mut AnyConnection,
    tenant: TenantId,
    device: DeviceId,
) -> Result<Option<(StoreId, [u8; 32], DeviceStatus)>, DbError> {
    let row = sqlx::query("SELECT store, public_key, status FROM devices WHERE tenant = $1 AND id = $2")
        .bind(tenant.bytes().to_vec())
        .bind(device.bytes().to_vec())
        .fetch_optional(connection)
        .await?;
    row.map(|row| {
        let store = id(&row, "store", StoreId::from_bytes)?;
        Ok((store, hash(&row, "public_key")?, device_status(&row)?))
    })
    .transpose()
}
