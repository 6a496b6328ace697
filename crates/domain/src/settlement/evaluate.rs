//! The quote itself: alone, together, points.

use super::{
    InputError,
    answer::{Answer, Applied, LineAnswer, PointsAnswer, Reason, Refused, Share},
    best,
    budget::Budget,
    field::{Field, Ready, State},
    input::{Basket, Points, Select, Status, WHOLE_BP},
    listed,
    search::{Set, members},
    split::Splitter,
};

/// Quotes a basket.
///
/// # Errors
/// What [`Basket::check`] refuses; `too_many_combinations` where the coupons can be combined in more ways than may be
/// tried. That is never so of 10 coupons of which at most 7 in different groups run in one phase, nor of 30 in at most 5
/// groups of which at most 4 run in one phase.
pub fn quote(basket: &Basket) -> Result<Answer, InputError> {
    quote_within(basket, &Budget::default())
}

/// Quotes a basket within a budget.
///
/// # Errors
/// As [`quote`]; `stopped` when the budget was told not to go on.
pub fn quote_within(basket: &Basket, budget: &Budget<'_>) -> Result<Answer, InputError> {
    basket.check()?;
    let field = Field::new(basket);
    let mut quote = Quote {
        field: &field,
        budget,
        state: field.start().clone(),
        splitter: Splitter::default(),
        applied: Vec::new(),
        refused: vec![Vec::new(); field.coupons.len()],
    };
    match &basket.select {
        Select::Best => quote.best()?,
        Select::Listed(ids) => quote.listed(ids)?,
    }
    Ok(quote.answer())
}

struct Quote<'a> {
    field: &'a Field<'a>,
    budget: &'a Budget<'a>,
    state: State,
    splitter: Splitter,
    applied: Vec<Applied>,
    /// The reasons against each coupon; none = applied or not asked for.
    refused: Vec<Vec<Reason>>,
}

impl Quote<'_> {
    fn best(&mut self) -> Result<(), InputError> {
        let usable = self.alone(0..self.field.coupons.len());
        let order = best::best(self.field, set(&usable), self.budget)?;
        self.run(&order);
        for c in usable.into_iter().filter(|c| !order.contains(c)) {
            let excluded_by = self.excluding(c, &order);
            self.refused[c].push(if excluded_by.is_empty() {
                Reason::NotBetter
            } else {
                Reason::ExcludedBy { coupons: excluded_by }
            });
        }
        Ok(())
    }

    fn listed(&mut self, ids: &[String]) -> Result<(), InputError> {
        let place = |id: &String| self.field.coupons.iter().position(|ready| ready.coupon.id == *id);
        // The check has refused ids that no coupon has.
        let listed: Vec<_> = ids.iter().filter_map(place).collect();
        let mut staying = Vec::new();
        for c in self.alone(listed.into_iter()) {
            let coupons = self.excluding(c, &staying);
            if coupons.is_empty() {
                staying.push(c);
            } else {
                self.refused[c].push(Reason::ExcludedBy { coupons });
            }
        }
        let order = listed::order(self.field, set(&staying), self.budget)?;
        self.run(&order);
        Ok(())
    }

    /// Judges each coupon on the undiscounted basket; the ones that apply.
    fn alone(&mut self, coupons: impl Iterator<Item = usize>) -> Vec<usize> {
        let mut usable = Vec::new();
        for c in coupons {
            let ready = &self.field.coupons[c];
            let mut reasons = against(self.field.basket, ready);
            reasons.extend(self.field.reasons(ready, self.field.start()));
            if reasons.is_empty() {
                usable.push(c);
            }
            self.refused[c] = reasons;
        }
        usable
    }

    /// Which of the others the coupon can't stand beside.
    fn excluding(&self, c: usize, others: &[usize]) -> Vec<String> {
        let coupons = &self.field.coupons;
        let excluding = others.iter().filter(|&&other| coupons[c].excludes(&coupons[other]));
        excluding.map(|&other| coupons[other].coupon.id.clone()).collect()
    }

    /// Applies the coupons one after the other; one that can't apply at its turn is refused.
    fn run(&mut self, order: &[usize]) {
        for &c in order {
            let ready = &self.field.coupons[c];
            let amount = self.field.amount(ready, &self.state);
            if amount == 0 {
                self.refused[c] = self.field.reasons(ready, &self.state);
                continue;
            }
            let lines = &self.field.basket.lines;
            let mut shares = Vec::new();
            let note = |line: usize, amount| {
                if amount > 0 {
                    let line = lines[line].id.clone();
                    shares.push(Share { line, amount });
                }
            };
            self.field
                .apply(ready, amount, &mut self.state, &mut self.splitter, note);
            self.applied.push(Applied {
                coupon: ready.coupon.id.clone(),
                amount,
                lines: shares,
            });
        }
    }

    fn answer(mut self) -> Answer {
        let basket = self.field.basket;
        let start = self.field.start();
        let left = self.state.left;
        let points = basket.points.map_or_else(PointsAnswer::default, |points| {
            points.pay(left, basket.policy.min_payable)
        });
        let nets = &self.state.net;
        let by_points = self.splitter.split(points.amount, nets.iter().copied());
        let lines = basket.lines.iter().zip(&start.net).zip(nets).zip(by_points);
        let lines = lines.map(|(((line, &list), &net), &points)| LineAnswer {
            line: line.id.clone(),
            list,
            discount: list - net,
            points,
            net: net - points,
        });
        let refused = self.refused.into_iter().zip(&basket.coupons);
        let refused = refused.filter(|(reasons, _)| !reasons.is_empty());
        Answer {
            subtotal: start.left,
            discount: start.left - left,
            points,
            payable: left - points.amount,
            applied: self.applied,
            refused: refused
                .map(|(reasons, coupon)| Refused {
                    coupon: coupon.id.clone(),
                    reasons,
                })
                .collect(),
            lines: lines.collect(),
        }
    }
}

fn set(coupons: &[usize]) -> Set {
    let set = coupons.iter().fold(0, |set, c| set | 1 << c);
    debug_assert_eq!(members(set).count(), coupons.len());
    set
}

/// What speaks against the coupon whatever the basket is.
fn against(basket: &Basket, ready: &Ready<'_>) -> Vec<Reason> {
    let coupon = ready.coupon;
    let elsewhere = |stores: &Vec<String>| !basket.store.as_ref().is_some_and(|store| stores.contains(store));
    let reasons = [
        (
            coupon.member.is_some() && coupon.member != basket.member,
            Reason::NotOwner,
        ),
        (
            coupon.valid_from.is_some_and(|from| basket.at < from),
            Reason::NotStarted,
        ),
        (
            coupon.status == Status::Expired || coupon.valid_until.is_some_and(|until| until <= basket.at),
            Reason::Expired,
        ),
        (coupon.status == Status::Frozen, Reason::Frozen),
        (coupon.status == Status::Redeemed, Reason::Redeemed),
        (coupon.stores.as_ref().is_some_and(elsewhere), Reason::StoreNotAllowed),
    ];
    reasons
        .into_iter()
        .filter_map(|(holds, reason)| holds.then_some(reason))
        .collect()
}

impl Points {
    /// What they pay of what coupons left, minor units, of which `min_payable` is paid otherwise.
    pub fn pay(self, left: i64, min_payable: i64) -> PointsAnswer {
        let worth = i128::from(self.r#use.min(self.available)) * i128::from(self.minor_per_point);
        let share = i128::from(left) * i128::from(self.max_share_bp) / i128::from(WHOLE_BP);
        let limit = worth.min(share).min(i128::from(left) - i128::from(min_payable)).max(0);
        // At most what is left, so it fits.
        let limit = i64::try_from(limit).unwrap_or(0);
        let used = limit / self.minor_per_point.max(1);
        PointsAnswer {
            used,
            amount: used * self.minor_per_point,
        }
    }
}
