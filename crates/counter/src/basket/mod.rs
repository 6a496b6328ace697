//! A basket at the desk: quoted with the member's coupons and those shown beside it, settled as one operation.

mod account;
mod calls;
mod payment;
mod quote;
mod settle;

use counterfoil_domain::{
    coupons::{Coupon, Template},
    ids::{CouponId, MemberId},
    people::Member,
    products::Product,
    sales::Settlement,
    settlement,
    time::Millis,
};
use counterfoil_protocol::operation::Evidence;
pub(crate) use payment::{close, open};
pub(crate) use quote::quote;
use serde::{Serialize, Serializer, ser::SerializeMap};
pub(crate) use settle::settle;
use tokio::sync::Mutex as AsyncMutex;

use crate::{
    desk::{Decision, Explained, Input, Verdict},
    honour::Receipt,
    journal::Title,
    points::AccountCard,
};

/// What lies on the counter, and who stands before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basket {
    /// What is bought.
    pub lines: Vec<BasketLine>,
    /// Whose basket it is, when known: their coupons are looked at too.
    pub member: Option<MemberId>,
    /// Coupons typed or scanned beside the member's.
    pub coupons: Vec<Input>,
    /// Which coupons to use.
    pub select: Selection,
    /// How many of the member's points are to pay: as many as may are used.
    pub points: i64,
}

/// One line of a basket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BasketLine {
    /// The product.
    pub sku: String,
    /// Units, >= 1.
    pub quantity: i64,
    /// Of one unit, minor units; `None` = the product's price.
    pub unit_price: Option<i64>,
}

/// Which coupons to use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Selection {
    /// The combination that takes most.
    #[default]
    Best,
    /// These; where two exclude each other, the one named first stays.
    Given(Vec<CouponId>),
}

/// What one coupon takes off one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    /// Which coupon.
    pub coupon: CouponId,
    /// Minor units.
    pub amount: i64,
}

/// A line of a quote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QuotedLine {
    /// "1", "2", ... in the order of the basket.
    pub line: String,
    /// What it is.
    pub product: Product,
    /// Of one unit.
    pub unit_price: i64,
    /// Units.
    pub quantity: i64,
    /// Without coupons.
    pub list: i64,
    /// What coupons take off.
    pub discount: i64,
    /// What points pay, minor units.
    pub points: i64,
    /// What is left to pay.
    pub net: i64,
    /// Which coupon takes how much.
    pub shares: Vec<Share>,
}

/// Why a coupon is not used: the quote's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuoteReason {
    /// As the rules know it.
    pub reason: settlement::Reason,
    /// What excludes it, by name.
    pub excluded_by: Vec<Title>,
}

impl QuoteReason {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        (&self.reason).into()
    }

    /// What a sentence about it names: minor units or units that are missing; what excludes it.
    pub fn params(&self) -> std::collections::BTreeMap<String, String> {
        let list = |names: Vec<&str>| names.join(", ");
        match &self.reason {
            settlement::Reason::BelowThreshold { short_by } | settlement::Reason::BelowQuantity { short_by } => {
                [("short_by".to_owned(), short_by.to_string())].into()
            }
            settlement::Reason::ExcludedBy { coupons } => [
                ("coupons".to_owned(), coupons.join(",")),
                (
                    "names_zh".to_owned(),
                    list(self.excluded_by.iter().map(|name| name.zh.as_str()).collect()),
                ),
                (
                    "names_en".to_owned(),
                    list(self.excluded_by.iter().map(|name| name.en.as_str()).collect()),
                ),
            ]
            .into(),
            _ => std::collections::BTreeMap::new(),
        }
    }
}

impl Serialize for QuoteReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("code", self.code())?;
        map.serialize_entry("params", &self.params())?;
        map.end()
    }
}

/// A coupon laid beside a basket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QuotedCoupon {
    /// As the local copy has it.
    pub coupon: Coupon,
    /// Its rule.
    pub template: Template,
    /// It was typed or scanned; otherwise it is the member's.
    pub presented: bool,
    /// What it takes off; `None` = it is not used.
    pub applied: Option<i64>,
    /// Why the quote does without it. Empty beside an unused one that could be chosen by hand.
    pub refused: Vec<QuoteReason>,
    /// Could it be honoured: with head office's word, without, or not at all.
    pub decision: Decision,
    /// Why it can't be honoured at this moment.
    pub reasons: Vec<Explained>,
}

/// Points beside a basket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QuotedPoints {
    /// How many are used.
    pub used: i64,
    /// What they pay, minor units.
    pub amount: i64,
    /// The most that could be used of this basket at this moment.
    pub most: i64,
    /// Minor units that one pays.
    pub minor_per_point: i64,
    /// Could they be spent: with head office's word, without, or not at all.
    pub decision: Decision,
    /// Why not, at this moment.
    pub reasons: Vec<Explained>,
}

/// What a basket costs. It changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Quote {
    /// Settles exactly this; absent for an empty basket.
    pub ticket: Option<String>,
    /// ISO 4217.
    pub currency: String,
    /// Without coupons.
    pub subtotal: i64,
    /// What coupons take off.
    pub discount: i64,
    /// What points pay; `None` = nobody stands there who could pay with points.
    pub points: Option<QuotedPoints>,
    /// What is left to pay.
    pub payable: i64,
    /// Points that the member earns with it, as far as it is known here.
    pub earns: i64,
    /// What the member has, as far as it is known here.
    pub account: Option<AccountCard>,
    /// In the order of the basket.
    pub lines: Vec<QuotedLine>,
    /// Those that are used first, in the order of application.
    pub coupons: Vec<QuotedCoupon>,
    /// Of the coupons typed or scanned: what is none that can be laid beside a basket, and why.
    pub unread: Vec<Verdict>,
    /// Coupons of the member beyond the 30 that one quote looks at.
    pub left_out: usize,
    /// Whose basket it is.
    pub member: Option<Member>,
    /// When, UTC ms.
    pub shown_at: Millis,
}

/// How a basket was paid: the clerk's word of what the till did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tender {
    /// In the till's words: cash, card, ...
    pub tender: String,
    /// The till's receipt number.
    pub receipt: String,
    /// How much of it the member's stored value pays, minor units; the till takes the rest.
    pub balance: i64,
}

/// A coupon that could not be honoured after all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusedCoupon {
    /// Which.
    pub coupon: CouponId,
    /// Its name.
    pub title: Title,
    /// Why.
    pub reasons: Vec<Explained>,
}

/// Why a basket was not settled, or can't be paid for as it is. Nothing was written: quote it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SaleRefusal {
    /// Refused, or not confirmed.
    pub decision: Decision,
    /// By which coupons.
    pub coupons: Vec<RefusedCoupon>,
    /// What speaks against the points.
    pub points: Vec<Explained>,
    /// What speaks against the stored value.
    pub balance: Vec<Explained>,
}

/// A basket that may be paid for: what is used of coupons, points and stored value is held for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    /// On head office's word, or without for some of it.
    pub decision: Decision,
    /// Coupons that are honoured without head office's word.
    pub alone: Vec<Title>,
    /// The points are spent without head office's word.
    pub points_alone: bool,
    /// What is left to pay, minor units.
    pub payable: i64,
    /// How much of that the member's stored value pays.
    pub balance: i64,
    /// How much the till takes.
    pub till: i64,
    /// After so long, ms, what is held is to be asked for anew: open the payment again.
    pub renew_after: Millis,
}

/// What opening a payment came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// The till may take the money.
    Held(Box<Payment>),
    /// It can't be paid for as it is, and why.
    Refused(Box<SaleRefusal>),
}

/// What settling came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// Done: green.
    Done(Receipt),
    /// Not done, and why.
    Refused(Box<SaleRefusal>),
}

/// A coupon of a quote that was shown.
#[derive(Debug, Clone)]
pub(crate) struct ShownCoupon {
    pub(crate) coupon: Coupon,
    pub(crate) template: Template,
    pub(crate) by_token_only: bool,
}

/// A quote that was shown: settling acts on exactly that.
#[derive(Debug)]
pub(crate) struct SaleTicket {
    /// As it will be journaled, but for the freezes, the tender and the receipt.
    pub(crate) settlement: Settlement,
    /// Its coupons, in the same order.
    pub(crate) coupons: Vec<ShownCoupon>,
    /// What was shown for them.
    pub(crate) evidence: Evidence,
    /// Points that may be spent without head office's word at most.
    pub(crate) offline_limit: i64,
    /// Locked while something is held for it or given back, and while it is being settled.
    pub(crate) paying: AsyncMutex<Paying>,
}

/// How far the payment of a quote is.
#[derive(Debug, Default)]
pub(crate) struct Paying {
    /// What is held for it, while its payment is open.
    pub(crate) holds: Option<payment::Holds>,
    /// The receipt, once it is settled.
    pub(crate) done: Option<Receipt>,
}

#[cfg(test)]
mod tests;
