//! The address books of members.

use counterfoil_domain::{
    ids::{AddressId, MemberId, TenantId},
    time::Millis,
};
use sqlx::{AnyConnection, Row, any::AnyRow};

use super::Address;
use crate::db::{DbError, batch::id};

/// Most addresses of a member.
pub const MOST: i64 = 20;

/// An address with its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Which.
    pub id: AddressId,
    /// Where.
    pub address: Address,
}

pub(super) fn read(row: &AnyRow) -> Result<Address, DbError> {
    Ok(Address {
        recipient: row.try_get("recipient")?,
        phone: row.try_get("phone")?,
        region: row.try_get("region")?,
        street: row.try_get("street")?,
    })
}

/// An address of this member's own book, as it stands: for whoever sends something there. Nothing when it is nobody's, or
/// another member's.
///
/// # Errors
/// The driver's.
pub async fn snapshot(
    connection: &mut AnyConnection,
    tenant: TenantId,
    member: MemberId,
    address: AddressId,
) -> Result<Option<Address>, DbError> {
    let row = sqlx::query(
        "SELECT recipient, phone, region, street FROM addresses WHERE tenant = $1 AND id = $2 AND member = $3",
    )
    .bind(tenant.bytes().to_vec())
    .bind(address.bytes().to_vec())
    .bind(member.bytes().to_vec())
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(read).transpose()
}

/// A member's addresses, the oldest first.
///
/// # Errors
/// The driver's.
pub async fn list(connection: &mut AnyConnection, tenant: TenantId, member: MemberId) -> Result<Vec<Kept>, DbError> {
    sqlx::query(
        "SELECT id, recipient, phone, region, street FROM addresses WHERE tenant = $1 AND member = $2 ORDER BY id LIMIT $3",
    )
    .bind(tenant.bytes().to_vec())
    .bind(member.bytes().to_vec())
    .bind(MOST)
    .fetch_all(connection)
    .await?
    .iter()
    .map(|row| {
        Ok(Kept {
            id: id(row, "id", AddressId::from_bytes)?,
            address: read(row)?,
        })
    })
    .collect()
}

/// Adds an address; false when the book is full.
///
/// # Errors
/// The driver's.
pub async fn insert(
    connection: &mut AnyConnection,
    tenant: TenantId,
    member: MemberId,
    kept: &Kept,
    now: Millis,
) -> Result<bool, DbError> {
    let address = &kept.address;
    let added = sqlx::query(
        "INSERT INTO addresses (tenant, id, member, recipient, phone, region, street, created_at) \
         SELECT $1, $2, $3, $4, $5, $6, $7, $8 \
         WHERE (SELECT COUNT(*) FROM addresses WHERE tenant = $1 AND member = $3) < $9",
    )
    .bind(tenant.bytes().to_vec())
    .bind(kept.id.bytes().to_vec())
    .bind(member.bytes().to_vec())
    .bind(address.recipient.clone())
    .bind(address.phone.clone())
    .bind(address.region.clone())
    .bind(address.street.clone())
    .bind(now)
    .bind(MOST)
    .execute(connection)
    .await?;
    Ok(added.rows_affected() == 1)
}

/// Changes an address of this member; false when it is not theirs. What was sent there before keeps its own.
///
/// # Errors
/// The driver's.
pub async fn update(
    connection: &mut AnyConnection,
    tenant: TenantId,
    member: MemberId,
    kept: &Kept,
) -> Result<bool, DbError> {
    let address = &kept.address;
    let changed = sqlx::query(
        "UPDATE addresses SET recipient = $1, phone = $2, region = $3, street = $4 WHERE tenant = $5 AND id = $6 AND member = $7",
    )
    .bind(address.recipient.clone())
    .bind(address.phone.clone())
    .bind(address.region.clone())
    .bind(address.street.clone())
    .bind(tenant.bytes().to_vec())
    .bind(kept.id.bytes().to_vec())
    .bind(member.bytes().to_vec())
    .execute(connection)
    .await?;
    Ok(changed.rows_affected() == 1)
}

/// Takes an address out of this member's book; false when it is not in it.
///
/// # Errors
/// The driver's.
pub async fn delete(
    connection: &mut AnyConnection,
    tenant: TenantId,
    member: MemberId,
    address: AddressId,
) -> Result<bool, DbError> {
    let gone = sqlx::query("DELETE FROM addresses WHERE tenant = $1 AND id = $2 AND member = $3")
        .bind(tenant.bytes().to_vec())
        .bind(address.bytes().to_vec())
        .bind(member.bytes().to_vec())
        .execute(connection)
        .await?;
    Ok(gone.rows_affected() == 1)
}
