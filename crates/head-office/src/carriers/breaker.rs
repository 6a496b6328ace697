//! Who keeps failing is left alone for a while. Time is an argument: no crate's breaker takes it.

use std::sync::{Mutex, PoisonError};

use counterfoil_domain::time::{Millis, SECOND};

/// Failures in a row after which a carrier is left alone.
pub const FAILURES: u32 = 5;
/// For how long; then one question tries it.
pub const ALONE: Millis = 30 * SECOND;

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// Nobody asks before this instant.
    until: Millis,
}

/// Counts failures in a row.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<State>);

impl Breaker {
    /// Whether a question may be asked now. Once a carrier has been left alone long enough, one question may, and the
    /// others wait until it has gone well, or for as long again.
    pub fn lets(&self, now: Millis) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.failures < FAILURES {
            return true;
        }
        if now < state.until {
            return false;
        }
        state.until = now.saturating_add(ALONE);
        true
    }

    /// How a question ended.
    pub fn ended(&self, well: bool, now: Millis) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if well {
            *state = State::default();
        } else {
            state.failures = state.failures.saturating_add(1);
            if state.failures >= FAILURES {
                state.until = now.saturating_add(ALONE);
            }
        }
    }

    /// Whether questions are kept back at this instant.
    pub fn is_open(&self, now: Millis) -> bool {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures >= FAILURES && now < state.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_fails_is_left_alone_and_then_tried_once() {
        let breaker = Breaker::default();
        for _ in 0..FAILURES {
            assert!(breaker.lets(0));
            breaker.ended(false, 0);
        }
        assert!(breaker.is_open(ALONE - 1) && !breaker.lets(ALONE - 1));
        // One goes ahead, the others wait for it.
        assert!(breaker.lets(ALONE));
        assert!(!breaker.lets(ALONE));
        breaker.ended(false, ALONE + 1);
        assert!(!breaker.lets(2 * ALONE));
        assert!(breaker.lets(2 * ALONE + 1));
        breaker.ended(true, 2 * ALONE + 2);
        assert!(breaker.lets(2 * ALONE + 2) && breaker.lets(2 * ALONE + 2));
        assert!(!breaker.is_open(2 * ALONE + 2));
    }

    #[test]
    fn what_goes_well_in_between_is_counted_anew() {
        let breaker = Breaker::default();
        for n in 0..4 * FAILURES {
            breaker.ended(n % FAILURES == 0, 0);
        }
        assert!(breaker.lets(0));
    }
}
