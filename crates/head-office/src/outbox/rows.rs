//! SQL of the outbox and of the inbox.

use std::collections::{BTreeMap, BTreeSet};

use counterfoil_domain::{
    ids::{OutgoingId, TenantId},
    outbox::Outgoing,
    time::{DAY, Millis},
};
use sqlx::{AnyConnection, Row, any::AnyRow};

use super::Message;
use crate::{
    clock::{self, Random},
    db::{
        DbError, Dialect,
        batch::{Binds, Text, execute, execute_all, fetch, id},
    },
    engine::Line,
};

/// How long a message is remembered after it is confirmed.
const REMEMBERED: Millis = 90 * DAY;

// `CROSS JOIN`, here and below: SQLite then goes from the few to the many, and not the other way round.
const LAST: Text = Text::new(
    "SELECT o.topic, o.key, o.number, o.status FROM (VALUES ",
    ") AS v CROSS JOIN outbox o WHERE o.tenant = $1 AND o.topic = v.column1 AND o.key = v.column2 AND o.number = (SELECT MAX(l.number) FROM outbox l WHERE l.tenant = $1 AND l.topic = v.column1 AND l.key = v.column2) ORDER BY o.topic, o.key",
);

const INSERT: Text = Text::new(
    "INSERT INTO outbox (tenant, id, topic, key, number, source, body, status, next_try_at, created_at) VALUES ",
    " ON CONFLICT DO NOTHING",
);

const TAKE: Text = Text::new(
    "UPDATE outbox SET status = 'sent', tries = outbox.tries + 1, next_try_at = v.column2, sent_at = v.column3 FROM (VALUES ",
    ") AS v WHERE outbox.tenant = $1 AND outbox.id = v.column1 AND outbox.status <> 'confirmed' AND outbox.next_try_at <= v.column3 RETURNING tenant, id, topic, key, number, source, body, tries, created_at",
);

// With each the next one of its topic and key, which is changed as well: whoever writes a message holds the last one of its
// key, and two that hold and wait in different orders would wait for each other.
const SENT: Text = Text::new(
    "SELECT o.id, o.topic, o.key, o.number FROM outbox s CROSS JOIN outbox o WHERE o.tenant = s.tenant AND o.topic = s.topic AND o.key = s.key AND o.number IN (s.number, s.number + 1) AND s.tenant = $1 AND s.status = 'sent' AND s.id IN (",
    ") ORDER BY o.topic, o.key, o.number",
);

const CONFIRM: Text = Text::new(
    "UPDATE outbox SET status = 'confirmed', confirmed_at = v.column2, in_inbox = v.column3, next_try_at = NULL FROM (VALUES ",
    ") AS v WHERE outbox.tenant = $1 AND outbox.id = v.column1 AND outbox.status = 'sent'",
);

const NEXT: Text = Text::new(
    "SELECT id FROM outbox WHERE tenant = $1 AND status = 'pending' AND next_try_at IS NULL AND (topic, key, number) IN (VALUES ",
    ")",
);

const RELEASE: Text = Text::new(
    "UPDATE outbox SET next_try_at = v.column2 FROM (VALUES ",
    ") AS v WHERE outbox.tenant = $1 AND outbox.id = v.column1 AND outbox.status = 'pending' AND outbox.next_try_at IS NULL",
);

const INSERT_INBOX: Text = Text::new(
    "INSERT INTO inbox (tenant, consumer, message, done_at) VALUES ",
    " ON CONFLICT DO NOTHING",
);

const FORGET_INBOX: Text = Text::new(
    "DELETE FROM inbox WHERE tenant = $1 AND (consumer, message) IN (VALUES ",
    ")",
);

const FORGET: Text = Text::new(
    "DELETE FROM outbox WHERE tenant = $1 AND id IN (",
    ") AND status = 'confirmed'",
);

fn read(row: &AnyRow) -> Result<Message, DbError> {
    Ok(Message {
        tenant: id(row, "tenant", TenantId::from_bytes)?,
        id: id(row, "id", OutgoingId::from_bytes)?,
        topic: row.try_get("topic")?,
        key: row.try_get("key")?,
        number: row.try_get("number")?,
        source: row.try_get("source")?,
        body: row.try_get("body")?,
        tries: row.try_get("tries")?,
        created_at: row.try_get("created_at")?,
    })
}

/// Whether there is a message of this topic and source.
///
/// # Errors
/// The driver's.
pub(super) async fn is_there(
    connection: &mut AnyConnection,
    tenant: TenantId,
    topic: &str,
    source: &str,
) -> Result<bool, DbError> {
    let row = sqlx::query("SELECT 1 FROM outbox WHERE tenant = $1 AND topic = $2 AND source = $3")
        .bind(tenant.bytes().to_vec())
        .bind(topic.to_owned())
        .bind(source.to_owned())
        .fetch_optional(connection)
        .await?;
    Ok(row.is_some())
}

/// Writes messages, each behind the others of its topic and key. It waits as long as the one before it is not confirmed;
/// that one's row is held meanwhile, so that nobody confirms it without seeing this one.
///
/// # Errors
/// [`DbError::RowCount`] when there is one of the same topic and source, or another process writes one of the same key now.
pub(super) async fn insert(
    connection: &mut AnyConnection,
    tenant: TenantId,
    random: &dyn Random,
    now: Millis,
    messages: &[Outgoing],
) -> Result<(), DbError> {
    let mut keys: Vec<(&str, &str)> = messages.iter().map(|one| (one.topic, one.key.as_str())).collect();
    keys.sort_unstable();
    keys.dedup();
    let lock = Dialect::of(connection).lock_suffix();
    let found = fetch(connection, LAST, lock, tenant, &keys, |b, (topic, key)| {
        b.text(topic).text(key);
    })
    .await?;
    // The last number of each topic and key, and whether what comes next waits for it.
    let mut last: BTreeMap<(String, String), (i64, bool)> = BTreeMap::new();
    for row in &found {
        let status: String = row.try_get("status")?;
        let at = (row.try_get("number")?, status != "confirmed");
        last.insert((row.try_get("topic")?, row.try_get("key")?), at);
    }
    let mut rows = Vec::with_capacity(messages.len());
    for message in messages {
        let random = clock::bytes(random).map_err(|error| DbError::config(error.to_string()))?;
        let last = last
            .entry((message.topic.to_owned(), message.key.clone()))
            .or_insert((0, false));
        let (before, waits) = *last;
        let number = before
            .checked_add(1)
            .ok_or_else(|| DbError::config("there are too many messages of one key"))?;
        *last = (number, true);
        rows.push((OutgoingId::new(now, random), number, waits, message));
    }
    execute_all(
        connection,
        "outbox",
        INSERT,
        tenant,
        &rows,
        |b, (id, number, waits, message)| {
            b.bytes(id.bytes())
                .text(message.topic)
                .text(&message.key)
                .number(*number)
                .text(&message.source)
                .text(&message.body)
                .text("pending")
                .number_or_null((!waits).then_some(now))
                .number(now);
        },
    )
    .await
}

/// What is to be handed over now, what waits longest first.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub(super) async fn due(
    connection: &mut AnyConnection,
    topic: &str,
    now: Millis,
    most: i64,
) -> Result<Vec<(TenantId, OutgoingId)>, DbError> {
    sqlx::query("SELECT tenant, id FROM outbox WHERE topic = $1 AND status <> 'confirmed' AND next_try_at <= $2 ORDER BY next_try_at LIMIT $3")
        .bind(topic.to_owned())
        .bind(now)
        .bind(most)
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| Ok((id(row, "tenant", TenantId::from_bytes)?, id(row, "id", OutgoingId::from_bytes)?)))
        .collect()
}

/// Takes those that are still due: nobody else does until `until`.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub(super) async fn take(
    connection: &mut AnyConnection,
    tenant: TenantId,
    ids: &[OutgoingId],
    now: Millis,
    until: Millis,
) -> Result<Vec<Message>, DbError> {
    fetch(connection, TAKE, "", tenant, ids, |b, id| {
        b.bytes(id.bytes()).number(until).number(now);
    })
    .await?
    .read(read)
    .collect()
}

/// Confirms messages, and lets those go that wait for them. The others are confirmed already.
///
/// # Errors
/// The driver's.
pub(super) async fn confirm(
    connection: &mut AnyConnection,
    tenant: TenantId,
    done: &[(OutgoingId, bool)],
    now: Millis,
) -> Result<(), DbError> {
    let lock = Dialect::of(connection).lock_suffix();
    let mut in_inbox: BTreeMap<OutgoingId, bool> = done.iter().copied().collect();
    let found = fetch(connection, SENT, lock, tenant, done, |b, (id, _)| {
        b.bytes(id.bytes());
    })
    .await?;
    let mut sent = Vec::with_capacity(found.len());
    let mut next: Vec<(String, String, i64)> = Vec::with_capacity(found.len());
    for row in &found {
        let id = id(row, "id", OutgoingId::from_bytes)?;
        let Some(in_inbox) = in_inbox.remove(&id) else {
            continue;
        };
        sent.push((id, in_inbox));
        let number: i64 = row.try_get("number")?;
        next.push((row.try_get("topic")?, row.try_get("key")?, number.saturating_add(1)));
    }
    execute_all(connection, "outbox", CONFIRM, tenant, &sent, |b, (id, in_inbox)| {
        b.bytes(id.bytes()).number(now).number(i64::from(*in_inbox));
    })
    .await?;
    // Looked for only now: what was written while its row was waited for is seen.
    let next = fetch(connection, NEXT, "", tenant, &next, |b, (topic, key, number)| {
        b.text(topic).text(key).number(*number);
    })
    .await?;
    let next: Vec<OutgoingId> = next
        .read(|row| id(row, "id", OutgoingId::from_bytes))
        .collect::<Result<_, _>>()?;
    execute(connection, RELEASE, tenant, &next, |b, id| {
        b.bytes(id.bytes()).number(now);
    })
    .await?;
    Ok(())
}

/// A message was handed over and is not done: it is handed over again then. False when somebody else has it by now.
///
/// # Errors
/// The driver's.
pub(super) async fn failed(
    connection: &mut AnyConnection,
    message: &Message,
    error: &str,
    next_try_at: Millis,
) -> Result<bool, DbError> {
    let changed = sqlx::query(
        "UPDATE outbox SET next_try_at = $1, last_error = $2 WHERE tenant = $3 AND id = $4 AND status = 'sent' AND tries = $5",
    )
    .bind(next_try_at)
    .bind(error.to_owned())
    .bind(message.tenant.bytes().to_vec())
    .bind(message.id.bytes().to_vec())
    .bind(message.tries)
    .execute(connection)
    .await?
    .rows_affected();
    Ok(changed == 1)
}

/// Somebody is told that a message is not confirmed; false when somebody was before.
///
/// # Errors
/// The driver's.
pub(super) async fn alert(connection: &mut AnyConnection, message: &Message, now: Millis) -> Result<bool, DbError> {
    let changed = sqlx::query(
        "UPDATE outbox SET alerted_at = $1 WHERE tenant = $2 AND id = $3 AND status = 'sent' AND alerted_at IS NULL",
    )
    .bind(now)
    .bind(message.tenant.bytes().to_vec())
    .bind(message.id.bytes().to_vec())
    .execute(connection)
    .await?
    .rows_affected();
    Ok(changed == 1)
}

/// Hands a message over at once; false when it is confirmed or waits for an earlier one.
///
/// # Errors
/// The driver's.
pub(super) async fn hasten(
    connection: &mut AnyConnection,
    tenant: TenantId,
    message: OutgoingId,
    now: Millis,
) -> Result<bool, DbError> {
    let changed = sqlx::query(
        "UPDATE outbox SET next_try_at = $1 WHERE tenant = $2 AND id = $3 AND status <> 'confirmed' AND next_try_at IS NOT NULL",
    )
    .bind(now)
    .bind(tenant.bytes().to_vec())
    .bind(message.bytes().to_vec())
    .execute(connection)
    .await?
    .rows_affected();
    Ok(changed == 1)
}

/// How many messages of this topic are not confirmed, and when the oldest was written.
///
/// # Errors
/// The driver's.
pub(super) async fn backlog(connection: &mut AnyConnection, topic: &str) -> Result<(i64, Option<Millis>), DbError> {
    let row = sqlx::query(
        "SELECT COUNT(*) AS many, MIN(created_at) AS oldest FROM outbox WHERE topic = $1 AND status <> 'confirmed'",
    )
    .bind(topic.to_owned())
    .fetch_one(connection)
    .await?;
    Ok((row.try_get("many")?, row.try_get("oldest")?))
}

/// Writes the lines of messages into the inbox; those that were not there.
///
/// # Errors
/// The driver's.
pub(super) async fn insert_inbox(
    connection: &mut AnyConnection,
    tenant: TenantId,
    consumer: &str,
    messages: &[OutgoingId],
    now: Millis,
) -> Result<BTreeSet<OutgoingId>, DbError> {
    let statement = INSERT_INBOX.ending(" ON CONFLICT DO NOTHING RETURNING message");
    fetch(connection, statement, "", tenant, messages, |b, message| {
        bind_inbox(b, consumer, *message, now);
    })
    .await?
    .read(|row| id(row, "message", OutgoingId::from_bytes))
    .collect()
}

/// The line of a message in the inbox, for who writes it beside an effect of the engine.
pub(super) fn inbox_line(consumer: &str, message: OutgoingId, now: Millis) -> Line {
    let consumer = consumer.to_owned();
    Line {
        statement: INSERT_INBOX,
        bind: Box::new(move |b| bind_inbox(b, &consumer, message, now)),
    }
}

fn bind_inbox(b: &mut Binds, consumer: &str, message: OutgoingId, now: Millis) {
    b.text(consumer).bytes(message.bytes()).number(now);
}

/// Whether the line of a message is in the inbox.
///
/// # Errors
/// The driver's.
pub(super) async fn in_inbox(
    connection: &mut AnyConnection,
    tenant: TenantId,
    consumer: &str,
    message: OutgoingId,
) -> Result<bool, DbError> {
    let row = sqlx::query("SELECT 1 FROM inbox WHERE tenant = $1 AND consumer = $2 AND message = $3")
        .bind(tenant.bytes().to_vec())
        .bind(consumer.to_owned())
        .bind(message.bytes().to_vec())
        .fetch_optional(connection)
        .await?;
    Ok(row.is_some())
}

/// Forgets messages that were confirmed long ago, and their lines of the inbox.
///
/// # Errors
/// The driver's.
pub async fn forget(connection: &mut AnyConnection, now: Millis, most: i64) -> Result<bool, DbError> {
    let old = sqlx::query(
        "SELECT tenant, id, topic FROM outbox WHERE status = 'confirmed' AND confirmed_at <= $1 ORDER BY confirmed_at LIMIT $2",
    )
    .bind(now - REMEMBERED)
    .bind(most)
    .fetch_all(&mut *connection)
    .await?;
    let mut of: BTreeMap<TenantId, Vec<(OutgoingId, String)>> = BTreeMap::new();
    for row in &old {
        let one = (id(row, "id", OutgoingId::from_bytes)?, row.try_get("topic")?);
        of.entry(id(row, "tenant", TenantId::from_bytes)?)
            .or_default()
            .push(one);
    }
    for (tenant, messages) in &of {
        execute(connection, FORGET_INBOX, *tenant, messages, |b, (id, topic)| {
            b.text(topic).bytes(id.bytes());
        })
        .await?;
        execute(connection, FORGET, *tenant, messages, |b, (id, _)| {
            b.bytes(id.bytes());
        })
        .await?;
    }
    Ok(old.len() as u64 >= most.unsigned_abs())
}
