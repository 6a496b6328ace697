//! An effect and its line in the inbox, in one transaction.

use std::sync::Arc;

use counterfoil_domain::{
    ids::{OutgoingId, TenantId},
    time::Millis,
    transition::{Answer, Command},
};
use futures_core::future::BoxFuture;
use sqlx::AnyConnection;

use super::{Done, Message, NotDone, rows};
use crate::{
    app::App,
    db::DbError,
    deed::{Actor, Deed},
    engine::{Keep, Kept, Line},
};

const IN_INBOX: Done = Done { in_inbox: true };

impl Message {
    /// Whether its line is in the inbox: then its effect is done, and it need only be confirmed. Worth asking before what
    /// costs much, as a question to somebody outside; [`Message::consume`] and [`Message::submit`] find out themselves.
    ///
    /// # Errors
    /// The driver's.
    pub async fn is_done(&self, app: &App) -> Result<Option<Done>, DbError> {
        let mut reader = app.db.reader().acquire().await.map_err(DbError::from)?;
        let there = rows::in_inbox(&mut reader, self.tenant, &self.topic, self.id).await?;
        Ok(there.then_some(IN_INBOX))
    }

    /// Does the effect and writes the line of the inbox, in one transaction; if the line is there already, nothing. The
    /// deed is commited here; who does it is called by the topic in the audit log.
    ///
    /// # Errors
    /// The effect's, after which nothing of it is kept, and the database's.
    pub async fn consume(
        &self,
        app: &App,
        effect: impl AsyncFnOnce(&mut Deed<'_>) -> Result<(), NotDone>,
    ) -> Result<Done, NotDone> {
        Self::consume_together(std::slice::from_ref(self), app, async |deed, _| effect(deed).await).await
    }

    /// As [`Message::consume`], of several of one chain and topic in one transaction: all of them, or none. `effect` is given
    /// those that have no line yet, if there are any.
    ///
    /// # Errors
    /// As [`Message::consume`].
    pub async fn consume_together(
        messages: &[Self],
        app: &App,
        effect: impl AsyncFnOnce(&mut Deed<'_>, &[&Self]) -> Result<(), NotDone>,
    ) -> Result<Done, NotDone> {
        let Some(Self { tenant, topic, .. }) = messages.first() else {
            return Ok(IN_INBOX);
        };
        let actor = Actor::of(*tenant, topic);
        let mut lease = app.db.lease_behind().await?;
        let mut deed = Deed::new(lease.begin().await?, app.random.as_ref(), actor, app.clock.now());
        let now = deed.now();
        let ids: Vec<OutgoingId> = messages.iter().map(|message| message.id).collect();
        let new = rows::insert_inbox(&mut deed, *tenant, topic, &ids, now).await?;
        let new: Vec<&Self> = messages.iter().filter(|message| new.contains(&message.id)).collect();
        if new.is_empty() {
            deed.rollback().await?;
            return Ok(IN_INBOX);
        }
        if let Err(error) = effect(&mut deed, &new).await {
            deed.rollback().await?;
            return Err(error);
        }
        let heads = deed.commit("outbox.consume").await?;
        app.moved(*tenant, heads);
        Ok(IN_INBOX)
    }

    /// Has the engine do the effect, unless its line is in the inbox: `command`, and that line in its transaction. `judge` says of the answer
    /// whether that is what the message asked for; if not, there is no line, and the message comes again.
    ///
    /// # Errors
    /// What `judge` says, or that the engine did not do it.
    pub async fn submit(
        &self,
        app: &App,
        command: Command,
        judge: fn(&Answer) -> Result<(), NotDone>,
    ) -> Result<Done, NotDone> {
        if let Some(done) = self.is_done(app).await? {
            return Ok(done);
        }
        let keep = Arc::new(Judged {
            message: self.clone(),
            now: app.clock.now(),
            judge,
        });
        match app.engine.submit_kept(self.tenant, command, keep).await {
            Ok(kept) if kept.status == DONE => Ok(IN_INBOX),
            Ok(kept) if kept.status == BAD => Err(NotDone::Bad(kept.body)),
            Ok(kept) => Err(NotDone::Later(kept.body)),
            // It may have been done before, here or in another process.
            Err(refusal) => self.is_done(app).await?.ok_or_else(|| refusal.into()),
        }
    }
}

const DONE: u16 = 200;
const LATER: u16 = 503;
const BAD: u16 = 422;

struct Judged {
    message: Message,
    now: Millis,
    judge: fn(&Answer) -> Result<(), NotDone>,
}

impl Keep for Judged {
    fn keep<'c>(
        &'c self,
        _connection: &'c mut AnyConnection,
        _tenant: TenantId,
        answer: &'c Answer,
    ) -> BoxFuture<'c, Result<(Kept, Option<Line>), DbError>> {
        Box::pin(async move {
            let (status, body) = match (self.judge)(answer) {
                Ok(()) => (DONE, String::new()),
                Err(NotDone::Later(why)) => (LATER, why),
                Err(NotDone::Bad(why)) => (BAD, why),
            };
            let Message { topic, id, .. } = &self.message;
            let line = (status == DONE).then(|| rows::inbox_line(topic, *id, self.now));
            Ok((Kept { status, body }, line))
        })
    }
}
