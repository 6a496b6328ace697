//! Marks of feed numbers: what makes a cursor's claim one that can be checked.
//!
//! A mark says that this database, or one that it was restored from, has given this number in this feed of this tenant.
//! Nobody else can make one: 24 bits are the commit's own randomness, so that a number that is given again has another
//! mark, and 40 bits are an HMAC-SHA256 over tenant, feed, number and that randomness. A guess is right once in 2^40
//! signed requests.

use counterfoil_domain::ids::{StoreId, TenantId};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Bytes of a mark that are random.
const RANDOM: usize = 3;

/// The key of a database's marks.
#[derive(Clone, Copy)]
pub struct MarkKey([u8; 32]);

impl std::fmt::Debug for MarkKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MarkKey")
    }
}

impl From<[u8; 32]> for MarkKey {
    fn from(key: [u8; 32]) -> Self {
        Self(key)
    }
}

impl MarkKey {
    /// The mark of a number that is given in a commit of this randomness.
    pub fn mark(&self, tenant: TenantId, store: StoreId, number: i64, commit: i64) -> i64 {
        let [a, b, c, ..] = commit.to_be_bytes();
        self.of(tenant, store, number, [a, b, c])
    }

    /// Whether the mark is one of this number, whatever was random about it.
    pub fn proves(&self, tenant: TenantId, store: StoreId, number: i64, mark: i64) -> bool {
        let [a, b, c, ..] = mark.to_be_bytes();
        self.of(tenant, store, number, [a, b, c]) == mark
    }

    fn of(&self, tenant: TenantId, store: StoreId, number: i64, random: [u8; RANDOM]) -> i64 {
        // What HMAC does with a short key anyway; a whole block is a key that can't be refused.
        let mut block = [0; 64];
        block[..32].copy_from_slice(&self.0);
        let mut mac = Hmac::<Sha256>::new(block.as_slice().into());
        mac.update(b"counterfoil mark 1\0");
        mac.update(tenant.bytes());
        mac.update(store.bytes());
        mac.update(&number.to_be_bytes());
        mac.update(&random);
        let code = mac.finalize().into_bytes();
        let mut mark = [0; 8];
        mark[..RANDOM].copy_from_slice(&random);
        mark[RANDOM..].copy_from_slice(&code[..8 - RANDOM]);
        i64::from_be_bytes(mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_proves_its_own_number_in_its_own_feed_alone() {
        let key = MarkKey([7; 32]);
        let (tenant, other) = (TenantId::new(1, [1; 10]), TenantId::new(1, [2; 10]));
        let (store, elsewhere) = (StoreId::new(1, [3; 10]), StoreId::new(1, [4; 10]));
        let mark = key.mark(tenant, store, 12, 0x0123_4567_89AB_CDEF);
        assert!(key.proves(tenant, store, 12, mark));
        for (tenant, store, number, mark) in [
            (other, store, 12, mark),
            (tenant, elsewhere, 12, mark),
            (tenant, store, 13, mark),
            (tenant, store, 12, mark ^ 1),
            (tenant, store, 12, mark ^ (1 << 60)),
        ] {
            assert!(!key.proves(tenant, store, number, mark));
        }
        assert!(!MarkKey([8; 32]).proves(tenant, store, 12, mark));
        assert_ne!(
            key.mark(tenant, store, 12, 1 << 40),
            key.mark(tenant, store, 12, 1 << 50)
        );
    }
}
