//! Before the till takes money: head office holds what the basket is paid with, all of it together, or says no; without
//! an answer the offline rules do.

use std::sync::Arc;

use counterfoil_domain::{
    ids::FreezeId,
    offline::OfflineUsage,
    points::Amounts,
    settlement::InputError,
    time::{MINUTE, Millis},
    transition::Subject,
    verdict::Reason,
};
use sqlx::SqliteConnection;
use tokio::task::JoinSet;

use super::{
    Opened, Payment, RefusedCoupon, SaleRefusal, SaleTicket, ShownCoupon,
    account::{self, Against, Spending},
};
use crate::{
    desk::{
        Decision,
        ask::refresh,
        confirm::current_coupon,
        judge::{self, Judgement, Setting},
        reasons::explain,
    },
    error::{Error, Result},
    honour::{
        freezes::{self, Lease, Word},
        may_work,
    },
    identity::{self, Identity},
    inner::Inner,
    journal::Title,
    points::{self, AccountCard},
};

/// What is held is asked for anew once it is older than this: it lapses after five minutes.
const RENEW_AFTER: Millis = 4 * MINUTE;

/// What is held of one thing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Held {
    /// The freeze, also one that may have been granted without our hearing of it.
    pub(super) freeze: Option<FreezeId>,
    lease: Option<Lease>,
}

/// What is held for a basket.
#[derive(Debug, Clone)]
pub(crate) struct Holds {
    /// For each coupon, in the order of the sale.
    pub(super) coupons: Vec<Held>,
    /// For points and stored value.
    pub(super) account: Held,
    /// How much stored value.
    pub(super) balance: i64,
    /// When it was asked for, by the clock that nobody sets.
    asked: Millis,
}

impl Holds {
    fn freezes(&self) -> impl Iterator<Item = FreezeId> {
        self.coupons
            .iter()
            .chain([&self.account])
            .filter_map(|held| held.freeze)
    }
}

/// What speaks against paying for a basket as it is.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    pub(super) decision: Decision,
    pub(super) coupons: Vec<(ShownCoupon, Vec<Reason>)>,
    pub(super) account: Against,
}

impl Refused {
    fn nothing() -> Self {
        Self {
            decision: Decision::Refuse,
            coupons: Vec::new(),
            account: Against::default(),
        }
    }

    fn is_none(&self) -> bool {
        self.coupons.is_empty() && self.account.is_none()
    }
}

/// Opens the payment of a ticket, or asks anew for what has changed since.
pub(crate) async fn open(inner: &Arc<Inner>, name: &str, balance: i64) -> Result<Opened> {
    let ticket = inner
        .tickets
        .find::<SaleTicket>(name, inner.clock.monotonic())
        .ok_or(Error::TicketStale)?;
    let mut paying = ticket.paying.lock().await;
    if paying.done.is_some() {
        return Err(Error::TicketStale);
    }
    let who = identity::load(&mut *inner.db.read().await?).await?;
    may_work(&who)?;
    if let Some(refused) = hold(inner, &who, &ticket, balance, &mut paying.holds).await? {
        return Ok(Opened::Refused(Box::new(refusal(inner, refused).await?)));
    }
    let Some(holds) = &paying.holds else {
        return Err(Error::Internal("nothing is held".into()));
    };
    let mut db = inner.db.read().await?;
    let judged = judge_all(&mut db, &ticket, holds, &Now::of(inner, &who)).await;
    drop(db);
    let (judged, refused) = match judged {
        Ok(judged) => judged,
        Err(error) => {
            let_go(inner, &who, &mut paying.holds);
            return Err(error);
        }
    };
    if let Some(refused) = refused {
        let_go(inner, &who, &mut paying.holds);
        return Ok(Opened::Refused(Box::new(refusal(inner, refused).await?)));
    }
    let since = inner.clock.awake_or_asleep().saturating_sub(holds.asked);
    let payable = ticket.settlement.payable;
    Ok(Opened::Held(Box::new(Payment {
        decision: if judged.usage.count == 0 {
            Decision::Honour
        } else {
            Decision::HonourOffline
        },
        alone: judged.coupons,
        points_alone: judged.points,
        payable,
        balance,
        till: payable - balance,
        renew_after: (RENEW_AFTER - since).max(0),
    })))
}

/// Closes the payment of a ticket: what is held for it is given back.
pub(crate) async fn close(inner: &Arc<Inner>, name: &str) -> Result<()> {
    let Some(ticket) = inner.tickets.find::<SaleTicket>(name, inner.clock.monotonic()) else {
        // What was held for it lapses by itself.
        return Ok(());
    };
    let mut paying = ticket.paying.lock().await;
    if paying.done.is_none() && paying.holds.is_some() {
        let who = identity::load(&mut *inner.db.read().await?).await?;
        let_go(inner, &who, &mut paying.holds);
    }
    Ok(())
}

/// Gives back what is held.
pub(super) fn let_go(inner: &Arc<Inner>, who: &Identity, holds: &mut Option<Holds>) {
    for freeze in holds.take().iter().flat_map(Holds::freezes) {
        freezes::give_back(inner, who.clone(), freeze);
    }
}

/// What is held, by what it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    Coupon(usize),
    Account,
}

/// Has everything held that the sale uses, all at once, so that it takes no longer than one question; what is held already
/// stays, unless it is old. A "no" gives all of it back, and says what was refused.
pub(super) async fn hold(
    inner: &Arc<Inner>,
    who: &Identity,
    ticket: &SaleTicket,
    balance: i64,
    holds: &mut Option<Holds>,
) -> Result<Option<Refused>> {
    let settlement = &ticket.settlement;
    if !(0..=settlement.payable).contains(&balance) || (balance > 0 && settlement.member.is_none()) {
        return Err(Error::BasketInvalid(InputError {
            code: "out_of_range",
            path: "$.balance".into(),
            message: "expected at most what is payable, of a member who stands there".into(),
        }));
    }
    let awake = inner.clock.awake_or_asleep();
    let every = (0..ticket.coupons.len()).map(Slot::Coupon).chain([Slot::Account]);
    let (mut next, open): (Holds, Vec<Slot>) = match holds.take() {
        Some(held) if awake.saturating_sub(held.asked) >= RENEW_AFTER => (held, every.collect()),
        Some(held) if held.balance == balance => {
            *holds = Some(held);
            return Ok(None);
        }
        Some(held) => (held, vec![Slot::Account]),
        None => {
            let nothing = Holds {
                coupons: vec![Held::default(); ticket.coupons.len()],
                account: Held::default(),
                balance,
                asked: awake,
            };
            (nothing, every.collect())
        }
    };
    if open.len() > 1 {
        next.asked = awake;
    }
    let same = next.balance == balance;
    next.balance = balance;
    let open = give_back_first(inner, who, &mut next, open, same).await;
    let answer = ask_for(inner, who, ticket, &mut next, open).await;
    *holds = Some(next);
    let refused = match answer {
        Ok(refused) if refused.is_none() => return Ok(None),
        answer => {
            // Nothing will be written, so the freezes would only be in somebody's way.
            let_go(inner, who, holds);
            answer?
        }
    };
    // The local copy is evidently behind: the next quote should not promise it again.
    for (shown, _) in &refused.coupons {
        refresh(inner, who, Subject::Coupon(shown.coupon.id)).await?;
    }
    if let Some(member) = settlement.member.filter(|_| !refused.account.is_none()) {
        refresh(inner, who, Subject::Account(member)).await?;
    }
    Ok(Some(refused))
}

/// What was held before is given back before the same is asked for again. What head office does not say it has let go of
/// stays as it was, and is not asked for; `same` = it holds as much of the account as is to be asked for.
async fn give_back_first(
    inner: &Arc<Inner>,
    who: &Identity,
    next: &mut Holds,
    open: Vec<Slot>,
    same: bool,
) -> Vec<Slot> {
    let mut asked = JoinSet::new();
    let mut free = Vec::new();
    for slot in open {
        let held = next.at(slot);
        match held.and_then(|held| held.freeze) {
            None => free.push(slot),
            Some(freeze) => {
                let (inner, who) = (Arc::clone(inner), who.clone());
                asked.spawn(async move { (slot, freeze, freezes::give_back_first(&inner, &who, freeze).await) });
            }
        }
    }
    while let Some(Ok((slot, freeze, given))) = asked.join_next().await {
        if given {
            if let Some(held) = next.at(slot) {
                *held = Held::default();
            }
            free.push(slot);
        } else if slot == Slot::Account && !same {
            // It holds another amount: no word for this one.
            freezes::give_back(inner, who.clone(), freeze);
            next.account = Held::default();
        }
    }
    free
}

impl Holds {
    fn at(&mut self, slot: Slot) -> Option<&mut Held> {
        match slot {
            Slot::Coupon(place) => self.coupons.get_mut(place),
            Slot::Account => Some(&mut self.account),
        }
    }
}

async fn ask_for(
    inner: &Arc<Inner>,
    who: &Identity,
    ticket: &SaleTicket,
    next: &mut Holds,
    open: Vec<Slot>,
) -> Result<Refused> {
    let member = ticket.settlement.member;
    let spending = spending_of(ticket, next.balance);
    let mut questions = JoinSet::new();
    for slot in open {
        let (subject, amounts) = match slot {
            Slot::Coupon(place) => match ticket.coupons.get(place) {
                Some(shown) => (Subject::Coupon(shown.coupon.id), Amounts::default()),
                None => continue,
            },
            Slot::Account => {
                let amounts = Amounts {
                    points: spending.points,
                    balance: spending.balance,
                };
                match member.filter(|_| !amounts.is_none()) {
                    Some(member) => (Subject::Account(member), amounts),
                    None => continue,
                }
            }
        };
        let (inner, who) = (Arc::clone(inner), who.clone());
        questions.spawn(async move { (slot, freezes::ask(&inner, &who, subject, amounts, member).await) });
    }
    let mut refused = Refused::nothing();
    let mut failed = None;
    while let Some(answer) = questions.join_next().await {
        let (slot, word) = match answer {
            Ok(answer) => answer,
            Err(error) => {
                failed = Some(error.into());
                continue;
            }
        };
        let Some(held) = next.at(slot) else { continue };
        match word {
            Ok(Word::Granted(freeze, lease)) => {
                *held = Held {
                    freeze: Some(freeze),
                    lease: Some(lease),
                };
            }
            Ok(Word::None(freeze)) => held.freeze = freeze,
            Ok(Word::Refused(reasons)) => match slot {
                Slot::Coupon(place) => {
                    let shown = ticket.coupons.get(place).cloned();
                    refused.coupons.extend(shown.map(|shown| (shown, reasons)));
                }
                Slot::Account => refused.account = Against::of(reasons, spending),
            },
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) => Err(error),
        None => Ok(refused),
    }
}

fn spending_of(ticket: &SaleTicket, balance: i64) -> Spending {
    let used = ticket.settlement.account.points.as_ref();
    Spending {
        points: used.map_or(0, |used| used.points),
        worth: used.and_then(|used| used.amount()).unwrap_or(0),
        offline_limit: ticket.offline_limit,
        balance,
    }
}

/// What a refusal shows.
pub(super) async fn refusal(inner: &Inner, refused: Refused) -> Result<SaleRefusal> {
    let mut db = inner.db.read().await?;
    let mut coupons = Vec::with_capacity(refused.coupons.len());
    for (shown, reasons) in refused.coupons {
        coupons.push(RefusedCoupon {
            coupon: shown.coupon.id,
            title: title(&shown),
            reasons: explain(&mut db, reasons).await?,
        });
    }
    Ok(SaleRefusal {
        decision: refused.decision,
        coupons,
        points: explain(&mut db, refused.account.points).await?,
        balance: explain(&mut db, refused.account.balance).await?,
    })
}

fn title(shown: &ShownCoupon) -> Title {
    Title {
        zh: shown.template.name_zh.clone(),
        en: shown.template.name_en.clone(),
    }
}

/// By which clocks something is judged, and whose.
#[derive(Debug)]
pub(super) struct Now<'a> {
    who: &'a Identity,
    now: Millis,
    awake: Millis,
}

impl<'a> Now<'a> {
    /// At this moment.
    pub(super) fn of(inner: &Inner, who: &'a Identity) -> Self {
        Self {
            who,
            now: inner.clock.now(),
            awake: inner.clock.awake_or_asleep(),
        }
    }

    /// The writer may have been waited for, the machine may have slept: a yes that has lapsed is no word at all.
    fn granted(&self, held: Held) -> bool {
        let now = self.who.true_time(self.now);
        held.lease.is_some_and(|lease| lease.holds(now, self.awake))
    }
}

/// What of a sale goes without head office's word.
#[derive(Debug, Default)]
pub(super) struct WithoutWord {
    /// Counted against the limits.
    pub(super) usage: OfflineUsage,
    coupons: Vec<Title>,
    points: bool,
}

/// Judges everything that the sale uses on the rows as they are now: by head office's word where it counts, else by the
/// offline rules. What speaks against it, if anything does.
pub(super) async fn judge_all(
    db: &mut SqliteConnection,
    ticket: &SaleTicket,
    holds: &Holds,
    at: &Now<'_>,
) -> Result<(WithoutWord, Option<Refused>)> {
    let mut alone = WithoutWord::default();
    let mut refused = Refused {
        decision: Decision::Unconfirmed,
        ..Refused::nothing()
    };
    let member = ticket.settlement.member;
    let setting = |granted| Setting {
        who: at.who,
        now: at.now,
        online: granted,
        presented_by: member,
    };
    let used = &ticket.settlement.coupons;
    for ((shown, used), held) in ticket.coupons.iter().zip(used).zip(&holds.coupons) {
        let granted = at.granted(*held);
        let (current, touched) = current_coupon(db, &shown.coupon, shown.by_token_only, at.who).await?;
        let judged = if granted && !touched {
            // Head office's word is newer than the local copy.
            Judgement {
                decision: Decision::Honour,
                reasons: Vec::new(),
            }
        } else {
            let before = alone.usage;
            judge::for_basket(db, &current, &shown.template, used.discount, before, setting(granted)).await?
        };
        match judged.decision {
            Decision::Honour => {}
            Decision::HonourOffline => {
                alone.usage.count += 1;
                alone.usage.by_member += 1;
                alone.usage.amount = alone.usage.amount.saturating_add(used.discount);
                alone.coupons.push(title(shown));
            }
            Decision::Refuse | Decision::Unconfirmed | Decision::Info => {
                if judged.decision == Decision::Refuse {
                    refused.decision = Decision::Refuse;
                }
                refused.coupons.push((shown.clone(), judged.reasons));
            }
        }
    }
    let spending = spending_of(ticket, holds.balance);
    if let Some(member) = member.filter(|_| spending.points > 0 || spending.balance > 0) {
        let granted = at.granted(holds.account);
        let held = points::account(db, member).await?;
        let touched = held.as_ref().is_some_and(|held| held.touched);
        if !granted || touched {
            let known = held.map(|held| AccountCard::of(&held.row, at.who.true_time(at.now)));
            let (before, setting) = (alone.usage, setting(granted));
            refused.account = account::spending(db, member, spending, known.as_ref(), before, setting).await?;
        }
        if !granted && spending.points > 0 {
            alone.points = true;
            alone.usage.count += 1;
            alone.usage.by_member += 1;
            alone.usage.amount = alone.usage.amount.saturating_add(spending.worth);
        }
    }
    Ok(if refused.is_none() {
        (alone, None)
    } else {
        (alone, Some(refused))
    })
}
