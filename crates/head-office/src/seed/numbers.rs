//! Numbers that are the same for the same seed: the ids, names and codes of demo data.

use counterfoil_domain::time::Millis;

use crate::{admin::Candidates, db::DbError};

/// When demo data's ids say it was made: 2026-01-01. Fixed, so that the same seed gives the same ids.
const BASE_TIME: Millis = 1_767_225_600_000;

/// What numbers are drawn for; each kind has a sequence of its own.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Store = 1,
    Clerk,
    Template,
    Member,
    Batch,
    Coupon,
    Order,
    PickupCode,
    Product,
}

/// A sequence of numbers: SplitMix64 (Steele, Lea and Flood). Good enough for demo data, for nothing that is secret.
#[derive(Debug, Clone)]
pub struct Numbers(u64);

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

impl Numbers {
    /// The sequence of the `index`th thing of a kind.
    pub fn of(seed: u64, kind: Kind, index: u64) -> Self {
        let start = mix(seed.wrapping_add(STEP)) ^ mix((kind as u64).wrapping_mul(STEP));
        Self(mix(start ^ mix(index.wrapping_add(STEP))))
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number below `limit`, or 0.
    pub fn below(&mut self, limit: usize) -> usize {
        match u64::try_from(limit) {
            Ok(limit) if limit > 0 => usize::try_from(self.next() % limit).unwrap_or(0),
            _ => 0,
        }
    }

    /// One of them.
    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        all.get(self.below(all.len())).copied()
    }
}

impl Candidates for Numbers {
    fn next(&mut self) -> Result<u32, DbError> {
        Ok(u32::try_from(Self::next(self) >> 32).unwrap_or(0))
    }
}

/// When and from which random bytes the id of the `index`th thing is made.
pub fn id(seed: u64, kind: Kind, index: u64) -> (Millis, [u8; 10]) {
    let mut numbers = Numbers::of(seed, kind, index);
    let mut bytes = [0u8; 10];
    bytes[..8].copy_from_slice(&numbers.next().to_be_bytes());
    bytes[8..].copy_from_slice(&numbers.next().to_be_bytes()[..2]);
    (BASE_TIME.saturating_add(Millis::try_from(index).unwrap_or(0)), bytes)
}
