//! Which digits a tenant's coupon codes have. A policy is data: a list of parts, each with its own strategy.
//!
//! The part that looks random is a keyed permutation of a counter, so two codes of one [`Form`] never meet, and
//! without the key nobody can tell which ones exist. What the other parts say is the code's *head*; whoever makes
//! codes counts one counter a head.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::codes::{day_digits, permute_digits, room};

/// Fewest digits of a whole code: shorter ones would be mistaken for products and pickup codes.
pub const FEWEST: usize = 16;
/// Most digits of a whole code: more can't be typed without a mistake.
pub const MOST: usize = 24;

/// One part of a code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum CodePart {
    /// Product line and category: the last so many of their four digits.
    Line { digits: u8 },
    /// The day, `yymmdd`, its digits shuffled by the key or as they are.
    Date { shuffled: bool },
    /// Always these digits.
    Fixed { text: String },
    /// Digits that look random: a keyed permutation of a counter. Every policy has exactly one.
    Random { digits: u8 },
    /// One check digit over all others (Luhn), so that a slip of the finger is noticed. Only at the end.
    Check,
}

/// The parts of a code, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<CodePart>", into = "Vec<CodePart>")]
pub struct CodePolicy(Vec<CodePart>);

/// Why a list of parts is no policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPolicy {
    /// Without it nothing tells two codes apart; twice it is not unique by construction.
    #[error("a code has exactly one random part")]
    OneRandom,
    /// 6 to 12 digits: fewer can be guessed.
    #[error("the random part has 6 to 12 digits")]
    RandomDigits,
    /// 1 to 4.
    #[error("product line and category have 1 to 4 digits")]
    LineDigits,
    /// Digits only.
    #[error("a fixed part has digits only, at least one")]
    FixedText,
    /// At the end, once.
    #[error("the check digit stands at the end, once")]
    CheckLast,
    /// See [`FEWEST`] and [`MOST`].
    #[error("a code has 16 to 24 digits")]
    Length,
}

impl Default for CodePolicy {
    /// 18 digits: 4 of product line and category, 6 of the shuffled day, 8 that look random.
    fn default() -> Self {
        Self(vec![
            CodePart::Line { digits: 4 },
            CodePart::Date { shuffled: true },
            CodePart::Random { digits: 8 },
        ])
    }
}

impl From<CodePolicy> for Vec<CodePart> {
    fn from(policy: CodePolicy) -> Self {
        policy.0
    }
}

impl TryFrom<Vec<CodePart>> for CodePolicy {
    type Error = BadPolicy;

    fn try_from(parts: Vec<CodePart>) -> Result<Self, BadPolicy> {
        let mut length = 0;
        let mut randoms = 0;
        for (place, part) in parts.iter().enumerate() {
            length += match part {
                CodePart::Line { digits: 1..=4 } => usize::from(part.digits()),
                CodePart::Line { .. } => return Err(BadPolicy::LineDigits),
                CodePart::Date { .. } => 6,
                CodePart::Fixed { text } if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) => {
                    return Err(BadPolicy::FixedText);
                }
                CodePart::Fixed { text } => text.len(),
                CodePart::Random { digits: 6..=12 } => {
                    randoms += 1;
                    usize::from(part.digits())
                }
                CodePart::Random { .. } => return Err(BadPolicy::RandomDigits),
                CodePart::Check if place + 1 == parts.len() => 1,
                CodePart::Check => return Err(BadPolicy::CheckLast),
            };
        }
        if randoms != 1 {
            return Err(BadPolicy::OneRandom);
        }
        if !(FEWEST..=MOST).contains(&length) {
            return Err(BadPolicy::Length);
        }
        Ok(Self(parts))
    }
}

impl CodePart {
    fn digits(&self) -> u8 {
        match self {
            Self::Line { digits } | Self::Random { digits } => *digits,
            Self::Date { .. } => 6,
            Self::Fixed { text } => u8::try_from(text.len()).unwrap_or(u8::MAX),
            Self::Check => 1,
        }
    }
}

impl CodePolicy {
    /// The form of the codes of one product line and category (0 to 9999) on one day (`yymmdd`).
    ///
    /// Returns `None` when an argument does not fit its digits.
    pub fn form(&self, key: &[u8; 32], line_and_category: u16, yymmdd: u32) -> Option<Form> {
        if line_and_category > 9_999 || yymmdd > 999_999 {
            return None;
        }
        let mut form = Form {
            before: String::new(),
            after: String::new(),
            digits: 0,
            tweak: 0,
            check: false,
        };
        for part in &self.0 {
            let text = match part {
                CodePart::Line { digits } => {
                    let shown = u32::from(line_and_category) % 10u32.pow(u32::from(*digits));
                    form.tweak ^= u64::from(shown) << 32;
                    format!("{shown:0width$}", width = usize::from(*digits))
                }
                CodePart::Date { shuffled } => {
                    form.tweak ^= u64::from(yymmdd);
                    if *shuffled {
                        day_digits(key, yymmdd)
                    } else {
                        format!("{yymmdd:06}")
                    }
                }
                CodePart::Fixed { text } => {
                    let digest = Sha256::digest(text.as_bytes());
                    // 48 bits, as the rest of the tweak.
                    form.tweak ^= digest
                        .iter()
                        .take(6)
                        .fold(0, |number, byte| number << 8 | u64::from(*byte));
                    text.clone()
                }
                CodePart::Random { digits } => {
                    form.digits = *digits;
                    continue;
                }
                CodePart::Check => {
                    form.check = true;
                    continue;
                }
            };
            if form.digits == 0 {
                form.before.push_str(&text);
            } else {
                form.after.push_str(&text);
            }
        }
        Some(form)
    }
}

/// The form of the codes of one line and day: a code but for its counter. Kept with the batch whose codes have it, so
/// that another policy tomorrow changes nothing of what was begun today. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Form {
    before: String,
    after: String,
    digits: u8,
    tweak: u64,
    check: bool,
}

impl Form {
    /// What all codes of this form have in common: the name of their counter.
    pub fn head(&self) -> String {
        format!("{}{}", self.before, self.after)
    }

    /// How many codes there can be.
    pub fn room(&self) -> u64 {
        room(self.digits)
    }

    /// The first and the last text that a code of this form can be, when all that differs stands at the end.
    pub fn span(&self) -> Option<(String, String)> {
        let tail = usize::from(self.digits) + usize::from(self.check);
        self.after.is_empty().then(|| {
            (
                format!("{}{:0tail$}", self.before, 0),
                self.before.clone() + &"9".repeat(tail),
            )
        })
    }

    /// The code of this counter; `None` when there is no room for it.
    pub fn code(&self, key: &[u8; 32], counter: u64) -> Option<String> {
        let random = permute_digits(key, self.tweak, counter, self.digits)?;
        let width = usize::from(self.digits);
        let mut code = format!("{}{random:0width$}{}", self.before, self.after);
        if self.check {
            code.push(luhn(&code));
        }
        Some(code)
    }
}

/// The check digit that belongs behind these digits.
fn luhn(digits: &str) -> char {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, byte)| {
            let digit = u32::from(byte.wrapping_sub(b'0'));
            match (place % 2, digit) {
                (0, digit) if digit > 4 => digit * 2 - 9,
                (0, digit) => digit * 2,
                (_, digit) => digit,
            }
        })
        .sum();
    char::from_digit((10 - sum % 10) % 10, 10).unwrap_or('0')
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::codes::{coupon_code, is_coupon_code};

    const KEY: [u8; 32] = [7; 32];

    fn policy(json: &str) -> Result<CodePolicy, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn the_default_policy_makes_the_codes_of_before() {
        let form = CodePolicy::default().form(&KEY, 1234, 261_122).unwrap();
        for counter in [0, 1, 99_999_999] {
            assert_eq!(form.code(&KEY, counter), coupon_code(&KEY, 1234, 261_122, counter));
        }
        assert_eq!(form.code(&KEY, 100_000_000), None);
        assert_eq!(form.head().len(), 10);
    }

    #[test]
    fn every_strategy_is_data() {
        let policy = policy(
            r#"[{"kind":"fixed","text":"86"},{"kind":"random","digits":9},{"kind":"line","digits":2},{"kind":"date","shuffled":false},{"kind":"check"}]"#,
        )
        .unwrap();
        let form = policy.form(&KEY, 1234, 261_122).unwrap();
        assert_eq!(form.head(), "8634261122");
        let codes: BTreeSet<_> = (0..5_000).map(|n| form.code(&KEY, n).unwrap()).collect();
        assert_eq!(codes.len(), 5_000);
        assert!(codes.iter().all(|code| is_coupon_code(code) && code.len() == 20));
        assert!(
            codes
                .iter()
                .all(|code| code.starts_with("86") && &code[11..19] == "34261122")
        );
        assert_eq!(luhn("7992739871"), '3');
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        for (parts, error) in [
            (
                r#"[{"kind":"line","digits":4},{"kind":"date","shuffled":true}]"#,
                BadPolicy::OneRandom,
            ),
            (
                r#"[{"kind":"random","digits":8},{"kind":"random","digits":8}]"#,
                BadPolicy::OneRandom,
            ),
            (r#"[{"kind":"random","digits":13}]"#, BadPolicy::RandomDigits),
            (
                r#"[{"kind":"line","digits":5},{"kind":"random","digits":12}]"#,
                BadPolicy::LineDigits,
            ),
            (
                r#"[{"kind":"fixed","text":"x"},{"kind":"random","digits":8}]"#,
                BadPolicy::FixedText,
            ),
            (
                r#"[{"kind":"check"},{"kind":"random","digits":12}]"#,
                BadPolicy::CheckLast,
            ),
            (r#"[{"kind":"random","digits":8}]"#, BadPolicy::Length),
        ] {
            assert_eq!(policy(parts), Err(error.to_string()), "{parts}");
        }
    }

    proptest! {
        #[test]
        fn no_two_counters_make_one_code(key: [u8; 32], digits in 6u8..=12, a: u64, b: u64) {
            let policy = CodePolicy::try_from(vec![CodePart::Fixed { text: "1234567890".into() }, CodePart::Random { digits }]).unwrap();
            let form = policy.form(&key, 0, 0).unwrap();
            let (a, b) = (a % form.room(), b % form.room());
            prop_assert_eq!(a == b, form.code(&key, a).unwrap() == form.code(&key, b).unwrap());
        }
    }
}
