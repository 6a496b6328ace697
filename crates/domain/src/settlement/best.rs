//! The best combination, exactly: the largest discount; ties: fewer coupons, then those that expire first, then ids.
//!
//! Three questions, one after the other. What is the largest discount (branch and bound over orders of application; every
//! beginning of one is a combination too)? Which combination, in the order of preference, is the first to reach it? In
//! which order of ids does it reach it first? The second asks few combinations, since most can't reach it by their
//! bounds, and asks the third of each.

use super::{
    InputError,
    field::Field,
    input::MAX_COUPONS,
    search::{Search, Set, members},
};

/// The coupons of the best combination in the order of application, among those that apply alone.
pub(super) fn best(field: &Field<'_>, among: Set) -> Result<Vec<usize>, InputError> {
    let alone = each(among, |c| field.amount(&field.coupons[c], field.start()));
    let mut best = Best {
        search: Search::new(field, among),
        beside: each(among, |c| beside(field, among, c)),
        later: each(among, |c| later(field, among, c)),
        total: alone.iter().copied().max().unwrap_or(0),
    };
    let together = members(among)
        .filter(|&c| field.coupons[c].group.is_some())
        .fold(0, |set, c| set | 1 << c);
    best.climb(0, together, 0)?;
    best.search.forget();
    for size in 1..=among.count_ones() {
        if let Some(order) = best.preferred(among, size)? {
            return Ok(order);
        }
    }
    Ok(Vec::new())
}

fn each<T: Default + Copy>(among: Set, value: impl Fn(usize) -> T) -> [T; MAX_COUPONS] {
    let mut values = [T::default(); MAX_COUPONS];
    for c in members(among) {
        values[c] = value(c);
    }
    values
}

/// The coupons that this one can be used with.
fn beside(field: &Field<'_>, among: Set, c: usize) -> Set {
    members(among)
        .filter(|&other| !field.coupons[c].excludes(&field.coupons[other]))
        .fold(0, |set, other| set | 1 << other)
}

/// Those of them that may run after it.
fn later(field: &Field<'_>, among: Set, c: usize) -> Set {
    members(beside(field, among, c))
        .filter(|&other| field.coupons[other].phase >= field.coupons[c].phase)
        .fold(0, |set, other| set | 1 << other)
}

#[derive(Debug)]
struct Best<'a> {
    search: Search<'a>,
    beside: [Set; MAX_COUPONS],
    later: [Set; MAX_COUPONS],
    /// The largest discount found.
    total: i64,
}

impl Best<'_> {
    /// Looks for a larger discount among those that begin with what was taken so far.
    fn climb(&mut self, depth: usize, open: Set, taken: i64) -> Result<(), InputError> {
        let field = self.search.field;
        let state = &self.search.states[depth];
        let bounds = each(open, |c| field.bound(&field.coupons[c], state));
        let live = members(open).filter(|&c| bounds[c] > 0).fold(0, |set, c| set | 1 << c);
        let bound = self.search.bound(depth, live, &bounds);
        if taken.saturating_add(bound) <= self.total || self.search.seen(depth, live) {
            return Ok(());
        }
        let state = &self.search.states[depth];
        let room = field.room(state);
        let mut next: Vec<_> = members(live)
            .map(|c| {
                let coupon = &field.coupons[c];
                let amount = if coupon.is_voucher() {
                    field.amount(coupon, state)
                } else {
                    bounds[c]
                };
                let rest = self.search.sum_of_groups(live & self.later[c], |c| bounds[c]);
                (amount.saturating_add(rest).min(room), amount, c)
            })
            .filter(|(_, amount, _)| *amount > 0)
            .collect();
        // The most promising first: the sooner the bound is high, the more it cuts off.
        next.sort_unstable_by(|a, b| b.cmp(a));
        for (bound, amount, c) in next {
            if taken + bound <= self.total {
                break;
            }
            self.search.step(live)?;
            self.total = self.total.max(taken + amount);
            if bound > amount && taken + bound > self.total {
                self.search.descend(depth, c, amount);
                self.climb(depth + 1, live & self.later[c], taken + amount)?;
            }
        }
        Ok(())
    }

    /// Of the combinations of this size that reach the total, the preferred one, in its order of application.
    fn preferred(&mut self, among: Set, size: u32) -> Result<Option<Vec<usize>>, InputError> {
        let field = self.search.field;
        let bounds = each(among, |c| field.bound(&field.coupons[c], field.start()));
        let mut by_bound: Vec<_> = members(among).collect();
        by_bound.sort_unstable_by_key(|&c| std::cmp::Reverse(bounds[c]));
        let by_bound: Vec<_> = by_bound.into_iter().map(|c| (c, bounds[c])).collect();
        let mut sets = Vec::new();
        self.reaching(&by_bound, among, size, self.total, 0, &mut sets)?;
        sets.sort_by_cached_key(|&set| {
            let coupons = || members(set).map(|c| field.coupons[c].coupon);
            // An open end is last.
            let mut ends: Vec<_> = coupons().map(|c| (c.valid_until.is_none(), c.valid_until)).collect();
            let mut ids: Vec<_> = coupons().map(|c| c.id.as_bytes()).collect();
            ends.sort_unstable();
            ids.sort_unstable();
            (ends, ids)
        });
        for set in sets {
            let mut order = Vec::new();
            if self.reach(0, set, 0, &mut order)? {
                return Ok(Some(order));
            }
        }
        Ok(None)
    }

    /// Collects the sets of `size` more coupons whose bounds add up to what is missing.
    fn reaching(
        &mut self,
        by_bound: &[(usize, i64)],
        open: Set,
        size: u32,
        missing: i64,
        set: Set,
        sets: &mut Vec<Set>,
    ) -> Result<(), InputError> {
        if size == 0 {
            if missing <= 0 {
                sets.push(set);
            }
            return Ok(());
        }
        for (i, &(c, bound)) in by_bound.iter().enumerate() {
            let most = by_bound.iter().skip(i).take(size as usize);
            if most.fold(0_i64, |sum, (_, bound)| sum.saturating_add(*bound)) < missing {
                break;
            }
            self.search.step(0)?;
            if open & (1 << c) != 0 {
                let rest = by_bound.get(i + 1..).unwrap_or_default();
                self.reaching(
                    rest,
                    open & self.beside[c],
                    size - 1,
                    missing - bound,
                    set | 1 << c,
                    sets,
                )?;
            }
        }
        Ok(())
    }

    /// The first order, by ids, in which all of the set apply and take the total.
    fn reach(&mut self, depth: usize, set: Set, taken: i64, order: &mut Vec<usize>) -> Result<bool, InputError> {
        if set == 0 {
            return Ok(taken == self.total);
        }
        self.search.step(set)?;
        let field = self.search.field;
        let state = &self.search.states[depth];
        let bounds = each(set, |c| field.bound(&field.coupons[c], state));
        if members(set).any(|c| bounds[c] == 0)
            || taken.saturating_add(self.search.bound(depth, set, &bounds)) < self.total
            || self.search.seen(depth, set)
        {
            return Ok(false);
        }
        let phase = members(set).map(|c| field.coupons[c].phase).min();
        for i in 0..self.search.by_id.len() {
            let c = self.search.by_id[i];
            if set & (1 << c) == 0 || Some(field.coupons[c].phase) != phase {
                continue;
            }
            let amount = field.amount(&field.coupons[c], &self.search.states[depth]);
            if amount == 0 {
                continue;
            }
            if set != 1 << c {
                self.search.descend(depth, c, amount);
            }
            order.push(c);
            if self.reach(depth + 1, set & !(1 << c), taken + amount, order)? {
                return Ok(true);
            }
            order.pop();
        }
        Ok(false)
    }
}
