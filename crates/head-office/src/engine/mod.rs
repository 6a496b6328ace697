//! The engine: prefetch, decide, store.
//!
//! One writer takes what is waiting, loads the rows behind it with one statement a table, runs the pure transition
//! in order, stores all changes with one conditional statement a table, commits once, and answers everybody. See
//! docs/ARCHITECTURE.md for why.

#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm))]

mod blame;
mod group;
pub mod tables;

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use counterfoil_domain::{
    coupons::Coupon,
    ids::{DeviceId, HistoryId, TenantId},
    time::Millis,
    transition::{Answer, Command, Device},
};
use futures_core::future::BoxFuture;
use sqlx::AnyConnection;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::Instrument;

use crate::{
    clock::{Clock, Random},
    db::{
        Db, DbError, Dialect, People, Trouble,
        batch::{Binds, Text},
    },
    feed::watch::Watch,
};

/// Most commands of one group. More gain nothing and make the first one wait.
const GROUP_COMMANDS: usize = 512;
/// Jobs up to this many commands are interactive: somebody stands at a desk.
pub const INTERACTIVE: usize = 20;
const INTERACTIVE_QUEUE: usize = 4_096;
const BULK_QUEUE: usize = 256;
/// Each so manyth group begins with bulk work.
const BULK_TURN: u64 = 4;
/// How often SQLite's log is folded back at most: often, since what is folded back at once is what commits wait for meanwhile.
const FOLD_EVERY: Duration = Duration::from_millis(50);
/// How often PostgreSQL is asked at most which tables have grown.
const ANALYZE_EVERY: Duration = Duration::from_millis(250);
/// The database is tended at least so often.
const TEND_AT_LEAST: Duration = Duration::from_secs(1);
/// How often a group is tried again before whoever waits is told to come back.
const TRIES: u32 = 8;

/// The answer to one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// What was decided.
    pub answer: Answer,
    /// Number in the device's store's feed by which the effect is to be seen.
    pub feed: i64,
    /// The device as it is after the command, if it is known.
    pub device: Option<Device>,
    /// The coupon that was given just now, with its code.
    pub given: Option<Box<Coupon>>,
    /// What was kept of it, where something was to be.
    pub kept: Option<Kept>,
    /// The history that this is part of.
    pub history: HistoryId,
}

/// Why a job was not done. Nothing of it has happened, as far as anybody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Too much is waiting.
    #[error("too much is waiting")]
    Busy,
    /// The database can't be written.
    #[error("the database can't be written")]
    Storage,
    /// It failed for a reason of our own.
    #[error("it failed")]
    Failed,
}

/// What is written beside a command's effect, in its transaction: the answer to the question that it came with. Whoever
/// asks again, even if the program ended before anybody heard the answer, then gets that one.
pub trait Keep: Send + Sync {
    /// The answer as it is to be said again, and the line that keeps it, if it is to be kept. When that line is there
    /// already, the question was answered meanwhile, in another process: then the effect does not happen either.
    ///
    /// # Errors
    /// The database's.
    fn keep<'c>(
        &'c self,
        connection: &'c mut AnyConnection,
        tenant: TenantId,
        answer: &'c Answer,
    ) -> BoxFuture<'c, Result<(Kept, Option<Line>), DbError>>;
}

/// A line that keeps an answer. Those of a group are written with one statement for each kind.
pub struct Line {
    /// How such lines are inserted, unless they are there.
    pub statement: Text,
    /// The values of this one.
    pub bind: Box<dyn Fn(&mut Binds) + Send + Sync>,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line")
            .field("statement", &self.statement)
            .finish_non_exhaustive()
    }
}

/// An answer as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// HTTP status.
    pub status: u16,
    /// JSON.
    pub body: String,
}

/// A command, and what is to be kept with its effect.
struct Errand {
    command: Command,
    keep: Option<Arc<dyn Keep>>,
}

struct Job {
    tenant: TenantId,
    errands: Vec<Errand>,
    reply: oneshot::Sender<Result<Vec<Answered>, Refusal>>,
}

/// Handle to the engine.
#[derive(Debug, Clone)]
pub struct Engine {
    interactive: mpsc::Sender<Job>,
    bulk: mpsc::Sender<Job>,
    settled: Settled,
    gate: Gate,
    submitted: Arc<AtomicU64>,
    people: People,
}

/// When each device last had nothing left to deliver. Kept in memory, stored with the device's next operation: after
/// a restart a device is judged by the older, more lenient value.
#[derive(Debug, Clone, Default)]
pub struct Settled(Arc<Mutex<HashMap<DeviceId, Millis>>>);

impl Settled {
    /// When that was.
    pub fn get(&self, device: DeviceId) -> Option<Millis> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .get(&device)
            .copied()
    }
    /// The device had nothing left to deliver at this instant.
    pub fn set(&self, device: DeviceId, at: Millis) {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .insert(device, at);
    }
}

/// What the engine works with.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The database.
    pub db: Arc<Db>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Marks of commits.
    pub random: Arc<dyn Random>,
    /// Who waits for news.
    pub watch: Arc<Watch>,
    /// Whether the database is tended beside the writer.
    pub tended: bool,
}

/// Whether the writer takes what is waiting. Shut and opened by a test that hands it several jobs as one group.
#[derive(Debug, Clone)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    /// Lets the writer go on, or not.
    pub fn open(&self, open: bool) {
        self.0.send_replace(open);
    }
}

impl Engine {
    /// Starts the writer on these tables. It ends when the last handle is dropped.
    pub fn start(parts: Parts, settled: Settled, mut tables: Vec<Box<dyn tables::Table>>) -> Self {
        let (interactive, interactive_jobs) = mpsc::channel(INTERACTIVE_QUEUE);
        let (bulk, bulk_jobs) = mpsc::channel(BULK_QUEUE);
        let (written, writes) = mpsc::channel(1);
        let gate = Gate(Arc::new(watch::Sender::new(true)));
        tables.sort_by_key(|table| table.place());
        if parts.tended {
            tokio::spawn(tend(Arc::clone(&parts.db), Arc::clone(&parts.clock), writes));
        }
        let opened = gate.0.subscribe();
        let people = parts.db.people().clone();
        let writer = group::Writer::new(parts, tables);
        tokio::spawn(run(writer, interactive_jobs, bulk_jobs, written, opened));
        Self {
            interactive,
            bulk,
            settled,
            gate,
            submitted: Arc::default(),
            people,
        }
    }

    /// Holds the writer back, for tests.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// How many jobs were ever handed over.
    pub fn submitted(&self) -> u64 {
        self.submitted.load(Ordering::SeqCst)
    }

    /// How many jobs wait to be taken.
    pub fn waiting(&self) -> usize {
        [&self.interactive, &self.bulk]
            .into_iter()
            .map(|queue| queue.max_capacity() - queue.capacity())
            .sum()
    }

    /// Whether nobody waits: then work in the background may take larger pieces.
    pub fn is_idle(&self) -> bool {
        self.waiting() == 0
    }

    /// When devices were last settled.
    pub fn settled(&self) -> &Settled {
        &self.settled
    }

    /// Has these commands done, in order, in one transaction with whatever else is waiting.
    ///
    /// # Errors
    /// [`Refusal`]; the same commands may be sent again, the rows decide what is already done.
    pub async fn submit(&self, tenant: TenantId, commands: Vec<Command>) -> Result<Vec<Answered>, Refusal> {
        let errands = commands
            .into_iter()
            .map(|command| Errand { command, keep: None })
            .collect();
        self.hand_over(tenant, errands).await
    }

    /// Has one command done, with its answer kept in the same transaction.
    ///
    /// # Errors
    /// As [`Engine::submit`].
    pub async fn submit_kept(&self, tenant: TenantId, command: Command, keep: Arc<dyn Keep>) -> Result<Kept, Refusal> {
        let errand = Errand {
            command,
            keep: Some(keep),
        };
        let answered = self.hand_over(tenant, vec![errand]).await?.pop();
        answered.and_then(|answered| answered.kept).ok_or(Refusal::Failed)
    }

    async fn hand_over(&self, tenant: TenantId, errands: Vec<Errand>) -> Result<Vec<Answered>, Refusal> {
        if errands.is_empty() {
            return Ok(Vec::new());
        }
        let queue = if errands.len() <= INTERACTIVE {
            &self.interactive
        } else {
            &self.bulk
        };
        let (reply, answer) = oneshot::channel();
        let _waiting = self.people.waiting();
        queue
            .try_send(Job { tenant, errands, reply })
            .map_err(|_| Refusal::Busy)?;
        self.submitted.fetch_add(1, Ordering::SeqCst);
        answer.await.map_err(|_| Refusal::Failed)?
    }
}

/// Takes jobs of one tenant that fit one group: interactive ones first, but always one bulk job if there is any.
struct Intake {
    interactive: mpsc::Receiver<Job>,
    bulk: mpsc::Receiver<Job>,
    waiting: VecDeque<Job>,
    waiting_bulk: VecDeque<Job>,
    groups: u64,
}

impl Intake {
    async fn next(&mut self, opened: &mut watch::Receiver<bool>) -> Option<Vec<Job>> {
        if self.waiting.is_empty() && self.waiting_bulk.is_empty() {
            tokio::select! {
                biased;
                Some(job) = self.interactive.recv() => self.waiting.push_back(job),
                Some(job) = self.bulk.recv() => self.waiting_bulk.push_back(job),
                else => return None,
            }
            // Shut while nothing was waiting: what comes with this one is taken with it.
            if opened.wait_for(|open| *open).await.is_err() {
                return None;
            }
        }
        while self.waiting.len() < GROUP_COMMANDS
            && let Ok(job) = self.interactive.try_recv()
        {
            self.waiting.push_back(job);
        }
        while self.waiting_bulk.len() < 4
            && let Ok(job) = self.bulk.try_recv()
        {
            self.waiting_bulk.push_back(job);
        }
        // One tenant's interactive work must not keep another's bulk waiting for ever.
        self.groups += 1;
        let first = match self.groups % BULK_TURN {
            0 => self.waiting_bulk.front().or(self.waiting.front()),
            _ => self.waiting.front().or(self.waiting_bulk.front()),
        };
        let tenant = first?.tenant;
        let mut group = Vec::new();
        let mut commands = 0;
        if let Some(place) = self.waiting_bulk.iter().position(|job| job.tenant == tenant)
            && let Some(job) = self.waiting_bulk.remove(place)
        {
            commands += job.errands.len();
            group.push(job);
        }
        for queue in [&mut self.waiting, &mut self.waiting_bulk] {
            let mut rest = VecDeque::new();
            while let Some(job) = queue.pop_front() {
                if job.tenant == tenant && commands + job.errands.len() <= GROUP_COMMANDS {
                    commands += job.errands.len();
                    group.push(job);
                } else {
                    rest.push_back(job);
                }
            }
            *queue = rest;
        }
        Some(group)
    }
}

/// Tends the database beside the writer, so that no group waits for that.
async fn tend(db: Arc<Db>, clock: Arc<dyn Clock>, mut writes: mpsc::Receiver<()>) {
    let pause = match db.dialect() {
        Dialect::Sqlite => FOLD_EVERY,
        Dialect::Postgres => ANALYZE_EVERY,
    };
    loop {
        tokio::select! {
            written = writes.recv() => {
                if written.is_none() {
                    return;
                }
            }
            // What works in the background writes as well, and says nothing here.
            () = clock.sleep(TEND_AT_LEAST) => {}
        }
        if let Err(error) = db.tend().await {
            // Nothing is lost, and the next round tries again.
            tracing::warn!(%error, "the database could not be tended");
        }
        clock.sleep(pause).await;
    }
}

async fn run(
    mut writer: group::Writer,
    interactive: mpsc::Receiver<Job>,
    bulk: mpsc::Receiver<Job>,
    written: mpsc::Sender<()>,
    mut opened: watch::Receiver<bool>,
) {
    let mut intake = Intake {
        interactive,
        bulk,
        waiting: VecDeque::new(),
        waiting_bulk: VecDeque::new(),
        groups: 0,
    };
    loop {
        // It is shut in tests alone, and never dropped before the queues are.
        if opened.wait_for(|open| *open).await.is_err() {
            return;
        }
        let Some(jobs) = intake.next(&mut opened).await else {
            return;
        };
        let Some(tenant) = jobs.first().map(|job| job.tenant) else {
            continue;
        };
        let mut errands = Vec::new();
        let mut replies = Vec::with_capacity(jobs.len());
        for job in jobs {
            replies.push((job.errands.len(), job.reply));
            errands.extend(job.errands);
        }
        let span = tracing::info_span!("group", %tenant, commands = errands.len());
        let mut answers = writer.work(tenant, &errands).instrument(span).await.into_iter();
        // When it is full, the next round knows already.
        let _ = written.try_send(());
        for (count, reply) in replies {
            let of_job: Vec<_> = answers.by_ref().take(count).collect();
            // Whoever asked may have gone; then nobody needs the answer.
            let _ = reply.send(of_job.into_iter().collect());
        }
    }
}

impl From<Trouble> for Refusal {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Again | Trouble::Slow => Self::Busy,
            Trouble::Storage => Self::Storage,
            Trouble::Corrupt | Trouble::Constraint | Trouble::Newer | Trouble::Other => Self::Failed,
        }
    }
}
