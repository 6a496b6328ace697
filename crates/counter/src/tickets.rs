//! What was shown, kept until it is confirmed: confirming acts on exactly that, and twice is once.

use std::{
    any::Any,
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use counterfoil_domain::time::{MINUTE, Millis};

const LASTS: Millis = 10 * MINUTE;
/// Of one kind.
const MOST: usize = 256;

#[derive(Debug)]
struct Kept {
    ticket: Arc<dyn Any + Send + Sync>,
    until: Millis,
    number: u64,
}

/// The showings of the last minutes, of whatever kind. In memory only: after a restart things are looked up again.
#[derive(Debug, Default)]
pub struct Tickets(Mutex<(u64, BTreeMap<String, Kept>)>);

impl Tickets {
    /// Keeps a showing under a name nobody can guess. `monotonic` so that a clock that jumps ends none.
    pub fn keep<T: Any + Send + Sync>(&self, name: String, ticket: T, monotonic: Millis) {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (numbers, kept) = &mut *guard;
        kept.retain(|_, kept| kept.until > monotonic);
        let alike = || kept.iter().filter(|(_, kept)| kept.ticket.is::<T>());
        if alike().count() >= MOST
            && let Some(oldest) = alike()
                .min_by_key(|(_, kept)| kept.number)
                .map(|(name, _)| name.clone())
        {
            kept.remove(&oldest);
        }
        *numbers += 1;
        let until = monotonic.saturating_add(LASTS);
        kept.insert(
            name,
            Kept {
                ticket: Arc::new(ticket),
                until,
                number: *numbers,
            },
        );
    }

    /// The showing of this name and kind, while it lasts.
    pub fn find<T: Any + Send + Sync>(&self, name: &str, monotonic: Millis) -> Option<Arc<T>> {
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = guard.1.get(name).filter(|kept| kept.until > monotonic)?;
        Arc::clone(&kept.ticket).downcast().ok()
    }
}
