//! May this be honoured, and if not, why not: all reasons at once.

use serde::{Deserialize, Serialize};

use crate::{
    coupons::{Coupon, CouponState, Template},
    ids::{MemberId, StoreId},
    pickups::{Order, OrderState},
    time::Millis,
};

/// One reason for a refusal or for a doubt. Serialised with its stable `code`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, strum::VariantNames)]
#[serde(tag = "code", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    /// No coupon, order or member has this code.
    UnknownCode,
    /// Not in the local copy, and head office can't be asked.
    UnknownOffline,
    /// Too many unknown codes were tried, by this clerk or at this device: typed codes wait.
    GuessingLimited { device: bool, until: Millis },
    /// It has the form of no code.
    MalformedCode,
    /// Its validity begins later.
    NotStarted { at: Millis },
    /// Its time is over.
    Expired { at: Option<Millis> },
    /// It was used.
    Redeemed { at: Millis, store: StoreId },
    /// Somebody is using it at this moment.
    Frozen { until: Millis },
    /// An order placed online holds it until its payment is known.
    HeldByOrder,
    /// It belongs to another member.
    NotOwner,
    /// Its template names other stores.
    StoreNotAllowed,
    /// The order waits at another store.
    OtherStore { store: StoreId },
    /// The order was handed over.
    AlreadyCollected { at: Millis, store: StoreId },
    /// The order was called off.
    OrderCancelled,
    /// The order went back.
    OrderReturned,
    /// The order's deadline has passed.
    OrderOverdue { at: Millis },
    /// The code's signature is not head office's.
    BadSignature,
    /// The code was shown too long ago.
    TokenExpired { at: Millis },
    /// The code is signed with a key that this counter does not hold yet.
    UnknownKey,
    /// Coupons of this kind need head office's word.
    OnlineOnly,
    /// Offline it is honoured at its own store only.
    NotHomeStore,
    /// It is worth more than may be honoured offline.
    OverFloorLimit { limit: i64 },
    /// As many offline redemptions as this counter may make.
    OfflineCountLimit { limit: i64 },
    /// As much value as this counter may honour offline.
    OfflineAmountLimit { limit: i64 },
    /// Too long since head office was last heard.
    OfflineHoursLimit { hours: i64 },
    /// As many offline redemptions as one member may make here.
    MemberOperationsLimit { limit: i64 },
    /// The clock was set back or is far off.
    ClockWrong,
    /// A pending operation of this counter is expected to end in an exception.
    ConflictExpected,
    /// Its template is not known here.
    TemplateUnknown,
    /// The code is a product's or a person's, nothing to redeem.
    NotACode,
    /// The member has fewer points to spend.
    PointsShort { available: i64 },
    /// The member has less stored value to spend.
    BalanceShort { available: i64 },
}

/// What a judgement about a coupon or an order takes into account besides the thing itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Circumstances {
    /// Now.
    pub now: Millis,
    /// Where.
    pub store: StoreId,
    /// Who presents it, when that is known.
    pub presented_by: Option<MemberId>,
}

/// Every reason against honouring the coupon here and now; none = it may be honoured.
pub fn judge_coupon(coupon: &Coupon, template: Option<&Template>, at: Circumstances) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if let (Some(owner), Some(presenter)) = (coupon.member, at.presented_by)
        && owner != presenter
    {
        reasons.push(Reason::NotOwner);
    }
    if let Some(from) = coupon.valid_from
        && at.now < from
    {
        reasons.push(Reason::NotStarted { at: from });
    }
    match coupon.state {
        CouponState::Redeemed { at, store, .. } => reasons.push(Reason::Redeemed { at, store }),
        _ if let Some(used) = coupon.used_beside_lapsed(at.now) => reasons.push(Reason::Redeemed {
            at: used.at,
            store: used.store,
        }),
        _ if coupon.is_expired_at(at.now) => reasons.push(Reason::Expired { at: coupon.valid_until }),
        _ => {}
    }
    match coupon.frozen_by(at.now) {
        Some(_) if coupon.state.order().is_some() => reasons.push(Reason::HeldByOrder),
        Some((_, until)) => reasons.push(Reason::Frozen { until }),
        None => {}
    }
    match template {
        None => reasons.push(Reason::TemplateUnknown),
        Some(template) => {
            if template
                .stores
                .as_ref()
                .is_some_and(|stores| !stores.contains(&at.store))
            {
                reasons.push(Reason::StoreNotAllowed);
            }
        }
    }
    reasons
}

/// Every reason against handing the order over here and now; none = it may be handed over.
///
/// An overdue order is still handed over while it is there: the deadline tells the store when to send it back.
pub fn judge_order(order: &Order, at: Circumstances) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if order.store != at.store {
        reasons.push(Reason::OtherStore { store: order.store });
    }
    match order.state {
        OrderState::Ready { .. } => {
            if let Some(used) = order.collected_beside_lapsed(at.now) {
                reasons.push(Reason::AlreadyCollected {
                    at: used.at,
                    store: used.store,
                });
            }
        }
        OrderState::Collected { at, store, .. } => reasons.push(Reason::AlreadyCollected { at, store }),
        OrderState::Returned => reasons.push(Reason::OrderReturned),
        OrderState::Cancelled => reasons.push(Reason::OrderCancelled),
    }
    if let Some(freeze) = order.frozen_by(at.now) {
        reasons.push(Reason::Frozen { until: freeze.until });
    }
    reasons
}
