//! Where a gift is sent.

use counterfoil_domain::{
    gifts::Address,
    ids::{MemberId, TenantId},
};
use sqlx::{AnyConnection, Row};
use uuid::Uuid;

use crate::db::DbError;

/// An address of this member's own book, as it stands; nothing when it is nobody's, or another member's.
pub(super) async fn snapshot(
    connection: &mut AnyConnection,
    tenant: TenantId,
    member: MemberId,
    address: Uuid,
) -> Result<Option<Address>, DbError> {
    let row = sqlx::query(
        "SELECT recipient, phone, region, street FROM addresses WHERE tenant = $1 AND id = $2 AND member = $3",
    )
    .bind(tenant.bytes().to_vec())
    .bind(address.as_bytes().to_vec())
    .bind(member.bytes().to_vec())
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        Ok(Address {
            recipient: row.try_get("recipient")?,
            phone: row.try_get("phone")?,
            region: row.try_get("region")?,
            street: row.try_get("street")?,
        })
    })
    .transpose()
}
