//! Undoing a redemption or hand-over made on this counter. A manager approves it on the spot.

use std::sync::Arc;

use counterfoil_domain::{
    ids::{ClerkId, MemberId, OperationId},
    operations::{Action, VoidRedemption},
    text::clean,
};
use counterfoil_protocol::operation::Evidence;
use sqlx::{Row, SqliteConnection};

use crate::{
    error::{Error, Result},
    honour::{Receipt, act, may_work},
    identity,
    inner::Inner,
    journal::{self, Alone, Draft, Place},
    people, queue, replica,
};

/// Longest reason kept, in characters.
const REASON_LENGTH: usize = 500;

/// A reason as it is kept.
pub fn reason_of(typed: &str) -> Result<String> {
    let reason: String = clean(typed).trim().chars().take(REASON_LENGTH).collect();
    if reason.is_empty() {
        return Err(Error::ReasonMissing);
    }
    Ok(reason)
}

/// Undoes an operation of this counter.
pub async fn void(
    inner: &Arc<Inner>,
    target: OperationId,
    reason: &str,
    manager: ClerkId,
    pin: &str,
) -> Result<Receipt> {
    let reason = reason_of(reason)?;
    let manager = people::approve(inner, manager, pin).await?;
    let mut writer = inner.db.write().await;
    let mut tx = writer.begin().await?;
    let who = identity::load(&mut tx).await?;
    may_work(&who)?;
    let entry = queue::find(&mut tx, target)
        .await?
        .ok_or(Error::OperationNotVoidable("it was not made on this counter"))?;
    if entry.voided {
        return Err(Error::OperationNotVoidable("it was undone before"));
    }
    if !entry.voidable {
        return Err(Error::OperationNotVoidable("there is nothing to undo"));
    }
    if let Some(sale) = replica::sale(&mut tx, target).await?
        && sale.has_returns()
    {
        return Err(Error::OperationNotVoidable("something of it came back before"));
    }
    let member = member_of(&mut tx, target, entry.place).await?;
    let draft = Draft {
        action: Action::VoidRedemption(VoidRedemption {
            target,
            reason,
            approved_by: manager.id,
        }),
        clerk: Some(manager.id),
        clerk_name: manager.name.clone(),
        title: entry.title,
        member,
        evidence: Evidence::None,
        confirmed: false,
        alone: Alone::default(),
    };
    let now = inner.clock.now();
    act(inner, tx, &who, now, draft, "void").await
}

/// Whose it was; an error when it is about nothing.
async fn member_of(db: &mut SqliteConnection, target: OperationId, place: Place) -> Result<Option<MemberId>> {
    let row = sqlx::query("SELECT member FROM journal WHERE op_id = ?")
        .bind(target.bytes().as_slice())
        .fetch_one(&mut *db)
        .await?;
    let member: Option<&[u8]> = row.try_get(0)?;
    let member = member.map(MemberId::from_bytes).transpose()?;
    if journal::subjects(db, place).await?.is_empty() {
        return Err(Error::OperationNotVoidable(
            "it is about nothing that could be given back",
        ));
    }
    Ok(member)
}
