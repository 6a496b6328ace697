//! From a quote to green: everything that it uses is held, then one transaction with one operation.

use std::sync::Arc;

use counterfoil_domain::{
    ids::ClerkId,
    operations::Action,
    people::Clerk,
    points::{AccountUse, PaidBalance, UsedPoints},
    sales::{SaleLine, Settlement, UsedCoupon},
    text::clean,
};

use super::{
    SaleTicket, Settled, Tender,
    payment::{Holds, Now, Refused, hold, judge_all, let_go, refusal},
};
use crate::{
    error::{Error, Result},
    honour::{Receipt, act, may_work},
    identity,
    inner::Inner,
    journal::{Alone, Draft, Title},
    people,
};

/// Longest words of a tender and longest receipt number, in characters.
const WORDS: usize = 64;

/// Settles what a ticket showed, with what its payment holds; where none is open, it is opened first. Twice is once.
pub(crate) async fn settle(inner: &Arc<Inner>, name: &str, tender: &Tender, clerk: ClerkId) -> Result<Settled> {
    let ticket = inner
        .tickets
        .find::<SaleTicket>(name, inner.clock.monotonic())
        .ok_or(Error::TicketStale)?;
    let mut paying = ticket.paying.lock().await;
    if let Some(receipt) = &paying.done {
        return Ok(Settled::Done(receipt.clone()));
    }
    let tender = words(tender)?;
    let mut db = inner.db.read().await?;
    let who = identity::load(&mut db).await?;
    may_work(&who)?;
    let clerk = people::known(&mut db, clerk, who.store.id).await?;
    drop(db);

    let refused = hold(inner, &who, &ticket, tender.balance, &mut paying.holds).await?;
    let written = match (refused, &paying.holds) {
        (Some(refused), _) => Ok(Err(refused)),
        (None, Some(holds)) => write(inner, &ticket, &tender, &clerk, holds).await,
        (None, None) => Err(Error::Internal("nothing is held".into())),
    };
    match written {
        Ok(Ok(receipt)) => {
            paying.done = Some(receipt.clone());
            Ok(Settled::Done(receipt))
        }
        // Nothing was written, so the freezes would only be in somebody's way.
        Ok(Err(refused)) => {
            let_go(inner, &who, &mut paying.holds);
            Ok(Settled::Refused(Box::new(refusal(inner, refused).await?)))
        }
        Err(error) => {
            let_go(inner, &who, &mut paying.holds);
            Err(error)
        }
    }
}

fn words(tender: &Tender) -> Result<Tender> {
    let word = |text: &str| -> String { clean(text).trim().chars().take(WORDS).collect() };
    let tender = Tender {
        tender: word(&tender.tender),
        receipt: word(&tender.receipt),
        balance: tender.balance,
    };
    if tender.tender.is_empty() || tender.receipt.is_empty() {
        return Err(Error::ReceiptMissing);
    }
    Ok(tender)
}

/// Judges everything on the rows as they are now, and writes: effects and operation together, or nothing.
async fn write(
    inner: &Inner,
    ticket: &SaleTicket,
    tender: &Tender,
    clerk: &Clerk,
    holds: &Holds,
) -> Result<Result<Receipt, Refused>> {
    let mut writer = inner.db.write().await;
    let mut tx = writer.begin().await?;
    let who = identity::load(&mut tx).await?;
    may_work(&who)?;
    let now = Now::of(inner, &who);
    let (alone, refused) = judge_all(&mut tx, ticket, holds, &now).await?;
    if let Some(refused) = refused {
        tx.rollback().await?;
        return Ok(Err(refused));
    }
    let settlement = settlement(ticket, tender, holds);
    let account = &settlement.account;
    let asked = !settlement.coupons.is_empty() || account.points.is_some() || account.balance.is_some();
    let draft = Draft {
        clerk: Some(clerk.id),
        clerk_name: clerk.name.clone(),
        title: title(&settlement.lines),
        // Whose limits it counts against.
        member: settlement
            .member
            .or_else(|| ticket.coupons.iter().find_map(|shown| shown.coupon.member)),
        evidence: ticket.evidence,
        confirmed: alone.usage.count == 0 && asked,
        alone: Alone {
            count: alone.usage.count,
            worth: alone.usage.amount,
        },
        action: Action::SettleSale(settlement),
    };
    act(inner, tx, &who, inner.clock.now(), draft, "settle").await.map(Ok)
}

/// What was shown, with how it is paid and the freezes that are held for it.
fn settlement(ticket: &SaleTicket, tender: &Tender, holds: &Holds) -> Settlement {
    let shown = &ticket.settlement;
    let coupons = shown.coupons.iter().zip(&holds.coupons);
    Settlement {
        coupons: coupons
            .map(|(used, held)| UsedCoupon {
                freeze: held.freeze,
                ..used.clone()
            })
            .collect(),
        account: AccountUse {
            points: shown.account.points.as_ref().map(|used| UsedPoints {
                freeze: holds.account.freeze,
                ..used.clone()
            }),
            balance: (tender.balance > 0).then_some(PaidBalance {
                amount: tender.balance,
                freeze: holds.account.freeze,
            }),
            ..shown.account
        },
        tender: tender.tender.clone(),
        receipt: tender.receipt.clone(),
        ..shown.clone()
    }
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
