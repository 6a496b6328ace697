//! Marking what has ended. Nothing relies on the mark: a coupon whose time is up counts as expired wherever it is
//! read. It keeps the rows true to what people are told.

use uuid::Uuid;

use super::{Answer, Changes, NeedKeys, State, online::change};
use crate::{
    coupons::CouponState,
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
        // Nobody did it: the record names the coupon itself.
        change(
            state,
            coupon,
            CouponState::Expired,
            "expired",
            FreezeId(Uuid::nil()),
            None,
            now,
            &mut changes,
        )?;
    }
    Ok((Answer::Swept(swept), changes))
}
