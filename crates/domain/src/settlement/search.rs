//! What the searches for the best combination and for the best order have in common: visits counted against a budget,
//! upper bounds, and moments already seen.

use std::collections::HashMap;

use super::{
    InputError,
    budget::{Budget, STEP},
    field::{Field, Ready, State},
    input::{MAX_COUPONS, WHOLE_BP},
    preference::Preference,
    split::Splitter,
};

/// A set of coupons, by their places in the input.
pub(super) type Set = u32;

/// The coupons of a set.
pub(super) fn members(mut set: Set) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = set.trailing_zeros();
        set &= set.checked_sub(1)?;
        Some(place as usize)
    })
}

/// What is always answered, whatever it takes: at most some 260 thousand beginnings of orders. Coupons, and groups of
/// them that run in one phase.
const COUPONS_ALWAYS: (usize, usize) = (10, 7);
/// The same of groups, whatever the coupons.
const GROUPS_ALWAYS: (usize, usize) = (5, 4);
/// Remembering moments costs more than it saves in the short searches that nearly all are.
const REMEMBER_AFTER: u64 = 500;
/// Moments after which remembering has to have paid: one in so many was seen before. Where scopes overlap in every way,
/// no two orders leave the same.
const MOMENTS: u64 = 2_000;
const ONE_IN: u64 = 20;
/// Numbers remembered at most: 32 MB.
const MEMORY: usize = 4_000_000;

/// A moment as far as it matters for what may follow.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Moment {
    open: Set,
    numbers: Box<[i64]>,
}

/// The most groups that run in one phase.
fn abreast(field: &Field<'_>, among: Set) -> usize {
    let mut groups: Vec<_> = members(among)
        .filter_map(|c| Some((field.coupons[c].phase, field.coupons[c].group?)))
        .collect();
    groups.sort_unstable();
    groups.dedup();
    let phases = groups.chunk_by(|(one, _), (other, _)| one == other);
    phases.map(<[_]>::len).max().unwrap_or(0)
}

#[derive(Debug)]
pub(super) struct Search<'a> {
    pub(super) field: &'a Field<'a>,
    budget: &'a Budget<'a>,
    always: bool,
    steps: u64,
    /// One for each depth.
    pub(super) states: Vec<State>,
    pub(super) splitter: Splitter,
    /// Of each moment seen the preferred of the sets that led to it.
    seen: HashMap<Moment, Set>,
    /// Which of two sets is preferred.
    pub(super) preference: Preference,
    remembered: usize,
    /// Moments asked for, and those of them that were seen before.
    asked: u64,
    found: u64,
    /// Of each coupon a number of its group.
    group_of: [usize; MAX_COUPONS],
    /// The coupons that take an uncapped percentage.
    percentages: Set,
    /// The coupons in the order of their ids.
    pub(super) by_id: Vec<usize>,
}

impl<'a> Search<'a> {
    pub(super) fn new(field: &'a Field<'a>, among: Set, budget: &'a Budget<'a>) -> Self {
        let mut groups: Vec<_> = members(among).filter_map(|c| field.coupons[c].group).collect();
        let coupons = groups.len();
        groups.sort_unstable();
        groups.dedup();
        let mut group_of = [0; MAX_COUPONS];
        let mut percentages = 0;
        for (c, coupon) in field.coupons.iter().enumerate() {
            group_of[c] = groups.iter().position(|name| Some(*name) == coupon.group).unwrap_or(0);
            percentages |= Set::from(coupon.uncapped_bp() > 0) << c;
        }
        let mut by_id: Vec<_> = members(among).collect();
        by_id.sort_unstable_by_key(|&c| &field.coupons[c].coupon.id);
        let abreast = abreast(field, among);
        let always = |count, (most, most_abreast)| count <= most && abreast <= most_abreast;
        Self {
            field,
            budget,
            always: always(coupons, COUPONS_ALWAYS) || always(groups.len(), GROUPS_ALWAYS),
            steps: 0,
            states: vec![field.start().clone(); groups.len() + 2],
            splitter: Splitter::default(),
            seen: HashMap::new(),
            preference: Preference::new(field),
            remembered: 0,
            asked: 0,
            found: 0,
            group_of,
            percentages,
            by_id,
        }
    }

    /// Counts a step that visits so many lines or classes of lines.
    fn step(&mut self, lines: usize) -> Result<(), InputError> {
        self.steps += 1;
        self.budget.step(lines, self.always)
    }

    /// The most that each of the coupons could take at this depth.
    pub(super) fn bounds(&mut self, depth: usize, coupons: Set) -> Result<[i64; MAX_COUPONS], InputError> {
        let field = self.field;
        self.step(members(coupons).map(|c| field.coupons[c].classes.len() + STEP).sum())?;
        let mut bounds = [0; MAX_COUPONS];
        for c in members(coupons) {
            bounds[c] = field.bound(&field.coupons[c], &self.states[depth]);
        }
        Ok(bounds)
    }

    /// Makes the state one deeper that in which the coupon has taken the amount.
    pub(super) fn descend(&mut self, depth: usize, coupon: usize, amount: i64) -> Result<(), InputError> {
        self.step(self.field.coupons[coupon].lines.len())?;
        let (above, below) = self.states.split_at_mut(depth + 1);
        let state = &mut below[0];
        state.copy_from(&above[depth]);
        let coupon = &self.field.coupons[coupon];
        self.field.apply(coupon, amount, state, &mut self.splitter, |_, _| ());
        Ok(())
    }

    /// Forgets the moments seen: another question is asked.
    pub(super) fn forget(&mut self) {
        self.seen.clear();
        self.remembered = 0;
        self.asked = 0;
        self.found = 0;
    }

    /// Whether this moment was seen before with the same coupons open, reached by coupons that are preferred to `used` or
    /// the same; then nothing new follows from it. What was taken so far is part of it, through what is left.
    pub(super) fn seen(&mut self, depth: usize, open: Set, used: Set) -> Result<bool, InputError> {
        let pays = self.asked < MOMENTS || self.found.saturating_mul(ONE_IN) >= self.asked;
        if self.steps < REMEMBER_AFTER || open.count_ones() < 2 || !pays {
            return Ok(false);
        }
        self.asked += 1;
        let numbers = self.essence(&self.states[depth], open);
        self.step(numbers.len())?;
        let size = numbers.len() + 4;
        let moment = Moment { open, numbers };
        if let Some(before) = self.seen.get_mut(&moment) {
            let better = self.preference.of(used) < self.preference.of(*before);
            if better {
                *before = used;
            }
            self.found += u64::from(!better);
            return Ok(!better);
        }
        if self.remembered + size <= MEMORY {
            self.remembered += size;
            self.seen.insert(moment, used);
        }
        Ok(false)
    }

    /// The numbers on which the amounts of the open coupons depend, now and after each other: where their scopes are the
    /// same or don't meet, the sums of the scopes; otherwise line by line, since splits round there.
    fn essence(&self, state: &State, open: Set) -> Box<[i64]> {
        let mut numbers = vec![state.left];
        let mut scopes: Vec<&Ready<'_>> = Vec::new();
        for coupon in members(open).map(|c| &self.field.coupons[c]) {
            if scopes.iter().any(|scope| scope.classes == coupon.classes) && !coupon.is_voucher() {
                continue;
            }
            let meets = |scope: &&Ready<'_>| scope.classes.iter().any(|class| coupon.classes.contains(class));
            if coupon.is_voucher() || scopes.iter().any(meets) {
                numbers.extend(&state.net);
                numbers.extend(&state.taken);
                return numbers.into();
            }
            scopes.push(coupon);
            numbers.push(self.field.sum(coupon, state));
        }
        numbers.into()
    }

    /// An upper bound on what these coupons, one of each group at most, can take together from now on; `bounds` has what
    /// each could take by itself.
    pub(super) fn bound(&self, depth: usize, coupons: Set, bounds: &[i64; MAX_COUPONS]) -> i64 {
        let state = &self.states[depth];
        let room = self.field.room(state);
        let each = self.sum_of_groups(coupons, |c| bounds[c]);
        let percentages = self.percentages & coupons;
        if each == 0 || percentages.count_ones() < 2 {
            return each.min(room);
        }
        let flat = self.sum_of_groups(coupons & !percentages, |c| bounds[c]);
        each.min(self.percent_bound(state, flat, percentages)).min(room)
    }

    /// The largest of each group, added up.
    pub(super) fn sum_of_groups(&self, coupons: Set, value: impl Fn(usize) -> i64) -> i64 {
        let most = self.of_groups(coupons, value);
        most.iter().fold(0, |sum, most| sum.saturating_add(*most))
    }

    /// The largest of each group.
    fn of_groups(&self, coupons: Set, value: impl Fn(usize) -> i64) -> [i64; MAX_COUPONS] {
        let mut most = [0; MAX_COUPONS];
        for c in members(coupons) {
            let group = &mut most[self.group_of[c]];
            *group = value(c).max(*group);
        }
        most
    }

    /// The coupons by their groups; many of these have none of them.
    pub(super) fn groups(&self, coupons: Set) -> [Set; MAX_COUPONS] {
        let mut groups = [0; MAX_COUPONS];
        for c in members(coupons) {
            groups[self.group_of[c]] |= 1 << c;
        }
        groups
    }

    /// How many more coupons it takes at least until they have taken what is missing.
    pub(super) fn fewest(&self, coupons: Set, bounds: &[i64; MAX_COUPONS], missing: i64) -> usize {
        let mut most = self.of_groups(coupons, |c| bounds[c]);
        most.sort_unstable_by(|a, b| b.cmp(a));
        let mut missing = missing;
        let enough = most.iter().take_while(|most| {
            let more = missing > 0;
            missing -= **most;
            more
        });
        enough.count()
    }

    /// Each class of lines is left with the product of the shares that the percentages leave; a flat amount taken in
    /// between only lowers what they find. Rounding adds to that, per percentage: half a unit to its amount, and where
    /// its split gives whole units to lines that later percentages take less from. Of `n` lines, those rounded up gain
    /// at most `n / 4` units from the others, and a unit's place matters by as much as the shares left differ.
    fn percent_bound(&self, state: &State, flat: i64, percentages: Set) -> i64 {
        let whole = WHOLE_BP as f64;
        let mut left = vec![1.0; state.class.len()];
        let mut most = vec![0; state.class.len()];
        // Of each group the least share it leaves of a line, and the most lines it is split over.
        let mut groups: Vec<(f64, usize)> = Vec::new();
        let mut open = percentages;
        while let Some(first) = members(open).next() {
            let group = members(open)
                .filter(|&c| self.group_of[c] == self.group_of[first])
                .fold(0, |set, c| set | 1 << c);
            open &= !group;
            most.fill(0);
            let (mut largest, mut lines) = (0, 0);
            for coupon in members(group).map(|c| &self.field.coupons[c]) {
                let bp = coupon.uncapped_bp();
                (largest, lines) = (bp.max(largest), coupon.lines.len().max(lines));
                for &class in &coupon.classes {
                    most[class] = bp.max(most[class]);
                }
            }
            for (left, &most) in left.iter_mut().zip(&most) {
                *left *= 1.0 - most as f64 / whole;
            }
            groups.push((1.0 - largest as f64 / whole, lines));
        }
        let others = |place: usize| -> f64 {
            let others = groups.iter().enumerate().filter(|(other, _)| *other != place);
            others.map(|(_, (least, _))| least).product()
        };
        let rounding = groups.iter().enumerate();
        let rounding = rounding.map(|(place, (_, lines))| 0.5 + *lines as f64 / 4.0 * (1.0 - others(place)));
        let taken = state.class.iter().zip(&left);
        let taken = taken.map(|(class, left)| *class as f64 * (1.0 - left));
        // Floats are exact to some 16 digits.
        let inexact = 1e-6 + state.left as f64 * 1e-12;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "beyond an i64 it is the largest, which a bound may be"
        )]
        let taken = (taken.sum::<f64>() + rounding.sum::<f64>() + inexact) as i64;
        flat.saturating_add(taken)
    }
}
