//! Gifts: what members may have for points, or for points and money, and what becomes of their exchanges.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    ids::{ExchangeId, GiftId, LocationId, MemberId, OrderId, StockId},
    points,
    products::DEAREST,
    stock::Stock,
    time::Millis,
};

/// Where a gift stands.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum GiftStatus {
    /// Nobody sees it yet.
    Draft,
    /// It may be had, within its window.
    Published,
    /// It is over.
    Ended,
}

/// How a gift comes to its member.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum GivenBy {
    /// It is sent from a warehouse.
    Shipped,
    /// It waits in the store that the member chooses.
    Collected,
}

/// Something that members may have for points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gift {
    /// Which.
    pub id: GiftId,
    /// The article.
    pub sku: String,
    /// Chinese name.
    pub name_zh: String,
    /// English name.
    pub name_en: String,
    /// What it costs, points, >= 1.
    pub points: i64,
    /// What it costs besides, minor units; 0 = nothing.
    pub money: i64,
    /// What it is worth, minor units: what a wrong hand-over costs.
    pub worth: i64,
    /// How many a member may have; 0 = any number.
    pub member_limit: i64,
    /// From when it may be had; `None` = at once.
    pub from: Option<Millis>,
    /// The first instant at which it may be had no more; `None` = it does not end.
    pub until: Option<Millis>,
    /// How it comes to its member.
    pub given: GivenBy,
    /// The warehouse that sends it, where one does.
    pub location: Option<LocationId>,
    /// Where it stands.
    pub status: GiftStatus,
    /// Grows by one with every stored change.
    pub version: i64,
}

impl Gift {
    /// Whether its numbers are such that everything can be reckoned with them.
    pub fn is_sound(&self) -> bool {
        (1..=points::MOST).contains(&self.points)
            && (0..=DEAREST).contains(&self.money)
            && (0..=DEAREST).contains(&self.worth)
            && self.member_limit >= 0
            && self.location.is_some() == (self.given == GivenBy::Shipped)
    }
}

/// What a member has had of a gift.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Had {
    /// Who.
    pub member: MemberId,
    /// Of what.
    pub gift: GiftId,
    /// How many they have or are about to have; what came to nothing is not counted.
    pub taken: i64,
    /// Grows by one with every stored change; 0 = not stored yet.
    pub version: i64,
}

/// Where something is sent: a snapshot, whatever becomes of the address book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Who gets it.
    pub recipient: String,
    /// Their phone number.
    pub phone: String,
    /// Province, city, district.
    pub region: String,
    /// The rest.
    pub street: String,
}

/// Where an exchange stands.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ExchangeStatus {
    /// Points and gift are held until the payment is known.
    AwaitingPayment,
    /// The gift is the member's: it is sent, or waits in the store.
    Confirmed,
    /// It came to nothing before it was paid.
    Cancelled,
    /// The gift came back: so did the points.
    Returned,
    /// The gift was lost on its way: the points came back.
    Lost,
}

impl ExchangeStatus {
    /// Whether it counts towards what a member may have.
    pub fn counts(self) -> bool {
        matches!(self, Self::AwaitingPayment | Self::Confirmed)
    }
}

/// A member's exchange of points for a gift.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Follows from whose it is and what their program called it.
    pub id: ExchangeId,
    /// Whose.
    pub member: MemberId,
    /// For what.
    pub gift: GiftId,
    /// Where it is taken from.
    pub stock: StockId,
    /// The same, as people know it.
    pub location: LocationId,
    /// The article, as it was then.
    pub sku: String,
    /// Chinese name, as it was then.
    pub name_zh: String,
    /// English name, as it was then.
    pub name_en: String,
    /// What it cost, points.
    pub points: i64,
    /// What it cost besides, minor units.
    pub money: i64,
    /// What the gift is worth, minor units.
    pub worth: i64,
    /// Where it is sent to; `None` = it is collected.
    pub address: Option<Address>,
    /// The pickup order that it has, or will have once it is paid; `None` = it is sent.
    pub order: Option<OrderId>,
    /// Where it stands.
    pub status: ExchangeStatus,
    /// When it was asked for.
    pub asked_at: Millis,
    /// Until when its payment should be known, where there is one.
    pub deadline: Option<Millis>,
    /// When it was paid, where there was something to pay, else when it was asked for.
    pub confirmed_at: Option<Millis>,
    /// When it came to nothing, and by which operator; `None` = head office itself.
    pub ended: Option<(Millis, Option<Uuid>)>,
    /// When the payment's owner is asked next.
    pub ask_at: Option<Millis>,
    /// How often they have been asked.
    pub asks: i64,
    /// Grows by one with every step.
    pub version: i64,
}

impl Exchange {
    /// The number that people know it by.
    pub fn number(&self) -> String {
        let hex = self.id.0.simple().to_string().to_ascii_uppercase();
        format!("X-{}", hex.get(..12).unwrap_or(&hex))
    }

    /// The name of the gift in either language.
    pub fn name(&self) -> String {
        if self.name_zh == self.name_en {
            self.name_zh.clone()
        } else {
            format!("{} {}", self.name_zh, self.name_en)
        }
    }
}

/// One reason why a member can't have a gift. Serialised with its stable `code`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum NotExchangeable {
    /// There is no such gift.
    UnknownGift,
    /// There is no such member.
    UnknownMember,
    /// It may be had later.
    ExchangeNotStarted { at: Millis },
    /// It may be had no more.
    ExchangeOver {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Millis>,
    },
    /// The member has had as many as a member may.
    LimitReached { limit: i64 },
    /// None is left, here or at all.
    OutOfStock,
    /// The member has fewer points to spend.
    PointsShort { available: i64 },
    /// It is sent: an address is needed.
    AddressMissing,
    /// It is not an address of the member's own book.
    UnknownAddress,
    /// It is collected: a store is needed.
    StoreMissing,
    /// There is no such store.
    UnknownStore,
}

/// Every reason against having a gift now, but for where it should go. `stock` is where it would be taken from, `None`
/// where the member has not said yet; `available` are their points.
pub fn judge(
    gift: Option<&Gift>,
    stock: Option<&Stock>,
    had: i64,
    available: i64,
    now: Millis,
) -> Vec<NotExchangeable> {
    let Some(gift) = gift.filter(|gift| gift.status != GiftStatus::Draft) else {
        return vec![NotExchangeable::UnknownGift];
    };
    let mut reasons = Vec::new();
    if let Some(at) = gift.from
        && now < at
    {
        reasons.push(NotExchangeable::ExchangeNotStarted { at });
    }
    if let Some(at) = gift.until.filter(|at| now >= *at) {
        reasons.push(NotExchangeable::ExchangeOver { at: Some(at) });
    } else if gift.status == GiftStatus::Ended {
        reasons.push(NotExchangeable::ExchangeOver { at: None });
    }
    if gift.member_limit > 0 && had >= gift.member_limit {
        let limit = gift.member_limit;
        reasons.push(NotExchangeable::LimitReached { limit });
    }
    if stock.is_some_and(|stock| stock.available() < 1) {
        reasons.push(NotExchangeable::OutOfStock);
    }
    if available < gift.points {
        reasons.push(NotExchangeable::PointsShort { available });
    }
    reasons
}
