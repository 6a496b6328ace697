//! Splitting an amount in proportion to weights, exactly.

/// Memory reused from one split to the next: the search makes millions of them.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    shares: Vec<i64>,
    /// Of each weight its remainder, the weight, its place.
    remainders: Vec<(u128, i64, usize)>,
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
        let mut short = amount;
        for (place, weight) in weights.enumerate() {
            let (share, remainder) = divide(amount, weight, total);
            short -= share;
            self.shares.push(share);
            if remainder > 0 {
                self.remainders.push((remainder, weight, place));
            }
        }
        let Ok(short @ 1..) = usize::try_from(short) else {
            return &self.shares;
        };
        if short < self.remainders.len() {
            self.remainders
                .select_nth_unstable_by(short, |a, b| b.0.cmp(&a.0).then(b.1.cmp(&a.1)).then(a.2.cmp(&b.2)));
        }
        for (_, _, place) in self.remainders.iter().take(short) {
            if let Some(share) = self.shares.get_mut(*place) {
                *share += 1;
            }
        }
        &self.shares
    }
}

/// `amount * weight / total` and what remains. Amounts of money fit the machine's own division nearly always.
fn divide(amount: i64, weight: i64, total: i64) -> (i64, u128) {
    if let Some(product) = amount.checked_mul(weight) {
        return (product / total, u128::from((product % total).unsigned_abs()));
    }
    let product = i128::from(amount) * i128::from(weight);
    let total = i128::from(total);
    // At most `weight`, since `amount <= total`.
    let share = i64::try_from(product / total).unwrap_or(weight);
    (share, (product % total).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::Splitter;

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
    fn amounts_beyond_64_bits_of_product() {
        let half = i64::MAX / 2;
        assert_eq!(split(i64::MAX - 1, &[half, half]), [half, half]);
        assert_eq!(split(half, &[half, half]), [half / 2 + 1, half / 2]);
    }
}
