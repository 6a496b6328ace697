//! What settling a sale and returning one do.

use std::collections::BTreeMap;

use super::{
    Applied, AskFreeze, Changes, Device, Doing, Freeze, Key, NeedKeys, Row, State, Subject,
    accounts::{self, Undone},
    cases::open_case,
    coupons::{Use, give_back, redeem},
    subjects::About,
    told::{seen, tell},
    uses::{GivenBack, excuse_of_sale},
};
use crate::{
    ids::{FreezeId, OperationId},
    operations::{ExceptionKind, OperationKind, Outcome},
    sales::{Return, Sale, Settlement, Till},
    time::Millis,
    verdict::Reason,
};

impl Row for Sale {
    type Key = OperationId;
    type Version = i64;
    fn key(&self) -> OperationId {
        self.id
    }
    fn version(&self) -> i64 {
        self.version
    }
}

/// Settles a sale: every coupon is redeemed as if it were alone, and the row of the sale is written.
impl OperationKind for Settlement {
    /// A sale is known by the operation that settles it.
    fn subject(&self, own: OperationId) -> Option<Subject> {
        Some(Subject::Sale(own))
    }

    fn touches(&self, own: OperationId) -> Vec<Subject> {
        let coupons = self.coupons.iter().map(|used| Subject::Coupon(used.coupon));
        let account = self.member.filter(|_| !self.account.is_none()).map(Subject::Account);
        coupons.chain([Subject::Sale(own)]).chain(account).collect()
    }

    fn makes(&self, own: OperationId) -> Option<Subject> {
        Some(Subject::Sale(own))
    }

    fn can_be_undone(&self) -> bool {
        true
    }

    fn keys(&self) -> Vec<Key> {
        let coupons = self.coupons.iter().map(|used| Key::Coupon(used.coupon));
        let account = self.member.filter(|_| !self.account.is_none()).map(Key::Account);
        let rule = self.account.rule.map(Key::EarningRule);
        coupons
            .chain(self.member.map(Key::Member))
            .chain(account)
            .chain(rule)
            .collect()
    }

    fn freezes(&self) -> Vec<FreezeId> {
        let coupons = self.coupons.iter().filter_map(|used| used.freeze);
        coupons.chain(self.account.freezes()).collect()
    }

    fn version(&self) -> u32 {
        if self.account.is_none() { 1 } else { 2 }
    }

    fn worth(&self) -> i64 {
        self.discount()
    }

    fn is_sound(&self) -> bool {
        self.nets().is_some()
    }

    fn effect(&self, state: &State, doing: &Doing, changes: &mut Changes) -> Result<Option<ExceptionKind>, NeedKeys> {
        let till = Till {
            store: doing.store,
            device: doing.device,
            at: doing.times.occurred_at,
        };
        let subject = Some(Subject::Sale(doing.operation));
        // Numbers that don't go together were set aside on arrival; a counter never writes them.
        let Some(mut sale) = Sale::of(doing.operation, till, self) else {
            return Ok(open_case(
                changes,
                doing,
                ExceptionKind::StateConflict,
                subject,
                self.discount(),
            ));
        };
        let mut broken = accounts::Broken::new();
        for sold in &mut sale.coupons {
            let used = Use {
                coupon: sold.used.coupon,
                member: self.member,
                freeze: sold.used.freeze,
                sale: true,
            };
            sold.exception = redeem(state, used, doing, changes)?;
            if let Some(kind) = sold.exception {
                broken.push((kind, sold.used.discount));
            }
        }
        if let Some(member) = self.member {
            seen(state, member, doing.store, changes)?;
        }
        broken.extend(accounts::settle_sale(state, self, &mut sale, doing, changes)?);
        tell(state, &mut sale, Some(doing.store), changes)?;
        changes.sales.push(sale);
        // One case a rule, with what all that broke it comes to; the outcome names the first.
        let first = broken.first().map(|(kind, _)| *kind);
        let mut losses: BTreeMap<ExceptionKind, i64> = BTreeMap::new();
        for (kind, more) in broken {
            let loss = losses.entry(kind).or_default();
            *loss = loss.saturating_add(more);
        }
        for (kind, loss) in losses {
            open_case(changes, doing, kind, subject, loss);
        }
        Ok(first)
    }
}

/// Takes goods back, as far as they were sold.
impl OperationKind for Return {
    fn subject(&self, _own: OperationId) -> Option<Subject> {
        Some(Subject::Sale(self.target))
    }

    fn touches(&self, _own: OperationId) -> Vec<Subject> {
        let coupons = self.coupons.iter().copied().map(Subject::Coupon);
        let account = self.member.map(Subject::Account);
        coupons.chain([Subject::Sale(self.target)]).chain(account).collect()
    }

    fn keys(&self) -> Vec<Key> {
        let coupons = self.coupons.iter().copied().map(Key::Coupon);
        let account = self
            .member
            .into_iter()
            .flat_map(|id| [Key::Account(id), Key::Member(id)]);
        [Key::Sale(self.target)]
            .into_iter()
            .chain(coupons)
            .chain(account)
            .collect()
    }

    fn version(&self) -> u32 {
        if self.member.is_none() && self.to_balance == 0 {
            1
        } else {
            2
        }
    }

    fn is_sound(&self) -> bool {
        self.refund().is_some()
    }

    fn effect(&self, state: &State, doing: &Doing, changes: &mut Changes) -> Result<Option<ExceptionKind>, NeedKeys> {
        let subject = Some(Subject::Sale(self.target));
        let refund = self.refund().unwrap_or(0);
        let conflict =
            |changes: &mut Changes, loss| open_case(changes, doing, ExceptionKind::StateConflict, subject, loss);
        let Some(mut sale) = state.sale(self.target)?.cloned() else {
            // Not known here, or lost in a restore: the money went back all the same.
            return Ok(conflict(changes, refund));
        };
        let misfit = sale.take_back(self);
        let mut fits = misfit.is_none();
        if sale.voided_by.is_none() {
            for id in &self.coupons {
                let Some(place) = sale.coupons.iter().position(|sold| sold.used.coupon == *id) else {
                    fits = false;
                    continue;
                };
                let given = give_back(state, *id, sale.id, "returned", doing, changes)?;
                let sold = &mut sale.coupons[place];
                // One that somebody else used before was never this sale's to give self.
                fits &= (given == GivenBack::Owned && !sold.given_back) || sold.exception.is_some();
                sold.given_back = true;
                let discount = sold.used.discount;
                if let (GivenBack::Surplus, Some(kind)) = (given, sold.exception) {
                    excuse_of_sale(&sale, kind, discount, changes);
                }
            }
        }
        // What does not fit is money that somebody has, and none that the account gets.
        let fitted = refund.saturating_sub(misfit.money);
        let credited = if sale.voided_by.is_none() {
            let to_balance = Undone::Returned(self.to_balance.min(fitted));
            accounts::undo_sale(state, &mut sale, to_balance, doing, changes)?
        } else {
            0
        };
        // What stored value was short of when it was paid with is a case already.
        let short = sale
            .account
            .balance
            .map_or(0, |sold| sold.paid.amount.saturating_sub(sold.taken));
        fits &= self.to_balance.saturating_sub(credited) <= short;
        let given = refund.saturating_sub(self.to_balance).saturating_add(credited);
        // Also where it was voided: whoever took it back has not heard of that.
        sale.version = sale.version.saturating_add(1);
        tell(state, &mut sale, Some(doing.store), changes)?;
        changes.sales.push(sale);
        Ok(if fits {
            None
        } else {
            conflict(changes, given.saturating_sub(fitted).max(0))
        })
    }
}

/// A sale, by the operation that settled it.
impl About for OperationId {
    /// A sale is a fact, and nothing that could be held for somebody.
    fn freeze(
        &self,
        _: &State,
        _: &AskFreeze,
        _: &Device,
        _: Millis,
        _: &mut Changes,
    ) -> Result<Vec<Reason>, NeedKeys> {
        Ok(vec![Reason::NotACode])
    }

    fn release(&self, _: &State, _: &Freeze, _: &Device, _: Millis, _: &mut Changes) -> Result<(), NeedKeys> {
        Ok(())
    }

    fn settle(&self, _: &State, _: Millis, _: &mut Changes) -> Result<(), NeedKeys> {
        Ok(())
    }

    /// The whole sale: its coupons go back. A return is about its sale too, and is not undone: its target is the sale,
    /// not itself.
    fn undo(
        &self,
        state: &State,
        undone: &Applied,
        doing: &Doing,
        changes: &mut Changes,
    ) -> Result<(bool, i64), NeedKeys> {
        let id = *self;
        if id != undone.id {
            return Ok((false, 0));
        }
        let Some(mut sale) = state.sale(id)?.cloned() else {
            return Ok((false, 0));
        };
        if sale.voided_by.is_some() {
            return Ok((false, 0));
        }
        // What went back before in money goes back twice now; stored value gets the rest of what it paid.
        let credited = sale.account.balance.map_or(0, |sold| sold.given_back);
        let lost = sale.paid_back().saturating_sub(credited).max(0);
        let mut fits = !sale.has_returns();
        for sold in &mut sale.coupons {
            let held = give_back(state, sold.used.coupon, id, "voided", doing, changes)?;
            fits &= held == GivenBack::Owned || sold.given_back || undone.outcome != Outcome::Applied;
        }
        accounts::undo_sale(state, &mut sale, Undone::Voided, doing, changes)?;
        sale.voided_by = Some(doing.operation);
        sale.version = sale.version.saturating_add(1);
        tell(state, &mut sale, Some(doing.store), changes)?;
        changes.sales.push(sale);
        Ok((fits, lost))
    }
}
