//! Who is signed in.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use counterfoil_domain::{
    ids::ClerkId,
    people::{Clerk, Role},
    time::{MINUTE, Millis},
};
use serde::Serialize;

/// How long nobody may touch the counter before it locks.
const AUTO_LOCK: Millis = 10 * MINUTE;

/// A person at this store, for the sign-in screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// Their id.
    pub id: ClerkId,
    /// Their name.
    pub name: String,
    /// Clerk or manager.
    pub role: Role,
    /// After too many wrong PINs: until when, by this device's clock.
    pub locked_until: Option<Millis>,
}

impl Person {
    pub(crate) fn of(clerk: &Clerk, locked_until: Option<Millis>) -> Self {
        Self {
            id: clerk.id,
            name: clerk.name.clone(),
            role: clerk.role,
            locked_until,
        }
    }
}

/// Who is signed in. In memory only.
#[derive(Debug)]
pub(crate) struct Session {
    state: Mutex<(Option<(Person, Millis)>, Millis)>,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            state: Mutex::new((None, AUTO_LOCK)),
        }
    }
}

impl Session {
    pub(crate) fn set(&self, person: Option<Person>, monotonic: Millis) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = person.map(|person| (person, monotonic));
    }

    pub(crate) fn set_auto_lock(&self, after: Duration) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 = Millis::try_from(after.as_millis()).unwrap_or(Millis::MAX);
    }

    /// Who is signed in; `touch` counts as a sign of life.
    pub(crate) fn current(&self, monotonic: Millis, touch: bool) -> Option<Person> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let lasts = state.1;
        let (person, used) = state.0.as_mut()?;
        if monotonic.saturating_sub(*used) > lasts {
            state.0 = None;
            return None;
        }
        if touch {
            *used = monotonic;
        }
        Some(person.clone())
    }
}
