//! Sales of this store as this counter sees them: today's list, one in full, what would come back, taking it back.

mod calls;
mod returns;
mod slip;

use counterfoil_domain::{
    ids::{CouponId, MemberId, OperationId},
    people::Member,
    sales::Sale,
    time::Millis,
};
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
pub(crate) use returns::{Approval, preview, take_back};
pub use returns::{ReturnPreview, ReturnedLine};
use serde::Serialize;
pub use slip::Language;
pub(crate) use slip::slip;
use sqlx::SqliteConnection;

use crate::{
    error::{Error, Result},
    identity,
    inner::Inner,
    journal::Title,
    queue::{self, QueueState},
    replica,
};

/// One sale in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SaleEntry {
    /// The operation that settled it: its id.
    pub op_id: OperationId,
    /// When, by the clock of the device that settled it.
    pub at: Millis,
    /// It was settled on this counter; only such a one can be voided here.
    pub own: bool,
    /// By whom; empty when it was settled elsewhere.
    pub clerk: String,
    /// The till's receipt number.
    pub receipt: String,
    /// How it was paid.
    pub tender: String,
    /// Whose basket it was.
    pub member: Option<Member>,
    /// ISO 4217.
    pub currency: String,
    /// Without coupons.
    pub subtotal: i64,
    /// What coupons took off.
    pub discount: i64,
    /// What was done to the member's account.
    pub account: SaleAccount,
    /// What was paid otherwise than with points.
    pub payable: i64,
    /// What went back since.
    pub refunded: i64,
    /// Units sold.
    pub units: i64,
    /// Units that came back.
    pub returned: i64,
    /// Where its operation stands.
    pub state: QueueState,
    /// The rule that it broke, if any.
    pub exception: Option<String>,
    /// It was undone.
    pub voided: bool,
    /// It can be undone here.
    pub voidable: bool,
    /// Something of it can come back here.
    pub returnable: bool,
    /// What it is called.
    pub title: Title,
}

/// What a sale did to its member's account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SaleAccount {
    /// Points that paid.
    pub points: i64,
    /// What they paid, minor units.
    pub points_money: i64,
    /// Of these points, how many went back.
    pub points_back: i64,
    /// How much of what was paid was stored value, minor units.
    pub balance: i64,
    /// How much of that went back.
    pub balance_back: i64,
    /// Points that it earned, as far as it is known here.
    pub earned: i64,
    /// How many of these were taken back.
    pub earned_back: i64,
}

impl SaleAccount {
    fn of(sale: &Sale) -> Self {
        let account = &sale.account;
        let points = account.points.as_ref();
        Self {
            points: points.map_or(0, |sold| sold.used.points),
            points_money: sale.points_money(),
            points_back: points.map_or(0, |sold| sold.given_back),
            balance: account.balance.map_or(0, |sold| sold.paid.amount),
            balance_back: account.balance.map_or(0, |sold| sold.given_back),
            earned: account.earned.map_or(0, |earned| earned.points),
            earned_back: account.earned.map_or(0, |earned| earned.taken_back),
        }
    }
}

/// One line of a sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SoldLine {
    /// Its place, from 0: what a return names it by.
    pub line: i64,
    /// Article.
    pub sku: String,
    /// Chinese name.
    pub name_zh: String,
    /// English name.
    pub name_en: String,
    /// Of one unit.
    pub unit_price: i64,
    /// Units sold.
    pub quantity: i64,
    /// Units that came back.
    pub returned: i64,
    /// What was paid for it.
    pub net: i64,
    /// What went back.
    pub refunded: i64,
}

/// A coupon of a sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SaleCoupon {
    /// Which.
    pub coupon: CouponId,
    /// Its name.
    pub title: Title,
    /// What it took off.
    pub discount: i64,
    /// It went back to its member.
    pub given_back: bool,
}

/// One sale in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SaleDetail {
    /// As in the list.
    pub entry: SaleEntry,
    /// What was sold.
    pub lines: Vec<SoldLine>,
    /// What was taken off.
    pub coupons: Vec<SaleCoupon>,
}

/// Sales of one business day of the store, latest first. `day` = "2026-11-22"; `None` = today.
pub(crate) async fn of_day(inner: &Inner, day: Option<&str>) -> Result<Vec<SaleEntry>> {
    let mut db = inner.db.read().await?;
    let who = identity::load(&mut db).await?;
    let (from, to) = bounds(&who.store.time_zone, day, who.true_time(inner.clock.now()))?;
    let mut entries = Vec::new();
    for sale in replica::sales(&mut db, from, to).await? {
        entries.push(entry(&mut db, &sale).await?);
    }
    Ok(entries)
}

/// First instant of the business day and first after it.
fn bounds(time_zone: &str, day: Option<&str>, now: Millis) -> Result<(Millis, Millis)> {
    // A store in a zone that this program does not know has the days of UTC.
    let zone = TimeZone::get(time_zone).unwrap_or(TimeZone::UTC);
    let failed = |error: jiff::Error| Error::Internal(error.to_string());
    let day: Date = match day {
        Some(day) => day.parse().map_err(|_| Error::DayInvalid)?,
        None => Timestamp::from_millisecond(now)
            .map_err(failed)?
            .to_zoned(zone.clone())
            .date(),
    };
    let start = |day: Date| -> Result<Millis> {
        let start = day.to_zoned(zone.clone()).map_err(failed)?;
        Ok(start.timestamp().as_millisecond())
    };
    let next = day.checked_add(1.day()).map_err(|_| Error::DayInvalid)?;
    Ok((start(day)?, start(next)?))
}

/// A sale that is known here.
async fn known(db: &mut SqliteConnection, id: OperationId) -> Result<Sale> {
    replica::sale(db, id)
        .await?
        .ok_or(Error::OperationNotReturnable("no sale of this store is known by it"))
}

async fn entry(db: &mut SqliteConnection, sale: &Sale) -> Result<SaleEntry> {
    let own = queue::find(db, sale.id).await?;
    let voided = sale.voided_by.is_some();
    let sum =
        |of: fn(&counterfoil_domain::sales::SoldLine) -> i64| sale.lines.iter().map(of).fold(0, i64::saturating_add);
    let returned = sum(|line| line.returned);
    let units = sum(|line| line.sold.quantity);
    let subtotal = sum(|line| line.sold.list().unwrap_or(0));
    Ok(SaleEntry {
        op_id: sale.id,
        at: sale.at,
        own: own.is_some(),
        clerk: own.as_ref().map(|own| own.clerk.clone()).unwrap_or_default(),
        receipt: sale.receipt.clone(),
        tender: sale.tender.clone(),
        member: member(db, sale.member).await?,
        currency: sale.currency.clone(),
        subtotal,
        discount: subtotal
            .saturating_sub(sale.points_money())
            .saturating_sub(sale.payable),
        account: SaleAccount::of(sale),
        payable: sale.payable,
        refunded: sale.paid_back(),
        units,
        returned,
        state: own.as_ref().map_or(QueueState::Applied, |own| own.state),
        exception: own.as_ref().and_then(|own| own.exception.clone()),
        voided,
        voidable: own.as_ref().is_some_and(|own| own.voidable) && !voided && !sale.has_returns(),
        returnable: !voided && returned < units,
        title: own.map(|own| own.title).unwrap_or_else(|| title(sale)),
    })
}

async fn member(db: &mut SqliteConnection, id: Option<MemberId>) -> Result<Option<Member>> {
    match id {
        Some(id) => replica::member(db, id).await,
        None => Ok(None),
    }
}

fn title(sale: &Sale) -> Title {
    sale.lines
        .first()
        .map(|line| Title {
            zh: line.sold.name_zh.clone(),
            en: line.sold.name_en.clone(),
        })
        .unwrap_or_default()
}

async fn coupon_title(db: &mut SqliteConnection, used: &counterfoil_domain::sales::UsedCoupon) -> Result<Title> {
    let template = replica::template(db, used.template, used.template_version).await?;
    Ok(template
        .map(|template| Title {
            zh: template.name_zh,
            en: template.name_en,
        })
        .unwrap_or_default())
}

/// One sale in full.
pub(crate) async fn detail(inner: &Inner, id: OperationId) -> Result<SaleDetail> {
    let mut db = inner.db.read().await?;
    let sale = known(&mut db, id).await?;
    detail_of(&mut db, &sale).await
}

async fn detail_of(db: &mut SqliteConnection, sale: &Sale) -> Result<SaleDetail> {
    let lines = sale.lines.iter().zip(0..).map(|(line, place)| SoldLine {
        line: place,
        sku: line.sold.sku.clone(),
        name_zh: line.sold.name_zh.clone(),
        name_en: line.sold.name_en.clone(),
        unit_price: line.sold.unit_price,
        quantity: line.sold.quantity,
        returned: line.returned,
        net: line.net,
        refunded: line.paid_back,
    });
    let mut coupons = Vec::with_capacity(sale.coupons.len());
    for sold in &sale.coupons {
        coupons.push(SaleCoupon {
            coupon: sold.used.coupon,
            title: coupon_title(db, &sold.used).await?,
            discount: sold.used.discount,
            given_back: sold.given_back,
        });
    }
    Ok(SaleDetail {
        entry: entry(db, sale).await?,
        lines: lines.collect(),
        coupons,
    })
}

#[cfg(test)]
mod tests;
