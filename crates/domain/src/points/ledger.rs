//! Lots, holds and a debt, and what can be done to them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Asset, Balances, Cause, Entry, EntryKind, Reason, Share, Source};
use crate::{
    ids::{DeviceId, FreezeId, MemberId},
    planted,
    time::Millis,
};

/// The most that a ledger may come to, and the most that it may owe: far below what sums of it can hold.
pub const MOST: i64 = 1_000_000_000_000_000;

/// Points that were earned together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lot {
    /// The number of the entry that made it.
    pub number: i64,
    /// How much it was at first, >= 1.
    pub amount: i64,
    /// What nobody has spent or pinned.
    pub free: i64,
    /// What holds have pinned.
    pub held: i64,
    /// When it was earned.
    pub earned_at: Millis,
    /// From when it may be spent; `None` = it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<Millis>,
    /// The first instant at which it is over; `None` = it does not end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Millis>,
    /// What it was earned with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
}

impl Lot {
    /// Lots are spent in order of their end, then of earning; those without an end come last.
    fn order(&self) -> (Millis, Millis, i64) {
        (self.ends_at.unwrap_or(Millis::MAX), self.earned_at, self.number)
    }

    fn is_open(&self) -> bool {
        self.free > 0 || self.held > 0
    }

    /// When something happens to it by itself.
    fn due(&self) -> Option<Millis> {
        let matures = self.ready_at.filter(|_| self.free > 0);
        let ends = self.ends_at.filter(|_| self.free > 0);
        match (matures, ends) {
            (Some(matures), Some(ends)) => Some(matures.min(ends)),
            (due, None) | (None, due) => due,
        }
    }
}

/// What a hold has pinned of a lot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The lot.
    pub lot: i64,
    /// How much of it, >= 1.
    pub amount: i64,
}

/// Points that are pinned for somebody who may spend them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The freeze that took it.
    pub id: FreezeId,
    /// The device that may use it; [`ONLINE_DEVICE`](crate::coupons::ONLINE_DEVICE) for an order placed online.
    pub device: DeviceId,
    /// When it lapses by itself; [`HELD_BY_ORDER`](crate::coupons::HELD_BY_ORDER) where its owner decides.
    pub until: Millis,
    /// What it has pinned, in the order in which it is spent.
    pub pins: Vec<Pin>,
}

impl Hold {
    /// How much it holds.
    pub fn amount(&self) -> i64 {
        // Each lies within what the ledger comes to.
        self.pins.iter().map(|pin| pin.amount).sum()
    }
}

/// A lot about to be earned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Earned {
    /// How much, >= 1.
    pub amount: i64,
    /// When.
    pub at: Millis,
    /// From when it may be spent; `None` = at once.
    pub ready_at: Option<Millis>,
    /// The first instant at which it is over; `None` = it does not end.
    pub ends_at: Option<Millis>,
}

/// What was spent for one thing, so that it can be given back to where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    /// Of which asset.
    pub asset: Asset,
    /// For what.
    pub source: Source,
    /// By whom.
    pub member: MemberId,
    /// The entry: a spend or a capture.
    pub entry: i64,
    /// Its shares, in the order in which they were taken.
    pub shares: Vec<SpentShare>,
}

/// A share of a lot that was spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpentShare {
    /// The lot as it was made; what is free and pinned of it now stands in the ledger, if anything is.
    pub lot: Lot,
    /// How much was taken.
    pub amount: i64,
    /// How much of that went back.
    pub given_back: i64,
}

impl Spent {
    /// Puts the shares in the order in which they were taken, which is that of their lots.
    pub fn sort(&mut self) {
        self.shares.sort_by_key(|share| share.lot.order());
    }

    /// How much was taken.
    pub fn amount(&self) -> i64 {
        self.shares.iter().map(|share| share.amount).sum()
    }

    /// How much of it went back.
    pub fn given_back(&self) -> i64 {
        self.shares.iter().map(|share| share.given_back).sum()
    }
}

/// Why something can't be done to a ledger. Nothing was changed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum LedgerError {
    /// Less is available.
    #[error("only {available} are available")]
    Short {
        /// What is.
        available: i64,
    },
    /// An amount below one.
    #[error("an amount is 1 or more")]
    NoAmount,
    /// It would come to more than a ledger holds.
    #[error("it would come to more than {MOST}")]
    TooMuch,
    /// There is no such hold any more, or never was.
    #[error("there is no such hold")]
    NoHold,
    /// More than the hold has pinned.
    #[error("the hold has only {held}")]
    OverHold {
        /// What it has.
        held: i64,
    },
    /// There is such a hold.
    #[error("there is such a hold already")]
    HeldAlready,
}

/// What a member has of one asset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Lots of which something is left, in the order in which they are spent.
    pub lots: Vec<Lot>,
    /// Holds that are neither captured nor released, by their ids.
    pub holds: Vec<Hold>,
    /// What is owed.
    pub debt: i64,
    /// The number of its last entry.
    pub entries: i64,
}

/// An entry that is being made.
#[derive(Default)]
struct Draft {
    lot: Option<Lot>,
    hold: Option<FreezeId>,
    shares: Vec<Share>,
    debt: i64,
}

impl Draft {
    fn of(hold: FreezeId) -> Self {
        Self {
            hold: Some(hold),
            ..Self::default()
        }
    }

    fn add(&mut self, lot: i64, free: i64, held: i64) {
        match self.shares.iter_mut().find(|share| share.lot == lot) {
            Some(share) => {
                share.free += free;
                share.held += held;
            }
            None => self.shares.push(Share { lot, free, held }),
        }
    }
}

impl Ledger {
    /// Puts lots and holds in their orders.
    pub fn sort(&mut self) {
        self.lots.sort_by_key(Lot::order);
        self.holds.sort_by_key(|hold| hold.id);
    }

    /// What it comes to as it stands; [`Ledger::settle`] first, to know what it comes to at an instant.
    pub fn balances(&self) -> Balances {
        let mut balances = Balances {
            debt: self.debt,
            ..Balances::default()
        };
        for lot in &self.lots {
            balances.held += lot.held;
            if lot.ready_at.is_none() {
                balances.available += lot.free;
            } else {
                balances.pending += lot.free;
            }
        }
        balances
    }

    /// What it comes to at an instant.
    pub fn balances_at(&self, now: Millis) -> Balances {
        self.at(now).balances()
    }

    /// As it is at an instant, whatever a sweeper has written yet.
    #[must_use]
    pub fn at(&self, now: Millis) -> Self {
        let mut settled = self.clone();
        settled.settle(now, &mut Vec::new());
        settled
    }

    /// When something happens to it by itself next: a lot becomes available or ends, a counter's hold lapses.
    pub fn due(&self) -> Option<Millis> {
        let lots = self.lots.iter().filter_map(Lot::due);
        let holds = self.holds.iter().map(|hold| hold.until);
        lots.chain(holds.filter(|_| planted!("hold_never_lapses", false, true)))
            .min()
    }

    /// Lets happen what happens by itself up to an instant, in the order of time, so that it does not matter how often
    /// anybody looks.
    pub fn settle(&mut self, now: Millis, out: &mut Vec<Entry>) {
        while let Some(at) = self.due().filter(|at| *at <= now) {
            // What becomes available at the instant at which something else lapses or ends is available first: it
            // settles a debt rather than being lost.
            if let Some(lot) = self
                .lots
                .iter_mut()
                .find(|lot| lot.free > 0 && lot.ready_at == Some(at))
            {
                lot.ready_at = None;
                self.post_if_moved(EntryKind::Adjust, Cause::own(Reason::DebtSettled, at), out);
            } else if let Some(hold) = self.holds.iter().find(|hold| hold.until == at) {
                let id = hold.id;
                // It was found just now.
                if self.release(id, Cause::own(Reason::Lapsed, at), out).is_err() {
                    return;
                }
            } else if let Some(lot) = self.lots.iter_mut().find(|lot| lot.free > 0 && lot.ends_at == Some(at)) {
                let mut draft = Draft::default();
                draft.add(lot.number, -lot.free, 0);
                lot.free = 0;
                self.post(EntryKind::Expire, Cause::own(Reason::Ended, at), draft, out);
            } else {
                return;
            }
        }
    }

    /// Takes a new lot in.
    ///
    /// # Errors
    /// [`LedgerError::NoAmount`], [`LedgerError::TooMuch`].
    pub fn earn(
        &mut self,
        kind: EntryKind,
        earned: Earned,
        cause: Cause,
        out: &mut Vec<Entry>,
    ) -> Result<(), LedgerError> {
        if earned.amount < 1 {
            return Err(LedgerError::NoAmount);
        }
        if earned.amount > self.room() {
            return Err(LedgerError::TooMuch);
        }
        let now = cause.at;
        let lot = Lot {
            number: self.entries + 1,
            amount: earned.amount,
            free: earned.amount,
            held: 0,
            earned_at: earned.at,
            ready_at: earned.ready_at.filter(|at| *at > now),
            ends_at: earned.ends_at,
            source: cause.source,
        };
        self.put(lot);
        let mut draft = Draft {
            lot: Some(lot),
            ..Draft::default()
        };
        draft.add(lot.number, lot.amount, 0);
        self.post(kind, cause, draft, out);
        self.settle(now, out);
        Ok(())
    }

    /// Everything that is here moves to another ledger: lots with their ends, holds with what they have pinned, the debt.
    /// What it was earned with stays known, so that it can be taken back there.
    ///
    /// # Errors
    /// [`LedgerError::TooMuch`]: then nothing has moved.
    pub fn move_to(
        &mut self,
        other: &mut Self,
        cause: &Cause,
        out: &mut Vec<Entry>,
        there: &mut Vec<Entry>,
    ) -> Result<(), LedgerError> {
        if self.balances().total() > other.room() || self.debt > MOST - other.debt {
            return Err(LedgerError::TooMuch);
        }
        let (holds, lots) = (std::mem::take(&mut self.holds), std::mem::take(&mut self.lots));
        let owed = std::mem::take(&mut self.debt);
        if !lots.is_empty() || owed > 0 {
            let mut draft = Draft::default();
            for lot in &lots {
                draft.add(lot.number, -lot.free, -lot.held);
            }
            draft.debt = -owed;
            self.push(EntryKind::Adjust, cause.clone(), draft, out);
        }
        // First what is owed, so that nothing is ever available beside it.
        if owed > 0 {
            other.debt += owed;
            let draft = Draft {
                debt: owed,
                ..Draft::default()
            };
            other.post(EntryKind::Adjust, cause.clone(), draft, there);
        }
        let mut numbers = BTreeMap::new();
        for lot in lots {
            let moved = Lot {
                number: other.entries + 1,
                amount: lot.free + lot.held,
                ..lot
            };
            numbers.insert(lot.number, moved.number);
            other.put(moved);
            let mut draft = Draft {
                lot: Some(moved),
                ..Draft::default()
            };
            draft.add(moved.number, moved.free, moved.held);
            other.post(EntryKind::Adjust, cause.clone(), draft, there);
        }
        // What they have pinned has moved with its lots.
        for mut hold in holds {
            self.push(EntryKind::Release, cause.clone(), Draft::of(hold.id), out);
            for pin in &mut hold.pins {
                pin.lot = numbers.get(&pin.lot).copied().unwrap_or(pin.lot);
            }
            let draft = Draft::of(hold.id);
            let place = other.holds.partition_point(|known| known.id < hold.id);
            other.holds.insert(place, hold);
            other.push(EntryKind::Hold, cause.clone(), draft, there);
        }
        Ok(())
    }

    /// How much more it may come to.
    pub fn room(&self) -> i64 {
        MOST - self.balances().total()
    }

    /// Spends what is available.
    ///
    /// # Errors
    /// [`LedgerError::NoAmount`], [`LedgerError::Short`].
    pub fn spend(
        &mut self,
        kind: EntryKind,
        amount: i64,
        cause: Cause,
        out: &mut Vec<Entry>,
    ) -> Result<Vec<SpentShare>, LedgerError> {
        let pins = self.choose(amount)?;
        let mut draft = Draft::default();
        let mut spent = Vec::with_capacity(pins.len());
        for pin in pins {
            if let Some(lot) = self.lot_mut(pin.lot) {
                lot.free -= pin.amount;
                spent.push(SpentShare::of(lot, pin.amount));
                draft.add(pin.lot, -pin.amount, 0);
            }
        }
        self.post(kind, cause, draft, out);
        Ok(spent)
    }

    /// Pins what is available for somebody.
    ///
    /// # Errors
    /// [`LedgerError::NoAmount`], [`LedgerError::Short`], [`LedgerError::HeldAlready`].
    pub fn hold(
        &mut self,
        id: FreezeId,
        device: DeviceId,
        until: Millis,
        amount: i64,
        cause: Cause,
        out: &mut Vec<Entry>,
    ) -> Result<(), LedgerError> {
        let place = match self.holds.binary_search_by_key(&id, |hold| hold.id) {
            Ok(_) => return Err(LedgerError::HeldAlready),
            Err(place) => place,
        };
        let pins = self.choose(amount)?;
        let mut draft = Draft::of(id);
        for pin in &pins {
            if let Some(lot) = self.lot_mut(pin.lot) {
                lot.free -= pin.amount;
                lot.held += pin.amount;
                draft.add(pin.lot, -pin.amount, pin.amount);
            }
        }
        let hold = Hold {
            id,
            device,
            until,
            pins,
        };
        self.holds.insert(place, hold);
        self.post(EntryKind::Hold, cause, draft, out);
        Ok(())
    }

    /// The hold, while it is neither captured nor released.
    pub fn held_by(&self, id: FreezeId) -> Option<&Hold> {
        let place = self.holds.binary_search_by_key(&id, |hold| hold.id).ok()?;
        self.holds.get(place)
    }

    /// Spends out of a hold, and lets go of the rest of it.
    ///
    /// # Errors
    /// [`LedgerError::NoHold`] also when it was captured before; [`LedgerError::NoAmount`], [`LedgerError::OverHold`].
    pub fn capture(
        &mut self,
        id: FreezeId,
        amount: i64,
        cause: Cause,
        out: &mut Vec<Entry>,
    ) -> Result<Vec<SpentShare>, LedgerError> {
        let held = self.held_by(id).ok_or(LedgerError::NoHold)?.amount();
        if amount < 1 {
            return Err(LedgerError::NoAmount);
        }
        if amount > held {
            return Err(LedgerError::OverHold { held });
        }
        let Some(hold) = self.holds.iter_mut().find(|hold| hold.id == id) else {
            return Err(LedgerError::NoHold);
        };
        let mut left = amount;
        let mut taken = Vec::new();
        let mut rest = Vec::new();
        for pin in hold.pins.drain(..) {
            let take = pin.amount.min(left);
            left -= take;
            if take > 0 {
                taken.push(Pin { amount: take, ..pin });
            }
            if pin.amount > take {
                rest.push(Pin {
                    amount: pin.amount - take,
                    ..pin
                });
            }
        }
        hold.pins = rest;
        let mut draft = Draft::of(id);
        let mut spent = Vec::with_capacity(taken.len());
        for pin in taken {
            if let Some(lot) = self.lot_mut(pin.lot) {
                lot.held -= pin.amount;
                spent.push(SpentShare::of(lot, pin.amount));
                draft.add(pin.lot, 0, -pin.amount);
            }
        }
        let now = cause.at;
        let rest = Cause {
            source: cause.source,
            ..cause.clone()
        };
        self.post(EntryKind::Capture, cause, draft, out);
        if amount < held {
            if planted!("captured_hold_stays", false, true) {
                self.release(id, rest, out)?;
            }
        } else {
            self.holds.retain(|hold| hold.id != id);
        }
        self.settle(now, out);
        Ok(spent)
    }

    /// Lets go of what a hold has pinned: it goes back to its lots; what of those has ended meanwhile ends.
    ///
    /// # Errors
    /// [`LedgerError::NoHold`].
    pub fn release(&mut self, id: FreezeId, cause: Cause, out: &mut Vec<Entry>) -> Result<(), LedgerError> {
        let place = self.holds.binary_search_by_key(&id, |hold| hold.id);
        let hold = self.holds.remove(place.map_err(|_| LedgerError::NoHold)?);
        let mut draft = Draft::of(id);
        for pin in hold.pins {
            if let Some(lot) = self.lot_mut(pin.lot) {
                lot.held -= planted!("released_pins_on", 0, pin.amount);
                let back = planted!("released_twice", 2 * pin.amount, pin.amount);
                lot.free += planted!("released_points_gone", 0, back);
                draft.add(pin.lot, pin.amount, -pin.amount);
            }
        }
        self.give(EntryKind::Release, cause, draft, out);
        Ok(())
    }

    /// Lets go of some holds without a trace, for somebody who is not to see them.
    pub(super) fn let_go(&mut self, of: impl Fn(&Hold) -> bool) {
        let entries = self.entries;
        let ids: Vec<FreezeId> = self.holds.iter().filter(|hold| of(hold)).map(|hold| hold.id).collect();
        for id in ids {
            // It is there; and so early nothing has ended.
            let _ = self.release(id, Cause::own(Reason::Lapsed, Millis::MIN), &mut Vec::new());
        }
        self.entries = entries;
    }

    /// Takes back what was earned with something: from its own lot, also where that may not be spent yet, then from what
    /// is available, and what is missing then is owed.
    ///
    /// # Errors
    /// [`LedgerError::NoAmount`], [`LedgerError::TooMuch`].
    pub fn take_back(
        &mut self,
        own: Source,
        amount: i64,
        cause: Cause,
        out: &mut Vec<Entry>,
    ) -> Result<(), LedgerError> {
        if amount < 1 {
            return Err(LedgerError::NoAmount);
        }
        if amount > MOST - self.debt {
            return Err(LedgerError::TooMuch);
        }
        let mut draft = Draft::default();
        let mut left = amount;
        let owns = |lot: &&mut Lot| lot.source == Some(own);
        for lot in self.lots.iter_mut().filter(owns) {
            take(lot, &mut left, &mut draft);
        }
        for lot in self.lots.iter_mut().filter(|lot| lot.ready_at.is_none()) {
            take(lot, &mut left, &mut draft);
        }
        self.debt += left;
        draft.debt += planted!("debt_forgotten", 0, left);
        self.post(EntryKind::Return, cause, draft, out);
        Ok(())
    }

    /// Gives back what was spent, to the lots it came from, those that were taken last first. What of them has ended
    /// ends, or lives on as a lot of its own until `grace`.
    ///
    /// # Errors
    /// [`LedgerError::NoAmount`], [`LedgerError::OverHold`] for more than was spent and has not gone back,
    /// [`LedgerError::TooMuch`].
    pub fn give_back(
        &mut self,
        spent: &mut Spent,
        amount: i64,
        grace: Option<Millis>,
        cause: Cause,
        out: &mut Vec<Entry>,
    ) -> Result<(), LedgerError> {
        self.back(spent, amount, grace, true, cause, out)
    }

    /// The same of what was spent out of another ledger, whose owner was merged into this one's since: it comes back as a
    /// lot of its own, with the last of their ends.
    ///
    /// # Errors
    /// As [`Ledger::give_back`].
    pub fn give_back_moved(
        &mut self,
        spent: &mut Spent,
        amount: i64,
        grace: Option<Millis>,
        cause: Cause,
        out: &mut Vec<Entry>,
    ) -> Result<(), LedgerError> {
        self.back(spent, amount, grace, false, cause, out)
    }

    fn back(
        &mut self,
        spent: &mut Spent,
        amount: i64,
        grace: Option<Millis>,
        is_own: bool,
        cause: Cause,
        out: &mut Vec<Entry>,
    ) -> Result<(), LedgerError> {
        if amount < 1 {
            return Err(LedgerError::NoAmount);
        }
        let open = spent.amount() - spent.given_back();
        if amount > open {
            return Err(LedgerError::OverHold { held: open });
        }
        if amount > self.room() {
            return Err(LedgerError::TooMuch);
        }
        let now = cause.at;
        let mut draft = Draft::default();
        let mut left = amount;
        let (mut late, mut late_end) = (0, Some(Millis::MIN));
        for share in spent.shares.iter_mut().rev() {
            let back = left.min(share.amount - share.given_back);
            if back <= 0 {
                continue;
            }
            share.given_back += back;
            left -= back;
            let has_ended = share.lot.ends_at.is_some_and(|at| at <= now);
            let lives_on = has_ended && grace.is_some_and(|until| until > now);
            if lives_on || !is_own {
                late += back;
                let end = if lives_on { grace } else { share.lot.ends_at };
                late_end = late_end.zip(end).map(|(one, other)| one.max(other));
                continue;
            }
            if self.lot_mut(share.lot.number).is_none() {
                self.put(Lot {
                    free: 0,
                    held: 0,
                    ready_at: share.lot.ready_at.filter(|at| *at > now),
                    ..share.lot
                });
            }
            if let Some(lot) = self.lot_mut(share.lot.number) {
                lot.free += back;
                draft.add(share.lot.number, back, 0);
            }
        }
        if late > 0 {
            let lot = Lot {
                number: self.entries + 1,
                amount: late,
                free: late,
                held: 0,
                earned_at: now,
                ready_at: None,
                ends_at: late_end,
                source: cause.source,
            };
            self.put(lot);
            draft.lot = Some(lot);
            draft.add(lot.number, late, 0);
        }
        self.give(EntryKind::Return, cause, draft, out);
        Ok(())
    }

    /// Posts what gives to lots. What of those has ended ends at once, and settles no debt.
    fn give(&mut self, kind: EntryKind, cause: Cause, draft: Draft, out: &mut Vec<Entry>) {
        let now = cause.at;
        let mut ended = Vec::new();
        for share in &draft.shares {
            if let Some(lot) = self.lot_mut(share.lot)
                && lot.ends_at.is_some_and(|at| at <= now)
                && lot.ready_at.is_none()
            {
                // Not available for as long as the entry is made.
                lot.ready_at = Some(now);
                ended.push(lot.number);
            }
        }
        self.post(kind, cause, draft, out);
        for number in ended {
            let Some(lot) = self.lot_mut(number) else { continue };
            lot.ready_at = None;
            if lot.free > 0 {
                let mut draft = Draft::default();
                draft.add(number, -lot.free, 0);
                lot.free = 0;
                self.post(EntryKind::Expire, Cause::own(Reason::Ended, now), draft, out);
            }
        }
        self.settle(now, out);
    }

    /// What would be spent: lots in their order.
    fn choose(&self, amount: i64) -> Result<Vec<Pin>, LedgerError> {
        if amount < 1 {
            return Err(LedgerError::NoAmount);
        }
        let available = self.balances().available;
        if amount > available && planted!("overdraws", false, true) {
            return Err(LedgerError::Short { available });
        }
        let mut left = amount;
        let mut pins = Vec::new();
        for lot in self.lots.iter().filter(|lot| lot.ready_at.is_none() && lot.free > 0) {
            let amount = left.min(lot.free);
            left -= amount;
            pins.push(Pin {
                lot: lot.number,
                amount,
            });
            if left == 0 {
                break;
            }
        }
        Ok(pins)
    }

    fn lot_mut(&mut self, number: i64) -> Option<&mut Lot> {
        self.lots.iter_mut().find(|lot| lot.number == number)
    }

    fn put(&mut self, lot: Lot) {
        let place = self.lots.partition_point(|other| other.order() < lot.order());
        self.lots.insert(place, lot);
    }

    fn post_if_moved(&mut self, kind: EntryKind, cause: Cause, out: &mut Vec<Entry>) {
        let mut draft = Draft::default();
        self.settle_debt(&mut draft);
        if draft.debt != 0 {
            self.push(kind, cause, draft, out);
        }
    }

    fn post(&mut self, kind: EntryKind, cause: Cause, mut draft: Draft, out: &mut Vec<Entry>) {
        self.settle_debt(&mut draft);
        self.push(kind, cause, draft, out);
    }

    /// Whatever is available goes against what is owed first.
    fn settle_debt(&mut self, draft: &mut Draft) {
        let owed = self.debt;
        if owed == 0 || planted!("debt_not_settled", true, false) {
            return;
        }
        let mut left = owed;
        for lot in self.lots.iter_mut().filter(|lot| lot.ready_at.is_none()) {
            take(lot, &mut left, draft);
        }
        self.debt = left;
        draft.debt -= owed - left;
    }

    fn push(&mut self, kind: EntryKind, cause: Cause, draft: Draft, out: &mut Vec<Entry>) {
        self.lots.retain(Lot::is_open);
        self.entries += 1;
        let shares = draft.shares.into_iter();
        let shares: Vec<Share> = shares.filter(|share| share.free != 0 || share.held != 0).collect();
        let total: i64 = shares.iter().map(|share| share.free + share.held).sum();
        out.push(Entry {
            number: self.entries,
            kind,
            cause,
            amount: total - draft.debt,
            debt: draft.debt,
            lot: draft.lot,
            hold: draft.hold,
            shares,
            after: self.balances(),
        });
    }
}

impl SpentShare {
    fn of(lot: &Lot, amount: i64) -> Self {
        Self {
            lot: Lot {
                free: 0,
                held: 0,
                ..*lot
            },
            amount,
            given_back: 0,
        }
    }
}

/// Takes what is free of a lot, as far as something is missing.
fn take(lot: &mut Lot, left: &mut i64, draft: &mut Draft) {
    let taken = lot.free.min(*left);
    if taken > 0 {
        lot.free -= taken;
        *left -= taken;
        draft.add(lot.number, -taken, 0);
    }
}
