//! What a fact does. A fact is never refused: where it does not fit, it leaves an exception behind.

use super::{Case, Changes, CouponEntry, Doing, Entity, FreezeStatus, NeedKeys, State, Subject, online::Taken, sales};
use crate::{
    coupons::{Coupon, CouponState},
    ids::{CouponId, FreezeId, MemberId, OperationId, OrderId, StoreId},
    operations::{Action, ExceptionKind, Outcome},
    pickups::{Order, OrderState},
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

/// Tells the store itself and every store that holds the member.
fn tell(
    state: &State,
    member: Option<MemberId>,
    home: Option<StoreId>,
    doing: &Doing,
    entity: Entity,
    changes: &mut Changes,
) -> Result<(), NeedKeys> {
    let mut stores = vec![doing.store];
    stores.extend(home.filter(|store| *store != doing.store));
    if let Some(id) = member
        && let Some(member) = state.member(id)?
    {
        for store in &member.recent_stores {
            if !stores.contains(store) {
                stores.push(*store);
            }
        }
        seen(state, id, doing, changes)?;
    }
    changes.feed.extend(stores.into_iter().map(|store| (store, entity)));
    Ok(())
}

/// Notes that the member was seen at this store.
pub(super) fn seen(state: &State, id: MemberId, doing: &Doing, changes: &mut Changes) -> Result<(), NeedKeys> {
    if changes.members.iter().any(|member| member.id == id) {
        return Ok(());
    }
    if let Some(member) = state.member(id)?
        && let Some(recent) = member.seen_at(doing.store)
    {
        let mut member = member.clone();
        member.recent_stores = recent;
        changes.feed.push((doing.store, Entity::Member(member.id)));
        changes.members.push(member);
    }
    Ok(())
}

fn change_coupon(
    state: &State,
    coupon: &Coupon,
    next: CouponState,
    what: &'static str,
    doing: &Doing,
    changes: &mut Changes,
) -> Result<(), NeedKeys> {
    tell(
        state,
        coupon.member,
        coupon.home_store,
        doing,
        Entity::Coupon(coupon.id),
        changes,
    )?;
    let coupon = Coupon {
        state: next,
        version: coupon.version + 1,
        ..coupon.clone()
    };
    changes.entries.push(CouponEntry {
        coupon: coupon.id,
        version: coupon.version,
        what,
        at: doing.times.occurred_at,
        store: doing.store,
        device: doing.device,
        actor: doing.actor,
        source: doing.operation.0,
    });
    changes.coupons.push(coupon);
    Ok(())
}

/// A coupon being used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Use {
    pub(super) coupon: CouponId,
    /// Who presented it, when known.
    pub(super) member: Option<MemberId>,
    /// Head office's word.
    pub(super) freeze: Option<FreezeId>,
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
    let redeemed = CouponState::Redeemed {
        operation: doing.operation,
        at: doing.times.occurred_at,
        store: doing.store,
    };
    let when = doing.times.believable();
    let exception = match coupon.state {
        CouponState::Redeemed { .. } => {
            // Nothing changes, but this store has to hear how the coupon stands: its copy says it was its own.
            changes.feed.push((doing.store, Entity::Coupon(id)));
            return Ok(Some(ExceptionKind::DoubleRedeem));
        }
        CouponState::Frozen { freeze: held, .. } if used.freeze == Some(held) => None,
        CouponState::Frozen { until, .. } if doing.times.received_at < until => {
            if let Some(order) = coupon.state.order() {
                changes.taken.push(Taken {
                    order,
                    coupon: id,
                    operation: doing.operation,
                    store: doing.store,
                    at: doing.times.occurred_at,
                });
            }
            Some(ExceptionKind::RedeemWhileFrozen)
        }
        CouponState::Available | CouponState::Frozen { .. } | CouponState::Expired => {
            let in_time = coupon.valid_until.is_none_or(|until| when < until)
                && coupon.valid_from.is_none_or(|from| when >= from);
            let owner = match (coupon.member, used.member) {
                (Some(owner), Some(presenter)) => owner == presenter,
                _ => true,
            };
            if !in_time && !is_granted(state, used.freeze, Subject::Coupon(id), doing) {
                Some(ExceptionKind::Late)
            } else if !owner {
                Some(ExceptionKind::StateConflict)
            } else {
                None
            }
        }
    };
    change_coupon(state, coupon, redeemed, "redeemed", doing, changes)?;
    Ok(exception)
}

/// Gives a coupon back that this very operation redeemed; false when it did not: after a double redemption the first
/// one keeps the coupon.
pub(super) fn give_back(
    state: &State,
    id: CouponId,
    redeemed_by: OperationId,
    what: &'static str,
    doing: &Doing,
    changes: &mut Changes,
) -> Result<bool, NeedKeys> {
    match state.coupon(id)? {
        Some(coupon) if matches!(coupon.state, CouponState::Redeemed { operation, .. } if operation == redeemed_by) => {
            let back = coupon.state_when_given_back(doing.times.received_at);
            change_coupon(state, coupon, back, what, doing, changes)?;
            Ok(true)
        }
        _ => Ok(false),
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

fn change_order(
    state: &State,
    order: &Order,
    next: OrderState,
    doing: &Doing,
    changes: &mut Changes,
) -> Result<(), NeedKeys> {
    tell(
        state,
        order.member,
        Some(order.store),
        doing,
        Entity::Order(order.id),
        changes,
    )?;
    changes.orders.push(Order {
        state: next,
        version: order.version + 1,
        ..order.clone()
    });
    Ok(())
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
    let exception = match &order.state {
        OrderState::Collected { .. } => {
            changes.feed.push((doing.store, Entity::Order(id)));
            return Ok(open_case(changes, doing, ExceptionKind::DoublePickup, subject, worth));
        }
        OrderState::Returned | OrderState::Cancelled => {
            changes.feed.push((doing.store, Entity::Order(id)));
            return Ok(open_case(changes, doing, ExceptionKind::StateConflict, subject, worth));
        }
        OrderState::Ready { freeze: held } => {
            let held_by_other =
                held.is_some_and(|held| doing.times.received_at < held.until && freeze != Some(held.freeze));
            (held_by_other || order.store != doing.store).then_some(ExceptionKind::StateConflict)
        }
    };
    let collected = OrderState::Collected {
        operation: doing.operation,
        at: doing.times.occurred_at,
        store: doing.store,
    };
    change_order(state, order, collected, doing, changes)?;
    Ok(exception.and_then(|kind| open_case(changes, doing, kind, subject, worth)))
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
    // What it redeemed is given back only if this very operation holds it: after a double redemption the first one
    // keeps the coupon, and voiding the second only closes its case.
    let mut fits = undone.device == doing.device;
    let mut loss = 0;
    if fits {
        let excused = undone.outcome != Outcome::Applied;
        match subject {
            Some(Subject::Coupon(id)) => fits = give_back(state, id, target, "voided", doing, changes)? || excused,
            Some(Subject::Order(id)) => match state.order(id)? {
                Some(order) if matches!(order.state, OrderState::Collected { operation, .. } if operation == target) => {
                    change_order(state, order, OrderState::Ready { freeze: None }, doing, changes)?;
                }
                _ => fits = excused,
            },
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
