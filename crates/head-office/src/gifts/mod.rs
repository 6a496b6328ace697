//! Gifts and exchanges: what members may have for points, and what becomes of it.
//!
//! Exchanges are commands of the engine (`domain::transition::exchanges`); here are the catalogue, their rows, their
//! routes, the sweeper of those whose payment nobody told us about, and what comes back from who sends goods.

mod capability;
pub mod http;
pub mod rows;
mod rules;
pub mod settled;
pub mod sweep;
pub mod table;

pub use capability::CAPABILITY;

use counterfoil_domain::ids::{ExchangeId, MemberId, TenantId};
use sha2::{Digest, Sha256};

/// The id of an exchange's row: it follows from whose it is and what their program calls it, so that a question whose
/// answer was lost finds it again.
pub fn id_of(tenant: TenantId, member: MemberId, key: &str) -> ExchangeId {
    let mut hasher = Sha256::new();
    hasher.update(b"exchange\0");
    hasher.update(tenant.bytes());
    hasher.update(member.bytes());
    hasher.update(key.as_bytes());
    let digest: [u8; 32] = hasher.finalize().into();
    let mut bytes = [0u8; 16];
    bytes.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    // Version 8: an id by a rule of one's own. No id that a program makes up for something else is of it.
    ExchangeId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_id_of_an_exchange_follows_from_whose_it_is_and_its_name() {
        let (tenant, member) = (TenantId(Uuid::from_u128(1)), MemberId(Uuid::from_u128(2)));
        let id = id_of(tenant, member, "k");
        assert_eq!(id, id_of(tenant, member, "k"));
        assert_ne!(id, id_of(tenant, member, "l"));
        assert_ne!(id, id_of(tenant, MemberId(Uuid::from_u128(3)), "k"));
        assert_ne!(id, id_of(TenantId(Uuid::from_u128(2)), member, "k"));
    }
}
