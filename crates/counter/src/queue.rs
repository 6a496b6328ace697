//! What the journal looks like to people: what waits, what was delivered, what became an exception.

use counterfoil_domain::{ids::OperationId, operations::Outcome, time::Millis};
use serde::Serialize;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection, sqlite::SqliteRow};

use crate::{
    error::Result,
    journal::{Place, Title, can_be_undone, outcome_of},
};

/// How many operations stand where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct QueueCounts {
    /// Not delivered yet.
    pub pending: i64,
    /// Delivered, exceptions included.
    pub delivered: i64,
    /// Ended in an exception or in quarantine.
    pub exceptions: i64,
}

/// Where an operation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::IntoStaticStr, strum::EnumString)]
#[serde(rename_all = "camelCase")]
#[strum(serialize_all = "camelCase")]
pub enum QueueState {
    /// It waits.
    Pending,
    /// It waits, and will probably end in an exception.
    ConflictExpected,
    /// It had its effect.
    Applied,
    /// It broke a rule; a case is open.
    Exception,
    /// It is kept without effect until a person has looked at it.
    Quarantined,
}

/// One operation of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QueueEntry {
    /// Its id.
    pub op_id: OperationId,
    /// Its place.
    pub place: Place,
    /// The word of its kind, [`Action::kind`](counterfoil_domain::operations::Action::kind).
    pub kind: String,
    /// What it was about.
    pub title: Title,
    /// When it happened.
    pub at: Millis,
    /// By whom.
    pub clerk: String,
    /// What it was worth, minor units.
    pub worth: i64,
    /// Where it stands.
    pub state: QueueState,
    /// The exception's kind, or the reason of the quarantine.
    pub exception: Option<String>,
    /// When head office took it, by its clock.
    pub delivered_at: Option<Millis>,
    /// It was undone.
    pub voided: bool,
    /// It can be undone here.
    pub voidable: bool,
}

/// How many operations stand where.
pub async fn counts(db: &mut SqliteConnection) -> Result<QueueCounts> {
    let (pending, delivered, exceptions) = sqlx::query_as(
        "SELECT (SELECT COUNT(*) FROM journal WHERE state = 'pending'), \
         (SELECT COUNT(*) FROM journal WHERE state = 'settled'), \
         (SELECT COUNT(*) FROM journal WHERE state = 'settled' AND outcome <> 'applied')",
    )
    .fetch_one(db)
    .await?;
    Ok(QueueCounts {
        pending,
        delivered,
        exceptions,
    })
}

fn entry(row: &SqliteRow) -> Result<QueueEntry> {
    let kind: String = row.try_get(3)?;
    let outcome = outcome_of(row.try_get(11)?, row.try_get(12)?)?;
    let conflict = row.try_get::<i64, _>(10)? != 0;
    let voided = row.try_get::<i64, _>(14)? != 0;
    let state = match outcome {
        None if conflict => QueueState::ConflictExpected,
        None => QueueState::Pending,
        Some(Outcome::Applied) => QueueState::Applied,
        Some(Outcome::AppliedWithException { .. }) => QueueState::Exception,
        Some(Outcome::Quarantined { .. }) => QueueState::Quarantined,
    };
    Ok(QueueEntry {
        op_id: OperationId::from_bytes(row.try_get(0)?)?,
        place: Place {
            epoch: row.try_get(1)?,
            seq: row.try_get(2)?,
        },
        voidable: can_be_undone(row.try_get(15)?) && !voided && !matches!(outcome, Some(Outcome::Quarantined { .. })),
        kind,
        title: Title {
            zh: row.try_get(4)?,
            en: row.try_get(5)?,
        },
        at: row.try_get(6)?,
        clerk: row.try_get(7)?,
        worth: row.try_get(8)?,
        state,
        exception: outcome.and_then(|outcome| outcome.detail()).map(str::to_owned),
        delivered_at: row.try_get(13)?,
        voided,
    })
}

const COLUMNS: &str = "SELECT op_id, epoch, seq, kind, title_zh, title_en, occurred_at, clerk_name, worth, state, \
     conflict, outcome, detail, delivered_at, voided_by IS NOT NULL, body FROM journal WHERE TRUE";

/// A page of the journal, newest first, of one state or all, older than `before`.
pub async fn page(
    db: &mut SqliteConnection,
    state: Option<QueueState>,
    before: Option<Place>,
    limit: i64,
) -> Result<Vec<QueueEntry>> {
    let mut query = QueryBuilder::<Sqlite>::new(COLUMNS);
    query.push(match state {
        None => "",
        Some(QueueState::Pending) => " AND state = 'pending'",
        Some(QueueState::ConflictExpected) => " AND state = 'pending' AND conflict = 1",
        Some(QueueState::Applied) => " AND state = 'settled' AND outcome = 'applied'",
        Some(QueueState::Exception) => " AND state = 'settled' AND outcome = 'applied_with_exception'",
        Some(QueueState::Quarantined) => " AND state = 'settled' AND outcome = 'quarantined'",
    });
    if let Some(before) = before {
        query
            .push(" AND (epoch, seq) < (")
            .push_bind(before.epoch)
            .push(", ")
            .push_bind(before.seq)
            .push(")");
    }
    query
        .push(" ORDER BY epoch DESC, seq DESC LIMIT ")
        .push_bind(limit.clamp(1, 500));
    query.build().fetch_all(db).await?.iter().map(entry).collect()
}

/// One operation.
pub async fn find(db: &mut SqliteConnection, id: OperationId) -> Result<Option<QueueEntry>> {
    let mut query = QueryBuilder::<Sqlite>::new(COLUMNS);
    query.push(" AND op_id = ").push_bind(id.bytes().to_vec());
    query.build().fetch_optional(db).await?.as_ref().map(entry).transpose()
}

#[cfg(test)]
mod tests {
    use counterfoil_domain::words::Word;

    use super::QueueState;

    #[test]
    fn the_words_of_the_interface_are_what_they_were() {
        for (state, word) in [
            (QueueState::Pending, "pending"),
            (QueueState::ConflictExpected, "conflictExpected"),
            (QueueState::Applied, "applied"),
            (QueueState::Exception, "exception"),
            (QueueState::Quarantined, "quarantined"),
        ] {
            assert_eq!(QueueState::parse(word), Some(state));
            assert_eq!(serde_json::json!(state), word);
        }
        assert_eq!(QueueState::parse("conflict_expected"), None);
    }
}
