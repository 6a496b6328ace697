//! Orders placed on the chain's own site: they freeze coupons, payment confirms, failure cancels, a refund voids.
//!
//! The steps are commands of the engine (`domain::transition::online`); here are their rows, their routes, and the
//! sweeper of those whose payment nobody told us about.

mod capability;
pub mod http;
mod notices;
pub mod owner;
pub mod rows;
mod rules;
pub mod sweep;
pub mod table;

pub use capability::CAPABILITY;

use counterfoil_domain::{
    ids::{FreezeId, TenantId},
    planted,
};
use sha2::{Digest, Sha256};
use sqlx::AnyConnection;

use crate::db::DbError;

/// The id of an order's row: it follows from the number, so that one order is one row by construction, and a question
/// whose answer was lost finds it again.
pub fn id_of(tenant: TenantId, number: &str) -> FreezeId {
    let mut hasher = Sha256::new();
    hasher.update(b"order freeze\0");
    hasher.update(tenant.bytes());
    hasher.update(number.as_bytes());
    let digest: [u8; 32] = hasher.finalize().into();
    let mut bytes = [0u8; 16];
    bytes.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    // Version 8: an id by a rule of one's own. No id that a program makes up for something else is of it.
    FreezeId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

/// How an order is named in a path: by its number, whatever that looks like. The id that answers give is understood as
/// well, where no order has such a number.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn named(
    connection: &mut AnyConnection,
    tenant: TenantId,
    text: &str,
) -> Result<(FreezeId, Option<String>), DbError> {
    let by_number = id_of(tenant, text);
    let by_id = text.parse().ok().filter(|id: &uuid::Uuid| id.get_version_num() == 8);
    if let Some(by_id) = by_id.map(FreezeId) {
        let found = rows::load(connection, tenant, &[by_number, by_id], "").await?;
        let is_there = |id| found.iter().any(|order| order.id == id);
        if planted!("order_read_as_an_id", true, !is_there(by_number)) && is_there(by_id) {
            return Ok((by_id, None));
        }
    }
    Ok((by_number, Some(text.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_an_order_follows_from_its_number() {
        let tenant = TenantId(uuid::Uuid::from_u128(1));
        let id = id_of(tenant, "W-1");
        assert_eq!(id, id_of(tenant, "W-1"));
        assert_ne!(id, id_of(tenant, "W-2"));
        assert_ne!(id, id_of(TenantId(uuid::Uuid::from_u128(2)), "W-1"));
    }
}
