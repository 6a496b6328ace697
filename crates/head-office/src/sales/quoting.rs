//! Room for quotes. Most baskets take microseconds, some a second of a core: those take turns, one at a time of each
//! caller, and never in the way of the others.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use counterfoil_domain::settlement::Basket;
use counterfoil_protocol::problem::Code;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    clock::Clock,
    http::{Actor, ApiError},
};

/// How long a quote waits for a core to become free.
const PATIENCE: Duration = Duration::from_millis(500);
/// Coupons up to which a basket can't take long, whatever they are: six orders.
const SMALL: usize = 3;

/// The room there is.
#[derive(Debug)]
pub struct Quoting {
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
    callers: Arc<Mutex<HashSet<Actor>>>,
}

/// Room for one quote, given back when dropped.
#[derive(Debug)]
pub struct Room {
    _permit: OwnedSemaphorePermit,
    _turn: Option<Turn>,
}

/// The turn of a caller's large quote.
#[derive(Debug)]
struct Turn {
    callers: Arc<Mutex<HashSet<Actor>>>,
    caller: Actor,
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Never held while a turn is dropped: `enter` makes one only after it has given the lock back.
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        callers.remove(&self.caller);
    }
}

impl Quoting {
    /// For so many cores: large quotes leave one of them to the small ones, where there are several.
    pub fn new(cores: usize) -> Self {
        Self {
            small: Arc::new(Semaphore::new(cores)),
            large: Arc::new(Semaphore::new(cores.saturating_sub(1).max(1))),
            callers: Arc::default(),
        }
    }

    /// Takes room for this basket.
    ///
    /// # Errors
    /// `rate_limited` while another large quote of the same caller is under way, `busy` when no core becomes free in time.
    pub async fn enter(&self, caller: Actor, basket: &Basket, clock: &dyn Clock) -> Result<Room, ApiError> {
        let is_small = basket.coupons.len() <= SMALL;
        let turn = if is_small { None } else { Some(self.turn(caller)?) };
        let lane = if is_small { &self.small } else { &self.large };
        tokio::select! {
            permit = Arc::clone(lane).acquire_owned() => match permit {
                Ok(permit) => Ok(Room { _permit: permit, _turn: turn }),
                Err(_) => Err(ApiError::internal()),
            },
            () = clock.sleep(PATIENCE) => Err(ApiError::busy(1)),
        }
    }

    fn turn(&self, caller: Actor) -> Result<Turn, ApiError> {
        let entered = self
            .callers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(caller.clone());
        if !entered {
            return Err(ApiError::new(Code::RateLimited));
        }
        Ok(Turn {
            callers: Arc::clone(&self.callers),
            caller,
        })
    }
}
