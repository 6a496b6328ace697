//! What the parts of a counter share.

use std::{
    future::Future,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use counterfoil_domain::time::Millis;
use ed25519_dalek::SigningKey;
use tokio::{
    sync::{Mutex as AsyncMutex, Notify, watch},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    ambient::{Clock, Random, random_bytes},
    db::{Database, Faults},
    error::{Error, Result, caught},
    http::{Credentials, Failure, Http, parse_address},
    identity::{self, Identity},
    journal::Moment,
    key::{KEY_FILE, load_key},
    line::{Now, SyncEngine},
    queue::QueueCounts,
    session::Session,
    tickets::Tickets,
    transport::{Network, Transport},
};

/// What a counter is made of besides its folder.
#[derive(Debug)]
pub struct Parts {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// The line to head office.
    pub transport: Arc<dyn Transport>,
    /// So many connections that read; `None` = as many as a shop needs.
    pub readers: Option<u32>,
    /// Crashes, for tests; only with `readers`.
    pub faults: Option<Arc<dyn Faults>>,
}

impl Parts {
    /// As a shop needs them.
    ///
    /// # Errors
    /// When TLS can't be set up.
    pub fn new(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Result<Self> {
        Ok(Self {
            clock,
            random,
            transport: Arc::new(Network::new()?),
            readers: None,
            faults: None,
        })
    }
}

/// One counter. Cheap to clone; all clones are the same counter. What a capability brings along it adds to this type in
/// its own folder.
#[derive(Debug, Clone)]
pub struct Counter(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) folder: PathBuf,
    pub(crate) db: Database,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) http: Http,
    pub(crate) tickets: Tickets,
    pub(crate) session: Session,
    /// What goes on in the background.
    tasks: TaskTracker,
    ending: CancellationToken,
    /// One PIN is checked at a time.
    pub(crate) pin_turn: AsyncMutex<()>,
    /// Something was journaled, or the counter was enrolled.
    pub(crate) wake: Notify,
    /// Somebody wants the line tried at once.
    pub(crate) hurry: Notify,
    engine: Mutex<SyncEngine>,
    key: Mutex<Option<Arc<SigningKey>>>,
    drains: AtomicBool,
    last_contact: AtomicI64,
    counts: Mutex<QueueCounts>,
    changes: watch::Sender<u64>,
    trouble: Mutex<Option<(String, String)>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded is replaced as a whole, so a panic elsewhere leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    pub(crate) async fn open(folder: &Path, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Result<Self> {
        let parts = Parts::new(clock, random)?;
        Self::open_with(folder, parts).await
    }

    pub(crate) async fn open_with(folder: &Path, parts: Parts) -> Result<Self> {
        let Parts {
            clock,
            random,
            transport,
            readers,
            faults,
        } = parts;
        let db = match readers {
            None => Database::open(folder).await?,
            Some(readers) => Database::open_with(folder, readers, faults).await?,
        };
        identity::read_what_was_unread(&db).await?;
        let key = load_key(folder)?.map(Arc::new);
        Ok(Self {
            folder: folder.to_owned(),
            db,
            clock,
            random,
            http: Http::new(transport),
            tasks: TaskTracker::new(),
            ending: CancellationToken::new(),
            tickets: Tickets::default(),
            session: Session::default(),
            pin_turn: AsyncMutex::new(()),
            wake: Notify::new(),
            hurry: Notify::new(),
            engine: Mutex::new(SyncEngine::default()),
            key: Mutex::new(key),
            drains: AtomicBool::new(false),
            last_contact: AtomicI64::new(Millis::MIN),
            counts: Mutex::new(QueueCounts::default()),
            changes: watch::Sender::new(0),
            trouble: Mutex::new(None),
        })
    }

    /// Does this in the background.
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        let ending = self.ending.clone();
        tokio::spawn(self.tasks.track_future(async move {
            // A panic is logged where it is caught; whoever waits for what this was to do hears of it as of a silence.
            let _ = caught(ending.run_until_cancelled(work)).await;
        }))
    }

    /// Cuts off what goes on in the background.
    pub(crate) async fn cut_off(&self) {
        self.ending.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// How much goes on in the background.
    pub(crate) fn tasks(&self) -> usize {
        self.tasks.len()
    }

    /// What `work` comes to, unless it takes longer than that.
    pub(crate) async fn at_most<T>(&self, time: Duration, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = self.clock.sleep(time) => None,
        }
    }

    pub(crate) fn engine(&self) -> MutexGuard<'_, SyncEngine> {
        locked(&self.engine)
    }

    pub(crate) fn now(&self) -> Now {
        Now {
            monotonic: self.clock.monotonic(),
            wall: self.clock.now(),
        }
    }

    pub(crate) fn jitter(&self) -> Result<u64> {
        Ok(u64::from_le_bytes(random_bytes(&*self.random)?))
    }

    /// Whether a question may be asked now.
    pub(crate) fn may_ask(&self) -> bool {
        let now = self.now();
        self.engine().may_ask(now)
    }

    /// Tells the engine how a question went: it shares the breaker with the sync.
    pub(crate) fn question_heard(&self, failure: Option<&Failure>) -> Result<()> {
        let (now, jitter) = (self.now(), self.jitter()?);
        let before = self.engine().link().state;
        match failure {
            Some(Failure::Unanswered(why)) => {
                self.engine().question_failed(now, why, jitter);
                // The sync probes the line at once instead of waiting for news over it.
                self.wake.notify_one();
            }
            Some(Failure::Problem(_)) | None => self.engine().question_answered(now),
        }
        if self.engine().link().state != before {
            self.changed();
        }
        Ok(())
    }

    pub(crate) fn moment(&self, who: &Identity, now: Millis) -> Result<Moment> {
        Ok(Moment {
            at: who.true_time(now),
            monotonic: self.clock.monotonic(),
            boot_id: self.clock.boot_id(),
            random: random_bytes(&*self.random)?,
            place: who.place,
        })
    }

    pub(crate) fn set_key(&self, key: SigningKey) {
        *locked(&self.key) = Some(Arc::new(key));
    }

    pub(crate) fn credentials(&self, who: &Identity) -> Result<Credentials> {
        let known = locked(&self.key).clone();
        let key = match known {
            Some(key) => key,
            // Another process enrolled this folder meanwhile.
            None => {
                let key = load_key(&self.folder)?.ok_or_else(|| Error::Key(format!("{} is missing", KEY_FILE)))?;
                let key = Arc::new(key);
                *locked(&self.key) = Some(Arc::clone(&key));
                key
            }
        };
        Ok(Credentials {
            address: parse_address(&who.address)?,
            tenant: who.tenant,
            device: who.device,
            key,
        })
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Something that is shown changed.
    pub(crate) fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// An operation was written: deliver it now.
    pub(crate) fn journaled(&self) {
        self.wake.notify_one();
        self.changed();
    }

    pub(crate) fn drains(&self) -> bool {
        self.drains.load(Ordering::Relaxed)
    }

    pub(crate) fn set_drains(&self, drains: bool) {
        self.engine().set_driven(drains);
        if self.drains.swap(drains, Ordering::Relaxed) != drains {
            self.changed();
        }
    }

    /// Notes when another process last reached head office. Whether that is news.
    pub(crate) fn note_contact(&self, at: Option<Millis>) -> bool {
        let at = at.unwrap_or(Millis::MIN);
        let before = self.last_contact.swap(at, Ordering::Relaxed);
        if before != at {
            self.changed();
        }
        at > before
    }

    /// Notes how many operations stand where. Whether that is news.
    pub(crate) fn note_counts(&self, counts: QueueCounts) -> bool {
        std::mem::replace(&mut *locked(&self.counts), counts) != counts
    }

    /// What keeps the sync from working, other than the line.
    pub(crate) fn trouble(&self) -> Option<(String, String)> {
        locked(&self.trouble).clone()
    }

    pub(crate) fn set_trouble(&self, error: Option<&Error>) {
        let trouble = error.map(|error| (error.code().to_owned(), error.to_string()));
        let mut before = locked(&self.trouble);
        if *before != trouble {
            *before = trouble;
            drop(before);
            self.changed();
        }
    }
}
