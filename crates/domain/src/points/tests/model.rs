//! The ledger against a model that knows nothing of lots' sums: it keeps every single point as a thing of its own.

use std::collections::BTreeMap;

use proptest::{prelude::*, sample::Index};

use super::*;

/// One point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Free,
    Held(u128),
    Spent(u128),
    Gone,
}

#[derive(Debug, Clone, Copy)]
struct Point {
    lot: i64,
    ends: Millis,
    earned: Millis,
    ready: Millis,
    sale: u128,
    at: At,
}

#[derive(Debug, Default)]
struct Model {
    points: Vec<Point>,
    debt: i64,
    /// Deadlines of holds.
    holds: BTreeMap<u128, Millis>,
    now: Millis,
}

impl Model {
    /// Places of points that may be spent, in their order.
    fn ready(&self) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.points.len())
            .filter(|place| self.points[*place].at == At::Free && self.points[*place].ready <= self.now)
            .collect();
        places.sort_by_key(|place| {
            let point = self.points[*place];
            (point.ends, point.earned, point.lot)
        });
        places
    }

    fn count(&self, is: impl Fn(&Point) -> bool) -> i64 {
        i64::try_from(self.points.iter().filter(|point| is(point)).count()).unwrap()
    }

    fn balances(&self) -> Balances {
        Balances {
            available: self.count(|point| point.at == At::Free && point.ready <= self.now),
            held: self.count(|point| matches!(point.at, At::Held(_))),
            pending: self.count(|point| point.at == At::Free && point.ready > self.now),
            debt: self.debt,
        }
    }

    fn settle_debt(&mut self) {
        for place in self.ready() {
            if self.debt == 0 {
                return;
            }
            self.points[place].at = At::Gone;
            self.debt -= 1;
        }
    }

    fn end(&mut self) {
        let now = self.now;
        for point in &mut self.points {
            if point.at == At::Free && point.ends <= now {
                point.at = At::Gone;
            }
        }
    }

    /// One instant after the other.
    fn go_on(&mut self, ms: Millis) {
        for _ in 0..ms {
            self.now += 1;
            let now = self.now;
            let lapsed: Vec<u128> = self
                .holds
                .iter()
                .filter(|(_, until)| **until <= now)
                .map(|(id, _)| *id)
                .collect();
            // What becomes available does so before anything ends.
            self.settle_debt();
            for id in lapsed {
                self.release(id);
            }
            self.end();
        }
    }

    fn release(&mut self, id: u128) {
        self.holds.remove(&id);
        let now = self.now;
        for point in &mut self.points {
            if point.at == At::Held(id) {
                point.at = if point.ends <= now { At::Gone } else { At::Free };
            }
        }
        self.settle_debt();
    }
}

#[derive(Debug, Clone)]
enum Step {
    Earn {
        amount: i64,
        life: Option<Millis>,
        wait: Millis,
    },
    Spend(i64),
    Hold {
        amount: i64,
        lasts: Option<Millis>,
    },
    Capture {
        which: Index,
        amount: i64,
    },
    Release(Index),
    TakeBack {
        which: Index,
        amount: i64,
    },
    GiveBack {
        which: Index,
        amount: i64,
    },
    Wait(Millis),
}

fn step() -> impl Strategy<Value = Step> {
    let amount = || 0_i64..40;
    prop_oneof![
        4 => (amount(), proptest::option::of(1_i64..12), 0_i64..4)
            .prop_map(|(amount, life, wait)| Step::Earn { amount, life, wait }),
        3 => amount().prop_map(Step::Spend),
        3 => (amount(), proptest::option::of(1_i64..8)).prop_map(|(amount, lasts)| Step::Hold { amount, lasts }),
        2 => (any::<Index>(), amount()).prop_map(|(which, amount)| Step::Capture { which, amount }),
        2 => any::<Index>().prop_map(Step::Release),
        3 => (any::<Index>(), amount()).prop_map(|(which, amount)| Step::TakeBack { which, amount }),
        3 => (any::<Index>(), amount()).prop_map(|(which, amount)| Step::GiveBack { which, amount }),
        4 => (1_i64..5).prop_map(Step::Wait),
    ]
}

struct Run {
    ledger: Ledger,
    model: Model,
    out: Vec<Entry>,
    sales: u128,
    holds: Vec<u128>,
    spents: Vec<(u128, Spent)>,
}

impl Run {
    fn cause(&self, reason: Reason, of: Origin, n: u128) -> Cause {
        cause(reason, Some(source(of, n)), self.model.now)
    }

    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        let now = self.model.now;
        let next = u128::try_from(self.out.len()).unwrap() + 1_000;
        match step {
            Step::Wait(ms) => {
                self.model.go_on(ms);
                self.ledger.settle(self.model.now, &mut self.out);
            }
            Step::Earn { amount, life, wait } => {
                self.sales += 1;
                let earned = Earned {
                    amount,
                    at: now,
                    ready_at: (wait > 0).then_some(now + wait),
                    ends_at: life.map(|life| now + life),
                };
                let cause = self.cause(Reason::Purchase, Origin::Sale, self.sales);
                let lot = self.ledger.entries + 1;
                let done = self.ledger.earn(EntryKind::Earn, earned, cause, &mut self.out);
                prop_assert_eq!(done.is_ok(), amount > 0);
                for _ in 0..amount {
                    self.model.points.push(Point {
                        lot,
                        ends: earned.ends_at.unwrap_or(Millis::MAX),
                        earned: now,
                        ready: now + wait,
                        sale: self.sales,
                        at: At::Free,
                    });
                }
                self.model.settle_debt();
            }
            Step::Spend(amount) => {
                let ready = self.model.ready();
                let fits = amount > 0 && ready.len() >= usize::try_from(amount).unwrap();
                let cause = self.cause(Reason::Exchange, Origin::Exchange, next);
                let done = self.ledger.spend(EntryKind::Spend, amount, cause, &mut self.out);
                prop_assert_eq!(done.is_ok(), fits);
                if let Ok(shares) = done {
                    for place in ready.into_iter().take(usize::try_from(amount).unwrap()) {
                        self.model.points[place].at = At::Spent(next);
                    }
                    let entry = self.ledger.entries;
                    self.spents
                        .push((next, spent(source(Origin::Exchange, next), entry, shares)));
                }
            }
            Step::Hold { amount, lasts } => {
                let ready = self.model.ready();
                let fits = amount > 0 && ready.len() >= usize::try_from(amount).unwrap();
                let until = lasts.map_or(Millis::MAX, |ms| now + ms);
                let cause = self.cause(Reason::Purchase, Origin::Hold, next);
                let done = self
                    .ledger
                    .hold(freeze(next), DEVICE, until, amount, cause, &mut self.out);
                prop_assert_eq!(done.is_ok(), fits);
                if done.is_ok() {
                    for place in ready.into_iter().take(usize::try_from(amount).unwrap()) {
                        self.model.points[place].at = At::Held(next);
                    }
                    self.model.holds.insert(next, until);
                    self.holds.push(next);
                }
            }
            Step::Capture { which, amount } => {
                if self.holds.is_empty() {
                    return Ok(());
                }
                let id = self.holds[which.index(self.holds.len())];
                let mut held: Vec<usize> = (0..self.model.points.len())
                    .filter(|place| self.model.points[*place].at == At::Held(id))
                    .collect();
                held.sort_by_key(|place| {
                    let point = self.model.points[*place];
                    (point.ends, point.earned, point.lot)
                });
                let fits =
                    self.model.holds.contains_key(&id) && amount > 0 && held.len() >= usize::try_from(amount).unwrap();
                let cause = self.cause(Reason::Purchase, Origin::Order, next);
                let done = self.ledger.capture(freeze(id), amount, cause, &mut self.out);
                prop_assert_eq!(done.is_ok(), fits);
                if let Ok(shares) = done {
                    for place in held.into_iter().take(usize::try_from(amount).unwrap()) {
                        self.model.points[place].at = At::Spent(next);
                    }
                    self.model.release(id);
                    self.spents.push((next, spent(source(Origin::Order, next), 0, shares)));
                }
            }
            Step::Release(which) => {
                if self.holds.is_empty() {
                    return Ok(());
                }
                let id = self.holds[which.index(self.holds.len())];
                let cause = self.cause(Reason::Cancelled, Origin::Hold, id);
                let done = self.ledger.release(freeze(id), cause, &mut self.out);
                prop_assert_eq!(done.is_ok(), self.model.holds.contains_key(&id));
                if done.is_ok() {
                    self.model.release(id);
                }
            }
            Step::TakeBack { which, amount } => {
                if self.sales == 0 {
                    return Ok(());
                }
                let sale = 1 + u128::try_from(which.index(usize::try_from(self.sales).unwrap())).unwrap();
                let cause = self.cause(Reason::Returned, Origin::Return, next);
                let done = self
                    .ledger
                    .take_back(source(Origin::Sale, sale), amount, cause, &mut self.out);
                prop_assert_eq!(done.is_ok(), amount > 0);
                let mut left = amount;
                let own: Vec<usize> = (0..self.model.points.len())
                    .filter(|place| self.model.points[*place].at == At::Free && self.model.points[*place].sale == sale)
                    .collect();
                for place in own.into_iter().chain(self.model.ready()) {
                    if left > 0 && self.model.points[place].at == At::Free {
                        self.model.points[place].at = At::Gone;
                        left -= 1;
                    }
                }
                self.model.debt += left;
            }
            Step::GiveBack { which, amount } => {
                if self.spents.is_empty() {
                    return Ok(());
                }
                let place = which.index(self.spents.len());
                let id = self.spents[place].0;
                let mut open: Vec<usize> = (0..self.model.points.len())
                    .filter(|place| self.model.points[*place].at == At::Spent(id))
                    .collect();
                open.sort_by_key(|place| {
                    let point = self.model.points[*place];
                    std::cmp::Reverse((point.ends, point.earned, point.lot))
                });
                let fits = amount > 0 && open.len() >= usize::try_from(amount).unwrap();
                let cause = self.cause(Reason::Returned, Origin::Refund, next);
                let back = &mut self.spents[place].1;
                let done = self.ledger.give_back(back, amount, None, cause, &mut self.out);
                prop_assert_eq!(done.is_ok(), fits);
                if done.is_ok() {
                    for place in open.into_iter().take(usize::try_from(amount).unwrap()) {
                        let point = &mut self.model.points[place];
                        point.at = if point.ends <= now { At::Gone } else { At::Free };
                    }
                    self.model.settle_debt();
                }
            }
        }
        Ok(())
    }

    fn agree(&self) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.ledger.balances(), self.model.balances());
        let (open, debt) = folded(&self.out);
        let mut lots: Vec<_> = self
            .ledger
            .lots
            .iter()
            .map(|lot| (lot.number, lot.free, lot.held))
            .collect();
        lots.sort_unstable();
        prop_assert_eq!(open, lots);
        prop_assert_eq!(debt, self.ledger.debt);
        for lot in &self.ledger.lots {
            let here = |at: fn(&At) -> bool| self.model.count(|point| point.lot == lot.number && at(&point.at));
            prop_assert_eq!(lot.free, here(|at| *at == At::Free));
            prop_assert_eq!(lot.held, here(|at| matches!(at, At::Held(_))));
        }
        let pinned: i64 = self.ledger.holds.iter().map(Hold::amount).sum();
        prop_assert_eq!(pinned, self.ledger.balances().held);
        if let Some(last) = self.out.last() {
            prop_assert_eq!(last.after.debt, self.ledger.debt);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn the_ledger_is_what_single_points_come_to(steps in proptest::collection::vec(step(), 1..60)) {
        let mut run = Run {
            ledger: Ledger::default(),
            model: Model::default(),
            out: Vec::new(),
            sales: 0,
            holds: Vec::new(),
            spents: Vec::new(),
        };
        for step in steps {
            run.take(step)?;
            run.agree()?;
        }
    }

    /// It does not matter how often anybody looks.
    #[test]
    fn settling_late_is_settling_often(steps in proptest::collection::vec(step(), 1..30), wait in 1_i64..30) {
        let mut run = Run {
            ledger: Ledger::default(),
            model: Model::default(),
            out: Vec::new(),
            sales: 0,
            holds: Vec::new(),
            spents: Vec::new(),
        };
        for step in steps {
            run.take(step)?;
        }
        let now = run.model.now;
        let mut once = run.ledger.clone();
        let mut out = Vec::new();
        once.settle(now + wait, &mut out);
        let mut often = run.ledger.clone();
        let mut more = Vec::new();
        for ms in 1..=wait {
            often.settle(now + ms, &mut more);
        }
        prop_assert_eq!(once, often);
        prop_assert_eq!(out, more);
    }

    /// Buying and refunding nets to nothing, however often, whatever was spent between.
    #[test]
    fn buying_and_refunding_nets_to_nothing(loops in 1_i64..40, amount in 1_i64..1_000, spends in 0_i64..500) {
        let mut ledger = Ledger::default();
        let mut out = Vec::new();
        let net = |ledger: &Ledger| ledger.balances().total() - ledger.balances().debt;
        let earned = Earned { amount: 500, at: 0, ready_at: None, ends_at: None };
        ledger.earn(EntryKind::Adjust, earned, cause(Reason::Opening, None, 0), &mut out).unwrap();
        if spends > 0 {
            ledger.spend(EntryKind::Spend, spends, cause(Reason::Exchange, None, 0), &mut out).unwrap();
        }
        let before = net(&ledger);
        for n in 0..loops {
            let sale = source(Origin::Sale, u128::try_from(n).unwrap());
            let earned = Earned { amount, at: n, ready_at: None, ends_at: None };
            ledger.earn(EntryKind::Earn, earned, cause(Reason::Purchase, Some(sale), n), &mut out).unwrap();
            let back = cause(Reason::Returned, Some(source(Origin::Return, u128::try_from(n).unwrap())), n);
            ledger.take_back(sale, amount, back, &mut out).unwrap();
        }
        prop_assert_eq!(net(&ledger), before);
        folded(&out);
    }
}
