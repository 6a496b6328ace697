//! When to try again what did not go through.

use counterfoil_domain::time::Millis;

use crate::clock::{self, Random};

/// How long to wait after so many tries: doubling from `first` up to `most`, anywhere within its upper half, so that
/// those who failed together don't come back together.
pub fn after(tries: i64, first: Millis, most: Millis, random: &dyn Random) -> Millis {
    let doublings = u32::try_from(tries.clamp(0, 40)).unwrap_or(0);
    let whole = first
        .saturating_mul(1i64.checked_shl(doublings).unwrap_or(i64::MAX))
        .clamp(2, most.max(2));
    let half = whole / 2;
    // Without randomness the wait is whole: later is never wrong.
    let share = clock::bytes::<8>(random).map_or(half, |bytes| {
        i64::from_be_bytes(bytes)
            .unsigned_abs()
            .checked_rem(half.unsigned_abs().max(1))
            .map_or(half, |share| i64::try_from(share).unwrap_or(half))
    });
    half + share
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemRandom;

    #[test]
    fn waits_double_up_to_a_cap_and_spread() {
        for (tries, least, most) in [
            (0, 500, 1_000),
            (1, 1_000, 2_000),
            (3, 4_000, 8_000),
            (60, 30_000, 60_000),
        ] {
            for _ in 0..50 {
                let wait = after(tries, 1_000, 60_000, &SystemRandom);
                assert!((least..=most).contains(&wait), "{tries}: {wait}");
            }
        }
    }
}
