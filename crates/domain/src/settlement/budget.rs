//! How much a quote may look at: a number that is the same on every machine, so that what is answered is too.

use std::cell::Cell;

use super::InputError;
use crate::planted;

/// Visits of lines allowed where the contract lets a quote be refused; at most a second of one core of today.
const VISITS: u64 = 150_000_000;
/// What a step costs beside the lines it looks at, in visits, and each coupon that it judges.
pub(super) const STEP: usize = 16;
/// Visits between two questions whether to go on: a few hundred microseconds.
const ASK_EVERY: u64 = 1 << 16;

/// What a quote may spend and has spent, in visits: each time a line, or the sum of lines of one kind, is read or
/// written while combinations are tried.
pub struct Budget<'a> {
    limit: u64,
    visits: Cell<u64>,
    ask_at: Cell<u64>,
    go_on: &'a dyn Fn(u64) -> bool,
}

impl std::fmt::Debug for Budget<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (limit, visits) = (self.limit, self.visits.get());
        f.debug_struct("Budget")
            .field("limit", &limit)
            .field("visits", &visits)
            .finish_non_exhaustive()
    }
}

impl Default for Budget<'_> {
    fn default() -> Self {
        Self::of(VISITS)
    }
}

impl<'a> Budget<'a> {
    /// This many visits; baskets that are always answered may take more.
    #[must_use]
    pub fn of(visits: u64) -> Self {
        Self {
            limit: planted!("quotes_without_bound", u64::MAX, visits),
            visits: Cell::new(0),
            ask_at: Cell::new(ASK_EVERY),
            go_on: &|_| true,
        }
    }

    /// The same, for as long as this says yes. It is asked now and then, and told the visits so far.
    #[must_use]
    pub fn while_told(self, go_on: &'a dyn Fn(u64) -> bool) -> Self {
        Self { go_on, ..self }
    }

    /// Visits so far.
    #[must_use]
    pub fn visits(&self) -> u64 {
        self.visits.get()
    }

    /// Counts a step that visits so many lines. `always`: whatever it takes.
    pub(super) fn step(&self, lines: usize, always: bool) -> Result<(), InputError> {
        let visits = self.visits.get().saturating_add((lines + STEP) as u64);
        self.visits.set(visits);
        if visits > self.limit && !always {
            return Err(InputError::too_many_combinations());
        }
        if visits >= self.ask_at.get() {
            self.ask_at.set(visits.saturating_add(ASK_EVERY));
            if !(self.go_on)(visits) {
                return Err(InputError::stopped());
            }
        }
        Ok(())
    }
}
