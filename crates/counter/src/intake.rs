//! Writing down what an answer of head office says: outcomes, rows, the cursor, what it says of this device.
//!
//! Every step is its own short transaction and can be done twice, so a crash between two of them loses nothing: what
//! was not written down is asked for again.

use counterfoil_domain::{
    ids::HistoryId,
    planted,
    time::Millis,
    transition::{DeviceStatus, Subject},
    words::Word,
};
use counterfoil_protocol::{
    problem::{Code, Problem},
    sync::{Image, Page, Row, Stopped, SyncResponse},
};

use crate::{
    copies::{self, subject_of},
    db::Database,
    error::Result,
    identity::{self, Identity},
    journal::{self, Place},
    line::AnswerSummary,
    overlay::{self, Here},
    replica,
};

/// Rows written in one transaction: some 5 ms, so that a clerk never waits long for the writer.
const SLICE: usize = 200;

/// How many rows one costs that operations lie over and that is computed again.
const LAID: usize = 3;

/// What an answer came to.
#[derive(Debug)]
pub struct TakenIn {
    /// For the engine.
    pub summary: AnswerSummary,
    /// Outcomes that were news.
    pub pushed: u64,
    /// Rows in the page.
    pub pulled: usize,
    /// Whether anything that is shown changed.
    pub changed: bool,
}

/// Writes a whole answer down.
pub async fn answer(db: &Database, sent: usize, response: &SyncResponse, now: Millis) -> Result<TakenIn> {
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
        return Ok(TakenIn {
            summary: summary(sent, 0, response, false, true),
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
    let epoch = identity::next_epoch(who.epoch, response.device.epoch);
    if (response.device.status, epoch) != (who.device_status, who.epoch) {
        changed = true;
        identity::set_device(&mut tx, response.device.status, epoch).await?;
        if response.device.status == DeviceStatus::Revoked {
            wipe(&mut tx, &who).await?;
        }
    }
    tx.commit("outcomes").await?;
    drop(writer);

    let moved = response.page.as_ref().is_some_and(|page| page.cursor != who.cursor);
    let mut pulled = 0;
    if let Some(page) = response
        .page
        .as_ref()
        .filter(|_| response.device.status != DeviceStatus::Revoked)
    {
        pulled = page.rows.len() + page.unread.len();
        changed |= pulled > 0;
        apply_page(db, page, now).await?;
    }
    Ok(TakenIn {
        summary: summary(
            sent,
            usize::try_from(pushed).unwrap_or(usize::MAX),
            response,
            moved,
            false,
        ),
        pushed,
        pulled,
        changed,
    })
}

fn summary(sent: usize, settled: usize, response: &SyncResponse, moved: bool, history_changed: bool) -> AnswerSummary {
    AnswerSummary {
        sent,
        settled,
        stopped: response.stopped.clone(),
        more_rows: response.page.as_ref().is_some_and(|page| page.more),
        moved,
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
        overlay::renew_all(db, Here::of(who)).await?;
    }
    Ok(again)
}

async fn wipe(db: &mut sqlx::SqliteConnection, who: &Identity) -> Result<()> {
    tracing::warn!("this device was revoked: member data is removed, the journal is kept until it is delivered");
    replica::wipe(db).await?;
    // Should it be reinstated, it reads everything again.
    identity::begin_resync(db, who.history_id).await
}

/// Applies a page in short transactions. The cursor moves with the last of its rows; what does not read here is noted
/// with it.
pub async fn apply_page(db: &Database, page: &Page, now: Millis) -> Result<()> {
    let mut rows = page.rows.as_slice();
    loop {
        let mut writer = db.write().await;
        let mut tx = writer.begin().await?;
        let who = identity::load(&mut tx).await?;
        let (size, left) = slice(&mut tx, rows).await?;
        let (slice, rest) = rows.split_at(size);
        let keys = replica::store(&mut tx, slice, who.generation, false).await?;
        overlay::renew_touched(&mut tx, &keys, Here::of(&who)).await?;
        for row in slice {
            if let Image::Store(store) = &row.image
                && store.id == who.store.id
                && *store != who.store
            {
                identity::set_store(&mut tx, store).await?;
            }
        }
        let mut more = !rest.is_empty();
        if !more {
            more = finish_page(&mut tx, page, &who, now, left / LAID).await?;
        }
        tx.commit("page").await?;
        drop(writer);
        if !more {
            return Ok(());
        }
        // The clerk comes first: whoever waits for the writer gets it before the next slice.
        tokio::task::yield_now().await;
        if rest.is_empty() {
            return release(db, page).await;
        }
        rows = rest;
    }
}

/// How many of these rows one transaction takes, and for how many more there is room in it.
async fn slice(db: &mut sqlx::SqliteConnection, rows: &[Row]) -> Result<(usize, usize)> {
    let rows = rows.get(..SLICE).unwrap_or(rows);
    let subjects: Vec<Option<Subject>> = rows.iter().map(|row| subject_of(&row.image)).collect();
    let known: Vec<Subject> = subjects.iter().copied().flatten().collect();
    let touched = overlay::touched(db, &known).await?;
    let mut left = SLICE;
    for (place, subject) in subjects.iter().enumerate() {
        let laid = subject.is_some_and(|subject| touched.contains(&subject));
        let cost = if laid { LAID } else { 1 };
        if cost > left {
            return Ok((place, 0));
        }
        left -= cost;
    }
    Ok((rows.len(), left))
}

/// Moves the cursor, and lets operations go that it has passed: so many now. Whether others are left.
async fn finish_page(
    db: &mut sqlx::SqliteConnection,
    page: &Page,
    who: &Identity,
    now: Millis,
    most: usize,
) -> Result<bool> {
    // Told for the last time: they were seen at other stores since. Their coupons may stand anywhere in the page.
    for row in &page.rows {
        if let Image::Member(member) = &row.image
            && !member.recent_stores.contains(&who.store.id)
        {
            replica::forget(db, member.id, who.store.id).await?;
        }
    }
    if !page.unread.is_empty() {
        tracing::warn!(kinds = ?page.unread, "head office tells of what this program does not understand: update it");
        identity::note_unread(db, &page.unread).await?;
    }
    if page.cursor != who.cursor && planted!("cursor_never_moves", false, true) {
        identity::set_cursor(db, &page.cursor).await?;
    }
    if page.more {
        return Ok(false);
    }
    if who.resyncing {
        replica::drop_older_generations(db, who.generation).await?;
    }
    identity::pulled_all(db, now).await?;
    // What operations did is seen by them until a program reads the rows that show it.
    if identity::unread(db).await?.iter().any(|kind| copies::is_overlaid(kind)) {
        return Ok(false);
    }
    overlay::release(db, page.cursor.store_seq, Here::of(who), who.generation, most).await
}

/// Lets the other operations go that the cursor has passed. A crash in between leaves them to the end of the next page:
/// until then they are seen done once more to rows that show them.
async fn release(db: &Database, page: &Page) -> Result<()> {
    loop {
        let mut writer = db.write().await;
        let mut tx = writer.begin().await?;
        let who = identity::load(&mut tx).await?;
        let more = overlay::release(
            &mut tx,
            page.cursor.store_seq,
            Here::of(&who),
            who.generation,
            SLICE / LAID,
        )
        .await?;
        tx.commit("page").await?;
        drop(writer);
        if !more {
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
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
