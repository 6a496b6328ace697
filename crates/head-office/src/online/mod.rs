//! Orders placed on the chain's own site: they freeze coupons, payment confirms, failure cancels, a refund voids.
//!
//! The steps are commands of the engine (`domain::transition::online`); here are their rows, their routes, and the
//! sweeper of those whose payment nobody told us about.

pub mod http;
pub mod owner;
pub mod rows;
pub mod sweep;

use counterfoil_domain::ids::{FreezeId, TenantId};
use sha2::{Digest, Sha256};

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

/// How an order is named in a path: by its row's id, or by its number.
pub fn named(tenant: TenantId, text: &str) -> (FreezeId, Option<String>) {
    match text.parse::<uuid::Uuid>() {
        Ok(id) if id.get_version_num() == 8 => (FreezeId(id), None),
        _ => (id_of(tenant, text), Some(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_found_by_its_number_and_by_its_id() {
        let tenant = TenantId(uuid::Uuid::from_u128(1));
        let id = id_of(tenant, "W-1");
        assert_eq!(named(tenant, "W-1"), (id, Some("W-1".into())));
        assert_eq!(named(tenant, &id.to_string()), (id, None));
        assert_ne!(id, id_of(tenant, "W-2"));
        assert_ne!(id, id_of(TenantId(uuid::Uuid::from_u128(2)), "W-1"));
    }
}
