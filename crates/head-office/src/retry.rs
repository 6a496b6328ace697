//! When to try again what did not go through.

use counterfoil_domain::time::Millis;

use crate::clock::{self, Random};

/// How long to wait after so many tries: doubling from `first` up to `most`, anywhere within its upper half, so that
/// those who failed together don't come back together.
pub fn after(tries: i64, first: Millis, most: Millis, random: &dyn Random) -> Millis {
    let half = doubled(tries, first, most) / 2;
    half + below(half, random)
}

/// The same, anywhere up to the whole of it: for many that failed together and should come back as evenly as can be.
pub fn spread(tries: i64, first: Millis, most: Millis, random: &dyn Random) -> Millis {
    1 + below(doubled(tries, first, most), random)
}

fn doubled(tries: i64, first: Millis, most: Millis) -> Millis {
    let doublings = u32::try_from(tries.clamp(0, 40)).unwrap_or(0);
    first
        .saturating_mul(1i64.checked_shl(doublings).unwrap_or(i64::MAX))
        .clamp(2, most.max(2))
}

/// A random time that is shorter; without randomness just as long: later is never wrong.
fn below(whole: Millis, random: &dyn Random) -> Millis {
    clock::bytes::<8>(random).map_or(whole, |bytes| {
        i64::from_be_bytes(bytes)
            .unsigned_abs()
            .checked_rem(whole.unsigned_abs().max(1))
            .map_or(whole, |share| i64::try_from(share).unwrap_or(whole))
    })
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
                let wait = spread(tries, 1_000, 60_000, &SystemRandom);
                assert!((1..=most).contains(&wait), "{tries}: {wait}");
            }
        }
    }
}
