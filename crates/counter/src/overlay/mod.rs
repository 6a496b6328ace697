//! Pending operations laid over head office's rows.
//!
//! A row that an operation of this counter lies over keeps what head office sent as its base; what the desk sees is the
//! base with the operations done to it once more, by the same transition that head office runs. Here it never
//! refuses: where an operation no longer fits, it is marked as a conflict to be expected. An operation leaves the
//! overlay when the cursor has passed the number in the feed that its outcome came with.
//!
//! An operation may be about several rows, so the rows that operations link are computed together: a coupon, the sale
//! it was used in, that sale's other coupons, its member's account, and what else is about that. Nothing else links
//! rows: a member, say, is no row that operations lie over, or the whole shop would hang together.

#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm))]

mod gather;
mod lay;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use counterfoil_domain::{
    ids::{DeviceId, StoreId},
    planted,
    transition::Subject,
};
pub use gather::touched;
use gather::{free, gather};
use sqlx::SqliteConnection;

use crate::{error::Result, identity::Identity, journal, replica::RowKey};

/// Rows computed again in one go where there may be very many.
const AT_ONCE: usize = 200;

/// Where this counter stands.
#[derive(Debug, Clone, Copy)]
pub struct Here {
    /// The device.
    pub device: DeviceId,
    /// Its store.
    pub store: StoreId,
}

impl Here {
    /// Where this counter stands.
    pub fn of(who: &Identity) -> Self {
        Self {
            device: who.device,
            store: who.store.id,
        }
    }
}

/// Computes rows again from their bases and the operations over them, and with them the rows that operations link to
/// them. A row that no operation lies over stays as it is. Returns what was computed.
pub async fn renew(db: &mut SqliteConnection, subjects: &[Subject], here: Here) -> Result<BTreeSet<Subject>> {
    let group = gather(db, subjects, here).await?;
    let linked = group.linked();
    let seen = lay::lay_over(group.bases()?, &group.laid, &group.earlier, &group.rules)?;
    group.write(db, &seen).await?;
    Ok(linked)
}

/// Computes those of the rows again that operations lie over.
pub async fn renew_touched(db: &mut SqliteConnection, keys: &[RowKey], here: Here) -> Result<()> {
    let mut subjects = Vec::with_capacity(keys.len());
    for key in keys {
        subjects.extend(key.subject()?);
    }
    renew(db, &subjects, here).await?;
    Ok(())
}

/// Computes every touched row again, as after a rewind.
pub async fn renew_all(db: &mut SqliteConnection, here: Here) -> Result<()> {
    let mut left = gather::all_touched(db).await?;
    while !left.is_empty() {
        let some: Vec<Subject> = left.iter().copied().take(AT_ONCE).collect();
        let done = renew(db, &some, here).await?;
        left.retain(|subject| !done.contains(subject) && !some.contains(subject));
    }
    Ok(())
}

/// Lets go of operations whose effect the cursor has passed, those that lie over `most` rows or a few more; whether
/// others are left. Call it at the end of the feed only: a row that changed again since is told of there, not where the
/// operation was.
pub async fn release(
    db: &mut SqliteConnection,
    store_seq: i64,
    here: Here,
    generation: i64,
    most: usize,
) -> Result<bool> {
    let passed = journal::passed(db, planted!("overlay_kept", -1, store_seq), most).await?;
    let rows: Vec<Subject> = gather::let_go(db, &passed.places).await?.into_iter().collect();
    let still = renew(db, &rows, here).await?;
    let freed: Vec<Subject> = rows.into_iter().filter(|row| !still.contains(row)).collect();
    free(db, &freed, generation).await?;
    Ok(passed.more)
}
