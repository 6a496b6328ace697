//! Rows and the operations over them, read and written in a handful of statements however many they are.

use std::collections::{BTreeMap, BTreeSet};

use counterfoil_domain::{
    ids::OperationId,
    operations::{OperationKind, Outcome, Times},
    points::earning::EarningRule,
    transition::{Applied, Doing, Subject, genesis},
};
use counterfoil_protocol::operation::open;
use serde::Serialize;
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::{
    Here,
    lay::{Laid, Seen},
};
use crate::{
    copies::Ground,
    db::Fault,
    error::{Error, Result},
    journal::{Place, outcome_of, subject_of},
    points,
    replica::NOTHING,
};

/// A row as it is stored.
#[derive(Debug)]
struct Held {
    /// As head office sent it.
    base: String,
    /// As it was seen so far.
    image: String,
    /// No operation lay over it so far.
    bare: bool,
}

/// Rows that operations link, and these operations.
#[derive(Debug, Default)]
pub struct Group {
    rows: BTreeMap<Subject, Held>,
    linked: BTreeSet<Subject>,
    /// Which of the operations are marked as conflicts.
    marked: BTreeMap<Place, bool>,
    /// The operations, in the journal's order.
    pub laid: Vec<Laid>,
    /// Operations that a void among them undoes and that lie over nothing any more.
    pub earlier: Vec<Applied>,
    /// Where accounts are among the rows: the versions of the rule of earning.
    pub rules: Vec<EarningRule>,
}

/// As a list that a statement reads.
fn list<T: Serialize>(values: &[T]) -> Result<String> {
    serde_json::to_string(values).map_err(|error| Error::Internal(error.to_string()))
}

fn named<'a>(subjects: impl IntoIterator<Item = &'a Subject>) -> Result<String> {
    let names: Vec<(&str, String)> = subjects
        .into_iter()
        .map(|subject| (subject.word(), hex::encode(subject.bytes())))
        .collect();
    list(&names)
}

fn placed(places: &BTreeSet<Place>) -> Result<String> {
    let places: Vec<(i64, i64)> = places.iter().map(|place| (place.epoch, place.seq)).collect();
    list(&places)
}

/// The subject that the first two columns of a row name.
fn subject(row: &SqliteRow) -> Result<Subject> {
    subject_of(row.try_get(0)?, row.try_get(1)?)
}

/// Those of the rows that operations lie over.
pub async fn touched(db: &mut SqliteConnection, subjects: &[Subject]) -> Result<BTreeSet<Subject>> {
    let mut touched = BTreeSet::new();
    if subjects.is_empty() {
        return Ok(touched);
    }
    let rows = sqlx::query(
        "SELECT name.value ->> 0, unhex(name.value ->> 1) FROM json_each(?1) AS name WHERE EXISTS (SELECT 1 FROM touches \
         WHERE touches.entity = name.value ->> 0 AND touches.id = unhex(name.value ->> 1))",
    )
    .bind(named(subjects)?)
    .fetch_all(db)
    .await?;
    for row in &rows {
        touched.insert(subject(row)?);
    }
    Ok(touched)
}

/// Every row that operations lie over.
pub async fn all_touched(db: &mut SqliteConnection) -> Result<BTreeSet<Subject>> {
    let rows = sqlx::query("SELECT DISTINCT entity, id FROM touches")
        .fetch_all(db)
        .await?;
    let mut touched = BTreeSet::new();
    for row in &rows {
        touched.insert(subject(row)?);
    }
    Ok(touched)
}

/// These rows as far as operations lie over them, and all that operations link to them.
pub async fn gather(db: &mut SqliteConnection, subjects: &[Subject], here: Here) -> Result<Group> {
    let mut group = Group::default();
    if subjects.is_empty() {
        return Ok(group);
    }
    // CROSS JOIN: SQLite keeps this order, from the rows to their operations and on to those operations' rows.
    let links = sqlx::query(
        "WITH RECURSIVE linked (entity, id) AS ( \
         SELECT name.value ->> 0, unhex(name.value ->> 1) FROM json_each(?1) AS name \
         UNION SELECT other.entity, other.id FROM linked \
         CROSS JOIN touches AS mine ON mine.entity = linked.entity AND mine.id = linked.id \
         CROSS JOIN touches AS other ON other.epoch = mine.epoch AND other.seq = mine.seq) \
         SELECT linked.entity, linked.id, touches.epoch, touches.seq FROM linked \
         CROSS JOIN touches ON touches.entity = linked.entity AND touches.id = linked.id",
    )
    .bind(named(subjects)?)
    .fetch_all(&mut *db)
    .await?;
    let mut over: BTreeMap<Place, Vec<Subject>> = BTreeMap::new();
    for link in &links {
        let place = Place {
            epoch: link.try_get(2)?,
            seq: link.try_get(3)?,
        };
        let subject = subject(link)?;
        group.linked.insert(subject);
        over.entry(place).or_default().push(subject);
    }
    if over.is_empty() {
        return Ok(group);
    }
    group.read_rows(db).await?;
    group.read_operations(db, over, here).await?;
    group.read_earlier(db, here).await?;
    if group
        .linked
        .iter()
        .any(|subject| matches!(subject, Subject::Account(_)))
    {
        group.rules = points::rules(db).await?;
    }
    Ok(group)
}

fn read(text: &str) -> Result<counterfoil_domain::transition::Arrival> {
    let (_, arrival) =
        open(0, text).map_err(|error| Error::database(Fault::Corrupt, format!("a journaled operation: {error}")))?;
    Ok(arrival)
}

impl Group {
    /// The rows that operations lie over, here or not.
    pub fn linked(&self) -> BTreeSet<Subject> {
        self.linked.clone()
    }

    /// The rows as head office sent them. A coupon known by its token only is not among them: it comes with a page.
    pub fn bases(&self) -> Result<BTreeMap<Subject, Ground>> {
        let rows = self.rows.iter();
        rows.map(|(subject, held)| Ok((*subject, Ground::read(*subject, &held.base)?)))
            .collect()
    }

    async fn read_rows(&mut self, db: &mut SqliteConnection) -> Result<()> {
        let rows = sqlx::query(
            "SELECT replica.entity, replica.id, COALESCE(base, image), base IS NULL, image \
             FROM json_each(?1) AS name CROSS JOIN replica \
             ON replica.entity = name.value ->> 0 AND replica.id = unhex(name.value ->> 1)",
        )
        .bind(named(&self.linked)?)
        .fetch_all(db)
        .await?;
        for row in &rows {
            let held = Held {
                base: row.try_get(2)?,
                bare: row.try_get(3)?,
                image: row.try_get(4)?,
            };
            self.rows.insert(subject(row)?, held);
        }
        Ok(())
    }

    async fn read_operations(
        &mut self,
        db: &mut SqliteConnection,
        mut over: BTreeMap<Place, Vec<Subject>>,
        here: Here,
    ) -> Result<()> {
        let rows = sqlx::query(
            "SELECT epoch, seq, body, outcome, detail, conflict FROM json_each(?1) AS place CROSS JOIN journal \
             ON epoch = place.value ->> 0 AND seq = place.value ->> 1 ORDER BY epoch, seq",
        )
        .bind(placed(&over.keys().copied().collect())?)
        .fetch_all(db)
        .await?;
        for row in &rows {
            let arrival = read(row.try_get(2)?)?;
            let Some(action) = arrival.action else { continue };
            let place = Place {
                epoch: row.try_get(0)?,
                seq: row.try_get(1)?,
            };
            self.marked.insert(place, row.try_get::<i64, _>(5)? != 0);
            self.laid.push(Laid {
                place,
                doing: Doing {
                    operation: arrival.id,
                    device: here.device,
                    store: here.store,
                    actor: arrival.actor,
                    times: Times {
                        occurred_at: arrival.occurred_at,
                        received_at: arrival.occurred_at,
                        settled_at: None,
                    },
                },
                action,
                over: over.remove(&place).unwrap_or_default(),
                outcome: outcome_of(row.try_get(3)?, row.try_get(4)?)?,
            });
        }
        Ok(())
    }

    async fn read_earlier(&mut self, db: &mut SqliteConnection, here: Here) -> Result<()> {
        let known: BTreeSet<OperationId> = self.laid.iter().map(|laid| laid.doing.operation).collect();
        let targets: BTreeSet<String> = self
            .laid
            .iter()
            .filter_map(|laid| laid.action.undoes().filter(|target| !known.contains(target)))
            .map(|target| hex::encode(target.bytes()))
            .collect();
        if targets.is_empty() {
            return Ok(());
        }
        let rows = sqlx::query(
            "SELECT epoch, seq, body, outcome, detail FROM json_each(?1) AS target CROSS JOIN journal \
             ON op_id = unhex(target.value)",
        )
        .bind(list(&targets.into_iter().collect::<Vec<_>>())?)
        .fetch_all(db)
        .await?;
        for row in &rows {
            let arrival = read(row.try_get(2)?)?;
            self.earlier.push(Applied {
                id: arrival.id,
                device: here.device,
                epoch: row.try_get(0)?,
                seq: row.try_get(1)?,
                fingerprint: genesis(),
                subject: arrival.action.and_then(|action| action.subject(arrival.id)),
                outcome: outcome_of(row.try_get(3)?, row.try_get(4)?)?.unwrap_or(Outcome::Applied),
            });
        }
        Ok(())
    }

    /// Writes down what is seen, where that is another than before.
    pub async fn write(&self, db: &mut SqliteConnection, seen: &Seen) -> Result<()> {
        let mut images = Vec::new();
        for (subject, row) in &seen.rows {
            let (Some(held), image) = (self.rows.get(subject), row.write()?) else {
                continue;
            };
            if held.bare || held.image != image {
                images.push((subject.word(), hex::encode(subject.bytes()), image));
            }
        }
        if !images.is_empty() {
            sqlx::query(
                "UPDATE replica SET image = seen.value ->> 2, base = COALESCE(base, image) FROM json_each(?1) AS seen \
                 WHERE replica.entity = seen.value ->> 0 AND replica.id = unhex(seen.value ->> 1)",
            )
            .bind(list(&images)?)
            .execute(&mut *db)
            .await?;
        }
        let marks: Vec<(i64, i64, i64)> = self
            .marked
            .iter()
            .map(|(place, marked)| (place, *marked, seen.conflicts.contains(place)))
            .filter(|(_, marked, conflict)| marked != conflict)
            .map(|(place, _, conflict)| (place.epoch, place.seq, i64::from(conflict)))
            .collect();
        if !marks.is_empty() {
            // touches.conflict said it row by row; nobody reads it any more. The plus: by its state SQLite would find all that
            // wait.
            sqlx::query(
                "UPDATE journal SET conflict = mark.value ->> 2 FROM json_each(?1) AS mark \
                 WHERE journal.epoch = mark.value ->> 0 AND journal.seq = mark.value ->> 1 AND +state = 'pending'",
            )
            .bind(list(&marks)?)
            .execute(db)
            .await?;
        }
        Ok(())
    }
}

/// Takes these operations away from their rows; which rows those were.
pub async fn let_go(db: &mut SqliteConnection, places: &BTreeSet<Place>) -> Result<BTreeSet<Subject>> {
    let mut rows = BTreeSet::new();
    if places.is_empty() {
        return Ok(rows);
    }
    let gone = sqlx::query(
        "DELETE FROM touches WHERE (epoch, seq) IN (SELECT place.value ->> 0, place.value ->> 1 \
         FROM json_each(?1) AS place) RETURNING entity, id",
    )
    .bind(placed(places)?)
    .fetch_all(db)
    .await?;
    for row in &gone {
        rows.insert(subject(row)?);
    }
    Ok(rows)
}

/// Rows that no operation lies over any more are what head office sent, if it sent them.
pub async fn free(db: &mut SqliteConnection, subjects: &[Subject], generation: i64) -> Result<()> {
    if subjects.is_empty() {
        return Ok(());
    }
    let names = named(subjects)?;
    // Head office set the sale aside and has no row of it; or the feed, read from zero, no longer mentions the row, which
    // was kept for the operation's sake.
    sqlx::query(
        "DELETE FROM replica WHERE rowid IN (SELECT freed.rowid FROM json_each(?1) AS name CROSS JOIN replica AS freed \
         ON freed.entity = name.value ->> 0 AND freed.id = unhex(name.value ->> 1)) AND (COALESCE(base, image) = ?2 \
         OR (generation < ?3 AND NOT EXISTS (SELECT 1 FROM identity WHERE resyncing = 1)))",
    )
    .bind(&names)
    .bind(NOTHING)
    .bind(generation)
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "UPDATE replica SET image = base, base = NULL FROM json_each(?1) AS name WHERE replica.entity = name.value ->> 0 \
         AND replica.id = unhex(name.value ->> 1) AND base IS NOT NULL",
    )
    .bind(names)
    .execute(db)
    .await?;
    Ok(())
}
