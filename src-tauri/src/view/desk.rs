//! Verdicts and receipts.

use std::collections::BTreeMap;

use counterfoil_counter as counter;
use counterfoil_domain::{
    coupons::{Coupon, OfflinePolicy, Template},
    people::{Member, Store, mask_name, mask_phone},
    pickups::{self, Order},
    settlement::{Kind, Rule},
};
use serde::{Deserialize, Serialize};
use specta::Type;

use super::{StoreView, title};
use crate::settings::Locale;

/// Of amounts whose template isn't here, where none will be shown.
const NO_CURRENCY: &str = "CNY";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct Reason {
    pub code: String,
    pub params: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum Decision {
    Honour,
    HonourOffline,
    Refuse,
    Unconfirmed,
    Info,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    Redeem,
    Collect,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Confirming it acts on exactly what was shown.
    pub ticket: Option<String>,
    pub decision: Decision,
    pub subject: Subject,
    pub reasons: Vec<Reason>,
    pub action: Option<Action>,
    /// UTC ms.
    pub shown_at: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Subject {
    Coupon { coupon: Box<CouponView> },
    Order { order: Box<OrderView> },
    Member { member: MemberView },
    Unknown { text: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum CouponState {
    Available,
    Frozen,
    Redeemed,
    Expired,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum Offline {
    OnlineOnly,
    HomeStore,
    FloorLimit,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct CouponView {
    pub id: String,
    /// Empty when only its token was shown.
    pub code: String,
    pub name_zh: String,
    pub name_en: String,
    /// Null when its template isn't here.
    pub rule_kind: Option<RuleKind>,
    pub rule: RuleView,
    pub state: CouponState,
    pub valid_from: Option<i64>,
    pub valid_until: Option<i64>,
    pub member: Option<MemberView>,
    pub offline: Offline,
    pub currency: String,
}

/// The words are those of a template's rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    ThresholdOff,
    EveryOff,
    PercentOff,
    AmountOff,
    ItemVoucher,
}

impl From<&Kind> for RuleKind {
    fn from(kind: &Kind) -> Self {
        match kind {
            Kind::ThresholdOff { .. } => Self::ThresholdOff,
            Kind::EveryOff { .. } => Self::EveryOff,
            Kind::PercentOff { .. } => Self::PercentOff,
            Kind::AmountOff { .. } => Self::AmountOff,
            Kind::ItemVoucher { .. } => Self::ItemVoucher,
        }
    }
}

/// Amounts in minor units, parts of a whole in basis points.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct RuleView {
    pub threshold: Option<i64>,
    pub amount: Option<i64>,
    pub percent_bp: Option<i64>,
    pub max_discount: Option<i64>,
    pub sku: Option<String>,
    pub quantity: Option<i64>,
    pub max_times: Option<i64>,
    /// Units that must be in the basket.
    pub min_quantity: Option<i64>,
}

impl From<&Rule> for RuleView {
    fn from(rule: &Rule) -> Self {
        let view = Self {
            min_quantity: rule.min_quantity,
            ..Self::default()
        };
        match rule.kind.clone() {
            Kind::ThresholdOff { threshold, amount, .. } => Self {
                threshold: Some(threshold),
                amount: Some(amount),
                ..view
            },
            Kind::EveryOff {
                threshold,
                amount,
                max_times,
                ..
            } => Self {
                threshold: Some(threshold),
                amount: Some(amount),
                max_times,
                ..view
            },
            Kind::PercentOff {
                percent_bp,
                threshold,
                max_discount,
                ..
            } => Self {
                percent_bp: Some(percent_bp),
                threshold,
                max_discount,
                ..view
            },
            Kind::AmountOff { amount } => Self {
                amount: Some(amount),
                ..view
            },
            Kind::ItemVoucher { sku, quantity } => Self {
                sku: Some(sku),
                quantity: Some(quantity),
                ..view
            },
        }
    }
}

/// A member, masked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct MemberView {
    pub id: String,
    pub number: String,
    pub name: String,
    pub phone: String,
}

impl From<&Member> for MemberView {
    fn from(member: &Member) -> Self {
        Self {
            id: member.id.to_string(),
            number: member.number.clone(),
            name: mask_name(&member.name),
            phone: mask_phone(&member.phone),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum OrderState {
    Ready,
    Collected,
    Returned,
    Cancelled,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct OrderView {
    pub id: String,
    pub number: String,
    pub code: String,
    pub state: OrderState,
    /// Masked.
    pub collector: String,
    pub member: Option<MemberView>,
    pub deadline: Option<i64>,
    pub store: Option<StoreView>,
    pub lines: Vec<OrderLineView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct OrderLineView {
    pub sku: String,
    pub name_zh: String,
    pub name_en: String,
    pub quantity: i64,
}

pub(super) fn coupon_view(
    coupon: &Coupon,
    template: Option<&Template>,
    member: Option<&Member>,
    now: i64,
) -> CouponView {
    use counterfoil_domain::coupons::CouponState as State;
    let state = match coupon.state {
        State::Redeemed { .. } => CouponState::Redeemed,
        _ if coupon.is_expired_at(now) => CouponState::Expired,
        _ if coupon.frozen_by(now).is_some() => CouponState::Frozen,
        _ => CouponState::Available,
    };
    let policy = template.map_or(OfflinePolicy::OnlineOnly, |template| template.offline);
    let text = |of: fn(&Template) -> &str| template.map(of).unwrap_or_default().to_owned();
    CouponView {
        id: coupon.id.to_string(),
        code: coupon.code.clone(),
        name_zh: text(|template| &template.name_zh),
        name_en: text(|template| &template.name_en),
        rule_kind: template.map(|template| (&template.rule.kind).into()),
        rule: template
            .map(|template| RuleView::from(&template.rule))
            .unwrap_or_default(),
        state,
        valid_from: coupon.valid_from,
        valid_until: coupon.valid_until,
        member: member.map(MemberView::from),
        offline: match policy {
            OfflinePolicy::OnlineOnly => Offline::OnlineOnly,
            OfflinePolicy::HomeStore => Offline::HomeStore,
            OfflinePolicy::FloorLimit => Offline::FloorLimit,
        },
        currency: template.map_or_else(|| NO_CURRENCY.to_owned(), |template| template.currency.clone()),
    }
}

/// A phrase in both languages ("会员本人 / the member") names nobody; anything else may be a name or a phone number.
fn mask_collector(collector: &str) -> String {
    if collector.contains(" / ") {
        return collector.to_owned();
    }
    let words = collector.split_whitespace().map(|word| {
        if word.chars().filter(char::is_ascii_digit).count() >= 7 {
            mask_phone(word)
        } else {
            mask_name(word)
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn order_view(order: &Order, member: Option<&Member>, store: Option<&Store>) -> OrderView {
    OrderView {
        id: order.id.to_string(),
        number: order.number.clone(),
        code: order.code.clone(),
        state: match order.state {
            pickups::OrderState::Ready { .. } => OrderState::Ready,
            pickups::OrderState::Collected { .. } => OrderState::Collected,
            pickups::OrderState::Returned => OrderState::Returned,
            pickups::OrderState::Cancelled => OrderState::Cancelled,
        },
        collector: mask_collector(&order.collector),
        member: member.map(MemberView::from),
        deadline: order.deadline,
        store: store.map(StoreView::from),
        lines: order
            .lines
            .iter()
            .map(|line| OrderLineView {
                sku: line.sku.clone(),
                name_zh: line.name_zh.clone(),
                name_en: line.name_en.clone(),
                quantity: line.quantity,
            })
            .collect(),
    }
}

pub(super) fn reasons(explained: &[counter::Explained]) -> Vec<Reason> {
    let reason = |one: &counter::Explained| Reason {
        code: one.code.clone(),
        params: one.params.clone(),
    };
    explained.iter().map(reason).collect()
}

impl From<counter::Decision> for Decision {
    fn from(decision: counter::Decision) -> Self {
        match decision {
            counter::Decision::Honour => Self::Honour,
            counter::Decision::HonourOffline => Self::HonourOffline,
            counter::Decision::Refuse => Self::Refuse,
            counter::Decision::Unconfirmed => Self::Unconfirmed,
            counter::Decision::Info => Self::Info,
        }
    }
}

impl From<&counter::Verdict> for Verdict {
    fn from(verdict: &counter::Verdict) -> Self {
        let subject = match &verdict.subject {
            counter::Thing::Coupon {
                coupon,
                template,
                member,
            } => Subject::Coupon {
                coupon: Box::new(coupon_view(
                    coupon,
                    template.as_deref(),
                    member.as_ref(),
                    verdict.shown_at,
                )),
            },
            counter::Thing::Order { order, member, store } => Subject::Order {
                order: Box::new(order_view(order, member.as_ref(), store.as_ref())),
            },
            counter::Thing::Member { member } => Subject::Member { member: member.into() },
            counter::Thing::Unknown { text } => Subject::Unknown { text: text.clone() },
        };
        Self {
            ticket: verdict.ticket.clone(),
            decision: verdict.decision.into(),
            subject,
            reasons: reasons(&verdict.reasons),
            action: verdict.action.map(|action| match action {
                counter::DeskAction::Redeem => Action::Redeem,
                counter::DeskAction::Collect => Action::Collect,
            }),
            shown_at: verdict.shown_at,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Confirmation {
    Done { receipt: Receipt },
    Refused { verdict: Box<Verdict> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum Delivery {
    Confirmed,
    ToBeDelivered,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    pub op_id: String,
    pub seq: i64,
    /// UTC ms.
    pub at: i64,
    pub delivery: Delivery,
    pub title: String,
}

impl Receipt {
    pub fn of(receipt: &counter::Receipt, locale: Locale) -> Self {
        Self {
            op_id: receipt.op_id.to_string(),
            seq: receipt.place.seq,
            at: receipt.at,
            delivery: match receipt.delivery {
                counter::Delivery::Confirmed => Delivery::Confirmed,
                counter::Delivery::ToBeDelivered => Delivery::ToBeDelivered,
            },
            title: title(&receipt.title, locale),
        }
    }
}

impl Confirmation {
    pub fn of(confirmation: &counter::Confirmation, locale: Locale) -> Self {
        match confirmation {
            counter::Confirmation::Done(receipt) => Self::Done {
                receipt: Receipt::of(receipt, locale),
            },
            counter::Confirmation::Refused(verdict) => Self::Refused {
                verdict: Box::new(Verdict::from(verdict.as_ref())),
            },
        }
    }
}

#[cfg(test)]
mod tests;
