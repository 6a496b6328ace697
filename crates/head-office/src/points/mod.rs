//! Points and stored value: members' accounts, what they earned and spent, and the rule by which they earn.
//!
//! The ledger is `domain::points`, what commands do to it `domain::transition::accounts`; here are its rows, its routes,
//! and the sweeps that write down what happens to accounts by themselves, and remind members of what ends.

mod capability;
pub mod days;
pub mod http;
pub mod image;
mod opening;
pub mod reminders;
pub mod rows;
pub mod rules;
pub mod sweep;
pub mod table;

pub use capability::CAPABILITY;

use counterfoil_domain::{
    ids::TenantId,
    points::{Origin, Source},
    words::Word,
};
use sha2::{Digest, Sha256};

/// What stands for a thing that is known by a name of its own: it follows from the name, so that one thing is one source
/// whoever asks how often.
pub fn source_of(tenant: TenantId, of: Origin, name: &str) -> Source {
    let mut hasher = Sha256::new();
    hasher.update(b"points source\0");
    hasher.update(tenant.bytes());
    hasher.update(of.as_str());
    hasher.update([0]);
    hasher.update(name.as_bytes());
    let digest: [u8; 32] = hasher.finalize().into();
    let mut bytes = [0u8; 16];
    bytes.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    // Version 8: an id by a rule of one's own. No id that a program makes up for something else is of it.
    Source {
        of,
        id: uuid::Builder::from_custom_bytes(bytes).into_uuid(),
    }
}
