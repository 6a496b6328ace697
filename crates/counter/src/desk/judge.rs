//! From a row to a verdict: the rules that always hold, and those of working alone.

use counterfoil_domain::{
    coupons::{Coupon, Template},
    offline::{OfflineLimits, OfflineUsage, judge_limits, judge_policy, judge_policy_for},
    pickups::Order,
    time::Millis,
    verdict::{Circumstances, Reason, judge_coupon, judge_order},
};
use sqlx::SqliteConnection;

use super::{Decision, PresentedBy};
use crate::{error::Result, identity::Identity, journal, replica};

/// What a judgement rests on.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// This counter.
    pub who: &'a Identity,
    /// The device's own clock.
    pub now: Millis,
    /// Whether head office can be asked.
    pub online: bool,
    /// Who stands there, when known.
    pub presented_by: PresentedBy,
}

impl Setting<'_> {
    fn circumstances(&self) -> Circumstances {
        Circumstances {
            now: self.who.true_time(self.now),
            store: self.who.store.id,
            presented_by: self.presented_by,
        }
    }
}

/// What was decided, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// May it be honoured.
    pub decision: Decision,
    /// All reasons.
    pub reasons: Vec<Reason>,
}

fn judgement(against: Vec<Reason>, alone: Option<Vec<Reason>>) -> Judgement {
    let (decision, reasons) = match (against.is_empty(), alone) {
        (false, _) => (Decision::Refuse, against),
        (true, None) => (Decision::Honour, against),
        (true, Some(alone)) if alone.is_empty() => (Decision::HonourOffline, alone),
        (true, Some(alone)) => (Decision::Unconfirmed, alone),
    };
    Judgement { decision, reasons }
}

/// The member against whose limit a coupon counts that is honoured alone: who stands there, else whose it is.
pub fn counted(presented_by: PresentedBy, coupon: &Coupon) -> PresentedBy {
    presented_by.or(coupon.member)
}

async fn limits_and_usage(
    db: &mut SqliteConnection,
    setting: Setting<'_>,
    member: PresentedBy,
) -> Result<(OfflineLimits, OfflineUsage)> {
    Ok((
        replica::limits(db, setting.who.store.id).await?,
        journal::usage(db, member).await?,
    ))
}

/// Judges a coupon. Without its template it can't be honoured, but head office may know it.
pub async fn coupon(
    db: &mut SqliteConnection,
    coupon: &Coupon,
    template: Option<&Template>,
    setting: Setting<'_>,
) -> Result<Judgement> {
    let against = judge_coupon(coupon, template, setting.circumstances());
    let (true, false, Some(template)) = (against.is_empty(), setting.online, template) else {
        return Ok(judgement(against, None));
    };
    let (limits, usage) = limits_and_usage(db, setting, counted(setting.presented_by, coupon)).await?;
    let mut alone = judge_policy(coupon, template, setting.who.store.id);
    for reason in judge_limits(template.worth(), &limits, &usage, &setting.who.clock(setting.now)) {
        if !alone.contains(&reason) {
            alone.push(reason);
        }
    }
    Ok(judgement(against, Some(alone)))
}

/// Judges a coupon that takes `worth` off a basket, in which others are honoured alone `before` it.
pub async fn for_basket(
    db: &mut SqliteConnection,
    coupon: &Coupon,
    template: &Template,
    worth: i64,
    before: OfflineUsage,
    setting: Setting<'_>,
) -> Result<Judgement> {
    let against = judge_coupon(coupon, Some(template), setting.circumstances());
    if !against.is_empty() || setting.online {
        return Ok(judgement(against, None));
    }
    let (limits, usage) = limits_and_usage(db, setting, counted(setting.presented_by, coupon)).await?;
    let usage = OfflineUsage {
        count: usage.count.saturating_add(before.count),
        amount: usage.amount.saturating_add(before.amount),
        by_member: usage.by_member.saturating_add(before.by_member),
    };
    let mut alone = judge_policy_for(coupon, template, worth, setting.who.store.id);
    for reason in judge_limits(worth, &limits, &usage, &setting.who.clock(setting.now)) {
        if !alone.contains(&reason) {
            alone.push(reason);
        }
    }
    Ok(judgement(against, Some(alone)))
}

/// Judges a pickup order.
pub async fn order(db: &mut SqliteConnection, order: &Order, setting: Setting<'_>) -> Result<Judgement> {
    let against = judge_order(order, setting.circumstances());
    let mut judged = if !against.is_empty() || setting.online {
        judgement(against, None)
    } else {
        let (limits, usage) = limits_and_usage(db, setting, order.member).await?;
        let alone = judge_limits(order.worth(), &limits, &usage, &setting.who.clock(setting.now));
        judgement(against, Some(alone))
    };
    let late = order
        .deadline
        .filter(|deadline| setting.who.true_time(setting.now) > *deadline);
    if let Some(at) = late
        && matches!(judged.decision, Decision::Honour | Decision::HonourOffline)
    {
        judged.reasons.push(Reason::OrderOverdue { at });
    }
    Ok(judged)
}
