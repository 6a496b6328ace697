//! What a fact does. A fact is never refused: where it does not fit, it leaves an exception behind.

use super::{
    Case, Changes, Doing, FreezeStatus, NeedKeys, State, Subject,
    online::Taken,
    sales,
    uses::{self, GivenBack, Heard},
};
use crate::{
    coupons::{Coupon, CouponState},
    ids::{CouponId, DeviceId, FreezeId, MemberId, OperationId, OrderId},
    operations::{Action, ExceptionKind, Outcome},
    pickups::OrderState,
    planted,
    surplus::Surplus,
};

/// Applies one fact: the outcome and the rows as they are afterwards.
///
/// At head office the outcome is final. At a counter it is a forecast: an exception means "conflict expected".
///
/// # Errors
/// [`NeedKeys`] when a row that matters was not loaded.
pub fn effect(state: &State, action: &Action, doing: &Doing) -> Result<(Outcome, Changes), NeedKeys> {
    let mut changes = Changes::default();
    let exception = match action {
        Action::RedeemCoupon {
            coupon,
            member,
            freeze,
            worth,
            ..
        } => {
            let used = Use {
                coupon: *coupon,
                member: *member,
                freeze: *freeze,
                sale: false,
            };
            redeem(state, used, doing, &mut changes)?
                .and_then(|kind| open_case(&mut changes, doing, kind, Some(Subject::Coupon(*coupon)), *worth))
        }
        Action::CollectOrder { order, freeze, worth } => collect(state, *order, *freeze, *worth, doing, &mut changes)?,
        Action::SettleSale(settled) => sales::settle(state, settled, doing, &mut changes)?,
        Action::ReturnSale(back) => sales::take_back(state, back, doing, &mut changes)?,
        Action::VoidRedemption { target, .. } => void(state, *target, doing, &mut changes)?,
        Action::FailedAttempt { .. } => None,
    };
    let outcome = match exception {
        None => Outcome::Applied,
        Some(exception) => Outcome::AppliedWithException { exception },
    };
    Ok((outcome, changes))
}

pub(super) fn open_case(
    changes: &mut Changes,
    doing: &Doing,
    kind: ExceptionKind,
    subject: Option<Subject>,
    loss: i64,
) -> Option<ExceptionKind> {
    changes.cases.push(Case {
        operation: doing.operation,
        kind,
        store: doing.store,
        subject,
        loss,
    });
    Some(kind)
}

/// A coupon being used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Use {
    pub(super) coupon: CouponId,
    /// Who presented it, when known.
    pub(super) member: Option<MemberId>,
    /// Head office's word.
    pub(super) freeze: Option<FreezeId>,
    /// Whether it is part of a sale.
    pub(super) sale: bool,
}

/// Redeems a coupon; the rule that this broke, if any. The case is the caller's.
pub(super) fn redeem(
    state: &State,
    used: Use,
    doing: &Doing,
    changes: &mut Changes,
) -> Result<Option<ExceptionKind>, NeedKeys> {
    let id = used.coupon;
    let Some(coupon) = state.coupon(id)? else {
        // Head office has never heard of it, or lost it in a restore: the goods are gone all the same.
        return Ok(Some(ExceptionKind::StateConflict));
    };
    let received = doing.times.received_at;
    let coupon = uses::settled(state, coupon, received, changes)?;
    let owned = |freeze: FreezeId, device: DeviceId| {
        used.freeze == Some(freeze) && planted!("foreign_freeze", true, device == doing.device)
    };
    let again = match coupon.state {
        CouponState::Redeemed { .. } => ExceptionKind::DoubleRedeem,
        // A freeze is its owner's alone: whoever else names it has no word.
        CouponState::Frozen { freeze, device, .. } if owned(freeze, device) => {
            uses::use_up(state, coupon, doing.operation, doing.into(), changes)?;
            return Ok(None);
        }
        CouponState::Frozen { until, .. } if received < until => {
            if let Some(order) = coupon.state.order() {
                changes.taken.push(Taken {
                    order,
                    coupon: id,
                    operation: doing.operation,
                    store: doing.store,
                    at: doing.times.occurred_at,
                });
            }
            ExceptionKind::RedeemWhileFrozen
        }
        CouponState::Available | CouponState::Frozen { .. } | CouponState::Expired => {
            let broke = broken_alone(state, &coupon, used, doing);
            uses::use_up(state, coupon, doing.operation, doing.into(), changes)?;
            return Ok(broke);
        }
    };
    let surplus = Surplus {
        operation: doing.operation,
        at: doing.times.occurred_at,
        store: doing.store,
        device: doing.device,
        actor: doing.actor,
        sale: used.sale,
        broke: broken_alone(state, &coupon, used, doing),
    };
    uses::use_again(state, coupon, surplus, changes)?;
    Ok(Some(again))
}

/// The rule that using this coupon breaks by itself, whoever has it.
fn broken_alone(state: &State, coupon: &Coupon, used: Use, doing: &Doing) -> Option<ExceptionKind> {
    let when = doing.times.believable();
    let in_time =
        coupon.valid_until.is_none_or(|until| when < until) && coupon.valid_from.is_none_or(|from| when >= from);
    let owner = match (coupon.member, used.member) {
        (Some(owner), Some(presenter)) => owner == presenter,
        _ => true,
    };
    if !in_time && !is_granted(state, used.freeze, Subject::Coupon(coupon.id), doing) {
        Some(ExceptionKind::Late)
    } else if !owner {
        Some(ExceptionKind::StateConflict)
    } else {
        None
    }
}

/// Takes back what this very operation did to a coupon.
pub(super) fn give_back(
    state: &State,
    id: CouponId,
    redeemed_by: OperationId,
    what: &'static str,
    doing: &Doing,
    changes: &mut Changes,
) -> Result<GivenBack, NeedKeys> {
    match state.coupon(id)? {
        Some(coupon) => uses::give_back(
            state,
            coupon,
            redeemed_by,
            what,
            doing.into(),
            doing.times.received_at,
            changes,
        ),
        None => Ok(GivenBack::Nothing),
    }
}

/// Whether head office gave its word for this, which then was in time. A counter that forecasts an effect holds no
/// freezes and takes its own operation at its word.
fn is_granted(state: &State, freeze: Option<FreezeId>, subject: Subject, doing: &Doing) -> bool {
    freeze.is_some_and(|id| match state.freezes.get(&id) {
        None => true,
        Some(known) => known.as_ref().is_some_and(|known| {
            known.device == doing.device
                && known.subject == Some(subject)
                && matches!(known.status, FreezeStatus::Granted { .. })
        }),
    })
}

fn collect(
    state: &State,
    id: OrderId,
    freeze: Option<FreezeId>,
    worth: i64,
    doing: &Doing,
    changes: &mut Changes,
) -> Result<Option<ExceptionKind>, NeedKeys> {
    let subject = Some(Subject::Order(id));
    let Some(order) = state.order(id)? else {
        return Ok(open_case(changes, doing, ExceptionKind::StateConflict, subject, worth));
    };
    let received = doing.times.received_at;
    let mut order = uses::settled_order(state, order, received, changes)?;
    let elsewhere = (order.store != doing.store).then_some(ExceptionKind::StateConflict);
    let place = Some(doing.store);
    let again = match &order.state {
        OrderState::Collected { .. } => ExceptionKind::DoublePickup,
        OrderState::Ready { freeze: Some(held) }
            if received < held.until && !(freeze == Some(held.freeze) && held.device == doing.device) =>
        {
            ExceptionKind::RedeemWhileFrozen
        }
        OrderState::Returned | OrderState::Cancelled => {
            // Nothing changes, but this store has to hear how the order stands: its copy says it was its own.
            uses::write_order(state, order, place, Heard::Everywhere, changes)?;
            return Ok(open_case(changes, doing, ExceptionKind::StateConflict, subject, worth));
        }
        OrderState::Ready { .. } => {
            order.state = OrderState::Collected {
                operation: doing.operation,
                at: doing.times.occurred_at,
                store: doing.store,
            };
            uses::write_order(state, order, place, Heard::Everywhere, changes)?;
            return Ok(elsewhere.and_then(|kind| open_case(changes, doing, kind, subject, worth)));
        }
    };
    order.surplus.push(Surplus {
        operation: doing.operation,
        at: doing.times.occurred_at,
        store: doing.store,
        device: doing.device,
        actor: doing.actor,
        sale: false,
        broke: elsewhere,
    });
    uses::write_order(state, order, place, Heard::Everywhere, changes)?;
    Ok(open_case(changes, doing, again, subject, worth))
}

fn void(
    state: &State,
    target: OperationId,
    doing: &Doing,
    changes: &mut Changes,
) -> Result<Option<ExceptionKind>, NeedKeys> {
    let Some(undone) = state.operation(target)? else {
        return Ok(open_case(changes, doing, ExceptionKind::StateConflict, None, 0));
    };
    let subject = undone.subject;
    // What it redeemed is given back only if it is this very operation's; one use too many less closes its own case.
    let mut fits = undone.device == doing.device;
    let mut loss = 0;
    if fits {
        let excused = undone.outcome != Outcome::Applied;
        match subject {
            Some(Subject::Coupon(id)) => {
                fits = give_back(state, id, target, "voided", doing, changes)? == GivenBack::Owned || excused;
            }
            Some(Subject::Order(id)) => fits = take_back_order(state, id, target, doing, changes)? || excused,
            // A return is about its sale too, and is not undone: its target is the sale, not itself.
            Some(Subject::Sale(id)) if id == target => {
                (fits, loss) = sales::undo(state, id, undone.outcome, doing, changes)?;
            }
            Some(Subject::Sale(_)) | None => fits = false,
        }
    }
    if !fits {
        return Ok(open_case(changes, doing, ExceptionKind::StateConflict, subject, loss));
    }
    if undone.outcome != Outcome::Applied {
        changes.closed_cases.push(target);
    }
    Ok(None)
}

/// Takes back a hand-over; false when the order was not this operation's.
fn take_back_order(
    state: &State,
    id: OrderId,
    collected_by: OperationId,
    doing: &Doing,
    changes: &mut Changes,
) -> Result<bool, NeedKeys> {
    let Some(order) = state.order(id)? else {
        return Ok(false);
    };
    let place = Some(doing.store);
    if matches!(order.state, OrderState::Collected { operation, .. } if operation == collected_by) {
        uses::let_go_of_order(state, order, place, Heard::Everywhere, changes)?;
        return Ok(true);
    }
    let mut left = order.clone();
    left.surplus.retain(|used| used.operation != collected_by);
    if left.surplus.len() < order.surplus.len() {
        uses::write_order(state, left, place, Heard::Everywhere, changes)?;
    }
    Ok(false)
}
