//! What settling a sale and returning one do.

use super::{
    Changes, Doing, NeedKeys, State, Subject,
    effects::{Use, give_back, open_case, redeem},
    told::{seen, tell},
    uses::{GivenBack, excuse_of_sale},
};
use crate::{
    ids::OperationId,
    operations::{ExceptionKind, Outcome},
    sales::{Return, Sale, Settlement, Till},
};

/// Settles a sale: every coupon is redeemed as if it were alone, and the row of the sale is written.
pub(super) fn settle(
    state: &State,
    settled: &Settlement,
    doing: &Doing,
    changes: &mut Changes,
) -> Result<Option<ExceptionKind>, NeedKeys> {
    let till = Till {
        store: doing.store,
        device: doing.device,
        at: doing.times.occurred_at,
    };
    let subject = Some(Subject::Sale(doing.operation));
    // Numbers that don't go together were set aside on arrival; a counter never writes them.
    let Some(mut sale) = Sale::of(doing.operation, till, settled) else {
        return Ok(open_case(
            changes,
            doing,
            ExceptionKind::StateConflict,
            subject,
            settled.discount(),
        ));
    };
    let mut first = None;
    let mut loss = 0_i64;
    for sold in &mut sale.coupons {
        let used = Use {
            coupon: sold.used.coupon,
            member: settled.member,
            freeze: sold.used.freeze,
            sale: true,
        };
        sold.exception = redeem(state, used, doing, changes)?;
        if sold.exception.is_some() {
            first = first.or(sold.exception);
            loss = loss.saturating_add(sold.used.discount);
        }
    }
    if let Some(member) = settled.member {
        seen(state, member, doing.store, changes)?;
    }
    tell(state, &mut sale, Some(doing.store), changes)?;
    changes.sales.push(sale);
    // One case an operation: a person looks at the sale as a whole, which says what each coupon broke.
    Ok(first.and_then(|kind| open_case(changes, doing, kind, subject, loss)))
}

/// Takes goods back, as far as they were sold.
pub(super) fn take_back(
    state: &State,
    back: &Return,
    doing: &Doing,
    changes: &mut Changes,
) -> Result<Option<ExceptionKind>, NeedKeys> {
    let subject = Some(Subject::Sale(back.target));
    let refund = back.refund().unwrap_or(0);
    let conflict = |changes: &mut Changes, loss| open_case(changes, doing, ExceptionKind::StateConflict, subject, loss);
    let Some(mut sale) = state.sale(back.target)?.cloned() else {
        // Not known here, or lost in a restore: the money went back all the same.
        return Ok(conflict(changes, refund));
    };
    let misfit = sale.take_back(back);
    let mut fits = misfit.is_none();
    if sale.voided_by.is_none() {
        for id in &back.coupons {
            let Some(place) = sale.coupons.iter().position(|sold| sold.used.coupon == *id) else {
                fits = false;
                continue;
            };
            let given = give_back(state, *id, sale.id, "returned", doing, changes)?;
            let sold = &mut sale.coupons[place];
            // One that somebody else used before was never this sale's to give back.
            fits &= (given == GivenBack::Owned && !sold.given_back) || sold.exception.is_some();
            sold.given_back = true;
            let discount = sold.used.discount;
            if given == GivenBack::Surplus {
                excuse_of_sale(&sale, discount, changes);
            }
        }
    }
    // Also where it was voided: whoever took it back has not heard of that.
    sale.version += 1;
    tell(state, &mut sale, Some(doing.store), changes)?;
    changes.sales.push(sale);
    Ok(if fits { None } else { conflict(changes, misfit.money) })
}

/// Undoes a whole sale: its coupons go back. Answers whether that fits, and what is lost when it does not.
pub(super) fn undo(
    state: &State,
    id: OperationId,
    outcome: Outcome,
    doing: &Doing,
    changes: &mut Changes,
) -> Result<(bool, i64), NeedKeys> {
    let Some(mut sale) = state.sale(id)?.cloned() else {
        return Ok((false, 0));
    };
    if sale.voided_by.is_some() {
        return Ok((false, 0));
    }
    // What went back before goes back twice now.
    let lost = sale.paid_back();
    let mut fits = !sale.has_returns();
    for sold in &mut sale.coupons {
        let held = give_back(state, sold.used.coupon, id, "voided", doing, changes)?;
        fits &= held == GivenBack::Owned || sold.given_back || outcome != Outcome::Applied;
    }
    sale.voided_by = Some(doing.operation);
    sale.version += 1;
    tell(state, &mut sale, Some(doing.store), changes)?;
    changes.sales.push(sale);
    Ok((fits, lost))
}
