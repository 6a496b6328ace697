//! What a counter may do alone: the bounded risk of working without head office.

use serde::{Deserialize, Serialize};

use crate::{
    coupons::{Coupon, OfflinePolicy, Template},
    ids::StoreId,
    time::{HOUR, MINUTE, Millis},
    verdict::Reason,
};

/// A clock further off than this is reported to the clerk.
pub const CLOCK_WARN: Millis = 2 * MINUTE;
/// A clock further off than this makes no offline value operations.
pub const CLOCK_REFUSE: Millis = 5 * MINUTE;

/// What one device may do without head office, until it has delivered again. Set by head office per store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfflineLimits {
    /// Most redemptions waiting for delivery.
    pub max_count: i64,
    /// Most value waiting for delivery, minor units.
    pub max_amount: i64,
    /// Most value of one redemption, minor units.
    pub max_each: i64,
    /// Most redemptions for one member.
    pub max_per_member: i64,
    /// Longest time since head office was last heard, hours.
    pub max_hours: i64,
}

impl Default for OfflineLimits {
    fn default() -> Self {
        Self {
            max_count: 500,
            max_amount: 2_000_000,
            max_each: 50_000,
            max_per_member: 3,
            max_hours: 72,
        }
    }
}

/// What the device has done without head office so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OfflineUsage {
    /// Unconfirmed redemptions waiting for delivery.
    pub count: i64,
    /// Their value, minor units.
    pub amount: i64,
    /// Those of the member who stands here.
    pub by_member: i64,
}

/// How well the device knows the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockState {
    /// What the clock says.
    pub now: Millis,
    /// The latest time this device has ever seen; a clock behind it was set back.
    pub high_water: Millis,
    /// When head office was last heard, by this device's clock.
    pub last_pull: Option<Millis>,
    /// Device clock minus head office's clock when last compared.
    pub skew: Option<Millis>,
}

/// Every reason against an unconfirmed redemption of `worth` minor units, whatever it is for.
pub fn judge_limits(worth: i64, limits: &OfflineLimits, usage: &OfflineUsage, clock: &ClockState) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if worth > limits.max_each {
        reasons.push(Reason::OverFloorLimit { limit: limits.max_each });
    }
    if usage.count >= limits.max_count {
        reasons.push(Reason::OfflineCountLimit {
            limit: limits.max_count,
        });
    }
    if usage.amount.saturating_add(worth) > limits.max_amount {
        reasons.push(Reason::OfflineAmountLimit {
            limit: limits.max_amount,
        });
    }
    if usage.by_member >= limits.max_per_member {
        reasons.push(Reason::MemberOperationsLimit {
            limit: limits.max_per_member,
        });
    }
    let behind = clock.high_water.saturating_sub(clock.now) > CLOCK_REFUSE;
    if behind || clock.skew.is_some_and(|skew| skew.saturating_abs() > CLOCK_REFUSE) {
        reasons.push(Reason::ClockWrong);
    }
    let alone = clock
        .last_pull
        .map(|at| clock.now.max(clock.high_water).saturating_sub(at));
    if alone.is_none_or(|alone| alone > limits.max_hours.saturating_mul(HOUR)) {
        reasons.push(Reason::OfflineHoursLimit {
            hours: limits.max_hours,
        });
    }
    reasons
}

/// Every reason of the template's own against honouring the coupon without head office's word.
pub fn judge_policy(coupon: &Coupon, template: &Template, store: StoreId) -> Vec<Reason> {
    judge_policy_for(coupon, template, template.worth(), store)
}

/// The same where it is known what the coupon takes off.
pub fn judge_policy_for(coupon: &Coupon, template: &Template, worth: i64, store: StoreId) -> Vec<Reason> {
    match template.offline {
        OfflinePolicy::OnlineOnly => vec![Reason::OnlineOnly],
        OfflinePolicy::HomeStore if coupon.home_store != Some(store) => vec![Reason::NotHomeStore],
        OfflinePolicy::FloorLimit if worth > template.floor_limit => {
            vec![Reason::OverFloorLimit {
                limit: template.floor_limit,
            }]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(now: Millis) -> ClockState {
        ClockState {
            now,
            high_water: now,
            last_pull: Some(now),
            skew: Some(0),
        }
    }

    #[test]
    fn each_limit_is_named_and_all_of_them_at_once() {
        let limits = OfflineLimits {
            max_count: 1,
            max_amount: 100,
            max_each: 50,
            max_per_member: 1,
            max_hours: 1,
        };
        let fresh = OfflineUsage::default();
        assert_eq!(judge_limits(50, &limits, &fresh, &clock(10 * HOUR)), vec![]);

        let used = OfflineUsage {
            count: 1,
            amount: 60,
            by_member: 1,
        };
        let late = ClockState {
            now: 10 * HOUR,
            high_water: 11 * HOUR,
            last_pull: Some(0),
            skew: Some(0),
        };
        assert_eq!(
            judge_limits(51, &limits, &used, &late),
            vec![
                Reason::OverFloorLimit { limit: 50 },
                Reason::OfflineCountLimit { limit: 1 },
                Reason::OfflineAmountLimit { limit: 100 },
                Reason::MemberOperationsLimit { limit: 1 },
                Reason::ClockWrong,
                Reason::OfflineHoursLimit { hours: 1 },
            ]
        );
    }

    #[test]
    fn a_clock_set_back_does_not_gain_time() {
        let limits = OfflineLimits {
            max_hours: 2,
            ..OfflineLimits::default()
        };
        let set_back = ClockState {
            now: HOUR,
            high_water: HOUR + MINUTE,
            last_pull: Some(-2 * HOUR),
            skew: None,
        };
        assert_eq!(
            judge_limits(1, &limits, &OfflineUsage::default(), &set_back),
            vec![Reason::OfflineHoursLimit { hours: 2 }]
        );
    }
}
