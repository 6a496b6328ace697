//! What was sold, and what comes back of it. Amounts in minor units.

use counterfoil_counter as counter;
use counterfoil_domain::sales;
use counterfoil_domain::settlement::returns::Units;
use serde::{Deserialize, Serialize};
use specta::Type;

use super::desk::MemberView;
use super::queue::RowState;
use super::title;
use crate::settings::Locale;

/// What a sale did to its member's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct SaleAccount {
    /// Points that paid.
    pub points: i64,
    /// What they paid, minor units.
    pub points_money: i64,
    /// How many of them went back.
    pub points_back: i64,
    /// How much stored value paid, minor units.
    pub balance: i64,
    /// How much of that went back.
    pub balance_back: i64,
    /// Points that it earned, as far as it is known here.
    pub earned: i64,
    /// How many of them were taken back.
    pub earned_back: i64,
}

impl From<&counter::SaleAccount> for SaleAccount {
    fn from(account: &counter::SaleAccount) -> Self {
        let counter::SaleAccount {
            points,
            points_money,
            points_back,
            balance,
            balance_back,
            earned,
            earned_back,
        } = *account;
        Self {
            points,
            points_money,
            points_back,
            balance,
            balance_back,
            earned,
            earned_back,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct SaleRow {
    pub op_id: String,
    /// Settled on this counter.
    pub own: bool,
    /// UTC ms.
    pub at: i64,
    /// Empty when it was settled elsewhere.
    pub clerk: String,
    /// The till's number.
    pub receipt: String,
    pub tender: String,
    pub member: Option<MemberView>,
    pub currency: String,
    pub subtotal: i64,
    pub discount: i64,
    pub account: SaleAccount,
    pub payable: i64,
    pub refunded: i64,
    pub units: i64,
    pub state: RowState,
    pub exception: Option<String>,
    pub voided: bool,
    pub voidable: bool,
    pub returnable: bool,
    pub title: String,
}

impl SaleRow {
    pub fn of(sale: &counter::SaleEntry, locale: Locale) -> Self {
        Self {
            op_id: sale.op_id.to_string(),
            own: sale.own,
            at: sale.at,
            clerk: sale.clerk.clone(),
            receipt: sale.receipt.clone(),
            tender: sale.tender.clone(),
            member: sale.member.as_ref().map(MemberView::from),
            currency: sale.currency.clone(),
            subtotal: sale.subtotal,
            discount: sale.discount,
            account: (&sale.account).into(),
            payable: sale.payable,
            refunded: sale.refunded,
            units: sale.units,
            state: sale.state.into(),
            exception: sale.exception.clone(),
            voided: sale.voided,
            voidable: sale.voidable,
            returnable: sale.returnable,
            title: title(&sale.title, locale),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct SoldLine {
    /// Its place in the sale.
    pub line: i64,
    pub sku: String,
    pub name_zh: String,
    pub name_en: String,
    pub unit_price: i64,
    pub quantity: i64,
    /// Units that came back.
    pub returned: i64,
    /// What was paid for all of them.
    pub net: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct SoldCoupon {
    pub coupon: String,
    pub title: String,
    pub discount: i64,
    pub given_back: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct SaleView {
    pub entry: SaleRow,
    pub lines: Vec<SoldLine>,
    pub coupons: Vec<SoldCoupon>,
}

fn coupons(coupons: &[counter::SaleCoupon], locale: Locale) -> Vec<SoldCoupon> {
    let coupon = |one: &counter::SaleCoupon| SoldCoupon {
        coupon: one.coupon.to_string(),
        title: title(&one.title, locale),
        discount: one.discount,
        given_back: one.given_back,
    };
    coupons.iter().map(coupon).collect()
}

impl SaleView {
    pub fn of(sale: &counter::SaleDetail, locale: Locale) -> Self {
        let line = |line: &counter::SoldLine| SoldLine {
            line: line.line,
            sku: line.sku.clone(),
            name_zh: line.name_zh.clone(),
            name_en: line.name_en.clone(),
            unit_price: line.unit_price,
            quantity: line.quantity,
            returned: line.returned,
            net: line.net,
        };
        Self {
            entry: SaleRow::of(&sale.entry, locale),
            lines: sale.lines.iter().map(line).collect(),
            coupons: coupons(&sale.coupons, locale),
        }
    }
}

/// Units of a line that come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct ReturnLine {
    /// Its place in the sale.
    pub line: i64,
    pub quantity: i64,
}

impl From<ReturnLine> for Units {
    fn from(line: ReturnLine) -> Self {
        Self {
            line: line.line,
            quantity: line.quantity,
        }
    }
}

/// What happens to a discount whose threshold is no longer met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum ReturnPolicy {
    Keep,
    Requote,
}

impl From<ReturnPolicy> for sales::ReturnPolicy {
    fn from(policy: ReturnPolicy) -> Self {
        match policy {
            ReturnPolicy::Keep => Self::Keep,
            ReturnPolicy::Requote => Self::Requote,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct ReturnedLine {
    /// Its place in the sale.
    pub line: i64,
    pub quantity: i64,
    pub refund: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct ReturnPreview {
    pub refund: i64,
    pub currency: String,
    pub lines: Vec<ReturnedLine>,
    pub coupons: Vec<SoldCoupon>,
    /// What remains paid.
    pub left_paid: i64,
    /// How much of the refund goes to the member's stored value.
    pub to_balance: i64,
    /// Points that had paid and go back.
    pub points_back: i64,
    /// Points that were earned and are taken back; null = that is head office's to say.
    pub earned_back: Option<i64>,
}

impl ReturnPreview {
    pub fn of(preview: &counter::ReturnPreview, locale: Locale) -> Self {
        let line = |line: &counter::ReturnedLine| ReturnedLine {
            line: line.line,
            quantity: line.quantity,
            refund: line.refund,
        };
        Self {
            refund: preview.refund,
            currency: preview.currency.clone(),
            lines: preview.lines.iter().map(line).collect(),
            coupons: coupons(&preview.coupons, locale),
            left_paid: preview.left_paid,
            to_balance: preview.to_balance,
            points_back: preview.points_back,
            earned_back: preview.earned_back,
        }
    }
}

/// Where the slip is on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Slip {
    pub path: String,
}
