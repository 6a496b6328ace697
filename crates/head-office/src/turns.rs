//! Turns: of each key at most one at a time.
//!
//! A turn ends when it is dropped, wherever that is. It must therefore take no lock when it ends: a turn that was made and
//! dropped while the lock was held would wait for itself. So the map remembers turns without owning them, and those that
//! have ended are swept out by later ones.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use counterfoil_domain::planted;

/// Who has a turn.
#[derive(Debug)]
pub struct Turns<K>(Mutex<Taken<K>>);

#[derive(Debug)]
struct Taken<K> {
    turns: HashMap<K, Weak<()>>,
    /// Swept when there are so many.
    sweep_at: usize,
}

/// Turns that are kept before the first sweep.
const FEW: usize = 64;

/// A turn; it ends when this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Turn {
    _alive: Arc<()>,
}

impl<K> Default for Turns<K> {
    fn default() -> Self {
        Self(Mutex::new(Taken {
            turns: HashMap::new(),
            sweep_at: FEW,
        }))
    }
}

impl<K: Eq + Hash> Turns<K> {
    /// Takes the key's turn; `None` while somebody has it.
    pub fn take(&self, key: K) -> Option<Turn> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.turns.get(&key).is_some_and(|turn| turn.strong_count() > 0) {
            // As a turn would that takes the lock to end, and is made before it is known to be wanted.
            planted!("eager_turn", drop(self.0.lock()), ());
            return None;
        }
        if taken.turns.len() >= taken.sweep_at {
            taken.turns.retain(|_, turn| turn.strong_count() > 0);
            taken.sweep_at = (2 * taken.turns.len()).max(FEW);
        }
        let alive = Arc::new(());
        taken.turns.insert(key, Arc::downgrade(&alive));
        Some(Turn { _alive: alive })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_turn_at_a_time() {
        let turns = Turns::default();
        let first = turns.take("a");
        assert!(first.is_some());
        assert!(turns.take("a").is_none());
        assert!(turns.take("b").is_some());
        drop(first);
        assert!(turns.take("a").is_some());
    }

    #[test]
    fn a_turn_may_end_while_turns_are_looked_at() {
        let turns = Turns::default();
        let turn = turns.take("a");
        let held = turns.0.lock().unwrap();
        drop(turn);
        drop(held);
        assert!(turns.take("a").is_some());
    }

    #[test]
    fn ended_turns_are_not_remembered_for_ever() {
        let turns = Turns::default();
        let kept: Vec<_> = (0..100).map(|key| turns.take(key).unwrap()).collect();
        for key in 100..10_000 {
            assert!(turns.take(key).is_some());
        }
        assert!(turns.0.lock().unwrap().turns.len() <= 2 * kept.len() + FEW);
        assert!((0..100).all(|key| turns.take(key).is_none()));
    }
}
