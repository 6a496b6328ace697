//! Ways to tell a member something: their inbox, the chain's own site, e-mail.
//!
//! A notice is told by every channel there is; whoever sends it keeps which channels have taken it, and tries the
//! others again later. Its id stays the same, so that the other side can tell a repetition.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use counterfoil_domain::{
    ids::{MemberId, MessageId, TenantId},
    time::Millis,
};
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Tokio1Executor,
    message::{Mailbox, header::ContentType},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{Message, Words, rows};
use crate::{
    db::Db,
    site::{self, Caller, SiteError, Webhook},
};

/// How long a mail server may take.
const MAIL_PATIENCE: Duration = Duration::from_secs(10);
/// Requests to a site at once.
const AT_ONCE: usize = 8;

/// Something to tell a member.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// The same whenever it is tried again.
    pub id: MessageId,
    /// What it is about.
    pub kind: &'static str,
    /// Whom it is for.
    pub member: MemberId,
    /// Their number.
    pub number: String,
    /// Where they want mail.
    pub email: Option<String>,
    /// What it says.
    pub words: Words,
    /// What a program needs to know.
    pub data: Value,
    /// When.
    pub at: Millis,
}

/// A way to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Channel {
    /// The member's messages.
    Inbox,
    /// The chain's own site.
    Webhook,
    /// E-mail.
    Email,
}

impl Channel {
    /// Its bit in what a row knows to be told.
    pub fn bit(self) -> i64 {
        match self {
            Self::Inbox => 1,
            Self::Webhook => 2,
            Self::Email => 4,
        }
    }
}

/// It did not go through; what is said holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not told: {0}")]
pub struct NotTold(pub String);

/// The results of telling, one a notice.
pub type Telling<'a> = Pin<Box<dyn Future<Output = Vec<Result<(), NotTold>>> + Send + 'a>>;

/// All ways to tell members; set once what is due at its time is done here.
pub type Notifiers = std::sync::OnceLock<Vec<Arc<dyn Notifier>>>;

/// A channel at work.
pub trait Notifier: std::fmt::Debug + Send + Sync {
    /// Which channel.
    fn channel(&self) -> Channel;
    /// Tells all of them. A notice that is nothing for this channel counts as told.
    fn tell<'a>(&'a self, tenant: TenantId, notices: &'a [Notice]) -> Telling<'a>;
}

/// Members' messages, in head office's own database.
#[derive(Debug)]
pub struct Inbox(pub Arc<Db>);

impl Notifier for Inbox {
    fn channel(&self) -> Channel {
        Channel::Inbox
    }

    fn tell<'a>(&'a self, tenant: TenantId, notices: &'a [Notice]) -> Telling<'a> {
        Box::pin(async move {
            let told = self.store(tenant, notices).await;
            let told = told.map_err(|error| NotTold(error.to_string()));
            vec![told; notices.len()]
        })
    }
}

impl Inbox {
    async fn store(&self, tenant: TenantId, notices: &[Notice]) -> Result<(), crate::db::DbError> {
        let messages: Vec<Message> = notices
            .iter()
            .map(|notice| Message {
                id: notice.id,
                kind: notice.kind.to_owned(),
                words: notice.words.clone(),
                sent_at: notice.at,
                sent_by: None,
            })
            .collect();
        let rows: Vec<(&Message, Option<i64>)> = messages.iter().map(|message| (message, None)).collect();
        let mut lease = self.0.lease_behind().await?;
        let mut transaction = lease.begin().await?;
        rows::insert(&mut transaction, tenant, &rows).await?;
        let own: Vec<(MemberId, MessageId)> = notices.iter().map(|notice| (notice.member, notice.id)).collect();
        if let Some(first) = notices.first() {
            rows::insert_own(&mut transaction, tenant, &own, first.at).await?;
        }
        transaction.commit("messages.store").await?;
        Ok(())
    }
}

/// The chain's own site, which may send a push message or a text.
#[derive(Debug)]
pub struct ToSite {
    db: Arc<Db>,
    caller: Caller,
}

impl ToSite {
    /// Tells through this caller.
    pub fn new(db: Arc<Db>, caller: Caller) -> Self {
        Self { db, caller }
    }

    async fn webhook(&self, tenant: TenantId) -> Result<Option<Webhook>, crate::db::DbError> {
        let mut connection = self.db.reader().acquire().await?;
        site::rows::webhook(&mut connection, tenant).await
    }
}

fn body(notice: &Notice) -> Vec<u8> {
    json!({
        "kind": notice.kind,
        "id": notice.id,
        "member": notice.number,
        "title_zh": notice.words.title_zh,
        "title_en": notice.words.title_en,
        "body_zh": notice.words.body_zh,
        "body_en": notice.words.body_en,
        "data": notice.data,
    })
    .to_string()
    .into_bytes()
}

impl Notifier for ToSite {
    fn channel(&self) -> Channel {
        Channel::Webhook
    }

    fn tell<'a>(&'a self, tenant: TenantId, notices: &'a [Notice]) -> Telling<'a> {
        Box::pin(async move {
            let webhook = match self.webhook(tenant).await {
                Ok(Some(webhook)) => webhook,
                // It has no site: nothing to tell there.
                Ok(None) => return vec![Ok(()); notices.len()],
                Err(error) => return vec![Err(NotTold(error.to_string())); notices.len()],
            };
            let mut told = vec![Err(NotTold("it was not tried".into())); notices.len()];
            let mut waiting = notices.iter().enumerate();
            let mut sending = JoinSet::new();
            // A site that is not reached now is not tried with the rest: each try would wait as long.
            let mut reached = true;
            loop {
                while reached
                    && sending.len() < AT_ONCE
                    && let Some((place, notice)) = waiting.next()
                {
                    let (caller, webhook) = (self.caller.clone(), webhook.clone());
                    let (id, body) = (notice.id.0, body(notice));
                    sending.spawn(async move { (place, caller.post(&webhook, id, body).await) });
                }
                match sending.join_next().await {
                    None => return told,
                    Some(Err(error)) => tracing::error!(%error, "telling a site failed"),
                    Some(Ok((place, sent))) => {
                        reached &= !matches!(sent, Err(SiteError::Unreached(_)));
                        if let Some(slot) = told.get_mut(place) {
                            *slot = sent.map(drop).map_err(|error| NotTold(error.to_string()));
                        }
                    }
                }
            }
        })
    }
}

/// E-mail, through one server.
pub struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").field("from", &self.from).finish_non_exhaustive()
    }
}

impl Mail {
    /// A server by its URL (`smtps://user:password@host`, `smtp://host:25?tls=required`), and whose mails they are.
    ///
    /// # Errors
    /// What is wrong with either; the URL itself is not repeated, it holds a password.
    pub fn new(url: &str, from: &str) -> Result<Self, &'static str> {
        let from = from.parse().map_err(|_| "the sender is no e-mail address")?;
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)
            .map_err(|_| "the mail server's URL does not read, as smtps://user:password@host")?
            .timeout(Some(MAIL_PATIENCE))
            .build();
        Ok(Self { transport, from })
    }

    /// Sends one; an error that is the server's, not the mail's, is worth no further try now.
    async fn send(&self, notice: &Notice) -> Result<(), (NotTold, bool)> {
        let Some(to) = &notice.email else { return Ok(()) };
        let Ok(to) = to.parse::<Mailbox>() else {
            // It will never go through: nothing to try again.
            tracing::warn!("a member's e-mail address does not read");
            return Ok(());
        };
        let words = &notice.words;
        let mail = lettre::Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(format!("{} / {}", words.title_zh, words.title_en))
            .message_id(Some(format!("<{}@counterfoil>", notice.id)))
            .header(ContentType::TEXT_PLAIN)
            .body(format!("{}\n\n{}\n", words.body_zh, words.body_en))
            .map_err(|error| (NotTold(error.to_string()), false))?;
        match self.transport.send(mail).await {
            Ok(_) => Ok(()),
            Err(error) => Err(match error.status() {
                Some(status) => (NotTold(format!("the mail server said {status}")), false),
                None => (NotTold("the mail server was not reached".into()), true),
            }),
        }
    }
}

impl Notifier for Mail {
    fn channel(&self) -> Channel {
        Channel::Email
    }

    fn tell<'a>(&'a self, _: TenantId, notices: &'a [Notice]) -> Telling<'a> {
        Box::pin(async move {
            let mut told = vec![Err(NotTold("it was not tried".into())); notices.len()];
            for (slot, notice) in told.iter_mut().zip(notices) {
                match self.send(notice).await {
                    Ok(()) => *slot = Ok(()),
                    Err((error, of_server)) => {
                        *slot = Err(error);
                        if of_server {
                            break;
                        }
                    }
                }
            }
            told
        })
    }
}
