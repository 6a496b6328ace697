//! Marking what has ended. Nothing relies on the mark: a coupon whose time is up counts as expired wherever it is
//! read. It keeps the rows true to what people are told.

use uuid::Uuid;

use super::{
    Answer, Changes, NeedKeys, State, Subject,
    uses::{self, Heard, Step},
};
use crate::{
    coupons::{Coupon, CouponState},
    ids::{CouponId, FreezeId},
    time::Millis,
};

/// What the sweep found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swept {
    /// It has ended now.
    Expired,
    /// Nothing is left to do: it was used, has ended before, is gone, or its order decides how it ends.
    Settled,
    /// Somebody is using it at this moment, or its time is not up yet: look again at this instant.
    Later(Millis),
}

pub(super) fn expire(state: &State, id: CouponId, now: Millis) -> Result<(Answer, Changes), NeedKeys> {
    let mut changes = Changes::default();
    let Some(coupon) = state.coupon(id)? else {
        return Ok((Answer::Swept(Swept::Settled), changes));
    };
    let coupon = &uses::settled(state, coupon, now, &mut changes)?;
    let swept = match (&coupon.state, coupon.valid_until) {
        (CouponState::Redeemed { .. } | CouponState::Expired, _) | (_, None) => Swept::Settled,
        (_, Some(until)) if now < until => Swept::Later(until),
        (state, _) => match coupon.frozen_by(now) {
            // Given back, it goes straight to expired.
            Some(_) if state.order().is_some() => Swept::Settled,
            Some((_, until)) => Swept::Later(until),
            None => Swept::Expired,
        },
    };
    if swept == Swept::Expired {
        let ended = Coupon {
            state: CouponState::Expired,
            ..coupon.clone()
        };
        // Nobody did it.
        let step = Step::online(FreezeId(Uuid::nil()), None, now);
        uses::write(state, ended, "expired", step, Heard::Everywhere, &mut changes)?;
    }
    Ok((Answer::Swept(swept), changes))
}

/// Looks at something that was used while a freeze was on it: once that has lapsed, it is the first use's.
pub(super) fn lapse(state: &State, subject: Subject, now: Millis) -> Result<(Answer, Changes), NeedKeys> {
    let mut changes = Changes::default();
    match subject {
        Subject::Coupon(id) => {
            if let Some(coupon) = state.coupon(id)? {
                uses::settled(state, coupon, now, &mut changes)?;
            }
        }
        Subject::Order(id) => {
            if let Some(order) = state.order(id)? {
                uses::settled_order(state, order, now, &mut changes)?;
            }
        }
        Subject::Sale(_) => {}
    }
    Ok((Answer::Swept(Swept::Settled), changes))
}
