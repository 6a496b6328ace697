//! The basket made ready for counting: scopes resolved to lines, and what a coupon takes at a given moment.

use std::collections::HashMap;

use super::{
    answer::Reason,
    input::{Basis, Basket, Coupon, Kind, Line, Phase, Rounding, Scope, Stacking, WHOLE_BP},
    split::Splitter,
};
use crate::words::Word;

/// What never changes during a quote.
#[derive(Debug)]
pub(super) struct Field<'a> {
    pub(super) basket: &'a Basket,
    /// In the order of the input.
    pub(super) coupons: Vec<Ready<'a>>,
    /// Of each line the class it belongs to: lines in the same scopes are one class, so that the sum of a scope is a
    /// sum over few classes.
    class_of: Vec<usize>,
    start: State,
}

/// A coupon made ready.
#[derive(Debug)]
pub(super) struct Ready<'a> {
    pub(super) coupon: &'a Coupon,
    /// Place of its phase in the policy's order.
    pub(super) phase: usize,
    /// Group; `None` = exclusive.
    pub(super) group: Option<&'a str>,
    /// The lines in scope, in order.
    pub(super) lines: Vec<usize>,
    /// Their classes.
    pub(super) classes: Vec<usize>,
    /// Their undiscounted sum.
    list: i64,
    /// Their units.
    units: i128,
    /// The most that a voucher takes at any moment: its units at the dearest prices.
    dearest: i64,
}

impl Ready<'_> {
    pub(super) fn is_voucher(&self) -> bool {
        matches!(self.coupon.rule.kind, Kind::ItemVoucher { .. })
    }

    /// Basis points taken off, where no cap says more about the most it takes; 0 for everything else.
    pub(super) fn uncapped_bp(&self) -> i64 {
        match self.coupon.rule.kind {
            Kind::PercentOff {
                percent_bp,
                max_discount: None,
                ..
            } => percent_bp,
            _ => 0,
        }
    }

    /// Whether the two take the same from every basket: one rule, on the same lines, in the same group.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.group == other.group && self.coupon.rule == other.coupon.rule && self.lines == other.lines
    }

    /// Whether the two can't be used together.
    pub(super) fn excludes(&self, other: &Self) -> bool {
        match (self.group, other.group) {
            (Some(one), Some(two)) => one == two,
            _ => true,
        }
    }
}

/// A moment of a quote: what the coupons applied so far have left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Of each line.
    pub(super) net: Vec<i64>,
    /// Of each line the units that vouchers took.
    pub(super) taken: Vec<i64>,
    /// Of each class of lines.
    pub(super) class: Vec<i64>,
    /// Of the basket.
    pub(super) left: i64,
}

impl State {
    /// Becomes the other one without new memory.
    pub(super) fn copy_from(&mut self, other: &Self) {
        self.net.clone_from(&other.net);
        self.taken.clone_from(&other.taken);
        self.class.clone_from(&other.class);
        self.left = other.left;
    }
}

impl<'a> Field<'a> {
    /// Makes a checked basket ready; the sums below are parts of its subtotal, which fits.
    pub(super) fn new(basket: &'a Basket) -> Self {
        let net: Vec<i64> = basket.lines.iter().map(list).collect();
        let mut coupons: Vec<_> = basket
            .coupons
            .iter()
            .map(|coupon| ready(basket, coupon, &net))
            .collect();
        let mut scopes = vec![0_u64; net.len()];
        for (bit, coupon) in coupons.iter().enumerate() {
            coupon.lines.iter().for_each(|&line| scopes[line] |= 1 << bit);
        }
        let mut classes = HashMap::new();
        let mut class_of = Vec::with_capacity(net.len());
        for scope in scopes {
            let next = classes.len();
            class_of.push(*classes.entry(scope).or_insert(next));
        }
        let mut class = vec![0; classes.len()];
        for (line, net) in net.iter().enumerate() {
            class[class_of[line]] += net;
        }
        for coupon in &mut coupons {
            coupon.classes = coupon.lines.iter().map(|&line| class_of[line]).collect();
            coupon.classes.sort_unstable();
            coupon.classes.dedup();
        }
        let start = State {
            taken: vec![0; net.len()],
            left: net.iter().sum(),
            net,
            class,
        };
        Self {
            basket,
            coupons,
            class_of,
            start,
        }
    }

    /// The undiscounted basket.
    pub(super) fn start(&self) -> &State {
        &self.start
    }

    /// What coupons may still take before the basket falls below the least payable.
    pub(super) fn room(&self, state: &State) -> i64 {
        self.room_of(state.left)
    }

    /// The same when so much is left.
    pub(super) fn room_of(&self, left: i64) -> i64 {
        // Both are >= 0.
        (left - self.basket.policy.min_payable).max(0)
    }

    /// Whether all lines of the one coupon are lines of the other.
    pub(super) fn within(&self, one: usize, other: usize) -> bool {
        let (one, other) = (&self.coupons[one].classes, &self.coupons[other].classes);
        one.iter().all(|class| other.binary_search(class).is_ok())
    }

    /// Whether the two share no line.
    pub(super) fn apart(&self, one: usize, other: usize) -> bool {
        let (one, other) = (&self.coupons[one].classes, &self.coupons[other].classes);
        !one.iter().any(|class| other.binary_search(class).is_ok())
    }

    /// The sum in scope at this moment.
    pub(super) fn sum(&self, coupon: &Ready<'_>, state: &State) -> i64 {
        coupon.classes.iter().map(|&class| state.class[class]).sum()
    }

    /// What the coupon takes at this moment; 0 = it can't apply.
    pub(super) fn amount(&self, coupon: &Ready<'_>, state: &State) -> i64 {
        if let Kind::ItemVoucher { quantity, .. } = coupon.coupon.rule.kind {
            if self.missing_units(coupon) > 0 {
                return 0;
            }
            // The worth of units is never above what is left of their lines.
            return self.worth_of_units(coupon, quantity, state).min(self.room(state));
        }
        self.amount_of(coupon, self.sum(coupon, state), self.room(state))
    }

    /// The same of a coupon that is no voucher, from the sum in scope and the room.
    pub(super) fn amount_of(&self, coupon: &Ready<'_>, sum: i64, room: i64) -> i64 {
        if room <= 0 || sum <= 0 || self.missing_units(coupon) > 0 || self.missing_money(coupon, sum) > 0 {
            return 0;
        }
        let amount = match &coupon.coupon.rule.kind {
            Kind::ThresholdOff { amount, .. } | Kind::AmountOff { amount } => *amount,
            Kind::EveryOff {
                threshold,
                amount,
                max_times,
                basis,
            } => {
                let times = on(*basis, coupon, sum) / (*threshold).max(1);
                amount.saturating_mul(max_times.map_or(times, |most| times.min(most)))
            }
            Kind::PercentOff {
                percent_bp,
                max_discount,
                ..
            } => {
                let amount = percent(sum, *percent_bp, self.basket.policy.rounding);
                max_discount.map_or(amount, |most| amount.min(most))
            }
            Kind::ItemVoucher { .. } => 0,
        };
        amount.min(sum).min(room)
    }

    /// The most that the coupon could take now or after others. Every kind takes less and less as nets fall, except a
    /// voucher, which another voucher may push from a line already paid for to a dearer one.
    pub(super) fn bound(&self, coupon: &Ready<'_>, state: &State) -> i64 {
        if coupon.is_voucher() && self.missing_units(coupon) == 0 {
            let sum = self.sum(coupon, state);
            return coupon.dearest.min(sum).min(self.room(state));
        }
        self.amount(coupon, state)
    }

    /// What the basket says against the coupon at this moment; nothing = it applies.
    pub(super) fn reasons(&self, coupon: &Ready<'_>, state: &State) -> Vec<Reason> {
        if coupon.lines.is_empty() {
            return vec![Reason::NoLineInScope];
        }
        let mut reasons = Vec::new();
        let money = self.missing_money(coupon, self.sum(coupon, state));
        if money > 0 {
            reasons.push(Reason::BelowThreshold { short_by: money });
        }
        let units = self.missing_units(coupon);
        if units > 0 {
            reasons.push(Reason::BelowQuantity { short_by: units });
        }
        if reasons.is_empty() && self.amount(coupon, state) == 0 {
            reasons.push(Reason::NothingLeft);
        }
        reasons
    }

    /// Takes the amount off, and leaves each line's share in `shares`.
    pub(super) fn apply(
        &self,
        coupon: &Ready<'_>,
        amount: i64,
        state: &mut State,
        splitter: &mut Splitter,
        mut shares: impl FnMut(usize, i64),
    ) {
        let mut take = |state: &mut State, line: usize, share: i64| {
            state.net[line] -= share;
            state.class[self.class_of[line]] -= share;
            state.left -= share;
            shares(line, share);
        };
        if let Kind::ItemVoucher { quantity, .. } = coupon.coupon.rule.kind {
            let (mut units, mut rest) = (quantity, amount);
            for &line in &coupon.lines {
                let (count, worth) = self.units_of(line, units, state);
                // A clip cuts from the last unit back, so it leaves the first ones whole.
                let share = worth.min(rest);
                (units, rest) = (units - count, rest - share);
                state.taken[line] += count;
                take(state, line, share);
            }
            return;
        }
        let weights = coupon.lines.iter().map(|&line| state.net[line]);
        let split = splitter.split(amount, weights);
        for (&line, &share) in coupon.lines.iter().zip(split) {
            take(state, line, share);
        }
    }

    fn worth_of_units(&self, coupon: &Ready<'_>, quantity: i64, state: &State) -> i64 {
        let mut units = quantity;
        let mut worth = 0;
        for &line in &coupon.lines {
            let (count, value) = self.units_of(line, units, state);
            units -= count;
            worth += value;
        }
        worth
    }

    /// How many of these units the line still has, and what they are worth one after the other: each its price until
    /// the line's net is used up.
    fn units_of(&self, line: usize, units: i64, state: &State) -> (i64, i64) {
        let Line {
            unit_price, quantity, ..
        } = self.basket.lines[line];
        let count = units.min(quantity - state.taken[line]);
        // At most the line's undiscounted amount, which fits.
        (count, (unit_price * count).min(state.net[line]))
    }

    fn missing_money(&self, coupon: &Ready<'_>, sum: i64) -> i64 {
        let (threshold, basis) = match coupon.coupon.rule.kind {
            Kind::ThresholdOff { threshold, basis, .. } | Kind::EveryOff { threshold, basis, .. } => (threshold, basis),
            Kind::PercentOff { threshold, basis, .. } => (threshold.unwrap_or(0), basis),
            Kind::AmountOff { .. } | Kind::ItemVoucher { .. } => return 0,
        };
        threshold - on(basis, coupon, sum)
    }

    fn missing_units(&self, coupon: &Ready<'_>) -> i64 {
        let least = i128::from(coupon.coupon.rule.min_quantity.unwrap_or(0));
        // At most `least`, which fits.
        i64::try_from((least - coupon.units).max(0)).unwrap_or(i64::MAX)
    }
}

fn on(basis: Basis, coupon: &Ready<'_>, net: i64) -> i64 {
    match basis {
        Basis::Net => net,
        Basis::List => coupon.list,
    }
}

/// The percentage of a sum, rounded once; it fits, being at most the sum.
fn percent(sum: i64, percent_bp: i64, rounding: Rounding) -> i64 {
    let half = match rounding {
        Rounding::HalfUp => WHOLE_BP / 2,
        Rounding::Down => 0,
    };
    if let Some(product) = sum
        .checked_mul(percent_bp)
        .and_then(|product| product.checked_add(half))
    {
        return product / WHOLE_BP;
    }
    let product = i128::from(sum) * i128::from(percent_bp) + i128::from(half);
    i64::try_from(product / i128::from(WHOLE_BP)).unwrap_or(sum)
}

fn list(line: &Line) -> i64 {
    // The check has refused baskets where this doesn't fit.
    line.unit_price.saturating_mul(line.quantity)
}

fn ready<'a>(basket: &'a Basket, coupon: &'a Coupon, net: &[i64]) -> Ready<'a> {
    let kind = &coupon.rule.kind;
    let lines: Vec<usize> = match kind {
        Kind::ItemVoucher { sku, .. } => (0..net.len()).filter(|&line| basket.lines[line].sku == *sku).collect(),
        _ => in_scope(&coupon.scope, &basket.lines),
    };
    let phase = kind.phase();
    let place = basket.policy.order.iter().position(|named| *named == phase);
    let group = match &coupon.stacking {
        Stacking::Exclusive => None,
        Stacking::Group(group) => Some(group.as_deref().unwrap_or(phase.as_str())),
    };
    Ready {
        coupon,
        phase: place.unwrap_or(Phase::DEFAULT_ORDER.len()),
        group,
        list: lines.iter().map(|&line| net[line]).sum(),
        units: lines.iter().map(|&line| i128::from(basket.lines[line].quantity)).sum(),
        dearest: match kind {
            Kind::ItemVoucher { quantity, .. } => dearest(&lines, *quantity, &basket.lines),
            _ => 0,
        },
        lines,
        classes: Vec::new(),
    }
}

fn in_scope(scope: &Scope, lines: &[Line]) -> Vec<usize> {
    fn sorted(names: &[String]) -> Vec<&str> {
        let mut names: Vec<_> = names.iter().map(String::as_str).collect();
        names.sort_unstable();
        names
    }
    let has = |names: &[&str], name: Option<&str>| name.is_some_and(|name| names.binary_search(&name).is_ok());
    let except = sorted(&scope.except_skus);
    let only = scope
        .only
        .as_ref()
        .map(|only| (sorted(&only.merchants), sorted(&only.categories), sorted(&only.skus)));
    let wanted = |line: &Line| match &only {
        None => true,
        Some((merchants, categories, skus)) => {
            has(merchants, line.merchant.as_deref())
                || has(categories, line.category.as_deref())
                || has(skus, Some(&line.sku))
        }
    };
    let lines = lines.iter().enumerate();
    lines
        .filter(|(_, line)| wanted(line) && !has(&except, Some(&line.sku)))
        .map(|(place, _)| place)
        .collect()
}

fn dearest(of: &[usize], quantity: i64, lines: &[Line]) -> i64 {
    let mut lines: Vec<_> = of.iter().map(|&line| &lines[line]).collect();
    lines.sort_unstable_by_key(|line| std::cmp::Reverse(line.unit_price));
    let mut units = quantity;
    let mut sum = 0;
    for line in lines {
        let count = units.min(line.quantity);
        units -= count;
        sum += line.unit_price * count;
    }
    sum
}
