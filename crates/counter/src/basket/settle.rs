//! From a quote to green: head office's word for every coupon at once, else the offline rules for each; then one
//! transaction with one operation.

use std::sync::Arc;

use counterfoil_domain::{
    ids::{ClerkId, FreezeId},
    offline::OfflineUsage,
    operations::Action,
    people::Clerk,
    sales::{SaleLine, Settlement, UsedCoupon},
    text::clean,
    transition::Subject,
    verdict::Reason,
};
use tokio::task::JoinSet;

use super::{RefusedCoupon, SaleRefusal, SaleTicket, Settled, ShownCoupon, Tender};
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
        act,
        freezes::{self, Lease, Word},
        may_work,
    },
    identity::{self, Identity},
    inner::Inner,
    journal::{Alone, Draft, Title},
    people,
};

/// Longest words of a tender and longest receipt number, in characters.
const WORDS: usize = 64;

/// What is held for one coupon of the sale.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    /// The freeze, also one that may have been granted without our hearing of it.
    freeze: Option<FreezeId>,
    lease: Option<Lease>,
}

/// Settles what a ticket showed. Twice is once.
pub(crate) async fn settle(inner: &Arc<Inner>, name: &str, tender: &Tender, clerk: ClerkId) -> Result<Settled> {
    let ticket = inner
        .tickets
        .find::<SaleTicket>(name, inner.clock.monotonic())
        .ok_or(Error::TicketStale)?;
    let mut done = ticket.done.lock().await;
    if let Some(receipt) = &*done {
        return Ok(Settled::Done(receipt.clone()));
    }
    let tender = words(tender)?;
    let mut db = inner.db.read().await?;
    let who = identity::load(&mut db).await?;
    may_work(&who)?;
    let clerk = people::known(&mut db, clerk, who.store.id).await?;
    drop(db);

    let (held, refused) = ask_for_all(inner, &who, &ticket).await;
    let written = match refused {
        Err(error) => Err(error),
        Ok(refused) if !refused.is_empty() => {
            // The local copy is evidently behind: the next quote should not promise it again.
            for (shown, _) in &refused {
                refresh(inner, &who, Subject::Coupon(shown.coupon.id)).await?;
            }
            refusal(inner, Decision::Refuse, refused).await
        }
        Ok(_) => write(inner, &ticket, &tender, &clerk, &held).await,
    };
    match &written {
        Ok(Settled::Done(receipt)) => {
            *done = Some(receipt.clone());
        }
        // Nothing was written, so the freezes would only be in somebody's way.
        Ok(Settled::Refused(_)) | Err(_) => {
            for freeze in held.iter().filter_map(|held| held.freeze) {
                freezes::give_back(inner, who.clone(), freeze);
            }
        }
    }
    written
}

fn words(tender: &Tender) -> Result<Tender> {
    let word = |text: &str| -> String { clean(text).trim().chars().take(WORDS).collect() };
    let tender = Tender {
        tender: word(&tender.tender),
        receipt: word(&tender.receipt),
    };
    if tender.tender.is_empty() || tender.receipt.is_empty() {
        return Err(Error::ReceiptMissing);
    }
    Ok(tender)
}

type AgainstEach = Vec<(ShownCoupon, Vec<Reason>)>;

/// Asks for every coupon at once, so that all of them take no longer than one.
async fn ask_for_all(inner: &Arc<Inner>, who: &Identity, ticket: &SaleTicket) -> (Vec<Held>, Result<AgainstEach>) {
    let mut questions = JoinSet::new();
    for (place, shown) in ticket.coupons.iter().enumerate() {
        let (inner, who) = (Arc::clone(inner), who.clone());
        let (subject, member) = (Subject::Coupon(shown.coupon.id), ticket.settlement.member);
        questions.spawn(async move { (place, freezes::ask(&inner, &who, subject, member).await) });
    }
    let mut held = vec![Held::default(); ticket.coupons.len()];
    let mut refused = Vec::new();
    let mut failed = None;
    while let Some(answer) = questions.join_next().await {
        let (place, word) = match answer {
            Ok(answer) => answer,
            Err(error) => {
                failed = Some(error.into());
                continue;
            }
        };
        let (Some(held), Some(shown)) = (held.get_mut(place), ticket.coupons.get(place)) else {
            continue;
        };
        match word {
            Ok(Word::Granted(freeze, lease)) => {
                *held = Held {
                    freeze: Some(freeze),
                    lease: Some(lease),
                };
            }
            Ok(Word::None(freeze)) => held.freeze = freeze,
            Ok(Word::Refused(reasons)) => refused.push((shown.clone(), reasons)),
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) => (held, Err(error)),
        None => (held, Ok(refused)),
    }
}

async fn refusal(inner: &Inner, decision: Decision, against: AgainstEach) -> Result<Settled> {
    let mut db = inner.db.read().await?;
    let mut coupons = Vec::with_capacity(against.len());
    for (shown, reasons) in against {
        coupons.push(RefusedCoupon {
            coupon: shown.coupon.id,
            title: Title {
                zh: shown.template.name_zh,
                en: shown.template.name_en,
            },
            reasons: explain(&mut db, reasons).await?,
        });
    }
    Ok(Settled::Refused(Box::new(SaleRefusal { decision, coupons })))
}

/// Judges every coupon on the rows as they are now, and writes: effects and operation together, or nothing.
async fn write(inner: &Inner, ticket: &SaleTicket, tender: &Tender, clerk: &Clerk, held: &[Held]) -> Result<Settled> {
    let mut writer = inner.db.write().await;
    let mut tx = writer.begin().await?;
    let who = identity::load(&mut tx).await?;
    may_work(&who)?;
    let now = inner.clock.now();
    let awake = inner.clock.awake_or_asleep();
    let mut alone = OfflineUsage::default();
    let mut against: AgainstEach = Vec::new();
    let mut decision = Decision::Unconfirmed;
    let used = &ticket.settlement.coupons;
    for ((shown, used), held) in ticket.coupons.iter().zip(used).zip(held) {
        // The writer may have been waited for, the machine may have slept: a yes that has lapsed is no word at all.
        let granted = held.lease.is_some_and(|lease| lease.holds(who.true_time(now), awake));
        let setting = Setting {
            who: &who,
            now,
            online: granted,
            presented_by: ticket.settlement.member,
        };
        let (current, touched) = current_coupon(&mut tx, &shown.coupon, shown.by_token_only, &who).await?;
        let judged = if granted && !touched {
            // Head office's word is newer than the local copy.
            Judgement {
                decision: Decision::Honour,
                reasons: Vec::new(),
            }
        } else {
            judge::for_basket(&mut tx, &current, &shown.template, used.discount, alone, setting).await?
        };
        match judged.decision {
            Decision::Honour => {}
            Decision::HonourOffline => {
                alone.count += 1;
                alone.by_member += 1;
                alone.amount = alone.amount.saturating_add(used.discount);
            }
            Decision::Refuse | Decision::Unconfirmed | Decision::Info => {
                if judged.decision == Decision::Refuse {
                    decision = Decision::Refuse;
                }
                against.push((shown.clone(), judged.reasons));
            }
        }
    }
    if !against.is_empty() {
        tx.rollback().await?;
        drop(writer);
        return refusal(inner, decision, against).await;
    }
    let confirmed = alone.count == 0 && !used.is_empty();
    let draft = Draft {
        action: Action::SettleSale(Settlement {
            coupons: used
                .iter()
                .zip(held)
                .map(|(used, held)| UsedCoupon {
                    freeze: held.freeze,
                    ..used.clone()
                })
                .collect(),
            tender: tender.tender.clone(),
            receipt: tender.receipt.clone(),
            ..ticket.settlement.clone()
        }),
        clerk: Some(clerk.id),
        clerk_name: clerk.name.clone(),
        title: title(&ticket.settlement.lines),
        // Whose limits it counts against.
        member: ticket
            .settlement
            .member
            .or_else(|| ticket.coupons.iter().find_map(|shown| shown.coupon.member)),
        evidence: ticket.evidence,
        confirmed,
        alone: Alone {
            count: alone.count,
            worth: alone.amount,
        },
    };
    act(inner, tx, &who, now, draft, "settle").await.map(Settled::Done)
}

/// What a sale is called in the queue: its first product, and how many units more.
fn title(lines: &[SaleLine]) -> Title {
    let units = lines
        .iter()
        .fold(0_i64, |units, line| units.saturating_add(line.quantity));
    let more = units.saturating_sub(1);
    match lines.first() {
        None => Title::default(),
        Some(line) if more == 0 => Title {
            zh: line.name_zh.clone(),
            en: line.name_en.clone(),
        },
        Some(line) => Title {
            zh: format!("{} 等 {units} 件", line.name_zh),
            en: format!("{} and {more} more", line.name_en),
        },
    }
}
