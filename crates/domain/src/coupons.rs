//! Templates and coupons: what they are and which states a coupon passes through.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{BatchId, CouponId, DeviceId, FreezeId, MemberId, OperationId, StoreId, TemplateId},
    time::{MINUTE, Millis},
};

/// How long a freeze taken by a counter lasts before it lapses.
pub const FREEZE_LASTS: Millis = 5 * MINUTE;

/// What a coupon takes off. Amounts are minor units; `percent_bp` are basis points taken off (1500 = 85折).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Rule {
    /// 满减: `amount` off from `threshold`.
    ThresholdOff { threshold: i64, amount: i64 },
    /// 每满减: `amount` off for each whole `threshold`, at most `max_times`.
    EveryOff {
        threshold: i64,
        amount: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_times: Option<i64>,
    },
    /// 折扣, with an optional threshold and cap.
    PercentOff {
        percent_bp: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        threshold: Option<i64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_discount: Option<i64>,
    },
    /// 立减: `amount` off.
    AmountOff { amount: i64 },
    /// 兑换券: units of a product free.
    ItemVoucher { sku: String, quantity: i64 },
}

impl Rule {
    /// The word of the kind in messages and databases.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ThresholdOff { .. } => "threshold_off",
            Self::EveryOff { .. } => "every_off",
            Self::PercentOff { .. } => "percent_off",
            Self::AmountOff { .. } => "amount_off",
            Self::ItemVoucher { .. } => "item_voucher",
        }
    }

    /// The most that one coupon can cost the chain, in minor units, where the rule itself bounds it.
    pub fn most_it_costs(&self) -> Option<i64> {
        match self {
            Self::ThresholdOff { amount, .. } | Self::AmountOff { amount } => Some(*amount),
            Self::EveryOff { amount, max_times, .. } => max_times.and_then(|times| amount.checked_mul(times)),
            Self::PercentOff { max_discount, .. } => *max_discount,
            Self::ItemVoucher { .. } => None,
        }
    }
}

/// What a counter may do with a coupon of this template when head office can't be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfflinePolicy {
    /// Nothing: "not confirmed, don't hand over". Default for high value and shared codes.
    OnlineOnly,
    /// Honour it at the coupon's own store.
    HomeStore,
    /// Honour it anywhere when it is worth at most the template's floor limit.
    FloorLimit,
}

impl OfflinePolicy {
    /// The word in databases and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OnlineOnly => "online_only",
            Self::HomeStore => "home_store",
            Self::FloorLimit => "floor_limit",
        }
    }
}

/// One published version of a template. Never changes once published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// The template's id, shared by its versions.
    pub id: TemplateId,
    /// The version, from 1.
    pub version: i64,
    /// Chinese name.
    pub name_zh: String,
    /// English name.
    pub name_en: String,
    /// ISO 4217 code of the amounts.
    pub currency: String,
    /// What it takes off.
    pub rule: Rule,
    /// Stores where it may be used; `None` = everywhere.
    pub stores: Option<Vec<StoreId>>,
    /// What a counter may do with it offline.
    pub offline: OfflinePolicy,
    /// Largest worth honoured offline under [`OfflinePolicy::FloorLimit`], minor units.
    pub floor_limit: i64,
    /// Worth booked when a coupon is used twice and the rule itself has no bound, minor units.
    pub worth_unbounded: i64,
}

impl Template {
    /// What one coupon is worth for limits and losses, minor units.
    pub fn worth(&self) -> i64 {
        self.rule.most_it_costs().unwrap_or(self.worth_unbounded)
    }
}

/// Where a coupon stands. The state carries what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum CouponState {
    /// Free to be used within its validity.
    Available,
    /// Reserved by one freeze until a deadline; past it the coupon counts as available.
    Frozen {
        freeze: FreezeId,
        until: Millis,
        device: DeviceId,
    },
    /// Used up by one operation.
    Redeemed {
        operation: OperationId,
        at: Millis,
        store: StoreId,
    },
    /// Marked by the sweeper; see [`Coupon::is_expired_at`] for the truth.
    Expired,
}

impl CouponState {
    /// The word in databases and messages.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Frozen { .. } => "frozen",
            Self::Redeemed { .. } => "redeemed",
            Self::Expired => "expired",
        }
    }
}

/// One member's coupon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coupon {
    /// Its id.
    pub id: CouponId,
    /// The code printed and typed; 18 digits by default, unique within the tenant.
    pub code: String,
    /// Whose it is; `None` = whoever holds it.
    pub member: Option<MemberId>,
    /// The rule.
    pub template: TemplateId,
    /// The version of the rule it was issued under.
    pub template_version: i64,
    /// The issue it came from.
    pub batch: BatchId,
    /// The store whose counters may honour it offline under [`OfflinePolicy::HomeStore`].
    pub home_store: Option<StoreId>,
    /// First instant of its validity; `None` = open.
    pub valid_from: Option<Millis>,
    /// First instant after its validity; `None` = open.
    pub valid_until: Option<Millis>,
    /// Where it stands.
    #[serde(flatten)]
    pub state: CouponState,
    /// Grows by one with every stored change.
    pub version: i64,
}

impl Coupon {
    /// Whether its time is up, whether or not a sweeper has marked it.
    pub fn is_expired_at(&self, now: Millis) -> bool {
        self.state == CouponState::Expired || self.valid_until.is_some_and(|until| now >= until)
    }

    /// The freeze that holds it at this instant, if any: a freeze past its deadline holds nothing.
    pub fn frozen_by(&self, now: Millis) -> Option<(FreezeId, Millis)> {
        match self.state {
            CouponState::Frozen { freeze, until, .. } if now < until => Some((freeze, until)),
            _ => None,
        }
    }

    /// The state it goes back to when a freeze or a redemption is undone.
    pub fn state_when_given_back(&self, now: Millis) -> CouponState {
        if self.valid_until.is_some_and(|until| now >= until) {
            CouponState::Expired
        } else {
            CouponState::Available
        }
    }
}
