//! The one way in which something that happened is written down.

use counterfoil_domain::{operations::OperationKind as _, planted, time::Millis};

use super::{Delivery, Receipt};
use crate::{
    db::Tx,
    error::Result,
    identity::{self, Identity},
    inner::Inner,
    journal::{self, Draft},
    overlay::{self, Here},
    replica,
};

/// Writes an operation and what it does here: both together, or neither. When this returns it is on the disk and on its
/// way to head office; only then may anybody see green. `tx` may hold what belongs to it besides, and `commit` is that
/// commit's name.
pub async fn act(
    inner: &Inner,
    mut tx: Tx<'_>,
    who: &Identity,
    now: Millis,
    draft: Draft,
    commit: &'static str,
) -> Result<Receipt> {
    let head = journal::head(&mut tx, who.epoch).await?;
    let moment = inner.moment(who, now)?;
    let written = journal::append(&mut tx, who.tenant, who.device, head, moment, &draft).await?;
    if let Some(made) = draft.action.makes(written.op_id) {
        replica::begin(&mut tx, made, who.generation).await?;
    }
    overlay::renew(&mut tx, &written.subjects, Here::of(who)).await?;
    identity::saw_time(&mut tx, who, now).await?;
    let kept = tx.commit(commit).await;
    planted!("green_before_the_disk", Ok(()), kept)?;
    inner.journaled();
    Ok(Receipt {
        op_id: written.op_id,
        place: written.place,
        at: written.at,
        delivery: if draft.confirmed {
            Delivery::Confirmed
        } else {
            Delivery::ToBeDelivered
        },
        title: draft.title,
    })
}
