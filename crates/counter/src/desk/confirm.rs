//! From "yes, that" to green: head office's word or the offline rules, then one transaction, one disk sync.

use std::{sync::Arc, time::Duration};

use counterfoil_domain::{
    coupons::{Coupon, CouponState, FREEZE_LASTS, Template},
    ids::{ClerkId, FreezeId},
    operations::Action,
    people::Clerk,
    pickups::{Order, OrderState},
    time::{Millis, SECOND},
    transition::{DeviceStatus, Subject as Key},
    verdict::Reason,
};
use counterfoil_protocol::{
    paths,
    problem::{Code, Problem},
    questions::{ASK_TIMEOUT, FreezeRequest, FreezeResponse},
};
use sqlx::SqliteConnection;

use super::{
    Confirmation, Decision, Delivery, Receipt, Subject, Verdict,
    judge::{self, Judgement, Setting},
    lookup::{own_state, refresh},
    reasons::explain,
    tickets::{Shown, Ticket},
};
use crate::{
    Inner,
    ambient::random_bytes,
    error::{Error, Result},
    http::{Failure, Sending},
    identity::{self, Identity},
    journal::{self, Draft, Title},
    overlay::{self, Here},
    replica,
    sync::{
        apply,
        engine::{Retry, classify},
    },
};

/// When to try again to give a freeze back: it lapses by itself after five minutes.
const GIVE_BACK_AFTER: [u64; 5] = [0, 2, 10, 30, 90];

/// A freeze is not counted on in its last moments: this device's clock may be a little behind head office's.
const FREEZE_MARGIN: Millis = 30 * SECOND;

/// How long head office's yes counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lease {
    /// By head office's clock.
    until: Millis,
    /// By [`crate::Clock::awake_or_asleep`], which nobody sets back.
    awake_until: Millis,
}

impl Lease {
    /// Asked for at `asked` by head office's clock as it is known here, and at `awake` by the one that nobody sets.
    fn new(until: Millis, asked: Millis, awake: Millis) -> Self {
        // Where this device's clock is behind, the time left looks longer than it is: never longer than any freeze.
        let left = until.saturating_sub(asked).clamp(0, FREEZE_LASTS);
        Self {
            until,
            awake_until: awake.saturating_add(left),
        }
    }

    fn holds(self, now: Millis, awake: Millis) -> bool {
        now < self.until.saturating_sub(FREEZE_MARGIN) && awake < self.awake_until.saturating_sub(FREEZE_MARGIN)
    }
}

/// Head office's word.
#[derive(Debug)]
enum Word {
    /// Yes, for so long.
    Granted(FreezeId, Lease),
    /// No.
    Refused(Vec<Reason>),
    /// None. The freeze is named when it may have been granted all the same.
    None(Option<FreezeId>),
}

/// Confirms what a ticket showed. Twice is once.
pub async fn confirm(inner: &Arc<Inner>, name: &str, clerk: ClerkId) -> Result<Confirmation> {
    let ticket = inner
        .tickets
        .find(name, inner.clock.monotonic())
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

    let word = ask(inner, &who, &ticket).await?;
    let (held, lease) = match &word {
        Word::Granted(freeze, lease) => (Some(*freeze), Some(*lease)),
        Word::None(freeze) => (*freeze, None),
        Word::Refused(reasons) => {
            let judged = Judgement {
                decision: Decision::Refuse,
                reasons: reasons.clone(),
            };
            // The local copy is evidently behind: the next look should not promise it again.
            refresh(inner, &who, key_of(&ticket.shown)).await?;
            let mut db = inner.db.read().await?;
            return refused(inner, &mut db, &ticket.shown, judged).await;
        }
    };
    let written = write(inner, &ticket, &clerk, held, lease).await;
    match &written {
        Ok(Confirmation::Done(receipt)) => {
            *done = Some(receipt.clone());
            inner.journaled();
        }
        // Nothing was written, so the freeze would only be in somebody's way.
        Ok(Confirmation::Refused(_)) | Err(_) => {
            if let Some(freeze) = held {
                give_back(inner, who, freeze);
            }
        }
    }
    written
}

pub(super) fn may_work(who: &Identity) -> Result<()> {
    match who.device_status {
        DeviceStatus::Active => Ok(()),
        DeviceStatus::Frozen => Err(Error::DeviceFrozen),
        DeviceStatus::Revoked => Err(Error::DeviceRevoked),
    }
}

fn key_of(shown: &Shown) -> Key {
    match shown {
        Shown::Coupon { coupon, .. } => Key::Coupon(coupon.id),
        Shown::Order { order } => Key::Order(order.id),
    }
}

async fn ask(inner: &Inner, who: &Identity, ticket: &Ticket) -> Result<Word> {
    if !inner.may_ask() {
        return Ok(Word::None(None));
    }
    let id = FreezeId::new(who.true_time(inner.clock.now()), random_bytes(&*inner.random)?);
    let question = FreezeRequest {
        id,
        subject: key_of(&ticket.shown),
        presented_by: ticket.presented_by,
    };
    let asked = |who: &Identity| (who.true_time(inner.clock.now()), inner.clock.awake_or_asleep());
    let (mut at, mut awake) = asked(who);
    let mut answer = send(inner, who, &question).await?;
    if let Err(Failure::Problem(problem)) = &answer {
        // What it says of this device and of the time is worth keeping, whatever comes of the question.
        apply::problem(&inner.db, problem, inner.clock.now()).await?;
        if Code::parse(&problem.code) == Some(Code::ClockSkew) {
            let who = identity::load(&mut *inner.db.read().await?).await?;
            (at, awake) = asked(&who);
            answer = send(inner, &who, &question).await?;
        }
    }
    Ok(match answer {
        Ok(FreezeResponse::Granted { until }) => Word::Granted(id, Lease::new(until, at, awake)),
        Ok(FreezeResponse::Refused { reasons }) => Word::Refused(reasons),
        // It was granted to an earlier asking and has lapsed since: neither a yes nor a no.
        Ok(FreezeResponse::Cancelled) => Word::None(None),
        Err(Failure::Unanswered(why)) => {
            tracing::info!(%why, "a freeze went unanswered");
            Word::None(why.may_have_arrived().then_some(id))
        }
        Err(Failure::Problem(problem)) => match Code::parse(&problem.code) {
            // Head office is there but can't say: the same as no answer.
            Some(
                Code::Busy
                | Code::RateLimited
                | Code::StorageUnavailable
                | Code::Internal
                | Code::InFlight
                | Code::ClockSkew,
            ) => Word::None(Some(id)),
            Some(Code::DeviceRevoked) => return Err(Error::DeviceRevoked),
            Some(Code::DeviceFrozen) => return Err(Error::DeviceFrozen),
            _ => return Err(Error::HeadOffice(problem)),
        },
    })
}

async fn send(inner: &Inner, who: &Identity, question: &FreezeRequest) -> Result<Result<FreezeResponse, Failure>> {
    let key = question.id.to_string();
    let sending = Sending {
        time: who.true_time(inner.clock.now()),
        timeout: Duration::from_millis(u64::try_from(ASK_TIMEOUT).unwrap_or(1_000)),
        idempotency_key: Some(&key),
    };
    let credentials = inner.credentials(who)?;
    let answer = inner.http.post(&credentials, paths::FREEZES, question, sending).await;
    inner.question_heard(answer.as_ref().err())?;
    Ok(answer)
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
    let head = journal::head(&mut tx, who.epoch).await?;
    let moment = inner.moment(&who, now)?;
    let written = journal::append(&mut tx, who.tenant, who.device, head, moment, &draft).await?;
    let here = Here {
        device: who.device,
        store: who.store.id,
    };
    let key = replica::Key::of_subject(key_of(&ticket.shown));
    overlay::renew(&mut tx, &key, here, who.generation).await?;
    identity::saw_time(&mut tx, &who, now).await?;
    tx.commit().await?;
    Ok(Confirmation::Done(Receipt {
        op_id: written.op_id,
        place: written.place,
        at: written.at,
        delivery: if granted {
            Delivery::Confirmed
        } else {
            Delivery::ToBeDelivered
        },
        title: draft.title,
    }))
}

/// The coupon as it is now, and whether operations of this counter lie over it.
async fn current_coupon(
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
        ..coupon.clone()
    };
    still(a) == still(b)
}

fn same_order(a: &Order, b: &Order) -> bool {
    let still = |order: &Order| Order {
        state: OrderState::Ready { freeze: None },
        version: 0,
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
    let member = ticket.presented_by.or(coupon.member);
    Draft {
        action: Action::RedeemCoupon {
            coupon: coupon.id,
            template: template.id,
            template_version: template.version,
            worth: template.worth(),
            member,
            freeze,
        },
        clerk: Some(clerk.id),
        clerk_name: clerk.name.clone(),
        title: Title {
            zh: template.name_zh.clone(),
            en: template.name_en.clone(),
        },
        subject: Some(Key::Coupon(coupon.id)),
        member,
        evidence: ticket.evidence,
        confirmed,
    }
}

fn collect(order: &Order, ticket: &Ticket, clerk: &Clerk, freeze: Option<FreezeId>, confirmed: bool) -> Draft {
    Draft {
        action: Action::CollectOrder {
            order: order.id,
            worth: order.worth(),
            freeze,
        },
        clerk: Some(clerk.id),
        clerk_name: clerk.name.clone(),
        title: Title {
            zh: order.number.clone(),
            en: order.number.clone(),
        },
        subject: Some(Key::Order(order.id)),
        member: order.member,
        evidence: ticket.evidence,
        confirmed,
    }
}

async fn refused(inner: &Inner, db: &mut SqliteConnection, shown: &Shown, judged: Judgement) -> Result<Confirmation> {
    let subject = match shown {
        Shown::Coupon { coupon, template, .. } => Subject::Coupon {
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
        Shown::Order { order } => Subject::Order {
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

/// Gives a freeze back in the background. It would lapse anyway; this is only kinder.
fn give_back(inner: &Arc<Inner>, mut who: Identity, freeze: FreezeId) {
    let inner = Arc::clone(inner);
    tokio::spawn(async move {
        let path = format!("{}/{freeze}", paths::FREEZES);
        let key = freeze.to_string();
        for seconds in GIVE_BACK_AFTER {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            let Ok(credentials) = inner.credentials(&who) else {
                return;
            };
            let sending = Sending {
                time: who.true_time(inner.clock.now()),
                timeout: Duration::from_secs(3),
                idempotency_key: Some(&key),
            };
            let answer = inner.http.delete::<FreezeResponse>(&credentials, &path, sending).await;
            let Err(failure) = answer else {
                return;
            };
            if classify(&failure) == Retry::Permanent {
                return;
            }
            if let Failure::Problem(problem) = &failure {
                match relearn(&inner, problem).await {
                    Ok(now) => who = now,
                    Err(error) => tracing::debug!(%error, "what head office said of the time was not written down"),
                }
            }
        }
    });
}

/// Who this counter is after a problem: the next try is signed by the clock that head office told.
async fn relearn(inner: &Inner, problem: &Problem) -> Result<Identity> {
    apply::problem(&inner.db, problem, inner.clock.now()).await?;
    identity::load(&mut *inner.db.read().await?).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freeze_counts_until_shortly_before_its_end_by_either_clock() {
        const NOW: Millis = 1_795_000_000_000;
        const AWAKE: Millis = 7_000;
        let minutes = 60 * SECOND;
        for (left, later, awake_later, holds) in [
            (5 * minutes, 0, 0, true),
            (
                5 * minutes,
                5 * minutes - FREEZE_MARGIN - 1,
                5 * minutes - FREEZE_MARGIN - 1,
                true,
            ),
            (5 * minutes, 5 * minutes - FREEZE_MARGIN, 0, false),
            // The clock was set back meanwhile, or stood still.
            (5 * minutes, -60 * minutes, 5 * minutes - FREEZE_MARGIN, false),
            (5 * minutes, -60 * minutes, 5 * minutes - FREEZE_MARGIN - 1, true),
            // This device is an hour behind: no freeze lasts as long as that.
            (65 * minutes, 5 * minutes, 5 * minutes, false),
            (65 * minutes, minutes, minutes, true),
            // Lapsed, or about to, when the answer came.
            (FREEZE_MARGIN, 0, 0, false),
            (-minutes, 0, 0, false),
            (Millis::MIN, 0, 0, false),
            (Millis::MAX, 0, 0, true),
        ] {
            let until = NOW.saturating_add(left);
            assert_eq!(
                Lease::new(until, NOW, AWAKE).holds(NOW + later, AWAKE + awake_later),
                holds,
                "{left} {later} {awake_later}"
            );
        }
    }
}
