//! The question before a redemption: may I? Asked over HTTP, answered once, stored.

use super::{Answer, Changes, CouponEntry, DeviceStatus, Entity, Freeze, FreezeStatus, NeedKeys, State, Subject};
use crate::{
    coupons::{Coupon, CouponState, FREEZE_LASTS},
    ids::{DeviceId, FreezeId, MemberId},
    pickups::{Order, OrderFreeze, OrderState},
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
                let template = state.template(coupon.template, coupon.template_version)?;
                let reasons = judge_coupon(coupon, template, at);
                if reasons.is_empty() {
                    let next = CouponState::Frozen {
                        freeze: id,
                        until,
                        device,
                    };
                    changes.feed.push((asker.store, Entity::Coupon(coupon.id)));
                    push_coupon(coupon, next, "frozen", id, device, asker.store, now, &mut changes);
                }
                reasons
            }
        },
        Subject::Order(order_id) => match state.order(order_id)? {
            None => vec![Reason::UnknownCode],
            Some(order) => {
                let reasons = judge_order(order, at);
                if reasons.is_empty() {
                    let freeze = Some(OrderFreeze {
                        freeze: id,
                        until,
                        device,
                    });
                    push_order(order, OrderState::Ready { freeze }, &mut changes);
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
    // A frozen row is not fed to the counters: the freeze lasts seconds, and whoever asks meanwhile is told here.
    changes.feed.clear();
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
    let cancelled = |subject| Freeze {
        id,
        device,
        subject,
        asked_at: now,
        status: FreezeStatus::Cancelled,
    };
    match state.freeze(id)? {
        // The cancel overtook its question: remember it, so that the question finds the door closed.
        None => changes.freezes.push(cancelled(None)),
        Some(known) if known.device != device => return Ok((Answer::AnotherQuestion, changes)),
        Some(known) => {
            if matches!(known.status, FreezeStatus::Granted { .. }) {
                changes.freezes.push(cancelled(known.subject));
                match known.subject {
                    Some(Subject::Coupon(coupon)) => {
                        if let Some(coupon) = state.coupon(coupon)?
                            && matches!(coupon.state, CouponState::Frozen { freeze, .. } if freeze == id)
                        {
                            let back = coupon.state_when_given_back(now);
                            push_coupon(coupon, back, "unfrozen", id, device, asker.store, now, &mut changes);
                        }
                    }
                    Some(Subject::Order(order)) => {
                        if let Some(order) = state.order(order)?
                            && matches!(order.state, OrderState::Ready { freeze: Some(held) } if held.freeze == id)
                        {
                            push_order(order, OrderState::Ready { freeze: None }, &mut changes);
                        }
                    }
                    Some(Subject::Sale(_)) | None => {}
                }
            }
        }
    }
    Ok((Answer::Cancelled, changes))
}

#[expect(clippy::too_many_arguments, reason = "one line of the coupon's record, spelled out")]
fn push_coupon(
    coupon: &Coupon,
    state: CouponState,
    what: &'static str,
    freeze: FreezeId,
    device: DeviceId,
    store: crate::ids::StoreId,
    at: Millis,
    changes: &mut Changes,
) {
    let version = coupon.version + 1;
    changes.coupons.push(Coupon {
        state,
        version,
        ..coupon.clone()
    });
    changes.entries.push(CouponEntry {
        coupon: coupon.id,
        version,
        what,
        at,
        store,
        device,
        actor: None,
        source: freeze.0,
    });
}

fn push_order(order: &Order, state: OrderState, changes: &mut Changes) {
    changes.orders.push(Order {
        state,
        version: order.version + 1,
        ..order.clone()
    });
}
