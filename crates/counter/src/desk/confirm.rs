//! From "yes, that" to green: head office's word or the offline rules, then one transaction, one disk sync.

use std::sync::Arc;

use counterfoil_domain::{
    coupons::{Coupon, CouponState, Template},
    ids::{ClerkId, FreezeId},
    operations::{Action, CollectOrder, RedeemCoupon},
    people::Clerk,
    pickups::{Order, OrderState},
    points::Amounts,
    transition::Subject,
};
use sqlx::SqliteConnection;

use super::{
    Confirmation, Decision, Thing, Verdict,
    ask::refresh,
    judge::{self, Judgement, Setting},
    lookup::own_state,
    reasons::explain,
    ticket::{Shown, Ticket},
};
use crate::{
    error::{Error, Result},
    honour::{
        act,
        freezes::{self, Lease, Word},
        may_work,
    },
    identity::{self, Identity},
    inner::Inner,
    journal::{Alone, Draft, Title},
    replica,
};

/// Confirms what a ticket showed. Twice is once.
pub async fn confirm(inner: &Arc<Inner>, name: &str, clerk: ClerkId) -> Result<Confirmation> {
    let ticket = inner
        .tickets
        .find::<Ticket>(name, inner.clock.monotonic())
        .ok_or(Error::TicketStale)?;
    let mut done = ticket.done.lock().await;
    if let Some(receipt) = &*done {
        return Ok(Confirmation::Done(receipt.clone()));
    }
    let mut db = inner.db.read().await?;
    let who = identity::load(&mut db).await?;
    may_work(&who)?;
    let clerk = crate::people::known(&mut db, clerk, who.store.id).await?;
    drop(db);

    let word = freezes::ask(
        inner,
        &who,
        subject_of(&ticket.shown),
        Amounts::default(),
        ticket.presented_by,
    )
    .await?;
    let (held, lease) = match &word {
        Word::Granted(freeze, lease) => (Some(*freeze), Some(*lease)),
        Word::None(freeze) => (*freeze, None),
        Word::Refused(reasons) => {
            let judged = Judgement {
                decision: Decision::Refuse,
                reasons: reasons.clone(),
            };
            // The local copy is evidently behind: the next look should not promise it again.
            refresh(inner, &who, subject_of(&ticket.shown)).await?;
            let mut db = inner.db.read().await?;
            return refused(inner, &mut db, &ticket.shown, judged).await;
        }
    };
    let written = write(inner, &ticket, &clerk, held, lease).await;
    match &written {
        Ok(Confirmation::Done(receipt)) => {
            *done = Some(receipt.clone());
        }
        // Nothing was written, so the freeze would only be in somebody's way.
        Ok(Confirmation::Refused(_)) | Err(_) => {
            if let Some(freeze) = held {
                freezes::give_back(inner, who, freeze);
            }
        }
    }
    written
}

fn subject_of(shown: &Shown) -> Subject {
    match shown {
        Shown::Coupon { coupon, .. } => Subject::Coupon(coupon.id),
        Shown::Order { order } => Subject::Order(order.id),
    }
}

/// Judges on the rows as they are now, and writes: effect and operation together, or nothing.
async fn write(
    inner: &Inner,
    ticket: &Ticket,
    clerk: &Clerk,
    freeze: Option<FreezeId>,
    lease: Option<Lease>,
) -> Result<Confirmation> {
    let mut writer = inner.db.write().await;
    let mut tx = writer.begin().await?;
    let who = identity::load(&mut tx).await?;
    may_work(&who)?;
    let now = inner.clock.now();
    // The writer may have been waited for, the machine may have slept: a yes that has lapsed is no word at all.
    let granted = lease.is_some_and(|lease| lease.holds(who.true_time(now), inner.clock.awake_or_asleep()));
    let setting = Setting {
        who: &who,
        now,
        online: granted,
        presented_by: ticket.presented_by,
    };
    let (judged, draft) = match &ticket.shown {
        Shown::Coupon {
            coupon,
            template,
            by_token_only,
        } => {
            let (current, touched) = current_coupon(&mut tx, coupon, *by_token_only, &who).await?;
            let judged = if granted && !touched {
                // Head office's word is newer than the local copy.
                Judgement {
                    decision: Decision::Honour,
                    reasons: Vec::new(),
                }
            } else {
                judge::coupon(&mut tx, &current, Some(template), setting).await?
            };
            (judged, redeem(&current, template, ticket, clerk, freeze, granted))
        }
        Shown::Order { order } => {
            let held = replica::order(&mut tx, order.id).await?.ok_or(Error::TicketStale)?;
            if !same_order(order, &held.row) {
                return Err(Error::TicketStale);
            }
            let judged = if granted && !held.touched {
                Judgement {
                    decision: Decision::Honour,
                    reasons: Vec::new(),
                }
            } else {
                judge::order(&mut tx, &held.row, setting).await?
            };
            (judged, collect(&held.row, ticket, clerk, freeze, granted))
        }
    };
    if !matches!(judged.decision, Decision::Honour | Decision::HonourOffline) {
        tx.rollback().await?;
        drop(writer);
        return refused(inner, &mut *inner.db.read().await?, &ticket.shown, judged).await;
    }
    act(inner, tx, &who, now, draft, "redeem").await.map(Confirmation::Done)
}

/// The coupon as it is now, and whether operations of this counter lie over it.
pub async fn current_coupon(
    db: &mut SqliteConnection,
    shown: &Coupon,
    by_token_only: bool,
    who: &Identity,
) -> Result<(Coupon, bool)> {
    if let Some(held) = replica::coupon(db, shown.id).await? {
        return if by_token_only || same_coupon(shown, &held.row) {
            Ok((held.row, held.touched))
        } else {
            Err(Error::TicketStale)
        };
    }
    if !by_token_only {
        return Err(Error::TicketStale);
    }
    let state = own_state(db, shown.id, who.store.id).await?;
    let touched = state != CouponState::Available;
    Ok((Coupon { state, ..shown.clone() }, touched))
}

/// The same coupon but for where it stands.
fn same_coupon(a: &Coupon, b: &Coupon) -> bool {
    let still = |coupon: &Coupon| Coupon {
        state: CouponState::Available,
        version: 0,
        surplus: Vec::new(),
        ..coupon.clone()
    };
    still(a) == still(b)
}

fn same_order(a: &Order, b: &Order) -> bool {
    let still = |order: &Order| Order {
        state: OrderState::Ready { freeze: None },
        version: 0,
        surplus: Vec::new(),
        ..order.clone()
    };
    still(a) == still(b)
}

fn redeem(
    coupon: &Coupon,
    template: &Template,
    ticket: &Ticket,
    clerk: &Clerk,
    freeze: Option<FreezeId>,
    confirmed: bool,
) -> Draft {
    let member = judge::counted(ticket.presented_by, coupon);
    Draft {
        action: Action::RedeemCoupon(RedeemCoupon {
            coupon: coupon.id,
            template: template.id,
            template_version: template.version,
            worth: template.worth(),
            member,
            freeze,
        }),
        clerk: Some(clerk.id),
        clerk_name: clerk.name.clone(),
        title: Title {
            zh: template.name_zh.clone(),
            en: template.name_en.clone(),
        },
        member,
        evidence: ticket.evidence,
        confirmed,
        alone: Alone::one(template.worth(), confirmed),
    }
}

fn collect(order: &Order, ticket: &Ticket, clerk: &Clerk, freeze: Option<FreezeId>, confirmed: bool) -> Draft {
    Draft {
        action: Action::CollectOrder(CollectOrder {
            order: order.id,
            worth: order.worth(),
            freeze,
        }),
        clerk: Some(clerk.id),
        clerk_name: clerk.name.clone(),
        title: Title {
            zh: order.number.clone(),
            en: order.number.clone(),
        },
        member: order.member,
        evidence: ticket.evidence,
        confirmed,
        alone: Alone::one(order.worth(), confirmed),
    }
}

async fn refused(inner: &Inner, db: &mut SqliteConnection, shown: &Shown, judged: Judgement) -> Result<Confirmation> {
    let subject = match shown {
        Shown::Coupon { coupon, template, .. } => Thing::Coupon {
            member: match coupon.member {
                Some(id) => replica::member(db, id).await?,
                None => None,
            },
            coupon: match replica::coupon(db, coupon.id).await? {
                Some(held) => Box::new(held.row),
                None => coupon.clone(),
            },
            template: Some(template.clone()),
        },
        Shown::Order { order } => Thing::Order {
            member: match order.member {
                Some(id) => replica::member(db, id).await?,
                None => None,
            },
            store: replica::shop(db, order.store).await?,
            order: match replica::order(db, order.id).await? {
                Some(held) => Box::new(held.row),
                None => order.clone(),
            },
        },
    };
    Ok(Confirmation::Refused(Box::new(Verdict {
        ticket: None,
        decision: judged.decision,
        subject,
        reasons: explain(db, judged.reasons).await?,
        action: None,
        shown_at: inner.clock.now(),
    })))
}
