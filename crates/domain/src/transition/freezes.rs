//! The question before a redemption: may I? Asked over HTTP, answered once, stored.

use super::{
    Answer, Changes, Device, DeviceStatus, Freeze, FreezeStatus, NeedKeys, State, Subject,
    uses::{self, Heard, Step},
};
use crate::{
    coupons::{Coupon, CouponState, FREEZE_LASTS},
    ids::{DeviceId, FreezeId, MemberId},
    pickups::{OrderFreeze, OrderState},
    time::Millis,
    verdict::{Circumstances, Reason, judge_coupon, judge_order},
};

pub(super) fn ask(
    state: &State,
    id: FreezeId,
    device: DeviceId,
    subject: Subject,
    presented_by: Option<MemberId>,
    now: Millis,
) -> Result<(Answer, Changes), NeedKeys> {
    let nothing = Changes::default();
    let Some(asker) = state.device(device)? else {
        return Ok((Answer::UnknownDevice, nothing));
    };
    if asker.status != DeviceStatus::Active {
        return Ok((Answer::DeviceBarred { status: asker.status }, nothing));
    }
    if let Some(known) = state.freeze(id)? {
        return Ok((answer_again(known, device, subject, now), nothing));
    }
    let at = Circumstances {
        now,
        store: asker.store,
        presented_by,
    };
    let until = now.saturating_add(FREEZE_LASTS);
    let mut changes = Changes::default();
    let reasons = match subject {
        Subject::Coupon(coupon_id) => match state.coupon(coupon_id)? {
            None => vec![Reason::UnknownCode],
            Some(coupon) => {
                let coupon = uses::settled(state, coupon, now, &mut changes)?;
                let template = state.template(coupon.template, coupon.template_version)?;
                let reasons = judge_coupon(&coupon, template, at);
                if reasons.is_empty() {
                    let frozen = Coupon {
                        state: CouponState::Frozen {
                            freeze: id,
                            until,
                            device,
                        },
                        ..coupon
                    };
                    let step = step(asker, id, now);
                    uses::write(state, frozen, "frozen", step, Heard::Nowhere, &mut changes)?;
                }
                reasons
            }
        },
        Subject::Order(order_id) => match state.order(order_id)? {
            None => vec![Reason::UnknownCode],
            Some(order) => {
                let mut order = uses::settled_order(state, order, now, &mut changes)?;
                let reasons = judge_order(&order, at);
                if reasons.is_empty() {
                    let freeze = Some(OrderFreeze {
                        freeze: id,
                        until,
                        device,
                    });
                    order.state = OrderState::Ready { freeze };
                    uses::write_order(state, order, None, Heard::Nowhere, &mut changes)?;
                }
                reasons
            }
        },
        // A sale is a fact, and nothing that could be held for somebody.
        Subject::Sale(_) => vec![Reason::NotACode],
    };
    let (answer, status) = if reasons.is_empty() {
        (Answer::Granted { until }, FreezeStatus::Granted { until })
    } else {
        (
            Answer::Refused {
                reasons: reasons.clone(),
            },
            FreezeStatus::Refused { reasons },
        )
    };
    changes.freezes.push(Freeze {
        id,
        device,
        subject: Some(subject),
        asked_at: now,
        status,
    });
    Ok((answer, changes))
}

fn answer_again(known: &Freeze, device: DeviceId, subject: Subject, now: Millis) -> Answer {
    if known.device != device || known.subject.is_some_and(|was| was != subject) {
        return Answer::AnotherQuestion;
    }
    match &known.status {
        // Past its deadline somebody else may hold it: the word is no longer given.
        FreezeStatus::Granted { until } if now >= *until => Answer::Cancelled,
        FreezeStatus::Granted { until } => Answer::Granted { until: *until },
        FreezeStatus::Refused { reasons } => Answer::Refused {
            reasons: reasons.clone(),
        },
        FreezeStatus::Cancelled => Answer::Cancelled,
    }
}

pub(super) fn cancel(
    state: &State,
    id: FreezeId,
    device: DeviceId,
    now: Millis,
) -> Result<(Answer, Changes), NeedKeys> {
    let mut changes = Changes::default();
    let Some(asker) = state.device(device)? else {
        return Ok((Answer::UnknownDevice, changes));
    };
    match state.freeze(id)? {
        // The cancel overtook its question: remember it, so that the question finds the door closed.
        None => changes.freezes.push(Freeze {
            id,
            device,
            subject: None,
            asked_at: now,
            status: FreezeStatus::Cancelled,
        }),
        Some(known) if known.device != device => return Ok((Answer::AnotherQuestion, changes)),
        Some(known) => {
            if matches!(known.status, FreezeStatus::Granted { .. }) {
                release(state, known, asker, now, &mut changes)?;
            }
        }
    }
    Ok((Answer::Cancelled, changes))
}

/// Ends a granted freeze: what it still holds is let go of.
pub(super) fn release(
    state: &State,
    freeze: &Freeze,
    owner: &Device,
    now: Millis,
    changes: &mut Changes,
) -> Result<(), NeedKeys> {
    changes.freezes.push(Freeze {
        status: FreezeStatus::Cancelled,
        asked_at: now,
        ..freeze.clone()
    });
    match freeze.subject {
        Some(Subject::Coupon(id)) => {
            if let Some(coupon) = state.coupon(id)?
                && matches!(coupon.state, CouponState::Frozen { freeze: held, device, .. }
                    if held == freeze.id && device == owner.id)
            {
                let step = step(owner, freeze.id, now);
                uses::let_go(state, coupon, "unfrozen", step, now, Heard::Nowhere, changes)?;
            }
        }
        Some(Subject::Order(id)) => {
            if let Some(order) = state.order(id)?
                && matches!(order.state, OrderState::Ready { freeze: Some(held) }
                    if held.freeze == freeze.id && held.device == owner.id)
            {
                uses::let_go_of_order(state, order, None, Heard::Nowhere, changes)?;
            }
        }
        Some(Subject::Sale(_)) | None => {}
    }
    Ok(())
}

fn step(owner: &Device, freeze: FreezeId, at: Millis) -> Step {
    Step {
        at,
        store: owner.store,
        device: owner.id,
        actor: None,
        source: freeze.0,
    }
}
