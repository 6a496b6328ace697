//! Messages to members. What is said is stored once, however many members it is for; a member's own row of a message
//! to all is made when they look. Who registers after a message was sent to all does not get it.

mod capability;
pub mod http;
pub mod notify;
pub mod reminding;
pub mod rows;
mod rules;

pub use capability::CAPABILITY;

use counterfoil_domain::{
    ids::{MemberId, MessageId, TenantId},
    time::Millis,
};
use sqlx::AnyConnection;

use crate::{
    db::{Db, DbError},
    messages::rows::Mine,
};

/// What a message says, in both languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// Title in Chinese.
    pub title_zh: String,
    /// Title in English.
    pub title_en: String,
    /// Text in Chinese.
    pub body_zh: String,
    /// Text in English.
    pub body_en: String,
}

/// A message to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id: of the time of sending.
    pub id: MessageId,
    /// What it is about: `news` where people wrote it.
    pub kind: String,
    /// What it says.
    pub words: Words,
    /// When it is sent.
    pub sent_at: Millis,
    /// The operator who wrote it.
    pub sent_by: Option<uuid::Uuid>,
}

/// A page of a member's messages, newest first. Looking makes their own rows of what was sent to all.
///
/// # Errors
/// The database's.
pub async fn look(
    db: &Db,
    tenant: TenantId,
    member: MemberId,
    now: Millis,
    after: Option<MessageId>,
    limit: i64,
) -> Result<Vec<Mine>, DbError> {
    arrive(db, tenant, member, now).await?;
    let mut connection = db.reader().acquire().await?;
    rows::mine(&mut connection, tenant, member, after, limit).await
}

/// Makes a member's rows of what was sent to all since they last looked. Most often there is nothing to write.
async fn arrive(db: &Db, tenant: TenantId, member: MemberId, now: Millis) -> Result<(), DbError> {
    let news = {
        let mut connection = db.reader().acquire().await?;
        rows::news(&mut connection, tenant, member).await?
    };
    if let Some(upto) = news {
        let mut lease = db.lease().await?;
        let mut transaction = lease.begin().await?;
        rows::arrive(&mut transaction, tenant, member, upto, now).await?;
        transaction.commit("messages.arrive").await?;
    }
    Ok(())
}

/// How many messages a member has not read, those included that they have not looked at.
///
/// # Errors
/// The database's.
pub async fn unread(db: &Db, tenant: TenantId, member: MemberId) -> Result<i64, DbError> {
    let mut connection = db.reader().acquire().await?;
    rows::unread(&mut connection, tenant, member).await
}

/// Sends a message to every member there is: one row.
///
/// # Errors
/// The driver's.
pub async fn send_to_all(connection: &mut AnyConnection, tenant: TenantId, message: &Message) -> Result<(), DbError> {
    let number = rows::next_number(connection, tenant).await?;
    rows::insert(connection, tenant, &[(message, Some(number))]).await
}

/// Sends a message to these members: one row, and one for each of them.
///
/// # Errors
/// The driver's.
pub async fn send_to(
    connection: &mut AnyConnection,
    tenant: TenantId,
    message: &Message,
    members: &[MemberId],
) -> Result<(), DbError> {
    rows::insert(connection, tenant, &[(message, None)]).await?;
    let own: Vec<(MemberId, MessageId)> = members.iter().map(|member| (*member, message.id)).collect();
    rows::insert_own(connection, tenant, &own, message.sent_at).await
}
