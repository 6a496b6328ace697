//! Codes that people read and type: 18-digit coupon codes, 8-digit pickup codes.

use sha2::{Digest, Sha256};

/// Digits of a coupon code under the default policy.
pub const COUPON_DIGITS: usize = 18;
/// Digits of a pickup code under the default policy.
pub const PICKUP_DIGITS: usize = 8;

const HALF: u64 = 10_000;
/// Enough rounds that neither half of a code tells anything about the counter behind it.
const ROUNDS: u8 = 8;

/// How many codes one batch prefix has room for: the 8 last digits.
pub const COUPON_ROOM: u64 = HALF * HALF;

fn round(key: &[u8; 32], tweak: u64, round: u8, half: u64) -> u64 {
    let mut hash = Sha256::new();
    hash.update(key);
    hash.update(tweak.to_be_bytes());
    hash.update([round]);
    hash.update(half.to_be_bytes());
    let digest = hash.finalize();
    let mut word = [0u8; 8];
    word.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(word) % HALF
}

/// A keyed permutation of `0..10^8`: different counters give different numbers, and without the key the order can't
/// be guessed. A balanced Feistel network over two halves of four decimal digits, with addition modulo 10^4 instead
/// of xor, so that the numbers need no cycle-walking (Black and Rogaway, "Ciphers with Arbitrary Finite Domains").
///
/// Returns `None` when `counter` is 10^8 or more: there is no room for it.
pub fn permute(key: &[u8; 32], tweak: u64, counter: u64) -> Option<u64> {
    if counter >= COUPON_ROOM {
        return None;
    }
    let (mut left, mut right) = (counter / HALF, counter % HALF);
    for n in 0..ROUNDS {
        (left, right) = (right, (left + round(key, tweak, n, right)) % HALF);
    }
    Some(left * HALF + right)
}

/// An 18-digit coupon code: 4 digits of product line and category, 6 of the day (`yymmdd`, shuffled by the key),
/// 8 that look random. Unique by construction for one `(key, line_and_category, day)` and different counters.
///
/// Returns `None` when an argument does not fit its digits.
pub fn coupon_code(key: &[u8; 32], line_and_category: u16, yymmdd: u32, counter: u64) -> Option<String> {
    if line_and_category > 9_999 || yymmdd > 999_999 {
        return None;
    }
    let tweak = u64::from(line_and_category) << 32 | u64::from(yymmdd);
    let tail = permute(key, tweak, counter)?;
    // The same key always moves the same digit to the same place, so two days never meet.
    let digits: Vec<u8> = format!("{yymmdd:06}").into_bytes();
    let mut places = [0usize, 1, 2, 3, 4, 5];
    for i in (1..places.len()).rev() {
        let pick = round(key, 0, 0xF0 + i as u8, i as u64) as usize % (i + 1);
        places.swap(i, pick);
    }
    let day: String = places.iter().map(|&place| char::from(digits[place])).collect();
    Some(format!("{line_and_category:04}{day}{tail:08}"))
}

/// An 8-digit pickup code: 6 digits that look random, then 2 that name the shard.
///
/// Returns `None` when `shard` needs more than two digits.
pub fn pickup_code(random: u32, shard: u8) -> Option<String> {
    (shard < 100).then(|| format!("{:06}{shard:02}", random % 1_000_000))
}

/// Whether the text has the form of a coupon code.
pub fn is_coupon_code(text: &str) -> bool {
    text.len() == COUPON_DIGITS && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether the text has the form of a pickup code.
pub fn is_pickup_code(text: &str) -> bool {
    text.len() == PICKUP_DIGITS && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_batch_of_codes_has_no_duplicate() {
        let key = [7u8; 32];
        let codes: BTreeSet<_> = (0..20_000)
            .map(|n| coupon_code(&key, 1234, 261122, n).unwrap())
            .collect();
        assert_eq!(codes.len(), 20_000);
        assert!(
            codes
                .iter()
                .all(|code| is_coupon_code(code) && code.starts_with("1234"))
        );
    }

    proptest! {
        #[test]
        fn the_permutation_is_injective(key: [u8; 32], tweak: u64, a in 0..COUPON_ROOM, b in 0..COUPON_ROOM) {
            let (x, y) = (permute(&key, tweak, a).unwrap(), permute(&key, tweak, b).unwrap());
            prop_assert!(x < COUPON_ROOM);
            prop_assert_eq!(a == b, x == y);
        }

        #[test]
        fn different_days_never_meet(key: [u8; 32], a in 0u32..1_000_000, b in 0u32..1_000_000) {
            let (x, y) = (coupon_code(&key, 1, a, 0).unwrap(), coupon_code(&key, 1, b, 0).unwrap());
            prop_assert_eq!(a == b, x[4..10] == y[4..10]);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(permute(&[0; 32], 0, COUPON_ROOM), None);
        assert_eq!(coupon_code(&[0; 32], 10_000, 0, 0), None);
        assert_eq!(pickup_code(1, 100), None);
        assert_eq!(pickup_code(1_000_042, 7).as_deref(), Some("00004207"));
    }
}
