//! Templates and coupons: what they are and which states a coupon passes through.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{BatchId, CouponId, DeviceId, FreezeId, MemberId, OperationId, StoreId, TemplateId},
    settlement::{self, Instant, Rule, Scope, Stacking, Status},
    surplus::Surplus,
    time::{MINUTE, Millis},
};

/// How long a freeze taken by a counter lasts before it lapses.
pub const FREEZE_LASTS: Millis = 5 * MINUTE;

/// The end of a freeze that does not lapse by itself: the order that holds the coupon decides. Far beyond any order's
/// deadline, and still a date that every program can write.
pub const HELD_BY_ORDER: Millis = 253_402_300_799_000;
/// What stands for the device where an order placed online holds a coupon.
pub const ONLINE_DEVICE: DeviceId = DeviceId(uuid::Uuid::nil());
/// What stands for the store where an order placed online has used a coupon.
pub const ONLINE_STORE: StoreId = StoreId(uuid::Uuid::nil());

/// What a counter may do with a coupon of this template when head office can't be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::EnumString)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum OfflinePolicy {
    /// Nothing: "not confirmed, don't hand over". Default for high value and shared codes.
    OnlineOnly,
    /// Honour it at the coupon's own store.
    HomeStore,
    /// Honour it anywhere when it is worth at most the template's floor limit.
    FloorLimit,
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
    /// Which lines it looks at and falls on; a voucher's lines follow from its sku, its scope is every line.
    #[serde(default, skip_serializing_if = "Scope::is_all")]
    pub scope: Scope,
    /// What it may stand beside.
    #[serde(default, skip_serializing_if = "Stacking::is_default")]
    pub stacking: Stacking,
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
        self.rule.kind.most_it_costs().unwrap_or(self.worth_unbounded)
    }
}

/// Where a coupon stands. The state carries what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(tag = "state", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
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
        self.into()
    }

    /// The order placed online that holds it or has used it.
    pub fn order(&self) -> Option<FreezeId> {
        match self {
            Self::Frozen { freeze, device, .. } if *device == ONLINE_DEVICE => Some(*freeze),
            Self::Redeemed { operation, store, .. } if *store == ONLINE_STORE => Some(FreezeId(operation.0)),
            _ => None,
        }
    }
}

/// How a coupon is shown to people at an instant, whatever a sweeper has marked yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It may be used, now or from its first day on.
    Available,
    /// Somebody is using it, or an order holds it.
    Frozen,
    /// It was used.
    Redeemed,
    /// Its time is over.
    Expired,
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
    /// Uses beyond the one that counts, in the order of their arrival.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub surplus: Vec<Surplus>,
    /// Stores that were told of it and that nothing else says would be told: kept at head office alone.
    #[serde(skip)]
    pub told: Vec<StoreId>,
}

impl BatchId {
    /// The coupon at this position of the batch: the batch's own id with the position in its last 32 bits. Unique by
    /// construction, so a batch can be made in pieces, twice over if need be, and a claim knows which row it takes.
    pub fn coupon(&self, position: u32) -> CouponId {
        let mut bytes = *self.bytes();
        bytes[12..].copy_from_slice(&position.to_be_bytes());
        CouponId(uuid::Uuid::from_bytes(bytes))
    }
}

impl Coupon {
    /// Version of a coupon that waits in its batch and was given to nobody.
    pub const WAITING: i64 = 0;
    /// Version of a coupon that was just given to its member, or printed for whoever holds it.
    pub const ISSUED: i64 = 1;

    /// Whether it was given to somebody. Before that it is nobody's and does not exist but for its batch.
    pub fn is_issued(&self) -> bool {
        self.version >= Self::ISSUED
    }

    /// Whether its time is up, whether or not a sweeper has marked it.
    pub fn is_expired_at(&self, now: Millis) -> bool {
        self.state == CouponState::Expired || self.valid_until.is_some_and(|until| now >= until)
    }

    /// How it is shown at this instant.
    pub fn standing(&self, now: Millis) -> Standing {
        match self.state {
            CouponState::Redeemed { .. } => Standing::Redeemed,
            _ if self.used_beside_lapsed(now).is_some() => Standing::Redeemed,
            _ if self.frozen_by(now).is_some() => Standing::Frozen,
            _ if self.is_expired_at(now) => Standing::Expired,
            _ => Standing::Available,
        }
    }

    /// The freeze that holds it at this instant, if any: a freeze past its deadline holds nothing.
    pub fn frozen_by(&self, now: Millis) -> Option<(FreezeId, Millis)> {
        match self.state {
            CouponState::Frozen { freeze, until, .. } if now < until => Some((freeze, until)),
            _ => None,
        }
    }

    /// The use that the coupon belongs to because the freeze it was made over has lapsed since, whether or not a sweeper
    /// has marked it.
    pub fn used_beside_lapsed(&self, now: Millis) -> Option<&Surplus> {
        match self.state {
            CouponState::Frozen { until, .. } if now >= until => self.surplus.first(),
            _ => None,
        }
    }

    /// The state it goes back to when a freeze or a redemption is undone and nobody else has used it.
    pub fn state_when_given_back(&self, now: Millis) -> CouponState {
        if self.valid_until.is_some_and(|until| now >= until) {
            CouponState::Expired
        } else {
            CouponState::Available
        }
    }

    /// The coupon as a quote wants it: where it stands at this moment, and its template's rule.
    pub fn for_quote(&self, template: &Template, now: Millis) -> settlement::Coupon {
        const NANOS: Instant = 1_000_000;
        let instant = |at: Millis| Instant::from(at) * NANOS;
        settlement::Coupon {
            id: self.id.to_string(),
            member: self.member.map(|member| member.to_string()),
            // What is over by time alone the quote sees itself, and says so.
            status: match (&self.state, self.standing(now)) {
                (CouponState::Expired, _) => Status::Expired,
                (_, Standing::Redeemed) => Status::Redeemed,
                (_, Standing::Frozen) => Status::Frozen,
                (_, Standing::Available | Standing::Expired) => Status::Available,
            },
            valid_from: self.valid_from.map(instant),
            valid_until: self.valid_until.map(instant),
            rule: template.rule.clone(),
            scope: template.scope.clone(),
            stores: template
                .stores
                .as_ref()
                .map(|stores| stores.iter().map(StoreId::to_string).collect()),
            stacking: template.stacking.clone(),
        }
    }
}
