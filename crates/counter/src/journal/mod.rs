//! The journal: what happened at this counter, in order, as a hash chain. Written once, never edited.

mod delivery;

use counterfoil_domain::{
    ids::{self, ClerkId, CouponId, DeviceId, MemberId, OperationId, TenantId},
    offline::OfflineUsage,
    operations::{Action, OperationKind, Outcome},
    time::Millis,
    transition::{Fingerprint, Subject, genesis},
};
use counterfoil_protocol::operation::{Envelope, Evidence, open, seal};
pub use delivery::{Batch, KEPT, acknowledged, passed, pending, pending_count, prune, rewind, settle};
use serde::Serialize;
use sqlx::{Row, SqliteConnection};

use crate::{
    db::Fault,
    error::{Error, Result},
};

/// A place in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// Epoch, from 1.
    pub epoch: i64,
    /// Number within it, from 1.
    pub seq: i64,
}

/// What the next operation continues.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    /// Where it will stand.
    pub next: Place,
    /// What it names as its predecessor.
    pub hash: Fingerprint,
}

/// When and where an operation is made.
#[derive(Debug, Clone)]
pub struct Moment {
    /// Head office's time as this device knows it.
    pub at: Millis,
    /// Milliseconds since boot.
    pub monotonic: Millis,
    /// Which boot.
    pub boot_id: String,
    /// For the operation's id.
    pub random: [u8; 10],
    /// The store's, for the operation's id.
    pub place: ids::Place,
}

/// An operation to be written.
#[derive(Debug, Clone)]
pub struct Draft {
    /// What happened.
    pub action: Action,
    /// By whom.
    pub clerk: Option<ClerkId>,
    /// Their name, for the queue.
    pub clerk_name: String,
    /// What it is called in the queue, Chinese and English.
    pub title: Title,
    /// Whose it was.
    pub member: Option<MemberId>,
    /// What was shown.
    pub evidence: Evidence,
    /// Head office granted every freeze.
    pub confirmed: bool,
    /// What it did not grant.
    pub alone: Alone,
}

/// What an operation did without head office's word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Alone {
    /// Redemptions and hand-overs.
    pub count: i64,
    /// What they are worth, minor units.
    pub worth: i64,
}

impl Alone {
    /// One redemption, unless head office confirmed it.
    pub fn one(worth: i64, confirmed: bool) -> Self {
        if confirmed {
            Self::default()
        } else {
            Self { count: 1, worth }
        }
    }
}

/// A name in both languages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Title {
    /// 中文.
    pub zh: String,
    /// English.
    pub en: String,
}

/// An operation as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its id.
    pub op_id: OperationId,
    /// Its place.
    pub place: Place,
    /// When.
    pub at: Millis,
    /// What it is about.
    pub subjects: Vec<Subject>,
}

fn fingerprint(bytes: &[u8]) -> Result<Fingerprint> {
    bytes
        .try_into()
        .map_err(|_| Error::database(Fault::Corrupt, "a fingerprint is 32 bytes"))
}

/// Where the journal of this epoch goes on. The first operation of a later epoch names the head of the one before.
pub async fn head(db: &mut SqliteConnection, epoch: i64) -> Result<Head> {
    let last = sqlx::query("SELECT epoch, seq, fingerprint FROM journal ORDER BY epoch DESC, seq DESC LIMIT 1")
        .fetch_optional(db)
        .await?;
    let Some(last) = last else {
        return Ok(Head {
            next: Place { epoch, seq: 1 },
            hash: genesis(),
        });
    };
    let (last_epoch, last_seq): (i64, i64) = (last.try_get(0)?, last.try_get(1)?);
    let seq = if last_epoch == epoch { last_seq + 1 } else { 1 };
    Ok(Head {
        next: Place { epoch, seq },
        hash: fingerprint(last.try_get(2)?)?,
    })
}

/// Writes one operation at the end of the journal, and that it lies over its rows.
pub async fn append(
    db: &mut SqliteConnection,
    tenant: TenantId,
    device: DeviceId,
    head: Head,
    moment: Moment,
    draft: &Draft,
) -> Result<Written> {
    let op_id = OperationId::placed(moment.place, moment.at, moment.random);
    let sealed = seal(&Envelope {
        op_id,
        tenant,
        device,
        epoch: head.next.epoch,
        seq: head.next.seq,
        prev_hash: head.hash,
        version: draft.action.version(),
        actor: draft.clerk,
        occurred_at: moment.at,
        monotonic: moment.monotonic,
        boot_id: moment.boot_id,
        evidence: draft.evidence,
        action: draft.action.clone(),
    })
    .map_err(|error| Error::Internal(format!("an operation can't be written as JSON: {error}")))?;
    sqlx::query(
        "INSERT INTO journal (epoch, seq, op_id, kind, occurred_at, fingerprint, prev_hash, body, clerk, clerk_name, \
         title_zh, title_en, worth, member, confirmed, alone_count, alone_worth) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(head.next.epoch)
    .bind(head.next.seq)
    .bind(op_id.bytes().as_slice())
    .bind(draft.action.kind())
    .bind(moment.at)
    .bind(sealed.fingerprint.as_slice())
    .bind(head.hash.as_slice())
    .bind(sealed.text)
    .bind(draft.clerk.map(|id| id.bytes().to_vec()))
    .bind(&draft.clerk_name)
    .bind(&draft.title.zh)
    .bind(&draft.title.en)
    .bind(draft.action.worth())
    .bind(draft.member.map(|id| id.bytes().to_vec()))
    .bind(i64::from(draft.confirmed))
    .bind(draft.alone.count)
    .bind(draft.alone.worth)
    .execute(&mut *db)
    .await?;
    let subjects = about(db, op_id, &draft.action).await?;
    for subject in &subjects {
        note_subject(db, head.next, *subject).await?;
    }
    if let Some(target) = draft.action.undoes() {
        sqlx::query("UPDATE journal SET voided_by = ? WHERE op_id = ?")
            .bind(op_id.bytes().as_slice())
            .bind(target.bytes().as_slice())
            .execute(db)
            .await?;
    }
    Ok(Written {
        op_id,
        place: head.next,
        at: moment.at,
        subjects,
    })
}

/// Notes what an operation is about, and that it lies over that row.
async fn note_subject(db: &mut SqliteConnection, place: Place, subject: Subject) -> Result<()> {
    sqlx::query("INSERT INTO subjects (entity, id, epoch, seq) VALUES (?, ?, ?, ?)")
        .bind(subject.word())
        .bind(subject.bytes().as_slice())
        .bind(place.epoch)
        .bind(place.seq)
        .execute(&mut *db)
        .await?;
    sqlx::query("INSERT INTO touches (entity, id, epoch, seq) VALUES (?, ?, ?, ?)")
        .bind(subject.word())
        .bind(subject.bytes().as_slice())
        .bind(place.epoch)
        .bind(place.seq)
        .execute(db)
        .await?;
    Ok(())
}

/// What a row of this kind and id is, if operations are about it. A newer program may have written of more kinds.
pub fn subject_of(entity: &str, id: &[u8]) -> Result<Subject> {
    Subject::read(entity, id)?.ok_or_else(|| {
        Error::database(
            Fault::Newer,
            format!("an operation is about a {entity}, which is unknown here"),
        )
    })
}

/// What an operation is about.
pub async fn subjects(db: &mut SqliteConnection, place: Place) -> Result<Vec<Subject>> {
    let rows: Vec<(String, Vec<u8>)> =
        sqlx::query_as("SELECT entity, id FROM subjects WHERE epoch = ? AND seq = ? ORDER BY entity, id")
            .bind(place.epoch)
            .bind(place.seq)
            .fetch_all(db)
            .await?;
    let mut subjects = Vec::with_capacity(rows.len());
    for (entity, id) in rows {
        subjects.push(subject_of(&entity, &id)?);
    }
    Ok(subjects)
}

/// The rows that an operation says it is about.
pub async fn about(db: &mut SqliteConnection, operation: OperationId, action: &Action) -> Result<Vec<Subject>> {
    let mut rows = action.touches(operation);
    if let Some(undone) = action.undoes()
        && let Some(place) = place_of(db, undone).await?
    {
        rows.extend(subjects(db, place).await?);
    }
    Ok(rows)
}

/// Where an operation stands.
pub async fn place_of(db: &mut SqliteConnection, id: OperationId) -> Result<Option<Place>> {
    let found: Option<(i64, i64)> = sqlx::query_as("SELECT epoch, seq FROM journal WHERE op_id = ?")
        .bind(id.bytes().as_slice())
        .fetch_optional(db)
        .await?;
    Ok(found.map(|(epoch, seq)| Place { epoch, seq }))
}

/// An operation's canonical text, and who did it.
pub async fn text(db: &mut SqliteConnection, id: OperationId) -> Result<Option<(String, String)>> {
    Ok(sqlx::query_as("SELECT body, clerk_name FROM journal WHERE op_id = ?")
        .bind(id.bytes().as_slice())
        .fetch_optional(db)
        .await?)
}

/// What this counter did alone and has not delivered yet, and how much of it for this member.
pub async fn usage(db: &mut SqliteConnection, member: Option<MemberId>) -> Result<OfflineUsage> {
    let (count, amount, by_member): (i64, i64, i64) = sqlx::query_as(
        "SELECT COALESCE(SUM(alone_count), 0), COALESCE(SUM(alone_worth), 0), \
         COALESCE(SUM(alone_count) FILTER (WHERE member = ?), 0) FROM journal INDEXED BY journal_alone \
         WHERE state = 'pending' AND alone_count > 0 AND voided_by IS NULL",
    )
    .bind(member.map(|id| id.bytes().to_vec()))
    .fetch_one(db)
    .await?;
    Ok(OfflineUsage {
        count,
        amount,
        by_member,
    })
}

/// This counter's own redemption of a coupon that the local copy knows nothing of.
pub async fn own_redemption(db: &mut SqliteConnection, coupon: CouponId) -> Result<Option<(OperationId, Millis)>> {
    let found = sqlx::query(
        "SELECT j.op_id, j.occurred_at, j.body FROM subjects s JOIN journal j ON j.epoch = s.epoch AND j.seq = s.seq \
         WHERE s.entity = 'coupon' AND s.id = ? \
         AND j.voided_by IS NULL AND j.outcome IS NOT 'quarantined' ORDER BY s.epoch DESC, s.seq DESC",
    )
    .bind(coupon.bytes().as_slice())
    .fetch_all(db)
    .await?;
    for row in &found {
        // Voids and returns give back; what can be undone has used it.
        if can_be_undone(row.try_get(2)?) {
            return Ok(Some((OperationId::from_bytes(row.try_get(0)?)?, row.try_get(1)?)));
        }
    }
    Ok(None)
}

/// Whether a manager may undo the operation with this canonical text. One that does not read can't be undone.
pub fn can_be_undone(body: &str) -> bool {
    let action = open(0, body).ok().and_then(|(_, arrival)| arrival.action);
    action.is_some_and(|action| action.can_be_undone())
}

/// How an operation ended, if it has.
pub fn outcome_of(outcome: Option<&str>, detail: Option<&str>) -> Result<Option<Outcome>> {
    outcome
        .map(|word| {
            Outcome::parse(word, detail)
                .ok_or_else(|| Error::database(Fault::Corrupt, format!("outcome {word} {detail:?}")))
        })
        .transpose()
}

#[cfg(test)]
mod tests;
