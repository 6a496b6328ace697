//! A member at the desk: who they are, and which coupons they have.

use counterfoil_domain::{
    coupons::{Coupon, CouponState, Template},
    ids::MemberId,
    people::Member,
    time::Millis,
    transition::DeviceStatus,
    verdict::Reason,
};
use serde::Serialize;
use sqlx::SqliteConnection;

use crate::{
    desk::{
        Decision, Explained, Input, Verdict,
        ask::ask,
        judge::{self, Setting},
        lookup::{Sought, recognise, unknown},
        reasons::explain,
    },
    error::{Error, Result},
    identity,
    inner::Inner,
    points::{self, AccountCard},
    replica::{self, Held},
};

/// Where a coupon stands at this moment, whatever mark it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum CardState {
    /// Free to be used, or not begun yet.
    Available,
    /// Reserved.
    Frozen,
    /// Used up.
    Redeemed,
    /// Its time is over.
    Expired,
}

impl CardState {
    /// The state of this coupon at this instant.
    pub fn of(coupon: &Coupon, now: Millis) -> Self {
        match coupon.state {
            CouponState::Redeemed { .. } => Self::Redeemed,
            _ if coupon.is_expired_at(now) => Self::Expired,
            _ if coupon.frozen_by(now).is_some() => Self::Frozen,
            _ => Self::Available,
        }
    }
}

/// One of a member's coupons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CardCoupon {
    /// As the local copy has it, pending operations laid over.
    pub coupon: Coupon,
    /// The rule it was issued under, if it is here.
    pub template: Option<Template>,
    /// Where it stands.
    pub state: CardState,
    /// May it be used by itself, now, here.
    pub decision: Decision,
    /// Everything against it.
    pub reasons: Vec<Explained>,
}

/// A member and their coupons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberCard {
    /// Who. Of somebody whom this store does not hold the phone number is masked.
    pub member: Member,
    /// Those that may be used first, and of those the ones that end first.
    pub coupons: Vec<CardCoupon>,
    /// What they have of points and stored value; `None` = it is not known here.
    pub account: Option<AccountCard>,
    /// Minor units that a point pays; `None` = points pay for nothing.
    pub minor_per_point: Option<i64>,
    /// Head office has answered just now.
    pub asked: bool,
    /// When, UTC ms.
    pub shown_at: Millis,
}

/// What became of the question who this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberAnswer {
    /// Found.
    Found(Box<MemberCard>),
    /// Not found, and why.
    Unknown(Box<Verdict>),
}

/// Finds a member by number, phone number or token: here, else at head office.
pub(crate) async fn find(inner: &Inner, scanned: &Input) -> Result<MemberAnswer> {
    let mut db = inner.db.read().await?;
    let who = identity::load(&mut db).await?;
    if who.device_status == DeviceStatus::Revoked {
        return Err(Error::DeviceRevoked);
    }
    let now = inner.clock.now();
    let sought = match recognise(&mut db, scanned, &who, now).await? {
        Ok(sought @ (Sought::Member(_) | Sought::MemberNumber(_) | Sought::Phone(_))) => Ok(sought),
        Ok(_) => Err(Reason::NotACode),
        Err(reason) => Err(reason),
    };
    let sought = match sought {
        Ok(sought) => sought,
        Err(reason) => {
            let decision = match reason {
                Reason::UnknownKey => Decision::Unconfirmed,
                _ => Decision::Refuse,
            };
            let verdict = unknown(&mut db, scanned, decision, reason, now).await?;
            return Ok(MemberAnswer::Unknown(Box::new(verdict)));
        }
    };
    let held = here(&mut db, &sought).await?;
    let mut asked = false;
    if held.as_ref().is_none_or(|held| held.asked) && inner.may_ask() {
        drop(db);
        asked = ask(inner, &who, &sought.question()).await?;
        db = inner.db.read().await?;
    }
    let Some(held) = here(&mut db, &sought).await? else {
        let (decision, reason) = if asked {
            (Decision::Refuse, Reason::UnknownCode)
        } else {
            (Decision::Unconfirmed, Reason::UnknownOffline)
        };
        let verdict = unknown(&mut db, scanned, decision, reason, now).await?;
        return Ok(MemberAnswer::Unknown(Box::new(verdict)));
    };
    let card = card(inner, &mut db, held.row, asked).await?;
    Ok(MemberAnswer::Found(Box::new(card)))
}

async fn here(db: &mut SqliteConnection, sought: &Sought) -> Result<Option<Held<Member>>> {
    match sought {
        Sought::Member(id) => replica::held_member(db, *id).await,
        Sought::MemberNumber(number) => replica::member_by_number(db, number).await,
        Sought::Phone(phone) => replica::member_by_phone(db, phone).await,
        _ => Ok(None),
    }
}

/// The card of a member who is in the local copy.
pub(crate) async fn local_card(inner: &Inner, id: MemberId) -> Result<Option<MemberCard>> {
    let mut db = inner.db.read().await?;
    match replica::member(&mut db, id).await? {
        Some(member) => card(inner, &mut db, member, false).await.map(Some),
        None => Ok(None),
    }
}

async fn card(inner: &Inner, db: &mut SqliteConnection, member: Member, asked: bool) -> Result<MemberCard> {
    let who = identity::load(db).await?;
    let now = inner.clock.now();
    let setting = Setting {
        who: &who,
        now,
        online: inner.may_ask(),
        presented_by: Some(member.id),
    };
    let mut coupons = Vec::new();
    for held in replica::coupons_of(db, member.id).await? {
        let coupon = held.row;
        let template = replica::template(db, coupon.template, coupon.template_version).await?;
        let judged = judge::coupon(db, &coupon, template.as_ref(), setting).await?;
        coupons.push(CardCoupon {
            state: CardState::of(&coupon, who.true_time(now)),
            coupon,
            template,
            decision: judged.decision,
            reasons: explain(db, judged.reasons).await?,
        });
    }
    let usable = |coupon: &CardCoupon| matches!(coupon.decision, Decision::Honour | Decision::HonourOffline);
    coupons.sort_by_key(|coupon| {
        let ends = coupon.coupon.valid_until.unwrap_or(Millis::MAX);
        (coupon.state, !usable(coupon), ends, coupon.coupon.id)
    });
    let account = points::account(db, member.id).await?;
    let rule = points::newest_rule(db).await?;
    Ok(MemberCard {
        account: account.map(|held| AccountCard::of(&held.row, who.true_time(now))),
        minor_per_point: rule
            .and_then(|rule| rule.spending)
            .map(|spending| spending.minor_per_point),
        member,
        coupons,
        asked,
        shown_at: now,
    })
}

mod calls;
mod statement;
#[cfg(test)]
mod tests;
mod top_up;

pub use top_up::PaidIn;
