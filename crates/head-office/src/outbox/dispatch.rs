//! Hands messages over, again and again, until their consumers confirm them.
//!
//! Each consumer has a loop of its own, with room for a few messages at a time: one that hangs keeps nobody else waiting. A
//! message that is taken is nobody else's for [`VISIBLE`]; then whoever took it counts as dead, and another process may
//! take it. A call is never cut off in the middle: a transaction that is dropped between its BEGIN and the database's
//! answer would stay open.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use counterfoil_domain::{
    ids::{OutgoingId, TenantId},
    time::{MINUTE, Millis, SECOND},
};
use tokio::task::{Id, JoinError, JoinSet};

use super::{Consumer, Done, Known, Message, NotDone, rows};
use crate::{
    app::App,
    db::DbError,
    deed::{Actor, Deed},
    processes::Role,
    retry,
};

/// How long nobody else takes a message that is handed over.
pub const VISIBLE: Millis = 15 * SECOND;
/// After so many tries somebody is told.
pub const ALERT_AFTER: i64 = 12;
/// Longest first wait after a failure.
const FIRST: Millis = SECOND;
/// Longest wait.
const MOST: Millis = 5 * MINUTE;
/// How often messages that another process wrote are looked for.
const LOOK: Duration = Duration::from_millis(100);
/// How often it is measured how many wait.
const MEASURE: Millis = 5 * SECOND;
/// How long calls under way are waited for when the process stops.
const LAST_CALLS: Duration = Duration::from_secs(5);
/// Longest text of an error that is kept.
const ERROR_CHARACTERS: usize = 300;
/// Who stands in the audit log for alerts.
const ACTOR: &str = "outbox";

/// Those who consume messages in a process with these roles.
pub fn consumers(app: &App, roles: &[Role]) -> Vec<&'static dyn Consumer> {
    let known = app.own.of::<Known>().0.iter().copied();
    known.filter(|consumer| roles.contains(&consumer.role())).collect()
}

/// Hands messages over to these consumers until `app.stopping` is cancelled.
pub fn start(app: &Arc<App>, consumers: &[&'static dyn Consumer]) {
    for consumer in consumers {
        app.tasks.spawn(run(Arc::clone(app), *consumer));
    }
}

/// Hands over what is due now, one call after the other, at most as many as a consumer takes at a time; how many that
/// were. For who decides when that happens, as tests do.
///
/// # Errors
/// The database's. What was done stays done, and comes again if it could not be confirmed.
pub async fn turn(app: &Arc<App>, consumers: &[&'static dyn Consumer]) -> Result<usize, DbError> {
    let mut handed = 0;
    for consumer in consumers {
        let mut hands = Hands::default();
        let mut ended = Vec::new();
        for messages in take(app, *consumer, &hands).await? {
            handed += messages.len();
            hands.give(app, *consumer, messages);
            ended.extend(hands.next().await.into_iter().flatten());
        }
        settle(app, &mut hands, &mut ended).await?;
    }
    Ok(handed)
}

async fn run(app: Arc<App>, consumer: &'static dyn Consumer) {
    let mut bell = app.db.broker().bell();
    let mut hands = Hands::default();
    let mut ended = Vec::new();
    let mut measure_at = Millis::MIN;
    while !app.stopping.is_cancelled() {
        if let Err(error) = settle(&app, &mut hands, &mut ended).await {
            tracing::warn!(%error, topic = consumer.topic(), "messages that are done could not be confirmed yet");
        }
        match take(&app, consumer, &hands).await {
            Ok(calls) => calls
                .into_iter()
                .for_each(|messages| hands.give(&app, consumer, messages)),
            Err(error) => tracing::warn!(%error, topic = consumer.topic(), "no messages can be taken at the moment"),
        }
        let now = app.clock.now();
        if now >= measure_at {
            measure_at = now.saturating_add(MEASURE);
            measure(&app, consumer, now).await;
        }
        let room = hands.room(consumer) > 0;
        tokio::select! {
            () = app.stopping.cancelled() => {}
            Some(done) = hands.next() => ended.extend(done),
            () = bell.rung(), if room => {}
            () = app.clock.sleep(LOOK), if room => {}
        }
    }
    // Whatever does not end in time is handed over again, by whoever comes next.
    let all = async {
        while let Some(done) = hands.next().await {
            ended.extend(done);
        }
    };
    tokio::select! {
        () = all => {}
        () = app.clock.sleep(LAST_CALLS) => {}
    }
    if let Err(error) = settle(&app, &mut hands, &mut ended).await {
        tracing::warn!(%error, topic = consumer.topic(), "messages that are done could not be confirmed");
    }
}

/// A message and what became of it.
struct Ended {
    message: Message,
    result: Result<Done, NotDone>,
}

/// The calls under way, each with what it was handed.
#[derive(Default)]
struct Hands {
    calls: JoinSet<Vec<Result<Done, NotDone>>>,
    held: HashMap<Id, Vec<Message>>,
}

impl Hands {
    fn give(&mut self, app: &Arc<App>, consumer: &'static dyn Consumer, messages: Vec<Message>) {
        let (app, held) = (Arc::clone(app), messages.clone());
        let call = self.calls.spawn(async move {
            let mut call = std::pin::pin!(done(&app, consumer, messages));
            let late = Duration::from_millis(VISIBLE.unsigned_abs());
            tokio::select! {
                results = &mut call => return results,
                () = app.clock.sleep(late) => {}
            }
            tracing::warn!(topic = consumer.topic(), "a consumer takes very long");
            metrics::counter!("counterfoil_outbox_slow_total", "topic" => consumer.topic()).increment(1);
            call.await
        });
        self.held.insert(call.id(), held);
    }

    fn messages(&self) -> impl Iterator<Item = &Message> {
        self.held.values().flatten()
    }

    /// For how many more there is room.
    fn room(&self, consumer: &dyn Consumer) -> usize {
        consumer.at_once().max(1).saturating_sub(self.messages().count())
    }

    /// The next call that ends; `None` when there is none.
    async fn next(&mut self) -> Option<Vec<Ended>> {
        let ended = self.calls.join_next_with_id().await?;
        Some(self.ended(ended))
    }

    /// A call that has ended.
    fn try_next(&mut self) -> Option<Vec<Ended>> {
        let ended = self.calls.try_join_next_with_id()?;
        Some(self.ended(ended))
    }

    fn ended(&mut self, ended: Result<(Id, Vec<Result<Done, NotDone>>), JoinError>) -> Vec<Ended> {
        let (id, results) = match ended {
            Ok(ended) => ended,
            // Its consumer does not panic in here; whatever does leaves its messages to be handed over again.
            Err(error) => (error.id(), Vec::new()),
        };
        let messages = self.held.remove(&id).unwrap_or_default().into_iter();
        let results = results.into_iter().chain(std::iter::repeat_with(|| Err(panicked())));
        messages
            .zip(results)
            .map(|(message, result)| Ended { message, result })
            .collect()
    }
}

fn panicked() -> NotDone {
    NotDone::Bad("its consumer panicked".to_owned())
}

/// What became of each: together, and where that comes to nothing, one by one.
async fn done(app: &Arc<App>, consumer: &'static dyn Consumer, messages: Vec<Message>) -> Vec<Result<Done, NotDone>> {
    let messages = Arc::new(messages);
    if messages.len() > 1 {
        let (app, all) = (Arc::clone(app), Arc::clone(&messages));
        let together = tokio::spawn(async move { consumer.handle_together(&app, &all).await });
        if let Ok(Ok(done)) = together.await {
            return vec![Ok(done); messages.len()];
        }
    }
    let mut results = Vec::with_capacity(messages.len());
    for message in messages.as_ref() {
        let message = message.clone();
        let app = Arc::clone(app);
        let one = tokio::spawn(async move { consumer.handle(&app, &message).await });
        results.push(one.await.unwrap_or_else(|_| Err(panicked())));
    }
    results
}

/// Takes what is due, as far as there is room, by what is handed over together.
async fn take(app: &App, consumer: &dyn Consumer, hands: &Hands) -> Result<Vec<Vec<Message>>, DbError> {
    let room = hands.room(consumer);
    if room == 0 {
        return Ok(Vec::new());
    }
    let now = app.clock.now();
    let mut reader = app.db.reader().acquire().await.map_err(DbError::from)?;
    // What is still under way here may be due as well.
    let held: HashSet<OutgoingId> = hands.messages().map(|message| message.id).collect();
    let most = i64::try_from(room + held.len()).unwrap_or(i64::MAX);
    let due = rows::due(&mut reader, consumer.topic(), now, most).await?;
    drop(reader);
    let mut of: BTreeMap<TenantId, BTreeSet<OutgoingId>> = BTreeMap::new();
    let free = due.into_iter().filter(|(_, id)| !held.contains(id)).take(room);
    for (tenant, id) in free {
        of.entry(tenant).or_default().insert(id);
    }
    if of.is_empty() {
        return Ok(Vec::new());
    }
    let mut lease = app.db.lease_behind().await?;
    // Their time begins once they are handed over, not while this waited for its turn.
    let now = app.clock.now();
    let mut transaction = lease.begin().await?;
    let mut taken: Vec<Vec<Message>> = Vec::new();
    for (tenant, ids) in of {
        let ids: Vec<OutgoingId> = ids.into_iter().collect();
        let messages = rows::take(&mut transaction, tenant, &ids, now, now.saturating_add(VISIBLE)).await?;
        taken.extend(messages.chunks(consumer.together().max(1)).map(<[Message]>::to_vec));
    }
    transaction.commit("outbox.take").await?;
    for first in taken.iter().flatten().filter(|message| message.tries == 1) {
        let lag = u32::try_from(now - first.created_at).unwrap_or(0);
        metrics::histogram!("counterfoil_outbox_lag_seconds", "topic" => consumer.topic())
            .record(f64::from(lag) / 1_000.0);
    }
    Ok(taken)
}

/// Confirms what is done, and says of the rest when it is handed over again. What could not be stored stays in `ended`.
async fn settle(app: &App, hands: &mut Hands, ended: &mut Vec<Ended>) -> Result<(), DbError> {
    ended.extend(hands.try_next().into_iter().flatten());
    if ended.is_empty() {
        return Ok(());
    }
    let mut lease = app.db.lease_behind().await?;
    // While the writer was waited for, others have ended: they are confirmed with these.
    tokio::task::yield_now().await;
    while let Some(done) = hands.try_next() {
        ended.extend(done);
    }
    while let Some(tenant) = ended.last().map(|one| one.message.tenant) {
        let now = app.clock.now();
        let mut deed = Deed::new(lease.begin().await?, app.random.as_ref(), Actor::of(tenant, ACTOR), now);
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        for one in ended.iter().filter(|one| one.message.tenant == tenant) {
            match &one.result {
                Ok(Done { in_inbox }) => done.push((one.message.id, *in_inbox)),
                Err(error) => failed.push((&one.message, error)),
            }
        }
        if !done.is_empty() {
            rows::confirm(&mut deed, tenant, &done, now).await?;
            deed.sends();
        }
        // After those that are held in the order of their keys, and in that order themselves.
        failed.sort_by(|(one, _), (other, _)| (&one.key, one.number).cmp(&(&other.key, other.number)));
        let mut alerts = 0;
        for (message, error) in failed {
            alerts += u64::from(fail(app, &mut deed, message, error).await?);
        }
        deed.commit("outbox.settle").await?;
        if alerts > 0 {
            metrics::counter!("counterfoil_alerts_total", "what" => "not_confirmed").increment(alerts);
        }
        ended.retain(|one| one.message.tenant != tenant);
    }
    Ok(())
}

/// Says when a message is handed over again; true when somebody is to be told.
async fn fail(app: &App, deed: &mut Deed<'_>, message: &Message, error: &NotDone) -> Result<bool, DbError> {
    let bad = matches!(error, NotDone::Bad(_));
    let text: String = error
        .to_string()
        .chars()
        .filter(|letter| !letter.is_control())
        .take(ERROR_CHARACTERS)
        .collect();
    let (topic, id, tries, now) = (&message.topic, message.id, message.tries, deed.now());
    tracing::warn!(%topic, message = %id, tries, error = %text, "a message is not confirmed");
    let wait = if bad {
        MOST
    } else {
        retry::spread(tries - 1, FIRST, MOST, app.random.as_ref())
    };
    if !rows::failed(deed, message, &text, now.saturating_add(wait)).await? {
        return Ok(false);
    }
    let alert = (bad || tries >= ALERT_AFTER) && rows::alert(deed, message, now).await?;
    if alert {
        deed.audit("outbox.alert", &format!("{topic} {id}: {text}")).await?;
    }
    Ok(alert)
}

async fn measure(app: &App, consumer: &dyn Consumer, now: Millis) {
    let backlog = async {
        let mut reader = app.db.reader().acquire().await.map_err(DbError::from)?;
        rows::backlog(&mut reader, consumer.topic()).await
    };
    match backlog.await {
        Ok((many, oldest)) => {
            let whole = |number: i64| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
            let age = oldest.map_or(0, |at| (now - at).max(0));
            metrics::gauge!("counterfoil_outbox_pending", "topic" => consumer.topic()).set(whole(many));
            metrics::gauge!("counterfoil_outbox_oldest_seconds", "topic" => consumer.topic()).set(whole(age / 1_000));
        }
        Err(error) => tracing::warn!(%error, "messages that wait could not be counted"),
    }
}
