//! The order in which coupons chosen by hand run: whichever takes most in all, then the smallest by ids. One that can't
//! apply at its turn is passed over.

use super::{
    InputError,
    budget::Budget,
    field::Field,
    search::{Search, Set, members},
};

/// All of the coupons, none of which excludes another, in the order in which they run.
pub(super) fn order(field: &Field<'_>, coupons: Set, budget: &Budget<'_>) -> Result<Vec<usize>, InputError> {
    let mut listed = Listed {
        search: Search::new(field, coupons, budget),
        total: 0,
        order: Vec::new(),
        best: Vec::new(),
    };
    // One less than some order takes, so that the first order by ids that takes as much is accepted.
    listed.total = listed.greedy(coupons)? - 1;
    listed.run(0, coupons, 0)?;
    Ok(listed.best)
}

#[derive(Debug)]
struct Listed<'a> {
    search: Search<'a>,
    /// The largest discount found.
    total: i64,
    order: Vec<usize>,
    /// The order that took it.
    best: Vec<usize>,
}

impl Listed<'_> {
    /// What is taken when the largest always goes first.
    fn greedy(&mut self, coupons: Set) -> Result<i64, InputError> {
        let field = self.search.field;
        let mut open = coupons;
        let mut depth = 0;
        while let Some(phase) = self.phase(open) {
            let state = &self.search.states[depth];
            let now: Vec<_> = members(open).filter(|&c| field.coupons[c].phase == phase).collect();
            let largest = now.iter().map(|&c| (field.amount(&field.coupons[c], state), c)).max();
            match largest {
                Some((amount @ 1.., c)) => {
                    self.search.descend(depth, c, amount)?;
                    depth += 1;
                    open &= !(1 << c);
                }
                _ => now.iter().for_each(|c| open &= !(1 << c)),
            }
        }
        Ok(field.start().left - self.search.states[depth].left)
    }

    fn phase(&self, open: Set) -> Option<usize> {
        members(open).map(|c| self.search.field.coupons[c].phase).min()
    }

    /// Tries the orders of what is left, by ids, so that only a larger discount replaces what was found.
    fn run(&mut self, depth: usize, open: Set, taken: i64) -> Result<(), InputError> {
        let Some(phase) = self.phase(open) else {
            if taken > self.total {
                self.total = taken;
                self.best.clone_from(&self.order);
            }
            return Ok(());
        };
        let bounds = self.search.bounds(depth, open)?;
        let field = self.search.field;
        let bound = self.search.bound(depth, open, &bounds);
        if taken.saturating_add(bound) <= self.total || self.search.seen(depth, open, 0)? {
            return Ok(());
        }
        for i in 0..self.search.by_id.len() {
            let c = self.search.by_id[i];
            let coupon = &field.coupons[c];
            if open & (1 << c) == 0 || coupon.phase != phase {
                continue;
            }
            let amount = field.amount(coupon, &self.search.states[depth]);
            self.order.push(c);
            if amount > 0 {
                self.search.descend(depth, c, amount)?;
                self.run(depth + 1, open & !(1 << c), taken + amount)?;
            } else {
                self.run(depth, open & !(1 << c), taken)?;
            }
            self.order.pop();
            if amount == 0 && !coupon.is_voucher() {
                // It won't apply later either, so its turn makes no difference, and this is the first by ids.
                break;
            }
        }
        Ok(())
    }
}
