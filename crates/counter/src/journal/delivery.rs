//! What waits to be delivered, how it ended, and when it goes.

use std::collections::BTreeSet;

use counterfoil_domain::{
    planted,
    time::{DAY, Millis},
};
use counterfoil_protocol::sync::OperationOutcome;
use serde::Serialize;
use sqlx::{Row, SqliteConnection};

use super::Place;
use crate::error::{Error, Result};

/// How long delivered operations are kept, by head office's clock.
pub const KEPT: Millis = 90 * DAY;

/// Operations to be delivered next.
#[derive(Debug, Default)]
pub struct Batch {
    /// Their canonical texts, in order.
    pub texts: Vec<String>,
    /// Whether others wait behind them.
    pub more: bool,
}

/// The oldest pending operations of one epoch, at most so many and so many bytes.
pub async fn pending(db: &mut SqliteConnection, most: usize, most_bytes: usize) -> Result<Batch> {
    let limit = i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1);
    let rows = sqlx::query("SELECT epoch, body FROM journal INDEXED BY journal_pending WHERE state = 'pending' ORDER BY epoch, seq LIMIT ?")
        .bind(limit)
        .fetch_all(db)
        .await?;
    let mut batch = Batch::default();
    let mut first_epoch = None;
    let mut bytes = 0usize;
    for row in &rows {
        let (epoch, text): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
        bytes = bytes.saturating_add(text.len() + 1);
        let another_epoch = *first_epoch.get_or_insert(epoch) != epoch;
        // One operation is always sent: alone it can't be split.
        if another_epoch || batch.texts.len() >= most || (bytes > most_bytes && !batch.texts.is_empty()) {
            batch.more = true;
            break;
        }
        batch.texts.push(text);
    }
    Ok(batch)
}

/// How many wait.
pub async fn pending_count(db: &mut SqliteConnection) -> Result<i64> {
    Ok(
        sqlx::query_scalar("SELECT COUNT(*) FROM journal WHERE state = 'pending'")
            .fetch_one(db)
            .await?,
    )
}

/// The highest sequence number of this epoch up to which every operation held is settled, without a hole; 0 = none.
///
/// Head office takes a number beyond its own for proof that it was restored from a backup. So no place that is not in
/// the journal is claimed, except before the oldest that is: those were pruned after their outcomes had come.
pub async fn acknowledged(db: &mut SqliteConnection, epoch: i64) -> Result<i64> {
    // The settled ones before the first that waits: counted in an index, because this is asked at every exchange.
    let (first, last, held): (Option<i64>, Option<i64>, i64) = sqlx::query_as(
        "SELECT MIN(seq), MAX(seq), COUNT(*) FROM journal WHERE epoch = ?1 AND seq < COALESCE(\
         (SELECT MIN(seq) FROM journal WHERE state = 'pending' AND epoch = ?1), 9223372036854775807)",
    )
    .bind(epoch)
    .fetch_one(&mut *db)
    .await?;
    let (Some(first), Some(last)) = (first, last) else {
        return Ok(0);
    };
    if last - first + 1 == held {
        return Ok(last);
    }
    Ok(sqlx::query_scalar(
        "SELECT MIN(seq) FROM journal AS held WHERE epoch = ?1 AND seq >= ?2 AND NOT EXISTS \
         (SELECT 1 FROM journal AS after WHERE after.epoch = held.epoch AND after.seq = held.seq + 1)",
    )
    .bind(epoch)
    .bind(first)
    .fetch_one(db)
    .await?)
}

#[derive(Serialize)]
struct OutcomeRow<'a> {
    epoch: i64,
    seq: i64,
    outcome: &'a str,
    detail: Option<&'a str>,
    feed: i64,
}

/// Notes how operations ended. Returns how many were news.
pub async fn settle(db: &mut SqliteConnection, outcomes: &[OperationOutcome], server_time: Millis) -> Result<u64> {
    if outcomes.is_empty() {
        return Ok(0);
    }
    let rows: Vec<OutcomeRow<'_>> = outcomes
        .iter()
        .map(|ended| OutcomeRow {
            epoch: ended.epoch,
            seq: ended.seq,
            outcome: ended.outcome.as_str(),
            detail: ended.outcome.detail(),
            feed: ended.feed,
        })
        .collect();
    let rows = serde_json::to_string(&rows).map_err(|error| Error::Internal(error.to_string()))?;
    // The plus: by its state SQLite would find all that wait.
    let done = sqlx::query(
        "UPDATE journal SET state = 'settled', conflict = 0, outcome = ended.value ->> 'outcome', \
         detail = ended.value ->> 'detail', feed = ended.value ->> 'feed', delivered_at = ?2 \
         FROM json_each(?1) AS ended WHERE journal.epoch = ended.value ->> 'epoch' \
         AND journal.seq = ended.value ->> 'seq' AND +journal.state = 'pending'",
    )
    .bind(rows)
    .bind(server_time)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Operations that lie over rows although the cursor has passed their outcomes.
#[derive(Debug, Default)]
pub struct Passed {
    /// Their places.
    pub places: BTreeSet<Place>,
    /// There are others.
    pub more: bool,
}

/// The first of them, those that lie over `most` rows or a few more. They end in order, so none stands behind one that
/// waits: that keeps the thousands that may wait from being looked through.
pub async fn passed(db: &mut SqliteConnection, store_seq: i64, most: usize) -> Result<Passed> {
    let waits: Option<(i64, i64)> = sqlx::query_as(
        "SELECT epoch, seq FROM journal INDEXED BY journal_pending WHERE state = 'pending' ORDER BY epoch, seq LIMIT 1",
    )
    .fetch_optional(&mut *db)
    .await?;
    let (epoch, seq) = waits.unwrap_or((i64::MAX, i64::MAX));
    let limit = i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1);
    // CROSS JOIN: SQLite keeps this order. The other way round it reads the whole journal.
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT t.epoch, t.seq FROM touches AS t INDEXED BY touches_operation CROSS JOIN journal AS j \
         ON j.epoch = t.epoch AND j.seq = t.seq WHERE (t.epoch, t.seq) < (?1, ?2) AND j.state = 'settled' \
         AND j.feed <= ?3 ORDER BY t.epoch, t.seq LIMIT ?4",
    )
    .bind(epoch)
    .bind(seq)
    .bind(store_seq)
    .bind(limit)
    .fetch_all(db)
    .await?;
    let places = rows.iter().take(most).map(|(epoch, seq)| Place {
        epoch: *epoch,
        seq: *seq,
    });
    Ok(Passed {
        places: places.collect(),
        more: rows.len() > most,
    })
}

/// Head office lost what it had from here on: these operations wait again, and lie over their rows again.
pub async fn rewind(db: &mut SqliteConnection, from: Place) -> Result<u64> {
    if planted!("nothing_sent_again", true, false) {
        return Ok(0);
    }
    let done = sqlx::query(
        "UPDATE journal SET state = 'pending', earlier_outcome = outcome, earlier_detail = detail, outcome = NULL, \
         detail = NULL, feed = NULL, delivered_at = NULL \
         WHERE state = 'settled' AND (epoch > ?1 OR (epoch = ?1 AND seq >= ?2))",
    )
    .bind(from.epoch)
    .bind(from.seq)
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "INSERT OR IGNORE INTO touches (entity, id, epoch, seq) SELECT entity, id, epoch, seq FROM subjects \
         WHERE epoch > ?1 OR (epoch = ?1 AND seq >= ?2)",
    )
    .bind(from.epoch)
    .bind(from.seq)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Removes what was delivered long ago. The head stays: the chain goes on from it.
pub async fn prune(db: &mut SqliteConnection, server_time: Millis) -> Result<u64> {
    let done = sqlx::query(
        "DELETE FROM journal WHERE state = 'settled' AND delivered_at < ? \
         AND (epoch, seq) < (SELECT epoch, seq FROM journal ORDER BY epoch DESC, seq DESC LIMIT 1) \
         AND NOT EXISTS (SELECT 1 FROM touches WHERE touches.epoch = journal.epoch AND touches.seq = journal.seq)",
    )
    .bind(server_time.saturating_sub(KEPT))
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}
