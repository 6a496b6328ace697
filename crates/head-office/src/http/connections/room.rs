//! Who has a place, and who has been idle longest.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use counterfoil_domain::planted;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::line::Line;

/// Places for connections.
#[derive(Debug)]
pub(super) struct Room {
    places: Arc<Semaphore>,
    idle: Mutex<Idle>,
    changed: Notify,
}

/// In the order in which they became idle.
#[derive(Debug, Default)]
struct Idle {
    last: u64,
    lines: BTreeMap<u64, Weak<Line>>,
}

impl Room {
    pub(super) fn new(places: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places.clamp(1, Semaphore::MAX_PERMITS))),
            idle: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Nothing is dropped under this lock that could ask for it again: the map holds weak references only.
    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection is idle from now on.
    pub(super) fn enter(&self, line: &Arc<Line>) -> u64 {
        let number = {
            let mut idle = self.idle();
            idle.last += 1;
            let number = idle.last;
            idle.lines.insert(number, Arc::downgrade(line));
            number
        };
        self.look_again();
        number
    }

    /// It is idle no more.
    pub(super) fn leave(&self, number: u64) {
        self.idle().lines.remove(&number);
    }

    /// Whoever waits for a place looks again who could be closed.
    pub(super) fn look_again(&self) {
        self.changed.notify_waiters();
    }

    /// Tells the connection that has been idle longest to close.
    pub(super) fn close_oldest(&self) -> Option<Arc<Line>> {
        loop {
            let oldest = planted!("idle_lines_stay", None, self.idle().lines.pop_first());
            let (_, line) = oldest?;
            if let Some(line) = line.upgrade() {
                line.close.cancel();
                return Some(line);
            }
        }
    }

    /// A place. When there is none, the oldest idle connection is closed for it; when none is idle, it is waited for.
    pub(super) async fn place(&self) -> OwnedSemaphorePermit {
        let mut told: Option<Weak<Line>> = None;
        loop {
            let changed = self.changed.notified();
            if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
                return place;
            }
            // One at a time: another one only when a request came to the first at the last moment.
            let is_closing = told
                .take()
                .and_then(|line| line.upgrade())
                .filter(|line| !line.is_busy());
            told = is_closing
                .or_else(|| self.close_oldest())
                .map(|line| Arc::downgrade(&line));
            tokio::select! {
                place = Arc::clone(&self.places).acquire_owned() => {
                    if let Ok(place) = place {
                        return place;
                    }
                }
                () = changed => {}
            }
        }
    }
}
