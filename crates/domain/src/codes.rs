//! Coupon codes that people read and type, 18 digits by default. (Pickup codes: `pickup_codes`.)

use sha2::{Digest, Sha256};

use crate::code_policy;

/// Digits of a coupon code under the default policy.
pub const COUPON_DIGITS: usize = 18;

const HALF: u64 = 10_000;
/// Enough rounds that neither half of a code tells anything about the counter behind it.
const ROUNDS: u8 = 8;

/// How many codes one batch prefix has room for: the 8 last digits.
pub const COUPON_ROOM: u64 = HALF * HALF;

fn round(key: &[u8; 32], tweak: u64, round: u8, half: u64, modulus: u64) -> u64 {
    let mut hash = Sha256::new();
    hash.update(key);
    hash.update(tweak.to_be_bytes());
    hash.update([round]);
    hash.update(half.to_be_bytes());
    let digest = hash.finalize();
    let mut word = [0u8; 8];
    word.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(word) % modulus
}

/// How many numbers of so many digits there are.
pub(crate) fn room(digits: u8) -> u64 {
    10u64.saturating_pow(u32::from(digits))
}

/// A keyed permutation of `0..10^8`: see [`permute_digits`].
///
/// Returns `None` when `counter` is 10^8 or more: there is no room for it.
pub fn permute(key: &[u8; 32], tweak: u64, counter: u64) -> Option<u64> {
    permute_digits(key, tweak, counter, 8)
}

/// A keyed permutation of the numbers of up to 18 digits: different counters give different numbers, and without the
/// key the order can't be guessed. A Feistel network over two halves of decimal digits, with addition modulo a power
/// of ten instead of xor, so that the numbers need no cycle-walking (Black and Rogaway, "Ciphers with Arbitrary Finite
/// Domains"). Each round adds to one half what the other half gives, which can be undone whatever the halves' sizes.
///
/// Returns `None` when `counter` has more digits: there is no room for it.
pub fn permute_digits(key: &[u8; 32], tweak: u64, counter: u64, digits: u8) -> Option<u64> {
    if digits > 18 || counter >= room(digits) {
        return None;
    }
    let (high, low) = (room(digits - digits / 2), room(digits / 2));
    let (mut left, mut right) = (counter / low, counter % low);
    for n in 0..ROUNDS {
        if n % 2 == 0 {
            left = (left + round(key, tweak, n, right, high)) % high;
        } else {
            right = (right + round(key, tweak, n, left, low)) % low;
        }
    }
    Some(left * low + right)
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
    let day = day_digits(key, yymmdd);
    Some(format!("{line_and_category:04}{day}{tail:08}"))
}

/// The six digits of a day in an order that only the key knows. The same key always moves the same digit to the same
/// place, so two days never meet.
pub(crate) fn day_digits(key: &[u8; 32], yymmdd: u32) -> String {
    let digits: Vec<u8> = format!("{yymmdd:06}").into_bytes();
    let mut places = [0usize, 1, 2, 3, 4, 5];
    for i in (1..places.len()).rev() {
        let pick = round(key, 0, 0xF0 + i as u8, i as u64, HALF) as usize % (i + 1);
        places.swap(i, pick);
    }
    places.iter().map(|&place| char::from(digits[place])).collect()
}

/// Whether the text has the form of a coupon code, under whatever policy.
pub fn is_coupon_code(text: &str) -> bool {
    (code_policy::FEWEST..=code_policy::MOST).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
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

    #[test]
    fn the_permutation_is_the_one_of_codes_already_printed() {
        assert_eq!(coupon_code(&[7; 32], 1234, 261_122, 0).unwrap(), "123412122663023246");
        assert_eq!(coupon_code(&[7; 32], 1234, 261_122, 42).unwrap(), "123412122654155377");
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
    }
}
