//! Money that a member pays in.

use std::sync::Arc;

use counterfoil_domain::{
    ids::{ClerkId, MemberId},
    money::{in_minor_units, minor_digits},
    operations::{Action, TOP_UP_MOST, TopUp},
    text::clean,
};
use counterfoil_protocol::operation::Evidence;

use crate::{
    error::{Error, Result},
    honour::{Receipt, act, may_work},
    identity,
    inner::{Counter, Inner},
    journal::{Alone, Draft, Title},
    people, replica,
};

/// Longest words of a tender and longest receipt number, in characters.
const WORDS: usize = 64;

/// How money was paid in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaidIn {
    /// Whose it is.
    pub member: MemberId,
    /// How much, as it was typed: `100`, `12.50`.
    pub amount: String,
    /// How it was paid, in the till's words.
    pub tender: String,
    /// The till's receipt number.
    pub receipt: String,
}

impl Counter {
    /// A member pays money in: it is theirs as stored value, with or without a line to head office.
    ///
    /// # Errors
    /// `amount_invalid`, `receipt_missing`, `member_unknown`, and those of every act.
    pub async fn top_up(&self, paid: &PaidIn, clerk: ClerkId) -> Result<Receipt> {
        top_up(&self.0, paid, clerk).await
    }
}

async fn top_up(inner: &Arc<Inner>, paid: &PaidIn, clerk: ClerkId) -> Result<Receipt> {
    let word = |text: &str| -> String { clean(text).trim().chars().take(WORDS).collect() };
    let (tender, receipt) = (word(&paid.tender), word(&paid.receipt));
    if tender.is_empty() || receipt.is_empty() {
        return Err(Error::ReceiptMissing);
    }
    let mut writer = inner.db.write().await;
    let mut tx = writer.begin().await?;
    let who = identity::load(&mut tx).await?;
    may_work(&who)?;
    let clerk = people::known(&mut tx, clerk, who.store.id).await?;
    let digits = minor_digits(&replica::currency(&mut tx).await?.unwrap_or_default());
    let amount = in_minor_units(&paid.amount, digits)
        .filter(|amount| (1..=TOP_UP_MOST).contains(amount))
        .ok_or(Error::AmountInvalid { limit: TOP_UP_MOST })?;
    let member = replica::member(&mut tx, paid.member)
        .await?
        .ok_or(Error::MemberUnknown)?;
    let draft = Draft {
        action: Action::TopUp(TopUp {
            member: member.id,
            amount,
            tender,
            receipt,
        }),
        clerk: Some(clerk.id),
        clerk_name: clerk.name,
        title: Title {
            zh: format!("储值 {}", member.number),
            en: format!("Top-up {}", member.number),
        },
        member: Some(member.id),
        evidence: Evidence::None,
        confirmed: false,
        alone: Alone::default(),
    };
    act(inner, tx, &who, inner.clock.now(), draft, "top_up").await
}
