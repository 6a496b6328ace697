//! Numbers that are the same for the same seed: the ids, names and codes of demo data.

use counterfoil_domain::{ids::Place, time::Millis};

use crate::{db::DbError, pickups::codes::Candidates};

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
    Warehouse,
    Gift,
    Account,
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
    fn next(&mut self) -> Result<u64, DbError> {
        Ok(Self::next(self))
    }
}

/// Which of the sets of ids that demo data may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ids {
    /// Those of today: everything is at place 0.
    Placed,
    /// Those of before ids said a place: these bits were drawn like the others. A database that was begun with them is
    /// gone on with, or its members would be there twice.
    Drawn,
}

impl Ids {
    /// Where and when the `index`th thing is made, and from which random bytes.
    pub fn of(self, seed: u64, kind: Kind, index: u64) -> (Place, Millis, [u8; 10]) {
        let (at, bytes) = drawn(seed, kind, index);
        let place = match self {
            Self::Placed => Place::ZERO,
            Self::Drawn => {
                let bits = i64::from(bytes[0] & 0x0f) << 6 | i64::from(bytes[1] >> 2);
                Place::try_from(bits).unwrap_or_default()
            }
        };
        (place, at, bytes)
    }
}

fn drawn(seed: u64, kind: Kind, index: u64) -> (Millis, [u8; 10]) {
    let mut numbers = Numbers::of(seed, kind, index);
    let mut bytes = [0u8; 10];
    bytes[..8].copy_from_slice(&numbers.next().to_be_bytes());
    bytes[8..].copy_from_slice(&numbers.next().to_be_bytes()[..2]);
    (BASE_TIME.saturating_add(Millis::try_from(index).unwrap_or(0)), bytes)
}

#[cfg(test)]
mod tests {
    use counterfoil_domain::ids::MemberId;

    use super::*;

    #[test]
    fn demo_data_of_before_there_were_places_keeps_its_ids() {
        for index in 0..100 {
            let (at, bytes) = drawn(1, Kind::Member, index);
            let before = uuid::Builder::from_unix_timestamp_millis(at.unsigned_abs(), &bytes).into_uuid();
            let (place, at, bytes) = Ids::Drawn.of(1, Kind::Member, index);
            assert_eq!(MemberId::placed(place, at, bytes).0, before);
            let (place, at, bytes) = Ids::Placed.of(1, Kind::Member, index);
            let today = MemberId::placed(place, at, bytes);
            assert_eq!((today.place(), place), (Place::ZERO, Place::ZERO));
        }
    }
}
