//! Marks of feed numbers: what makes a cursor's claim one that can be checked.
//!
//! A mark says that this database, or one that it was restored from, has given this number in this feed of this chain, in
//! this history of it. Nobody else can make one: 24 bits are the commit's own randomness, so that a number that is given
//! again has another mark, and 40 bits are an HMAC-SHA256 over chain, history, feed, number and that randomness. A guess
//! is right once in 2^40 signed requests. A mark that was lost proves one restore, the one that began the next history:
//! it is a mark of the history before, and says nothing in that one.

use counterfoil_domain::ids::{HistoryId, StoreId, TenantId};
use hmac::{Hmac, KeyInit, Mac};
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

/// A feed in a history of its chain: what a mark is one of, besides its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feed {
    /// The chain.
    pub tenant: TenantId,
    /// Its history.
    pub history: HistoryId,
    /// The store whose feed it is.
    pub store: StoreId,
}

impl MarkKey {
    /// The mark of a number that is given in a commit of this randomness.
    pub fn mark(&self, feed: Feed, number: i64, commit: i64) -> i64 {
        let [a, b, c, ..] = commit.to_be_bytes();
        self.of(feed, number, [a, b, c])
    }

    /// Whether the mark is one of this number, whatever was random about it.
    pub fn proves(&self, feed: Feed, number: i64, mark: i64) -> bool {
        let [a, b, c, ..] = mark.to_be_bytes();
        self.of(feed, number, [a, b, c]) == mark
    }

    fn of(&self, feed: Feed, number: i64, random: [u8; RANDOM]) -> i64 {
        // What HMAC does with a short key anyway; a whole block is a key that can't be refused.
        let mut block = [0; 64];
        block[..32].copy_from_slice(&self.0);
        let mut mac = Hmac::<Sha256>::new(&block.into());
        mac.update(b"counterfoil mark 2\0");
        mac.update(feed.tenant.bytes());
        mac.update(feed.history.bytes());
        mac.update(feed.store.bytes());
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
    fn a_mark_proves_its_own_number_in_its_own_feed_and_history_alone() {
        let key = MarkKey([7; 32]);
        let feed = Feed {
            tenant: TenantId::new(1, [1; 10]),
            history: HistoryId::new(1, [2; 10]),
            store: StoreId::new(1, [3; 10]),
        };
        let mark = key.mark(feed, 12, 0x0123_4567_89AB_CDEF);
        assert!(key.proves(feed, 12, mark));
        // Made with another program: counters hold such marks.
        assert_eq!(mark, 0x0123_45FF_E3C9_5107);
        let tenant = TenantId::new(1, [9; 10]);
        let history = HistoryId::new(1, [9; 10]);
        let store = StoreId::new(1, [9; 10]);
        for (feed, number, mark) in [
            (Feed { tenant, ..feed }, 12, mark),
            (Feed { history, ..feed }, 12, mark),
            (Feed { store, ..feed }, 12, mark),
            (feed, 13, mark),
            (feed, 12, mark ^ 1),
            (feed, 12, mark ^ (1 << 60)),
        ] {
            assert!(!key.proves(feed, number, mark));
        }
        assert!(!MarkKey([8; 32]).proves(feed, 12, mark));
        assert_ne!(key.mark(feed, 12, 1 << 40), key.mark(feed, 12, 1 << 50));
    }
}
