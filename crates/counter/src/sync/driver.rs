//! Turns the engine: reads the database for it, sends what it says, writes down what comes back.

use std::{sync::Arc, time::Duration};

use counterfoil_domain::time::Millis;
use counterfoil_protocol::{REQUEST_BYTES, VERSION, paths, sync::SyncRequest};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::{sync::watch, task::JoinHandle};

use super::DrainLock;
use crate::{
    error::{Error, Result, caught},
    http::{Failure, Sending},
    identity::{self, Identity},
    inner::Inner,
    intake, journal,
    line::{Heard, LinkState, Plan, Step, View},
    replica,
};

/// Beyond the wait that head office was asked for: the way there and back.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Room in a request for what stands around the operations.
const REQUEST_FRAME: usize = 8 * 1024;
/// How often a process that does not drain looks whether it may, and a waiting one whether another journaled.
const GLANCE: Duration = Duration::from_secs(1);
/// Another process that reached head office so lately speaks for this one too.
const FRESH_CONTACT: Millis = 60_000;
/// How often the write-ahead log is folded back.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(20);
const PRUNE_EVERY: Millis = counterfoil_domain::time::DAY;

/// What one run of [`crate::Counter::sync_once`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Operations whose outcome came.
    pub pushed: u64,
    /// Rows read.
    pub pulled: u64,
    /// Operations that still wait.
    pub pending: i64,
    /// Operations that ended in an exception or in quarantine, in all.
    pub exceptions: i64,
    /// Why it stopped before everything was delivered: a stable code.
    #[serde(skip)]
    pub problem: Option<String>,
}

/// A running sync. Dropping it stops the sync at once, which loses nothing.
#[derive(Debug)]
pub struct SyncHandle {
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

impl SyncHandle {
    /// Stops, and waits until it has. What was not written down yet is asked for again next time.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        if let Some(task) = self.task.take()
            && let Err(error) = task.await
        {
            let error = Error::from(error);
            tracing::error!(code = error.code(), %error, "sync did not end by itself");
        }
    }
}

impl Drop for SyncHandle {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

pub(crate) fn start(inner: Arc<Inner>) -> SyncHandle {
    let (stop, mut stopped) = watch::channel(false);
    let background = Arc::clone(&inner);
    let task = inner.spawn(async move {
        let inner = background;
        tokio::select! {
            () = drain_for_ever(&inner) => {}
            () = checkpoint_for_ever(&inner) => {}
            _ = stopped.wait_for(|stop| *stop) => {}
        }
        inner.set_drains(false);
    });
    SyncHandle { stop, task: Some(task) }
}

async fn drain_for_ever(inner: &Arc<Inner>) {
    loop {
        match caught(drain(inner)).await.flatten() {
            Ok(()) => {}
            // Another process may enrol this folder, so look now and then.
            Err(Error::NotEnrolled) => {}
            Err(error) => {
                tracing::error!(code = error.code(), %error, "sync stopped for a moment");
                inner.set_trouble(Some(&error));
            }
        }
        glance(inner).await;
    }
}

/// Keeps the write-ahead log short, so that no clerk waits for it.
async fn checkpoint_for_ever(inner: &Inner) {
    loop {
        inner.clock.sleep(CHECKPOINT_EVERY).await;
        if let Err(error) = caught(inner.db.checkpoint()).await.flatten() {
            // Nothing is lost: the log is as durable as the file, and the next round tries again.
            tracing::warn!(code = error.code(), %error, "the write-ahead log could not be folded back");
        }
    }
}

async fn glance(inner: &Inner) {
    inner.at_most(GLANCE, inner.wake.notified()).await;
}

async fn drain(inner: &Arc<Inner>) -> Result<()> {
    let who = identity::load(&mut *inner.db.read().await?).await?;
    let Some(_lock) = DrainLock::try_take(&inner.folder)? else {
        inner.set_drains(false);
        return observe(inner, &who).await;
    };
    inner.set_drains(true);
    let mut pruned_at = Millis::MIN;
    loop {
        let who = identity::load(&mut *inner.db.read().await?).await?;
        let pending = journal::pending_count(&mut *inner.db.read().await?).await?;
        let view = View {
            pending,
            device: who.device_status,
        };
        let step = inner.engine().next(inner.now(), view);
        match step {
            Step::Sleep { until } => {
                let left = until.saturating_sub(inner.clock.monotonic()).max(1);
                let left = Duration::from_millis(u64::try_from(left).unwrap_or(1));
                // A new operation does not shorten a wait that a failure made necessary; a person's wish does.
                tokio::select! {
                    () = inner.clock.sleep(left) => {}
                    () = inner.hurry.notified() => inner.engine().hurry(),
                }
            }
            Step::Send(plan) => {
                let before = inner.engine().link().clone();
                let done = exchange(inner, &who, plan, true).await?;
                inner.set_trouble(None);
                if inner.engine().link() != &before || done.as_ref().is_some_and(|done| done.changed) {
                    inner.changed();
                }
                let now = inner.clock.monotonic();
                if done.is_some() && now.saturating_sub(pruned_at) > PRUNE_EVERY {
                    pruned_at = now;
                    prune(inner).await?;
                }
            }
        }
    }
}

/// Another process drains this folder: what it learns shows here too.
async fn observe(inner: &Inner, who: &Identity) -> Result<()> {
    let now = inner.now();
    let fresh = who
        .last_contact
        .is_some_and(|at| now.wall.saturating_sub(at) < FRESH_CONTACT);
    let newer = inner.note_contact(who.last_contact);
    if fresh && newer && inner.engine().link().state != LinkState::Online {
        inner.engine().heard_by_another(now);
    }
    // What is waiting and what was delivered changes without this process hearing of it.
    let counts = crate::queue::counts(&mut *inner.db.read().await?).await?;
    if inner.note_counts(counts) {
        inner.changed();
    }
    Ok(())
}

pub(super) async fn prune(inner: &Inner) -> Result<()> {
    let mut writer = inner.db.write().await;
    let mut tx = writer.begin().await?;
    let who = identity::load(&mut tx).await?;
    // Both clocks must say that the time is over: one that is wrong would take away what a restored head office asks for.
    let now = who.server_time.min(inner.clock.now());
    journal::prune(&mut tx, now).await?;
    replica::prune_sales(&mut tx, now.saturating_sub(journal::KEPT)).await?;
    tx.commit("prune").await?;
    Ok(())
}

/// What one exchange did.
#[derive(Debug, Default)]
pub(crate) struct Exchanged {
    pushed: u64,
    pulled: u64,
    more: bool,
    changed: bool,
}

/// What to ask, and how many operations it carries.
pub(crate) async fn compose(inner: &Inner, who: &Identity, plan: Plan) -> Result<(SyncRequest, usize)> {
    let mut reader = inner.db.read().await?;
    let batch = if plan.push == 0 {
        journal::Batch {
            more: journal::pending_count(&mut reader).await? > 0,
            ..journal::Batch::default()
        }
    } else {
        journal::pending(&mut reader, plan.push, REQUEST_BYTES - REQUEST_FRAME).await?
    };
    let acknowledged_seq = journal::acknowledged(&mut reader, who.epoch).await?;
    let operations = batch
        .texts
        .into_iter()
        .map(RawValue::from_string)
        .collect::<Result<Vec<_>, _>>()?;
    let sent = operations.len();
    let request = SyncRequest {
        protocol: VERSION,
        history_id: who.history_id,
        cursor: who.cursor,
        epoch: who.epoch,
        acknowledged_seq,
        operations,
        more_waiting: batch.more,
        page_rows: plan.page_rows,
        wait: plan.wait,
        app_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    Ok((request, sent))
}

/// Sends one request and writes its answer down. `None` when it was dropped because something more urgent came.
#[tracing::instrument(name = "sync", skip_all, fields(tenant = %who.tenant, device = %who.device))]
async fn exchange(inner: &Inner, who: &Identity, plan: Plan, interruptible: bool) -> Result<Option<Exchanged>> {
    let (request, sent) = compose(inner, who, plan).await?;
    let credentials = inner.credentials(who)?;
    let sending = Sending {
        time: who.true_time(inner.clock.now()),
        timeout: ANSWER_TIMEOUT + Duration::from_millis(u64::try_from(plan.wait).unwrap_or(0)),
        idempotency_key: None,
    };
    let asking = inner.http.post(&credentials, paths::SYNC, &request, sending);
    let heard = if interruptible && plan.wait > 0 {
        tokio::select! {
            heard = asking => heard,
            // Nothing was pushed, so nothing is lost by not listening to the end.
            () = something_urgent(inner) => return Ok(None),
        }
    } else {
        asking.await
    };
    take_in(inner, sent, heard).await.map(Some)
}

/// Writes down what came back, and tells the engine.
pub(crate) async fn take_in(
    inner: &Inner,
    sent: usize,
    heard: Result<counterfoil_protocol::sync::SyncResponse, Failure>,
) -> Result<Exchanged> {
    let jitter = inner.jitter()?;
    let mut done = Exchanged::default();
    let heard = match heard {
        Ok(response) => {
            let taken = intake::answer(&inner.db, sent, &response, inner.clock.now()).await?;
            done.pushed = taken.pushed;
            done.pulled = taken.pulled as u64;
            done.changed = taken.changed;
            done.more = taken.summary.more_rows || taken.summary.history_changed;
            Heard::Answer(taken.summary)
        }
        Err(failure) => {
            if let Failure::Problem(problem) = &failure {
                done.changed = intake::problem(&inner.db, problem, inner.clock.now()).await?;
            }
            tracing::info!(?failure, "no exchange");
            Heard::Failed(failure)
        }
    };
    inner.engine().heard(inner.now(), &heard, jitter);
    Ok(done)
}

/// Ends when an operation waits, or when somebody wants the line probed at once.
async fn something_urgent(inner: &Inner) {
    loop {
        tokio::select! {
            () = inner.hurry.notified() => {
                inner.engine().hurry();
                return;
            }
            () = glance(inner) => {}
        }
        // The breaker opened meanwhile because a question went unanswered: make sure at once.
        if inner.engine().link().state != LinkState::Online {
            return;
        }
        // Also one that another process wrote, which can't wake this one.
        let Ok(mut reader) = inner.db.read().await else { return };
        if !matches!(journal::pending_count(&mut reader).await, Ok(0)) {
            return;
        }
    }
}

/// What one turn of the sync came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Head office was asked; whether there is more to do at once.
    Asked { more: bool },
    /// Nothing is due before then, by [`crate::Clock::monotonic`].
    Resting { until: Millis },
}

/// One exchange, if one is due.
pub(crate) async fn turn(inner: &Inner) -> Result<Turn> {
    let who = identity::load(&mut *inner.db.read().await?).await?;
    let pending = journal::pending_count(&mut *inner.db.read().await?).await?;
    inner.set_drains(true);
    let view = View {
        pending,
        device: who.device_status,
    };
    let step = inner.engine().next(inner.now(), view);
    match step {
        Step::Sleep { until } => Ok(Turn::Resting { until }),
        Step::Send(plan) => {
            let plan = Plan { wait: 0, ..plan };
            let done = exchange(inner, &who, plan, false).await?.unwrap_or_default();
            let left = journal::pending_count(&mut *inner.db.read().await?).await?;
            Ok(Turn::Asked {
                more: done.more || left > 0,
            })
        }
    }
}

/// Delivers and pulls until nothing is left, or nothing more can be done now.
pub(crate) async fn once(inner: &Arc<Inner>, patience: Duration) -> Result<Report> {
    identity::load(&mut *inner.db.read().await?).await?;
    let _lock = wait_for_lock(inner).await?;
    let mut report = Report::default();
    let begun = inner.clock.monotonic();
    let patience = Millis::try_from(patience.as_millis()).unwrap_or(Millis::MAX);
    loop {
        let who = identity::load(&mut *inner.db.read().await?).await?;
        let pending = journal::pending_count(&mut *inner.db.read().await?).await?;
        let view = View {
            pending,
            device: who.device_status,
        };
        let step = inner.engine().next(inner.now(), view);
        let plan = match step {
            Step::Send(plan) => Plan { wait: 0, ..plan },
            Step::Sleep { until } => {
                let waited = until.saturating_sub(begun);
                let offline = inner.engine().link().state == LinkState::Offline;
                if offline || waited > patience {
                    break;
                }
                let left = until.saturating_sub(inner.clock.monotonic()).max(1);
                inner
                    .clock
                    .sleep(Duration::from_millis(u64::try_from(left).unwrap_or(1)))
                    .await;
                continue;
            }
        };
        let done = exchange(inner, &who, plan, false).await?.unwrap_or_default();
        report.pushed += done.pushed;
        report.pulled += done.pulled;
        inner.changed();
        let link = inner.engine().link().clone();
        let still = journal::pending_count(&mut *inner.db.read().await?).await?;
        // A problem while the line is up is one that waiting here does not solve.
        let settled = link.state == LinkState::Online && !done.more && (still == 0 || link.problem.is_some());
        if settled || link.state == LinkState::Offline {
            break;
        }
    }
    report.problem = inner.engine().link().problem.as_ref().map(|(code, _)| code.clone());
    let counts = crate::queue::counts(&mut *inner.db.read().await?).await?;
    report.pending = counts.pending;
    report.exceptions = counts.exceptions;
    Ok(report)
}

async fn wait_for_lock(inner: &Inner) -> Result<DrainLock> {
    // Whoever holds it may be about to finish.
    for _ in 0..20 {
        if let Some(lock) = DrainLock::try_take(&inner.folder)? {
            return Ok(lock);
        }
        inner.clock.sleep(Duration::from_millis(250)).await;
    }
    Err(Error::DataDirLocked)
}
