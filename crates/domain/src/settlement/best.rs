//! The best combination, exactly: the largest discount; ties: fewer coupons, then those that expire first, then ids.
//!
//! Two questions, one after the other. Which combination is it (branch and bound over orders of application; every
//! beginning of one is a combination too)? In which order of ids does it first reach its discount?

use super::{
    InputError,
    budget::Budget,
    field::Field,
    input::MAX_COUPONS,
    preference::{Key, Preference},
    search::{Search, Set, members},
};

/// The coupons of the best combination in the order of application, among those that apply alone.
pub(super) fn best(field: &Field<'_>, among: Set, budget: &Budget<'_>) -> Result<Vec<usize>, InputError> {
    let preference = Preference::new(field);
    let among = matching(among, |c| !replaced(field, &preference, among, c));
    let search = Search::new(field, among, budget);
    let mut best = Best {
        later: each(among, |c| later(field, among, c)),
        within: each(among, |c| matching(among, |other| field.within(c, other))),
        apart: each(among, |c| matching(among, |other| field.apart(c, other))),
        total: 0,
        set: 0,
        key: search.preference.of(0),
        search,
    };
    for c in members(among) {
        best.offer(1 << c, field.amount(&field.coupons[c], field.start()));
    }
    let together = matching(among, |c| field.coupons[c].group.is_some());
    best.climb(0, 0, together, 0)?;
    best.search.forget();
    let mut order = Vec::new();
    best.reach(0, best.set, 0, &mut order)?;
    Ok(order)
}

fn each<T: Default + Copy>(among: Set, value: impl Fn(usize) -> T) -> [T; MAX_COUPONS] {
    let mut values = [T::default(); MAX_COUPONS];
    for c in members(among) {
        values[c] = value(c);
    }
    values
}

fn matching(among: Set, wanted: impl Fn(usize) -> bool) -> Set {
    members(among).filter(|&c| wanted(c)).fold(0, |set, c| set | 1 << c)
}

/// Whether another one does the same in every combination and is preferred.
fn replaced(field: &Field<'_>, preference: &Preference, among: Set, c: usize) -> bool {
    let coupons = &field.coupons;
    let key = |c: usize| preference.of(1 << c);
    members(among).any(|other| other != c && coupons[c].is_like(&coupons[other]) && key(other) < key(c))
}

/// The coupons that may run after it.
fn later(field: &Field<'_>, among: Set, c: usize) -> Set {
    matching(among, |other| {
        !field.coupons[c].excludes(&field.coupons[other]) && field.coupons[other].phase >= field.coupons[c].phase
    })
}

#[derive(Debug)]
struct Best<'a> {
    search: Search<'a>,
    later: [Set; MAX_COUPONS],
    /// Of each the coupons whose scopes hold all of its lines: what it takes, it takes from theirs.
    within: [Set; MAX_COUPONS],
    /// Of each the coupons that share no line with it.
    apart: [Set; MAX_COUPONS],
    /// The largest discount found.
    total: i64,
    /// The preferred of the combinations found that reach it.
    set: Set,
    key: Key,
}

impl Best<'_> {
    fn offer(&mut self, set: Set, taken: i64) {
        if taken < self.total {
            return;
        }
        let key = self.search.preference.of(set);
        if taken > self.total || key < self.key {
            (self.total, self.set, self.key) = (taken, set, key);
        }
    }

    /// Whether something better may come of `used`, which took `taken`, and of some of `open`: at most this in all.
    fn promises(&self, most: i64, used: Set, taken: i64, open: Set, bounds: &[i64; MAX_COUPONS]) -> bool {
        if most != self.total {
            return most > self.total;
        }
        let more = self.search.fewest(open, bounds, self.total - taken);
        self.search.preference.at_best(used, &self.search.groups(open), more) < self.key
    }

    /// Looks for something better among those that begin with what was used so far.
    fn climb(&mut self, depth: usize, used: Set, open: Set, taken: i64) -> Result<(), InputError> {
        let field = self.search.field;
        let bounds = self.search.bounds(depth, open)?;
        let live = matching(open, |c| bounds[c] > 0);
        let most = taken.saturating_add(self.search.bound(depth, live, &bounds));
        if !self.promises(most, used, taken, live, &bounds) || self.search.seen(depth, live, used)? {
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
            let (used, after) = (used | 1 << c, taken + amount);
            self.offer(used, after);
            let rest = live & self.later[c];
            if rest == 0 || !self.promises(taken + bound, used, after, rest, &bounds) {
                continue;
            }
            if let Some(last) = self.last(depth, c, amount, rest) {
                self.offer(used | rest, after + last);
                continue;
            }
            self.search.descend(depth, c, amount)?;
            self.climb(depth + 1, used, rest, after)?;
        }
        Ok(())
    }

    /// What the only coupon left takes after this one took its amount, where no line need be looked at to know.
    fn last(&self, depth: usize, c: usize, amount: i64, rest: Set) -> Option<i64> {
        let field = self.search.field;
        let last = members(rest).next().filter(|_| rest.is_power_of_two())?;
        let coupon = &field.coupons[last];
        let taken = if self.within[c] & rest != 0 {
            amount
        } else if self.apart[c] & rest != 0 {
            0
        } else {
            return None;
        };
        let state = &self.search.states[depth];
        let room = field.room_of(state.left - amount);
        (!coupon.is_voucher()).then(|| field.amount_of(coupon, field.sum(coupon, state) - taken, room))
    }

    /// The first order, by ids, in which all of the set apply and take the total.
    fn reach(&mut self, depth: usize, set: Set, taken: i64, order: &mut Vec<usize>) -> Result<bool, InputError> {
        if set == 0 {
            return Ok(taken == self.total);
        }
        let field = self.search.field;
        let bounds = self.search.bounds(depth, set)?;
        if members(set).any(|c| bounds[c] == 0)
            || taken.saturating_add(self.search.bound(depth, set, &bounds)) < self.total
            || self.search.seen(depth, set, 0)?
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
                self.search.descend(depth, c, amount)?;
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
