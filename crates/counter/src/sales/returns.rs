//! Goods come back: what that would give back, and that it happened. A manager approves it on the spot.

use std::sync::Arc;

use counterfoil_domain::{
    ids::{ClerkId, OperationId},
    operations::Action,
    sales::{Return, ReturnPolicy, Sale},
    settlement::{
        self, Policy,
        returns::{self, Method, Preview, ReturnError, Units},
    },
};
use counterfoil_protocol::operation::Evidence;
use serde::Serialize;
use sqlx::SqliteConnection;

use super::{SaleCoupon, coupon_title, known, title};
use crate::{
    desk::void::reason_of,
    error::{Error, Result},
    honour::{Receipt, act, may_work},
    identity,
    inner::Inner,
    journal::{Alone, Draft},
    people, points, replica,
};

/// A line of a return.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReturnedLine {
    /// Place of the line in the sale, from 0.
    pub line: i64,
    /// Article.
    pub sku: String,
    /// Chinese name.
    pub name_zh: String,
    /// English name.
    pub name_en: String,
    /// Units that come back; 0 where a new quote gives money back on a line that stays.
    pub quantity: i64,
    /// Units that stay with the customer.
    pub left: i64,
    /// Money back.
    pub refund: i64,
}

/// What a return would do. It changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReturnPreview {
    /// The sale.
    pub op_id: OperationId,
    /// How it is reckoned.
    pub policy: ReturnPolicy,
    /// ISO 4217.
    pub currency: String,
    /// Money back.
    pub refund: i64,
    /// Line by line.
    pub lines: Vec<ReturnedLine>,
    /// Coupons of the sale, and which of them go back by this.
    pub coupons: Vec<SaleCoupon>,
    /// What the customer has paid for what stays.
    pub left_paid: i64,
    /// How much of the money goes back to the member's stored value, since that paid; the till gives the rest.
    pub to_balance: i64,
    /// Points given back, of those that paid.
    pub points_back: i64,
    /// Points taken back, of those that were earned; `None` = by which rule is not known here.
    pub earned_back: Option<i64>,
}

fn misfit(error: ReturnError) -> Error {
    match error {
        ReturnError::NothingReturned => Error::ReturnInvalid("nothing is named"),
        ReturnError::Unsound => Error::OperationNotReturnable("its numbers don't go together"),
        ReturnError::SaleVoided => Error::OperationNotReturnable("it was undone"),
        ReturnError::BadLine { .. } => Error::ReturnInvalid("the sale has no such line, or it is named twice"),
        ReturnError::BadQuantity { .. } => Error::ReturnInvalid("not as many are left"),
        ReturnError::NotQuoted(error) => Error::BasketInvalid(error),
    }
}

async fn reckon(db: &mut SqliteConnection, sale: &Sale, units: &[Units], policy: ReturnPolicy) -> Result<Preview> {
    let rules = match policy {
        ReturnPolicy::Keep => Vec::new(),
        ReturnPolicy::Requote => rules(db, sale).await?,
    };
    let shop = Policy::default();
    let method = match policy {
        ReturnPolicy::Keep => Method::Keep,
        ReturnPolicy::Requote => Method::Requote {
            coupons: &rules,
            policy: &shop,
        },
    };
    returns::preview(sale, units, method).map_err(misfit)
}

/// The rules that the sale's coupons were used by.
async fn rules(db: &mut SqliteConnection, sale: &Sale) -> Result<Vec<settlement::Coupon>> {
    let mut rules = Vec::with_capacity(sale.coupons.len());
    for sold in &sale.coupons {
        let used = &sold.used;
        let template = replica::template(db, used.template, used.template_version)
            .await?
            .ok_or(Error::OperationNotReturnable("a rule of its coupons is not here"))?;
        rules.push(settlement::Coupon {
            id: used.coupon.to_string(),
            member: None,
            status: settlement::Status::Available,
            valid_from: None,
            valid_until: None,
            rule: template.rule,
            scope: template.scope,
            stores: None,
            stacking: template.stacking,
        });
    }
    Ok(rules)
}

/// What returning these units would give back.
pub(crate) async fn preview(
    inner: &Inner,
    id: OperationId,
    units: &[Units],
    policy: ReturnPolicy,
) -> Result<ReturnPreview> {
    let mut db = inner.db.read().await?;
    let sale = known(&mut db, id).await?;
    let preview = reckon(&mut db, &sale, units, policy).await?;
    show(&mut db, &sale, &preview, policy).await
}

async fn show(
    db: &mut SqliteConnection,
    sale: &Sale,
    preview: &Preview,
    policy: ReturnPolicy,
) -> Result<ReturnPreview> {
    let mut coupons = Vec::with_capacity(sale.coupons.len());
    for sold in &sale.coupons {
        coupons.push(SaleCoupon {
            coupon: sold.used.coupon,
            title: coupon_title(db, &sold.used).await?,
            discount: sold.used.discount,
            given_back: sold.given_back || preview.coupons.contains(&sold.used.coupon),
        });
    }
    let lines = preview.lines.iter().filter_map(|back| {
        let line = sale.lines.get(usize::try_from(back.line).ok()?)?;
        Some(ReturnedLine {
            line: back.line,
            sku: line.sold.sku.clone(),
            name_zh: line.sold.name_zh.clone(),
            name_en: line.sold.name_en.clone(),
            quantity: back.quantity,
            left: line.sold.quantity - line.returned - back.quantity,
            refund: back.refund,
        })
    });
    let mut after = sale.clone();
    for back in &preview.lines {
        let place = usize::try_from(back.line).ok();
        if let Some(line) = place.and_then(|place| after.lines.get_mut(place)) {
            line.returned += back.quantity;
            line.paid_back += back.refund;
        }
    }
    let earned_back = match sale.account.earned {
        None => Some(0),
        Some(earned) => points::rule(db, earned.rule).await?.map(|rule| {
            let stays = rule
                .earned(after.paid_lines(), earned.at.unwrap_or(sale.at))
                .unwrap_or(0);
            after.earned_due(stays)
        }),
    };
    Ok(ReturnPreview {
        to_balance: sale.to_balance(preview.refund),
        points_back: after.points_due(),
        earned_back,
        op_id: sale.id,
        policy,
        currency: sale.currency.clone(),
        refund: preview.refund,
        lines: lines.collect(),
        coupons,
        left_paid: sale.payable - sale.paid_back() - preview.refund,
    })
}

/// What a manager approves when goods come back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Approval<'a> {
    pub(crate) reason: &'a str,
    pub(crate) manager: ClerkId,
    pub(crate) pin: &'a str,
}

/// Takes goods of a sale back: money out of the till as the preview says, coupons given back, one operation.
pub(crate) async fn take_back(
    inner: &Arc<Inner>,
    id: OperationId,
    units: &[Units],
    policy: ReturnPolicy,
    refund: i64,
    approval: Approval<'_>,
) -> Result<Receipt> {
    let reason = reason_of(approval.reason)?;
    let manager = people::approve(inner, approval.manager, approval.pin).await?;
    let mut writer = inner.db.write().await;
    let mut tx = writer.begin().await?;
    let who = identity::load(&mut tx).await?;
    may_work(&who)?;
    let sale = known(&mut tx, id).await?;
    let preview = reckon(&mut tx, &sale, units, policy).await?;
    // Somebody took something back meanwhile: the sum that was approved is another one.
    if preview.refund != refund {
        return Err(Error::TicketStale);
    }
    let now = inner.clock.now();
    let draft = Draft {
        action: Action::ReturnSale(Return {
            member: sale.member.filter(|_| !sale.account.is_none()),
            to_balance: sale.to_balance(preview.refund),
            target: id,
            lines: preview.lines,
            policy,
            coupons: preview.coupons,
            approved_by: manager.id,
            reason,
        }),
        clerk: Some(manager.id),
        clerk_name: manager.name.clone(),
        title: title(&sale),
        member: sale.member,
        evidence: Evidence::None,
        confirmed: false,
        alone: Alone::default(),
    };
    act(inner, tx, &who, now, draft, "return").await
}
