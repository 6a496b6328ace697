//! Writing down what an answer of head office says: outcomes, rows, the cursor, what it says of this device.
//!
//! Every step is its own short transaction and can be done twice, so a crash between two of them loses nothing: what
//! was not written down is asked for again.

use counterfoil_domain::{ids::HistoryId, planted, time::Millis, transition::DeviceStatus};
use counterfoil_protocol::{
    problem::{Code, Problem},
    sync::{Image, Page, Stopped, SyncResponse},
};

use super::engine::Answered;
use crate::{
    db::Database,
    error::Result,
    identity::{self, Identity},
    journal::{self, Place},
    overlay::{self, Here},
    replica,
};

/// Rows written in one transaction: some 5 ms, so that a clerk never waits long for the writer.
const SLICE: usize = 200;

/// What an answer came to.
#[derive(Debug)]
pub struct Applied {
    /// For the engine.
    pub answered: Answered,
    /// Outcomes that were news.
    pub pushed: u64,
    /// Rows in the page.
    pub pulled: usize,
    /// Whether anything that is shown changed.
    pub changed: bool,
}

fn here(who: &Identity) -> Here {
    Here {
        device: who.device,
        store: who.store.id,
    }
}

/// Writes a whole answer down.
pub async fn answer(db: &Database, sent: usize, response: &SyncResponse, now: Millis) -> Result<Applied> {
    let mut writer = db.write().await;
    let mut tx = writer.begin().await?;
    let who = identity::load(&mut tx).await?;
    identity::heard(&mut tx, now, response.server_time).await?;
    let mut changed = false;

    let history_changed = response.history_id != who.history_id;
    if history_changed {
        tx.commit("outcomes").await?;
        drop(writer);
        let from = Place {
            epoch: response.device.epoch,
            seq: response.device.last_applied_seq.saturating_add(1),
        };
        change_history(db, response.history_id, Some(from)).await?;
        return Ok(Applied {
            answered: answered(sent, 0, response, true),
            pushed: 0,
            pulled: 0,
            changed: true,
        });
    }

    let pushed = journal::settle(&mut tx, &response.outcomes, response.server_time).await?;
    changed |= pushed > 0;
    if let Some(Stopped::Gap { expected_seq }) = response.stopped {
        let from = Place {
            epoch: response.device.epoch,
            seq: expected_seq,
        };
        changed |= rewind(&mut tx, &who, from).await? > 0;
    } else if response.device.epoch == who.epoch && response.device.status == DeviceStatus::Active {
        // Head office holds less than it acknowledged: it was restored in a way its own marks don't show.
        let acknowledged = journal::acknowledged(&mut tx, who.epoch).await?;
        if response.device.last_applied_seq < acknowledged {
            let from = Place {
                epoch: who.epoch,
                seq: response.device.last_applied_seq.saturating_add(1),
            };
            changed |= rewind(&mut tx, &who, from).await? > 0;
        }
    }
    if (response.device.status, response.device.epoch) != (who.device_status, who.epoch) {
        changed = true;
        identity::set_device(&mut tx, response.device.status, response.device.epoch).await?;
        if response.device.status == DeviceStatus::Revoked {
            wipe(&mut tx, &who).await?;
        }
    }
    tx.commit("outcomes").await?;
    drop(writer);

    let mut pulled = 0;
    if let Some(page) = response
        .page
        .as_ref()
        .filter(|_| response.device.status != DeviceStatus::Revoked)
    {
        pulled = page.rows.len();
        changed |= pulled > 0;
        apply_page(db, page, now).await?;
    }
    Ok(Applied {
        answered: answered(sent, usize::try_from(pushed).unwrap_or(usize::MAX), response, false),
        pushed,
        pulled,
        changed,
    })
}

fn answered(sent: usize, settled: usize, response: &SyncResponse, history_changed: bool) -> Answered {
    Answered {
        sent,
        settled,
        stopped: response.stopped.clone(),
        more_rows: response.page.as_ref().is_some_and(|page| page.more),
        device: response.device.status,
        history_changed,
    }
}

async fn rewind(db: &mut sqlx::SqliteConnection, who: &Identity, from: Place) -> Result<u64> {
    let again = journal::rewind(db, from).await?;
    if again > 0 {
        tracing::warn!(
            epoch = from.epoch,
            seq = from.seq,
            again,
            "head office asks for operations again"
        );
        overlay::renew_all(db, here(who), who.generation).await?;
    }
    Ok(again)
}

async fn wipe(db: &mut sqlx::SqliteConnection, who: &Identity) -> Result<()> {
    tracing::warn!("this device was revoked: member data is removed, the journal is kept until it is delivered");
    replica::wipe(db).await?;
    // Should it be reinstated, it reads everything again.
    identity::begin_resync(db, who.history_id).await
}

/// Applies a page in short transactions. The cursor moves with the last of them.
pub async fn apply_page(db: &Database, page: &Page, now: Millis) -> Result<()> {
    let mut slices = page.rows.chunks(SLICE).peekable();
    loop {
        let slice = slices.next().unwrap_or_default();
        let last = slices.peek().is_none();
        let mut writer = db.write().await;
        let mut tx = writer.begin().await?;
        let who = identity::load(&mut tx).await?;
        let keys = replica::store(&mut tx, slice, who.generation, false).await?;
        overlay::renew_touched(&mut tx, &keys, here(&who), who.generation).await?;
        for row in slice {
            if let Image::Store(store) = &row.image
                && store.id == who.store.id
                && *store != who.store
            {
                identity::set_store(&mut tx, store).await?;
            }
        }
        if last {
            finish_page(&mut tx, page, &who, now).await?;
        }
        tx.commit("page").await?;
        if last {
            return Ok(());
        }
        drop(writer);
        // The clerk comes first: whoever waits for the writer gets it before the next slice.
        tokio::task::yield_now().await;
    }
}

async fn finish_page(db: &mut sqlx::SqliteConnection, page: &Page, who: &Identity, now: Millis) -> Result<()> {
    // Told for the last time: they were seen at other stores since. Their coupons may stand anywhere in the page.
    for row in &page.rows {
        if let Image::Member(member) = &row.image
            && !member.recent_stores.contains(&who.store.id)
        {
            replica::forget(db, member.id, who.store.id).await?;
        }
    }
    if page.cursor != who.cursor && planted!("cursor_never_moves", false, true) {
        identity::set_cursor(db, &page.cursor).await?;
    }
    if page.more {
        return Ok(());
    }
    if who.resyncing {
        replica::drop_older_generations(db, who.generation).await?;
    }
    identity::pulled_all(db, now).await?;
    overlay::release(db, page.cursor.store_seq, here(who), who.generation).await
}

/// Head office has another history: read the feeds from zero under a new generation, and wait again with what it
/// lost. What is here stays readable meanwhile, and the journal is never discarded.
pub async fn change_history(db: &Database, history: HistoryId, from: Option<Place>) -> Result<()> {
    let mut writer = db.write().await;
    let mut tx = writer.begin().await?;
    identity::begin_resync(&mut tx, history).await?;
    let who = identity::load(&mut tx).await?;
    if let Some(from) = from {
        rewind(&mut tx, &who, from).await?;
    }
    tx.commit("history").await?;
    tracing::warn!(%history, ?from, "head office has a new history");
    Ok(())
}

/// Does what a problem says must be done. Returns whether anything that is shown changed.
pub async fn problem(db: &Database, problem: &Problem, now: Millis) -> Result<bool> {
    if let Some(server_time) = problem.server_time {
        let mut writer = db.write().await;
        let mut tx = writer.begin().await?;
        identity::heard(&mut tx, now, server_time).await?;
        tx.commit("problem").await?;
    }
    let status = match Code::parse(&problem.code) {
        Some(Code::HistoryChanged) => {
            let who = identity::load(&mut *db.read().await?).await?;
            let from = problem.expected_seq.map(|seq| Place {
                epoch: problem.epoch.unwrap_or(who.epoch),
                seq,
            });
            change_history(db, problem.history_id.unwrap_or(who.history_id), from).await?;
            return Ok(true);
        }
        Some(Code::JournalGap) => {
            let Some(seq) = problem.expected_seq else {
                return Ok(false);
            };
            let mut writer = db.write().await;
            let mut tx = writer.begin().await?;
            let who = identity::load(&mut tx).await?;
            let from = Place {
                epoch: problem.epoch.unwrap_or(who.epoch),
                seq,
            };
            let again = rewind(&mut tx, &who, from).await?;
            tx.commit("problem").await?;
            return Ok(again > 0);
        }
        Some(Code::JournalFork | Code::DeviceFrozen) => DeviceStatus::Frozen,
        Some(Code::DeviceRevoked) => DeviceStatus::Revoked,
        _ => return Ok(problem.server_time.is_some()),
    };
    let mut writer = db.write().await;
    let mut tx = writer.begin().await?;
    let who = identity::load(&mut tx).await?;
    if who.device_status != status {
        identity::set_device(&mut tx, status, who.epoch).await?;
        if status == DeviceStatus::Revoked {
            wipe(&mut tx, &who).await?;
        }
        tx.commit("problem").await?;
    }
    Ok(who.device_status != status)
}
