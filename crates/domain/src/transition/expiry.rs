//! Marking what has ended. Nothing relies on the mark: a coupon whose time is up counts as expired wherever it is
//! read. It keeps the rows true to what people are told.

use uuid::Uuid;

use super::{
    Answer, Changes, Decide, Key, NeedKeys, State, Subject,
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

/// A coupon's time is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpireCoupon {
    /// Which.
    pub coupon: CouponId,
    /// Now.
    pub now: Millis,
}

impl Decide for ExpireCoupon {
    fn keys(&self) -> Vec<Key> {
        vec![Key::Coupon(self.coupon)]
    }

    fn decide(&self, state: &State, _received_at: Millis) -> Result<(Answer, Changes), NeedKeys> {
        let Self { coupon: id, now } = *self;
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
}

/// A freeze may have lapsed over which something was used all the same: it is the first use's then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lapse {
    /// What was frozen.
    pub subject: Subject,
    /// Now.
    pub now: Millis,
}

impl Decide for Lapse {
    fn keys(&self) -> Vec<Key> {
        vec![self.subject.key()]
    }

    fn decide(&self, state: &State, _received_at: Millis) -> Result<(Answer, Changes), NeedKeys> {
        let mut changes = Changes::default();
        self.subject.about().settle(state, self.now, &mut changes)?;
        Ok((Answer::Swept(Swept::Settled), changes))
    }
}
