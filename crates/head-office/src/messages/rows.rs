//! SQL of messages.

use counterfoil_domain::{
    ids::{MemberId, MessageId, TenantId},
    time::Millis,
    typed,
};
use sqlx::{AnyConnection, Row, any::AnyRow};

use super::{Message, Words};
use crate::db::{
    DbError,
    batch::{Text, execute, id},
};

const INSERT: Text = Text::new(
    "INSERT INTO messages (tenant, id, number, kind, title_zh, title_en, body_zh, body_en, sent_at, sent_by) VALUES ",
    " ON CONFLICT DO NOTHING",
);
const INSERT_OWN: Text = Text::new(
    "INSERT INTO member_messages (tenant, member, message, arrived_at) VALUES ",
    " ON CONFLICT DO NOTHING",
);

/// Gives the next number of a message to all. Whoever sends another one waits until this one is there, so that nobody
/// who looks meanwhile passes it by.
///
/// # Errors
/// The driver's.
pub async fn next_number(connection: &mut AnyConnection, tenant: TenantId) -> Result<i64, DbError> {
    Ok(sqlx::query_scalar(
        "INSERT INTO message_heads (tenant, number) VALUES ($1, 1) ON CONFLICT (tenant) DO UPDATE SET number = message_heads.number + 1 RETURNING number",
    )
    .bind(tenant.bytes().to_vec())
    .fetch_one(connection)
    .await?)
}

/// Stores messages; one that is there stays as it is.
///
/// # Errors
/// The driver's.
pub async fn insert(
    connection: &mut AnyConnection,
    tenant: TenantId,
    messages: &[(&Message, Option<i64>)],
) -> Result<(), DbError> {
    execute(connection, INSERT, tenant, messages, |b, (message, number)| {
        b.bytes(message.id.bytes())
            .number_or_null(*number)
            .text(&message.kind)
            .text(&message.words.title_zh)
            .text(&message.words.title_en)
            .text(&message.words.body_zh)
            .text(&message.words.body_en)
            .number(message.sent_at)
            .bytes_or_null(message.sent_by.as_ref().map(|id| &id.as_bytes()[..]));
    })
    .await?;
    Ok(())
}

/// Stores members' own rows of messages; one that is there stays as it is.
///
/// # Errors
/// The driver's.
pub async fn insert_own(
    connection: &mut AnyConnection,
    tenant: TenantId,
    own: &[(MemberId, MessageId)],
    now: Millis,
) -> Result<(), DbError> {
    execute(connection, INSERT_OWN, tenant, own, |b, (member, message)| {
        b.bytes(member.bytes()).bytes(message.bytes()).number(now);
    })
    .await?;
    Ok(())
}

/// Up to which number messages were sent to all, where the member has not looked so far.
///
/// # Errors
/// The driver's.
pub async fn news(connection: &mut AnyConnection, tenant: TenantId, member: MemberId) -> Result<Option<i64>, DbError> {
    let row = sqlx::query(
        "SELECT h.number AS head, COALESCE(i.number, 0) AS looked FROM message_heads h LEFT JOIN inboxes i ON i.tenant = h.tenant AND i.member = $2 WHERE h.tenant = $1",
    )
    .bind(tenant.bytes().to_vec())
    .bind(member.bytes().to_vec())
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let head: i64 = row.try_get("head")?;
    Ok((head > row.try_get::<i64, _>("looked")?).then_some(head))
}

/// Makes the member's rows of what was sent to all up to this number.
///
/// # Errors
/// The driver's.
pub async fn arrive(
    connection: &mut AnyConnection,
    tenant: TenantId,
    member: MemberId,
    upto: i64,
    now: Millis,
) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO member_messages (tenant, member, message, arrived_at)
         SELECT m.tenant, p.id, m.id, $3 FROM members p JOIN messages m ON m.tenant = p.tenant
         WHERE p.tenant = $1 AND p.id = $2 AND m.number <= $4 AND m.sent_at >= p.created_at
             AND m.number > COALESCE((SELECT i.number FROM inboxes i WHERE i.tenant = $1 AND i.member = $2), 0)
         ON CONFLICT DO NOTHING",
    )
    .bind(tenant.bytes().to_vec())
    .bind(member.bytes().to_vec())
    .bind(now)
    .bind(upto)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO inboxes (tenant, member, number) VALUES ($1, $2, $3) ON CONFLICT (tenant, member) DO UPDATE SET number = excluded.number WHERE inboxes.number < excluded.number",
    )
    .bind(tenant.bytes().to_vec())
    .bind(member.bytes().to_vec())
    .bind(upto)
    .execute(connection)
    .await?;
    Ok(())
}

/// A message as its member sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mine {
    /// The message.
    pub id: MessageId,
    /// What it is about.
    pub kind: String,
    /// What it says.
    pub words: Words,
    /// When it was sent.
    pub sent_at: Millis,
    /// When it was read.
    pub read_at: Option<Millis>,
}

fn words(row: &AnyRow) -> Result<Words, DbError> {
    Ok(Words {
        title_zh: row.try_get("title_zh")?,
        title_en: row.try_get("title_en")?,
        body_zh: row.try_get("body_zh")?,
        body_en: row.try_get("body_en")?,
    })
}

/// The next page of a member's messages, newest first.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn mine(
    connection: &mut AnyConnection,
    tenant: TenantId,
    member: MemberId,
    after: Option<MessageId>,
    limit: i64,
) -> Result<Vec<Mine>, DbError> {
    sqlx::query(
        "SELECT m.id, m.kind, m.title_zh, m.title_en, m.body_zh, m.body_en, m.sent_at, o.read_at FROM member_messages o JOIN messages m ON m.tenant = o.tenant AND m.id = o.message WHERE o.tenant = $1 AND o.member = $2 AND o.message < $3 ORDER BY o.message DESC LIMIT $4",
    )
    .bind(tenant.bytes().to_vec())
    .bind(member.bytes().to_vec())
    .bind(after.map_or(vec![0xff; 16], |id| id.bytes().to_vec()))
    .bind(limit)
    .fetch_all(connection)
    .await?
    .iter()
    .map(|row| {
        Ok(Mine {
            id: id(row, "id", MessageId::from_bytes)?,
            kind: row.try_get("kind")?,
            words: words(row)?,
            sent_at: row.try_get("sent_at")?,
            read_at: row.try_get("read_at")?,
        })
    })
    .collect()
}

/// How many messages a member has not read.
///
/// # Errors
/// The driver's.
pub async fn unread(connection: &mut AnyConnection, tenant: TenantId, member: MemberId) -> Result<i64, DbError> {
    Ok(sqlx::query_scalar(
        "SELECT (SELECT COUNT(*) FROM member_messages o WHERE o.tenant = $1 AND o.member = $2 AND o.read_at IS NULL)
             + (SELECT COUNT(*) FROM members p JOIN messages m ON m.tenant = p.tenant
                WHERE p.tenant = $1 AND p.id = $2 AND m.sent_at >= p.created_at
                    AND m.number > COALESCE((SELECT i.number FROM inboxes i WHERE i.tenant = $1 AND i.member = $2), 0))",
    )
    .bind(tenant.bytes().to_vec())
    .bind(member.bytes().to_vec())
    .fetch_one(connection)
    .await?)
}

/// Marks a message as read, once; false when the member has no such message.
///
/// # Errors
/// The driver's.
pub async fn read(
    connection: &mut AnyConnection,
    tenant: TenantId,
    member: MemberId,
    message: MessageId,
    now: Millis,
) -> Result<bool, DbError> {
    let changed = sqlx::query(
        "UPDATE member_messages SET read_at = COALESCE(read_at, $1) WHERE tenant = $2 AND member = $3 AND message = $4",
    )
    .bind(now)
    .bind(tenant.bytes().to_vec())
    .bind(member.bytes().to_vec())
    .bind(message.bytes().to_vec())
    .execute(connection)
    .await?
    .rows_affected();
    Ok(changed == 1)
}

/// Marks all messages as read; how many were not.
///
/// # Errors
/// The driver's.
pub async fn read_all(
    connection: &mut AnyConnection,
    tenant: TenantId,
    member: MemberId,
    now: Millis,
) -> Result<u64, DbError> {
    Ok(
        sqlx::query("UPDATE member_messages SET read_at = $1 WHERE tenant = $2 AND member = $3 AND read_at IS NULL")
            .bind(now)
            .bind(tenant.bytes().to_vec())
            .bind(member.bytes().to_vec())
            .execute(connection)
            .await?
            .rows_affected(),
    )
}

/// Keeps where a member is reminded by mail; who it is, if there is such a member.
///
/// # Errors
/// The driver's.
pub async fn set_email(
    connection: &mut AnyConnection,
    tenant: TenantId,
    number: &str,
    email: Option<String>,
) -> Result<Option<MemberId>, DbError> {
    let row = sqlx::query("UPDATE members SET email = $1 WHERE tenant = $2 AND id = (SELECT COALESCE(merged_into, id) FROM members WHERE tenant = $2 AND number = $3) RETURNING id")
        .bind(email)
        .bind(tenant.bytes().to_vec())
        .bind(typed::member_number(number))
        .fetch_optional(connection)
        .await?;
    row.map(|row| id(&row, "id", MemberId::from_bytes)).transpose()
}

/// A message as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The message.
    pub message: Message,
    /// Whether it went to all members.
    pub to_all: bool,
}

/// The next page of what people have sent, newest first.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn sent(
    connection: &mut AnyConnection,
    tenant: TenantId,
    after: Option<MessageId>,
    limit: i64,
) -> Result<Vec<Sent>, DbError> {
    sqlx::query(
        "SELECT id, number, kind, title_zh, title_en, body_zh, body_en, sent_at, sent_by FROM messages WHERE tenant = $1 AND id < $2 AND sent_by IS NOT NULL ORDER BY id DESC LIMIT $3",
    )
    .bind(tenant.bytes().to_vec())
    .bind(after.map_or(vec![0xff; 16], |id| id.bytes().to_vec()))
    .bind(limit)
    .fetch_all(connection)
    .await?
    .iter()
    .map(|row| {
        let by: Option<Vec<u8>> = row.try_get("sent_by")?;
        Ok(Sent {
            to_all: row.try_get::<Option<i64>, _>("number")?.is_some(),
            message: Message {
                id: id(row, "id", MessageId::from_bytes)?,
                kind: row.try_get("kind")?,
                words: words(row)?,
                sent_at: row.try_get("sent_at")?,
                sent_by: by.and_then(|bytes| uuid::Uuid::from_slice(&bytes).ok()),
            },
        })
    })
    .collect()
}
