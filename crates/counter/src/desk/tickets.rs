//! What was shown, kept until it is confirmed: confirming acts on exactly that, and twice is once.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use counterfoil_domain::{
    coupons::{Coupon, Template},
    pickups::Order,
    time::{MINUTE, Millis},
};
use counterfoil_protocol::operation::Evidence;
use tokio::sync::Mutex as AsyncMutex;

use super::{PresentedBy, Receipt};

const LASTS: Millis = 10 * MINUTE;
const MOST: usize = 256;

/// What was shown.
#[derive(Debug, Clone)]
pub enum Shown {
    /// A coupon and its rule.
    Coupon {
        coupon: Box<Coupon>,
        template: Box<Template>,
        /// Only its token is known; head office's row of it is not here.
        by_token_only: bool,
    },
    /// A pickup order.
    Order { order: Box<Order> },
}

/// One showing.
#[derive(Debug)]
pub struct Ticket {
    /// What.
    pub shown: Shown,
    /// What the customer presented.
    pub evidence: Evidence,
    /// Who stands there, when known.
    pub presented_by: PresentedBy,
    /// The receipt, once it is confirmed. Locked while it is being confirmed.
    pub done: AsyncMutex<Option<Receipt>>,
}

#[derive(Debug)]
struct Kept<T> {
    ticket: Arc<T>,
    until: Millis,
    number: u64,
}

/// The showings of the last minutes. In memory only: after a restart things are looked up again.
#[derive(Debug)]
pub struct Tickets<T>(Mutex<(u64, BTreeMap<String, Kept<T>>)>);

impl<T> Default for Tickets<T> {
    fn default() -> Self {
        Self(Mutex::new((0, BTreeMap::new())))
    }
}

impl<T> Tickets<T> {
    /// Keeps a showing under a name nobody can guess. `monotonic` so that a clock that jumps ends none.
    pub fn keep(&self, name: String, ticket: T, monotonic: Millis) {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (numbers, kept) = &mut *guard;
        kept.retain(|_, kept| kept.until > monotonic);
        if kept.len() >= MOST
            && let Some(oldest) = kept
                .iter()
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

    /// The showing of this name, while it lasts.
    pub fn find(&self, name: &str, monotonic: Millis) -> Option<Arc<T>> {
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        guard
            .1
            .get(name)
            .filter(|kept| kept.until > monotonic)
            .map(|kept| Arc::clone(&kept.ticket))
    }
}
