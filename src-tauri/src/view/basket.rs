//! What lies in front of the clerk while a sale is made: goods, a member, coupons, the quote.

use counterfoil_counter as counter;
use counterfoil_domain::ids::{CouponId, MemberId};
use counterfoil_domain::points::Balances;
use counterfoil_domain::products::Product;
use serde::{Deserialize, Serialize};
use specta::Type;

use super::desk::{CouponView, Decision, MemberView, Reason, Receipt, Verdict, coupon_view, reasons};
use super::title;
use crate::commands::id;
use crate::finding::coupon_of;
use crate::problem::Result;
use crate::settings::Locale;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct ProductView {
    pub sku: String,
    /// The first of them.
    pub barcode: Option<String>,
    pub name_zh: String,
    pub name_en: String,
    /// Minor units.
    pub unit_price: i64,
    pub currency: String,
}

impl From<&Product> for ProductView {
    fn from(product: &Product) -> Self {
        Self {
            sku: product.sku.clone(),
            barcode: product.barcodes.first().cloned(),
            name_zh: product.name_zh.clone(),
            name_en: product.name_en.clone(),
            unit_price: product.unit_price,
            currency: product.currency.clone(),
        }
    }
}

/// One of a member's coupons, and whether it could be used by itself, now, here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct CardCoupon {
    pub coupon: CouponView,
    pub decision: Decision,
    pub reasons: Vec<Reason>,
}

/// What a member has of one asset: points, or stored value in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct BalancesView {
    pub available: i64,
    pub held: i64,
    pub pending: i64,
    pub debt: i64,
}

impl From<Balances> for BalancesView {
    fn from(balances: Balances) -> Self {
        let Balances {
            available,
            held,
            pending,
            debt,
        } = balances;
        Self {
            available,
            held,
            pending,
            debt,
        }
    }
}

/// What is left of the points that came at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct LotView {
    pub amount: i64,
    /// From when they may be spent, UTC ms; null = they may.
    pub ready_at: Option<i64>,
    /// The first instant at which they are over, UTC ms; null = they do not end.
    pub ends_at: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct AccountView {
    pub points: BalancesView,
    pub balance: BalancesView,
    /// In the order in which they are spent.
    pub lots: Vec<LotView>,
}

impl From<&counter::AccountCard> for AccountView {
    fn from(card: &counter::AccountCard) -> Self {
        let lot = |lot: &counter::OpenLot| LotView {
            amount: lot.amount,
            ready_at: lot.ready_at,
            ends_at: lot.ends_at,
        };
        Self {
            points: card.points.into(),
            balance: card.balance.into(),
            lots: card.lots.iter().map(lot).collect(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct MemberCard {
    pub member: MemberView,
    pub coupons: Vec<CardCoupon>,
    /// Null = nothing of it is known here.
    pub account: Option<AccountView>,
}

/// Money that a member paid in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct ToppedUp {
    pub receipt: Receipt,
    /// The member as they stand now; null = not here any more.
    pub member: Option<MemberCard>,
}

impl From<&counter::MemberCard> for MemberCard {
    fn from(card: &counter::MemberCard) -> Self {
        let shown = |one: &counter::CardCoupon| CardCoupon {
            coupon: coupon_view(&one.coupon, one.template.as_ref(), Some(&card.member), card.shown_at),
            decision: one.decision.into(),
            reasons: reasons(&one.reasons),
        };
        Self {
            member: (&card.member).into(),
            coupons: card.coupons.iter().map(shown).collect(),
            account: card.account.as_ref().map(Into::into),
        }
    }
}

/// What a text was found to be. Products: the one that a barcode means beyond doubt, or those that a name may mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Found {
    Verdict { verdict: Box<Verdict> },
    Member { card: Box<MemberCard> },
    Products { products: Vec<ProductView>, exact: bool },
}

impl From<&counter::Verdict> for Found {
    fn from(verdict: &counter::Verdict) -> Self {
        Self::Verdict {
            verdict: Box::new(verdict.into()),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct BasketLine {
    pub sku: String,
    pub quantity: i64,
}

/// What is to be quoted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct Basket {
    pub lines: Vec<BasketLine>,
    pub member: Option<String>,
    /// Of coupons beside the member's, what was scanned or typed.
    pub coupons: Vec<String>,
    /// Ids of the coupons to use; null = the best combination.
    pub select: Option<Vec<String>>,
    /// How many of the member's points are to pay; as many as may are used.
    pub points: i64,
}

impl Basket {
    /// As the counter takes it.
    pub fn read(&self) -> Result<counter::Basket> {
        let lines = self.lines.iter().map(|line| counter::BasketLine {
            sku: line.sku.clone(),
            quantity: line.quantity,
            unit_price: None,
        });
        let select = match &self.select {
            None => counter::Selection::Best,
            Some(ids) => counter::Selection::Given(ids.iter().map(|text| id(text, CouponId)).collect::<Result<_>>()?),
        };
        Ok(counter::Basket {
            lines: lines.collect(),
            member: self.member.as_deref().map(|text| id(text, MemberId)).transpose()?,
            coupons: self.coupons.iter().map(|text| coupon_of(text)).collect(),
            select,
            points: self.points,
        })
    }
}

/// Minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct QuotedLine {
    pub sku: String,
    pub list: i64,
    pub discount: i64,
    /// What points pay.
    pub points: i64,
    pub net: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct QuotedCoupon {
    pub coupon: CouponView,
    /// What it takes off, minor units; null = not used.
    pub applied: Option<i64>,
    /// What the basket says against it.
    pub refused: Vec<Reason>,
    /// What the counter says of it by itself.
    pub decision: Decision,
    pub reasons: Vec<Reason>,
}

/// A text that is no coupon here after all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct Unread {
    pub text: String,
    pub reasons: Vec<Reason>,
}

/// What points pay of a basket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct QuotedPoints {
    pub used: i64,
    /// What they pay, minor units.
    pub amount: i64,
    /// The most that could be used.
    pub most: i64,
    pub decision: Decision,
    pub reasons: Vec<Reason>,
}

impl From<&counter::QuotedPoints> for QuotedPoints {
    fn from(points: &counter::QuotedPoints) -> Self {
        Self {
            used: points.used,
            amount: points.amount,
            most: points.most,
            decision: points.decision.into(),
            reasons: reasons(&points.reasons),
        }
    }
}

/// What the basket costs. Amounts in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct QuoteView {
    /// Settling it records exactly this.
    pub ticket: Option<String>,
    pub currency: String,
    pub subtotal: i64,
    pub discount: i64,
    /// Null = nobody stands there who could pay with points.
    pub points: Option<QuotedPoints>,
    pub payable: i64,
    /// Points that the member earns with it, as far as it is known here.
    pub earns: i64,
    pub account: Option<AccountView>,
    pub lines: Vec<QuotedLine>,
    /// Those that are used first, in the order of application.
    pub coupons: Vec<QuotedCoupon>,
    pub unread: Vec<Unread>,
    /// Coupons that were too many to look at.
    pub left_out: i64,
}

impl From<&counter::Quote> for QuoteView {
    fn from(quote: &counter::Quote) -> Self {
        let line = |line: &counter::QuotedLine| QuotedLine {
            sku: line.product.sku.clone(),
            list: line.list,
            discount: line.discount,
            points: line.points,
            net: line.net,
        };
        let refused = |reason: &counter::QuoteReason| Reason {
            code: reason.code().to_owned(),
            params: reason.params(),
        };
        let coupon = |one: &counter::QuotedCoupon| QuotedCoupon {
            coupon: coupon_view(
                &one.coupon,
                Some(&one.template),
                quote
                    .member
                    .as_ref()
                    .filter(|member| one.coupon.member == Some(member.id)),
                quote.shown_at,
            ),
            applied: one.applied,
            refused: one.refused.iter().map(refused).collect(),
            decision: one.decision.into(),
            reasons: reasons(&one.reasons),
        };
        let unread = |verdict: &counter::Verdict| Unread {
            text: match &verdict.subject {
                counter::Thing::Unknown { text } => text.clone(),
                counter::Thing::Coupon { coupon, .. } => coupon.code.clone(),
                _ => String::new(),
            },
            reasons: reasons(&verdict.reasons),
        };
        Self {
            ticket: quote.ticket.clone(),
            currency: quote.currency.clone(),
            subtotal: quote.subtotal,
            discount: quote.discount,
            points: quote.points.as_ref().map(Into::into),
            payable: quote.payable,
            earns: quote.earns,
            account: quote.account.as_ref().map(Into::into),
            lines: quote.lines.iter().map(line).collect(),
            coupons: quote.coupons.iter().map(coupon).collect(),
            unread: quote.unread.iter().map(unread).collect(),
            left_out: i64::try_from(quote.left_out).unwrap_or(i64::MAX),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct RefusedCoupon {
    pub coupon: String,
    pub title: String,
    pub reasons: Vec<Reason>,
}

/// Why a basket can't be paid for as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct SaleRefusal {
    pub decision: Decision,
    pub coupons: Vec<RefusedCoupon>,
    /// What speaks against the points.
    pub points: Vec<Reason>,
    /// What speaks against the stored value.
    pub balance: Vec<Reason>,
}

impl SaleRefusal {
    fn of(refusal: &counter::SaleRefusal, locale: Locale) -> Self {
        let coupon = |one: &counter::RefusedCoupon| RefusedCoupon {
            coupon: one.coupon.to_string(),
            title: title(&one.title, locale),
            reasons: reasons(&one.reasons),
        };
        Self {
            decision: refusal.decision.into(),
            coupons: refusal.coupons.iter().map(coupon).collect(),
            points: reasons(&refusal.points),
            balance: reasons(&refusal.balance),
        }
    }
}

/// A basket that may be paid for: what it uses is held for it. Amounts in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    pub decision: Decision,
    /// Names of the coupons that are honoured without head office's word.
    pub alone: Vec<String>,
    /// Whether the points are spent without head office's word.
    pub points_alone: bool,
    pub payable: i64,
    /// How much of that the member's stored value pays.
    pub balance: i64,
    /// How much the till takes.
    pub till: i64,
    /// After so many ms it is to be opened again.
    pub renew_after: i64,
}

/// What opening a payment came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Opened {
    Held { payment: Payment },
    Refused { refusal: SaleRefusal },
}

impl Opened {
    pub fn of(opened: &counter::Opened, locale: Locale) -> Self {
        match opened {
            counter::Opened::Held(payment) => Self::Held {
                payment: Payment {
                    decision: payment.decision.into(),
                    alone: payment.alone.iter().map(|one| title(one, locale)).collect(),
                    points_alone: payment.points_alone,
                    payable: payment.payable,
                    balance: payment.balance,
                    till: payment.till,
                    renew_after: payment.renew_after,
                },
            },
            counter::Opened::Refused(refusal) => Self::Refused {
                refusal: SaleRefusal::of(refusal, locale),
            },
        }
    }
}

/// What settling came to; of what was refused nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Settled {
    Done { receipt: Receipt },
    Refused { refusal: SaleRefusal },
}

impl Settled {
    pub fn of(settled: &counter::Settled, locale: Locale) -> Self {
        match settled {
            counter::Settled::Done(receipt) => Self::Done {
                receipt: Receipt::of(receipt, locale),
            },
            counter::Settled::Refused(refusal) => Self::Refused {
                refusal: SaleRefusal::of(refusal, locale),
            },
        }
    }
}
