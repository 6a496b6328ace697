//! Time and randomness of the simulated world. One clock for all, from which each party's own may be off.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use counterfoil_counter::ambient::{Clock, NoRandomness, Random, Sleep};
use counterfoil_domain::time::Millis;
use counterfoil_head_office::clock as office;
use tokio::sync::oneshot;

/// When every simulation begins: 2026-11-23, 12:00 in Shanghai.
pub const START: Millis = 1_795_406_400_000;

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The one time that goes by for everybody.
#[derive(Debug, Clone)]
pub struct Time(Arc<AtomicI64>);

impl Time {
    /// Beginning there.
    pub fn at(start: Millis) -> Self {
        Self(Arc::new(AtomicI64::new(start)))
    }
    /// What it is.
    pub fn now(&self) -> Millis {
        self.0.load(Ordering::SeqCst)
    }
    /// It goes by.
    pub fn pass(&self, by: Millis) {
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}

/// Who waits for a moment, in the order of the moments and then of coming.
#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    until: BTreeMap<(Millis, u64), oneshot::Sender<()>>,
}

/// A counter's clock: it may be off, and begins to count anew with each boot.
#[derive(Debug)]
pub struct TillClock {
    time: Time,
    off: Arc<AtomicI64>,
    booted: Millis,
    boot: String,
    waiting: Mutex<Waiting>,
}

impl TillClock {
    /// Booted now.
    pub fn new(time: Time, off: Arc<AtomicI64>, boot: String) -> Self {
        Self {
            booted: time.now() - 60_000,
            time,
            off,
            boot,
            waiting: Mutex::default(),
        }
    }

    /// How many wait for a moment.
    pub fn waiting(&self) -> usize {
        locked(&self.waiting).until.len()
    }

    /// Wakes the first whose moment has come; false when there is none.
    pub fn wake_one(&self) -> bool {
        let mut waiting = locked(&self.waiting);
        match waiting.until.first_key_value() {
            Some(((until, _), _)) if *until <= self.time.now() => {
                if let Some((_, waiter)) = waiting.until.pop_first() {
                    // Whoever waited may have given up.
                    let _ = waiter.send(());
                }
                true
            }
            _ => false,
        }
    }
}

impl Clock for TillClock {
    fn now(&self) -> Millis {
        self.time.now() + self.off.load(Ordering::SeqCst)
    }
    fn monotonic(&self) -> Millis {
        self.time.now() - self.booted
    }
    fn boot_id(&self) -> String {
        self.boot.clone()
    }
    fn sleep(&self, time: Duration) -> Sleep {
        let (wake, woken) = oneshot::channel();
        let until = self.time.now() + Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX / 2);
        let mut waiting = locked(&self.waiting);
        let place = (until, waiting.next);
        waiting.next += 1;
        waiting.until.insert(place, wake);
        Box::pin(async move {
            // When the clock is gone, so is whoever waits.
            let _ = woken.await;
        })
    }
}

/// Head office's clock is the right one. Nobody there waits for anything but another try, which takes no time here.
#[derive(Debug)]
pub struct OfficeClock(pub Time);

impl office::Clock for OfficeClock {
    fn now(&self) -> Millis {
        self.0.now()
    }
    fn sleep(&self, _time: Duration) -> office::Sleep {
        Box::pin(std::future::ready(()))
    }
}

/// Randomness that repeats: one stream a party and boot.
#[derive(Debug)]
pub struct Dice(Mutex<fastrand::Rng>);

impl Dice {
    /// The stream of this name.
    pub fn new(seed: u64, party: u64) -> Self {
        Self(Mutex::new(fastrand::Rng::with_seed(
            seed ^ party.wrapping_mul(0x9E37_79B9_7F4A_7C15),
        )))
    }
    fn pour(&self, buffer: &mut [u8]) {
        locked(&self.0).fill(buffer);
    }
}

impl Random for Dice {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), NoRandomness> {
        self.pour(buffer);
        Ok(())
    }
}

impl office::Random for Dice {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), office::NoRandomness> {
        self.pour(buffer);
        Ok(())
    }
}

/// Which commit of a program is its last.
#[derive(Debug, Default)]
pub struct Doom {
    /// Commits until then; 0 = it lives on.
    left: AtomicU64,
    after: std::sync::atomic::AtomicBool,
    dead: std::sync::atomic::AtomicBool,
}

impl Doom {
    /// The program ends at its `nth` commit from now, before or after it.
    pub fn arm(&self, nth: u64, after: bool) {
        self.after.store(after, Ordering::SeqCst);
        self.left.store(nth, Ordering::SeqCst);
    }
    /// It lives on after all.
    pub fn disarm(&self) {
        self.left.store(0, Ordering::SeqCst);
    }
    /// Whether it will end at a commit to come.
    pub fn is_armed(&self) -> bool {
        self.left.load(Ordering::SeqCst) > 0
    }
    /// Whether it has ended.
    pub fn struck(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }
    /// It is started again.
    pub fn revive(&self) {
        self.dead.store(false, Ordering::SeqCst);
        self.disarm();
    }
    /// `Some(after)` when this commit is the last.
    fn strike(&self) -> Option<bool> {
        if self.struck() {
            return Some(false);
        }
        let left = self.left.load(Ordering::SeqCst);
        if left == 0 {
            return None;
        }
        self.left.store(left - 1, Ordering::SeqCst);
        if left > 1 {
            return None;
        }
        self.dead.store(true, Ordering::SeqCst);
        Some(self.after.load(Ordering::SeqCst))
    }
}

impl counterfoil_counter::Faults for Doom {
    fn at(&self, _commit: &'static str) -> Option<counterfoil_counter::Crash> {
        self.strike().map(|after| match after {
            true => counterfoil_counter::Crash::After,
            false => counterfoil_counter::Crash::Before,
        })
    }
}

impl counterfoil_head_office::db::Faults for Doom {
    fn at(&self, _commit: &'static str) -> Option<counterfoil_head_office::db::Crash> {
        self.strike().map(|after| match after {
            true => counterfoil_head_office::db::Crash::After,
            false => counterfoil_head_office::db::Crash::Before,
        })
    }
}

/// Lets everything that can go on go on until `done`.
pub async fn until(mut done: impl FnMut() -> bool) {
    while !done() {
        tokio::task::yield_now().await;
    }
}
