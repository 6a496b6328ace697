//! Reliable messages: from what causes them to whoever consumes them, however often somebody dies in between.
//!
//! A message is a row that commits with what causes it: a command of the engine leaves an [`Outgoing`] among its facts, a
//! [`Deed`] calls [`Deed::send`]. A process that has the role of its topic's [`Consumer`] hands it over, again and again,
//! until the consumer says that it is done. So a consumer may see a message twice, and after a crash will: its effect and
//! a line of the inbox commit together ([`Message::consume`], [`Message::submit`]), and what has its line is only confirmed.
//!
//! Messages of one topic and key are handed over in the order in which they were written, and a later one waits until the
//! earlier one is confirmed. Those of another key, and those of another consumer, wait for nobody.

mod consume;
mod dispatch;
pub mod http;
pub mod rows;
pub(crate) mod rules;
mod send;
pub mod table;

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
pub use counterfoil_domain::outbox::Outgoing;
use counterfoil_domain::{
    ids::{OutgoingId, TenantId},
    time::Millis,
};
pub use dispatch::{ALERT_AFTER, VISIBLE, consumers, start, turn};
use serde::de::DeserializeOwned;

use crate::{app::App, db::DbError, engine::Refusal, processes::Role};

/// A message that is handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The chain.
    pub tenant: TenantId,
    /// Its id, the same however often it is handed over.
    pub id: OutgoingId,
    /// What kind of message it is.
    pub topic: String,
    /// What it is about.
    pub key: String,
    /// Its number among those of its topic and key.
    pub number: i64,
    /// What caused it.
    pub source: String,
    /// JSON.
    pub body: String,
    /// How often it was handed over, this time included.
    pub tries: i64,
    /// When it was written.
    pub created_at: Millis,
}

impl Message {
    /// Reads its body.
    ///
    /// # Errors
    /// [`NotDone::Bad`] when it does not read.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, NotDone> {
        serde_json::from_str(&self.body).map_err(|error| NotDone::Bad(format!("its body does not read: {error}")))
    }
}

/// Whoever consumes the messages of a topic: one for each topic.
#[async_trait]
pub trait Consumer: Debug + Send + Sync {
    /// Of which messages. It stands in the database, and never changes.
    fn topic(&self) -> &'static str;

    /// Which processes hand its messages over.
    fn role(&self) -> Role;

    /// How many it is handed at a time, in each process. They are of different keys.
    fn at_once(&self) -> usize {
        16
    }

    /// Does what the message asks for, at most once: the same message may come again, also while this call is under way in
    /// a process that is slow. A call is never cut off, so whatever it waits for outside must have a time-out: what never
    /// answers would keep its place among those [`at once`](Consumer::at_once).
    ///
    /// # Errors
    /// [`NotDone`]: it is handed over again.
    async fn handle(&self, app: &Arc<App>, message: &Message) -> Result<Done, NotDone>;

    /// How many of one chain it does together, where one transaction for all of them costs less than one for each.
    fn together(&self) -> usize {
        1
    }

    /// Does what all of these ask for, or nothing of it: then each is handed over by itself, so that a bad one keeps no
    /// other back.
    ///
    /// # Errors
    /// [`NotDone`]: none of them is done.
    async fn handle_together(&self, _app: &Arc<App>, _messages: &[Message]) -> Result<Done, NotDone> {
        Err(NotDone::Later("one by one".to_owned()))
    }
}

/// That a message is done, for good: it is confirmed and never handed over again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    in_inbox: bool,
}

impl Done {
    /// The consumer itself knows that it has done it, by rows of its own; there is no line in the inbox.
    pub const KNOWN: Self = Self { in_inbox: false };
}

/// Why a message is not done. It is handed over again whichever it is, since a newer program or a person may help; what is
/// said here is shown to operators and must hold no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotDone {
    /// It may go better later: sooner at first, then less and less often.
    #[error("{0}")]
    Later(String),
    /// This program will never be able to do it: operators are told at once, and it is handed over as rarely as can be.
    #[error("{0}")]
    Bad(String),
}

impl From<DbError> for NotDone {
    fn from(error: DbError) -> Self {
        tracing::warn!(%error, "a message is not done");
        Self::Later("the database did not keep it".to_owned())
    }
}

impl From<Refusal> for NotDone {
    fn from(refusal: Refusal) -> Self {
        Self::Later(refusal.to_string())
    }
}

/// Everybody who consumes messages.
#[derive(Debug, Default)]
pub struct Known(pub Vec<&'static dyn Consumer>);
