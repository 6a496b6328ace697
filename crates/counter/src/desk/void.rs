//! Undoing a redemption or hand-over made on this counter. A manager approves it on the spot.

use std::sync::Arc;

use counterfoil_domain::{
    ids::{ClerkId, MemberId, OperationId},
    operations::Action,
    people::Role,
};
use counterfoil_protocol::operation::Evidence;
use sqlx::{Row, SqliteConnection};

use super::{Delivery, Receipt, confirm::may_work};
use crate::{
    Inner,
    error::{Error, Result},
    identity,
    journal::{self, Draft, subject_of},
    overlay::{self, Here},
    people, queue,
    replica::Key,
};

/// Longest reason kept, in characters.
const REASON_LENGTH: usize = 500;

/// Undoes an operation of this counter.
pub async fn void(
    inner: &Arc<Inner>,
    target: OperationId,
    reason: &str,
    manager: ClerkId,
    pin: &str,
) -> Result<Receipt> {
    let reason: String = reason.trim().chars().take(REASON_LENGTH).collect();
    if reason.is_empty() {
        return Err(Error::ReasonMissing);
    }
    let manager = people::check_pin(inner, manager, pin).await?;
    if !Role::may_void(manager.role) {
        return Err(Error::NotAllowed);
    }
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
    let (subject, member) = subject_and_member(&mut tx, target).await?;
    let draft = Draft {
        action: Action::VoidRedemption {
            target,
            reason,
            approved_by: manager.id,
        },
        clerk: Some(manager.id),
        clerk_name: manager.name.clone(),
        title: entry.title,
        subject: Some(subject),
        member,
        evidence: Evidence::None,
        confirmed: false,
    };
    let now = inner.clock.now();
    let head = journal::head(&mut tx, who.epoch).await?;
    let moment = inner.moment(&who, now)?;
    let written = journal::append(&mut tx, who.tenant, who.device, head, moment, &draft).await?;
    sqlx::query("UPDATE journal SET voided_by = ? WHERE op_id = ?")
        .bind(written.op_id.bytes().as_slice())
        .bind(target.bytes().as_slice())
        .execute(&mut *tx)
        .await?;
    let here = Here {
        device: who.device,
        store: who.store.id,
    };
    overlay::renew(&mut tx, &Key::of_subject(subject), here, who.generation).await?;
    identity::saw_time(&mut tx, &who, now).await?;
    tx.commit().await?;
    drop(writer);
    inner.journaled();
    Ok(Receipt {
        op_id: written.op_id,
        place: written.place,
        at: written.at,
        delivery: Delivery::ToBeDelivered,
        title: draft.title,
    })
}

async fn subject_and_member(
    db: &mut SqliteConnection,
    target: OperationId,
) -> Result<(counterfoil_domain::transition::Subject, Option<MemberId>)> {
    let row = sqlx::query("SELECT subject_kind, subject, member FROM journal WHERE op_id = ?")
        .bind(target.bytes().as_slice())
        .fetch_one(db)
        .await?;
    let subject = subject_of(row.try_get(0)?, row.try_get(1)?)?.ok_or(Error::OperationNotVoidable(
        "it is about nothing that could be given back",
    ))?;
    let member: Option<&[u8]> = row.try_get(2)?;
    Ok((subject, member.map(MemberId::from_bytes).transpose()?))
}
