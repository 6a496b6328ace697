//! Room for quotes: small ones never wait behind big ones, nobody takes it all, and nothing is reckoned for somebody who
//! has gone. Whether a quote is big shows when it is tried: each is begun as a small one.

use std::{
    cell::Cell,
    collections::HashMap,
    num::NonZero,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use counterfoil_domain::{planted, settlement::Budget};
use counterfoil_protocol::problem::{Code, Problem};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use crate::{
    clock::Clock,
    http::{Actor, ApiError, Gone},
};

/// Visits of a small quote: a few milliseconds.
const SMALL: u64 = 1 << 20;
/// How long a quote waits for its turn.
const PATIENCE: Duration = Duration::from_millis(500);
/// Callers remembered before those who ask nothing are forgotten.
const CALLERS: usize = 1_000;

/// How many quotes one caller may ask at a time.
#[derive(Debug, Clone, Copy)]
pub struct Allowance {
    /// In all.
    at_once: usize,
    /// Of them big ones.
    big: usize,
}

impl Allowance {
    /// A person at a screen.
    pub const MEMBER: Self = Self { at_once: 4, big: 1 };
    /// A shop's own site may ask for many people.
    pub const OPERATOR: Self = Self { at_once: 64, big: 4 };
}

/// Who asks.
#[derive(Debug)]
pub struct Asked<'a> {
    /// In whose name.
    pub caller: Actor,
    /// What they may ask.
    pub allowance: Allowance,
    /// Whether they are still there.
    pub gone: &'a Gone,
    /// The time.
    pub clock: &'a dyn Clock,
}

/// One caller's turns.
#[derive(Debug)]
struct Turns {
    at_once: Arc<Semaphore>,
    big: Arc<Semaphore>,
}

/// The room.
#[derive(Debug)]
pub struct Quoting {
    /// Cores for small quotes.
    pub small: Arc<Semaphore>,
    /// Cores for big ones.
    pub big: Arc<Semaphore>,
    callers: Mutex<HashMap<Actor, Arc<Turns>>>,
    given_up: AtomicU64,
}

impl Default for Quoting {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, NonZero::get);
        Self {
            small: Arc::new(Semaphore::new(cores)),
            // So that one core is left for everything else, if there are several.
            big: Arc::new(Semaphore::new(cores.saturating_sub(1).max(1))),
            callers: Mutex::default(),
            given_up: AtomicU64::new(0),
        }
    }
}

/// How a try ended.
enum Tried<T> {
    Done(T),
    /// Its budget was told not to go on.
    Stopped,
}

impl Quoting {
    /// Does work that quotes, first as a small quote and, when it is none, as a big one.
    ///
    /// # Errors
    /// `busy` when there is no room; `rate_limited` when this caller has as much under way as may be.
    pub async fn run<T, W>(&self, asked: Asked<'_>, work: W) -> Result<T, ApiError>
    where
        T: Send + 'static,
        W: Fn(&Budget<'_>) -> T + Send + Sync + 'static,
    {
        let gone = asked.gone;
        let turns = self.turns(asked.caller, asked.allowance);
        let _turn = turn(&turns.at_once)?;
        let work = Arc::new(work);
        let room = self.room(&self.small, gone, asked.clock).await?;
        let small = planted!("quotes_without_bound", u64::MAX, SMALL);
        let small = planted!("big_quotes_among_small", u64::MAX, small);
        if let Tried::Done(answer) = attempt(Arc::clone(&work), room, gone.clone(), small).await? {
            return Ok(answer);
        }
        let _turn = turn(&turns.big)?;
        let room = self.room(&self.big, gone, asked.clock).await?;
        match attempt(work, room, gone.clone(), u64::MAX).await? {
            Tried::Done(answer) => Ok(answer),
            Tried::Stopped => Err(self.give_up()),
        }
    }

    /// Quotes that were given up because whoever asked had gone.
    pub fn given_up(&self) -> u64 {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Nobody reads this answer.
    fn give_up(&self) -> ApiError {
        self.given_up.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("counterfoil_quotes_given_up_total").increment(1);
        ApiError::busy(1)
    }

    async fn room(
        &self,
        lane: &Arc<Semaphore>,
        gone: &Gone,
        clock: &dyn Clock,
    ) -> Result<OwnedSemaphorePermit, ApiError> {
        tokio::select! {
            biased;
            () = gone.0.cancelled() => Err(self.give_up()),
            room = Arc::clone(lane).acquire_owned() => room.map_err(|_| ApiError::internal()),
            () = clock.sleep(PATIENCE) => Err(ApiError::busy(1)),
        }
    }

    fn turns(&self, caller: Actor, allowance: Allowance) -> Arc<Turns> {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if callers.len() >= CALLERS {
            callers.retain(|_, turns| Arc::strong_count(turns) > 1);
        }
        let turns = callers.entry(caller).or_insert_with(|| {
            Arc::new(Turns {
                at_once: Arc::new(Semaphore::new(allowance.at_once)),
                big: Arc::new(Semaphore::new(allowance.big)),
            })
        });
        Arc::clone(turns)
    }
}

fn turn(turns: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, ApiError> {
    Arc::clone(turns).try_acquire_owned().map_err(|error| match error {
        TryAcquireError::NoPermits => Problem {
            retry_after: Some(1),
            ..Problem::new(Code::RateLimited)
        }
        .into(),
        TryAcquireError::Closed => ApiError::internal(),
    })
}

/// Works for so many visits and while somebody waits for the answer. The room is given back when the work has ended,
/// whatever becomes of who waits for it.
async fn attempt<T, W>(work: Arc<W>, room: OwnedSemaphorePermit, gone: Gone, visits: u64) -> Result<Tried<T>, ApiError>
where
    T: Send + 'static,
    W: Fn(&Budget<'_>) -> T + Send + Sync + 'static,
{
    let working = tokio::task::spawn_blocking(move || {
        let stopped = Cell::new(false);
        let go_on = |spent| {
            let go_on = spent < visits && !gone.0.is_cancelled();
            stopped.set(!go_on);
            go_on
        };
        let answer = work(&Budget::default().while_told(&go_on));
        drop(room);
        if stopped.get() {
            Tried::Stopped
        } else {
            Tried::Done(answer)
        }
    });
    working.await.map_err(|_| ApiError::internal())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use counterfoil_domain::ids::TenantId;

    use super::*;
    use crate::clock::SystemClock;

    fn asked(name: &str, allowance: Allowance) -> Asked<'static> {
        static GONE: std::sync::LazyLock<Gone> = std::sync::LazyLock::new(Gone::default);
        Asked {
            caller: Actor {
                tenant: TenantId::new(1, [0; 10]),
                name: name.to_owned(),
            },
            allowance,
            gone: &GONE,
            clock: &SystemClock,
        }
    }

    fn code(answer: Result<(), ApiError>) -> String {
        answer.unwrap_err().0.code
    }

    #[tokio::test]
    async fn one_caller_has_so_many_turns_at_a_time() {
        for allowance in [Allowance::MEMBER, Allowance::OPERATOR] {
            let quoting = Arc::new(Quoting {
                small: Arc::new(Semaphore::new(100)),
                ..Quoting::default()
            });
            let (done, wait) = mpsc::channel::<()>();
            let wait = Arc::new(Mutex::new(wait));
            let (begun, mut is_begun) = tokio::sync::mpsc::unbounded_channel();
            let ask = |name: &str| {
                let (quoting, asked) = (Arc::clone(&quoting), asked(name, allowance));
                let (wait, begun) = (Arc::clone(&wait), begun.clone());
                let work = move |_: &Budget<'_>| {
                    begun.send(()).unwrap();
                    // Ends with an error when the test lets go.
                    let _ = wait.lock().unwrap().recv();
                };
                tokio::spawn(async move { quoting.run(asked, work).await })
            };
            let mut under_way = Vec::new();
            for _ in 0..allowance.at_once {
                under_way.push(ask("one"));
                is_begun.recv().await.unwrap();
            }
            assert_eq!(code(ask("one").await.unwrap()), "rate_limited");
            under_way.push(ask("another"));
            is_begun.recv().await.unwrap();
            drop(done);
            for call in under_way {
                call.await.unwrap().unwrap();
            }
            ask("one").await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn callers_who_ask_nothing_are_forgotten() {
        let quoting = Quoting::default();
        for n in 0..2 * CALLERS {
            quoting
                .run(asked(&n.to_string(), Allowance::MEMBER), |_| ())
                .await
                .unwrap();
        }
        assert!(quoting.callers.lock().unwrap().len() <= CALLERS);
    }

    #[tokio::test]
    async fn who_has_gone_waits_for_no_room() {
        let quoting = Quoting {
            small: Arc::new(Semaphore::new(0)),
            ..Quoting::default()
        };
        let gone = Gone::default();
        gone.0.cancel();
        let asked = Asked {
            gone: &gone,
            ..asked("one", Allowance::MEMBER)
        };
        let answer = quoting.run(asked, |_| ()).await;
        assert_eq!((code(answer).as_str(), quoting.given_up()), ("busy", 1));
    }
}
