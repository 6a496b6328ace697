//! What the sandbox carrier knows: waybills, and how far each is.

use counterfoil_domain::time::Millis;
use serde::{Deserialize, Serialize};

use super::super::{Consignment, Event, Progress};

/// A waybill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The key it was ordered under.
    pub key: String,
    /// Its number.
    pub number: String,
    /// Whether it was cancelled.
    pub cancelled: bool,
    /// Where it goes.
    pub consignment: Consignment,
    /// How far it is.
    pub progress: Progress,
    /// What happened to it.
    pub events: Vec<Event>,
}

/// What the control route shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Every waybill, first ordered first.
    pub waybills: Vec<Known>,
    /// Questions so far, by kind: order, find, cancel, label, track.
    pub asked: [u64; 5],
    /// Questions that hang.
    pub hanging: u64,
}

impl Shown {
    /// The waybills that are not cancelled.
    pub fn live(&self) -> impl Iterator<Item = &Known> {
        self.waybills.iter().filter(|known| !known.cancelled)
    }
}

/// Waybills.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// What the numbers begin with: another program's are others.
    pub(super) prefix: String,
    pub(super) waybills: Vec<Known>,
}

impl Book {
    /// Makes a waybill, or finds that of this key.
    pub(super) fn order(&mut self, key: String, consignment: Consignment, dedupe: bool, now: Millis) -> String {
        let known = self.waybills.iter().find(|known| known.key == key && !known.cancelled);
        if let Some(known) = known.filter(|_| dedupe) {
            return known.number.clone();
        }
        let number = format!("SB{}{:06}", self.prefix, self.waybills.len() + 1);
        self.waybills.push(Known {
            key,
            number: number.clone(),
            cancelled: false,
            consignment,
            progress: Progress::InTransit,
            events: vec![Event {
                at: now,
                text: "ordered".to_owned(),
            }],
        });
        number
    }

    pub(super) fn of_key(&self, key: &str) -> Vec<String> {
        let of_key = self
            .waybills
            .iter()
            .filter(|known| known.key == key && !known.cancelled);
        of_key.map(|known| known.number.clone()).collect()
    }

    pub(super) fn get(&mut self, number: &str) -> Option<&mut Known> {
        self.waybills.iter_mut().find(|known| known.number == number)
    }
}
