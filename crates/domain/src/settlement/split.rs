//! Splitting an amount in proportion to weights, exactly.

/// Memory reused from one split to the next: the search makes hundreds of thousands of them.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    shares: Vec<i64>,
    /// Of each weight its remainder.
    remainders: Vec<i64>,
    /// The same, in no order.
    ranked: Vec<i64>,
    /// Where the last units go to one of several with the same remainder: the weight, its place.
    tied: Vec<(i64, usize)>,
}

impl Splitter {
    /// The shares of `amount`, which is at most the sum of the weights, by largest remainder; ties: larger weight, then
    /// earlier place. No share is larger than its weight: one that is rounded up was below it.
    pub(super) fn split(&mut self, amount: i64, weights: impl Iterator<Item = i64> + Clone) -> &[i64] {
        self.shares.clear();
        self.remainders.clear();
        let total: i64 = weights.clone().sum();
        debug_assert!(0 <= amount && amount <= total, "{amount} of {total}");
        if amount <= 0 || total <= 0 {
            self.shares.extend(weights.map(|_| 0));
            return &self.shares;
        }
        // No weight is larger than the total.
        let short = if total < EXACT && amount.checked_mul(total).is_some_and(|product| product < i64::MAX / 2) {
            let inverse = 1.0 / total as f64;
            self.floors(amount, weights.clone(), |weight| {
                divide_by(amount * weight, total, inverse)
            })
        } else {
            self.floors(amount, weights.clone(), |weight| divide(amount, weight, total))
        };
        if let Ok(short @ 1..) = usize::try_from(short) {
            self.round_up(short, weights);
        }
        &self.shares
    }

    /// Notes each share rounded down, and what remains; the part of the amount that no share has yet.
    fn floors(&mut self, amount: i64, weights: impl Iterator<Item = i64>, divide: impl Fn(i64) -> (i64, i64)) -> i64 {
        let mut short = amount;
        for weight in weights {
            let (share, remainder) = divide(weight);
            short -= share;
            self.shares.push(share);
            self.remainders.push(remainder);
        }
        short
    }

    /// Gives one more to so many shares; as many have a remainder, since all remainders add up to as many totals.
    fn round_up(&mut self, short: usize, weights: impl Iterator<Item = i64>) {
        self.ranked.clone_from(&self.remainders);
        let Some(place) = self.ranked.len().checked_sub(short) else {
            return;
        };
        // Bare numbers are ranked several times as fast as numbers with their ties.
        let least = *self.ranked.select_nth_unstable(place).1;
        let (mut above, mut level) = (0, 0);
        for (share, &remainder) in self.shares.iter_mut().zip(&self.remainders) {
            *share += i64::from(remainder > least);
            above += usize::from(remainder > least);
            level += usize::from(remainder == least);
        }
        let wanted = short - above;
        let at_least = self.remainders.iter().zip(weights).enumerate();
        let at_least = at_least.filter(|(_, (remainder, _))| **remainder == least);
        self.tied.clear();
        self.tied.extend(at_least.map(|(place, (_, weight))| (weight, place)));
        if wanted < level {
            self.tied
                .select_nth_unstable_by(wanted, |a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        }
        for (_, place) in self.tied.iter().take(wanted) {
            if let Some(share) = self.shares.get_mut(*place) {
                *share += 1;
            }
        }
    }
}

/// Quotients up to here are off by one at most when a float estimates them.
const EXACT: i64 = 1 << 50;

/// `product / total` and what remains, exactly. A processor multiplies floats several times as fast as it divides
/// integers; the estimate is off by one at most and put right.
fn divide_by(product: i64, total: i64, inverse: f64) -> (i64, i64) {
    #[expect(clippy::cast_possible_truncation, reason = "the quotient is at most the weight")]
    let estimate = (product as f64 * inverse) as i64;
    match product - estimate * total {
        remainder if remainder < 0 => (estimate - 1, remainder + total),
        remainder if remainder >= total => (estimate + 1, remainder - total),
        remainder => (estimate, remainder),
    }
}

/// `amount * weight / total` and what remains, for any amounts.
fn divide(amount: i64, weight: i64, total: i64) -> (i64, i64) {
    let product = i128::from(amount) * i128::from(weight);
    let total = i128::from(total);
    // The share is at most `weight`, since `amount <= total`; the remainder is below the total.
    let narrow = |number: i128| i64::try_from(number).unwrap_or(weight);
    (narrow(product / total), narrow(product % total))
}

#[cfg(test)]
mod tests {
    use super::{Splitter, divide, divide_by};

    fn split(amount: i64, weights: &[i64]) -> Vec<i64> {
        Splitter::default().split(amount, weights.iter().copied()).to_vec()
    }

    #[test]
    fn the_largest_remainder_then_the_larger_weight_then_the_earlier_line() {
        assert_eq!(split(1_000, &[2_176, 10_440]), [172, 828]);
        assert_eq!(split(2, &[10, 10, 10]), [1, 1, 0]);
        assert_eq!(split(5, &[4, 12, 4]), [1, 3, 1]);
        // 0.5 each: the larger.
        assert_eq!(split(2, &[1, 3]), [0, 2]);
        assert_eq!(split(0, &[0, 0]), [0, 0]);
        assert_eq!(split(4, &[0, 3, 1]), [0, 3, 1]);
        assert_eq!(split(0, &[]), [] as [i64; 0]);
    }

    #[test]
    fn estimated_quotients_are_put_right() {
        let mut number = 1_u64;
        let mut below = |limit: i64| {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            i64::try_from(number >> 1).unwrap() % limit
        };
        for bits in 1..50 {
            for _ in 0..2_000 {
                let total = 1 + below(1 << bits);
                let amount = below(((i64::MAX / 2 - 1) / total).min(total) + 1);
                let weight = below(total + 1);
                // Just below, at and above a whole quotient too.
                for weight in [weight, total, total - 1, (weight / 2) * 2] {
                    assert_eq!(
                        divide_by(amount * weight, total, 1.0 / total as f64),
                        divide(amount, weight, total),
                        "{amount} {weight} {total}"
                    );
                }
            }
        }
    }

    #[test]
    fn amounts_beyond_64_bits_of_product() {
        let half = i64::MAX / 2;
        assert_eq!(split(i64::MAX - 1, &[half, half]), [half, half]);
        assert_eq!(split(half, &[half, half]), [half / 2 + 1, half / 2]);
    }
}
