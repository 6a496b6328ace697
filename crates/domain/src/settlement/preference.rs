//! Which of two combinations with the same discount is preferred: fewer coupons, then those that expire first, then ids.

use std::cmp::Reverse;

use super::{
    field::Field,
    input::MAX_COUPONS,
    search::{Set, members},
};

/// The coupons ranked by when they expire and by their ids.
#[derive(Debug)]
pub(super) struct Preference {
    end: [u8; MAX_COUPONS],
    id: [u8; MAX_COUPONS],
}

/// Of two the smaller is preferred. Adding the same coupons to both changes nothing in how they compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    size: u32,
    /// The ranks of the ends in order.
    ends: [u8; MAX_COUPONS],
    /// The ranks of the ids, the first as the highest bit.
    ids: Reverse<u32>,
}

impl Preference {
    pub(super) fn new(field: &Field<'_>) -> Self {
        // An open end is last.
        let end = |c: usize| {
            (
                field.coupons[c].coupon.valid_until.is_none(),
                field.coupons[c].coupon.valid_until,
            )
        };
        Self {
            end: ranks(field.coupons.len(), end),
            id: ranks(field.coupons.len(), |c| field.coupons[c].coupon.id.as_bytes()),
        }
    }

    pub(super) fn of(&self, set: Set) -> Key {
        self.key(set.count_ones(), members(set).map(|c| self.end[c]), self.ids(set))
    }

    /// No set of `used` and so many of the others, one of each group at most, is preferred to this.
    pub(super) fn at_best(&self, used: Set, others: &[Set], more: usize) -> Key {
        let first = |rank: &[u8; MAX_COUPONS]| {
            let firsts = others.iter().filter_map(|&group| members(group).map(|c| rank[c]).min());
            let mut firsts: Vec<u8> = firsts.collect();
            firsts.sort_unstable();
            firsts.truncate(more);
            firsts
        };
        let ends = first(&self.end);
        let size = used.count_ones() + u32::try_from(more).unwrap_or(u32::MAX);
        let ids = first(&self.id)
            .into_iter()
            .map(bit)
            .fold(self.ids(used), |ids, bit| ids | bit);
        self.key(size, members(used).map(|c| self.end[c]).chain(ends), ids)
    }

    fn ids(&self, set: Set) -> u32 {
        members(set).map(|c| bit(self.id[c])).fold(0, |ids, bit| ids | bit)
    }

    fn key(&self, size: u32, ends: impl Iterator<Item = u8>, ids: u32) -> Key {
        let mut sorted = [u8::MAX; MAX_COUPONS];
        sorted.iter_mut().zip(ends).for_each(|(place, end)| *place = end);
        sorted.sort_unstable();
        Key {
            size,
            ends: sorted,
            ids: Reverse(ids),
        }
    }
}

fn bit(rank: u8) -> u32 {
    1_u32.reverse_bits() >> rank
}

/// Of each the number of different ones before it.
fn ranks<T: Ord>(count: usize, value: impl Fn(usize) -> T) -> [u8; MAX_COUPONS] {
    let mut values: Vec<T> = (0..count).map(&value).collect();
    values.sort_unstable();
    values.dedup();
    let mut ranks = [0; MAX_COUPONS];
    for (c, rank) in ranks.iter_mut().enumerate().take(count) {
        let place = values.partition_point(|other| *other < value(c));
        *rank = u8::try_from(place).unwrap_or(u8::MAX);
    }
    ranks
}
