//! What can happen. A simulation is a list of steps, each with everything it needs: leaving some out leaves the others
//! what they were, which is what makes a failing list short.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    kinds::{KINDS, What},
    net::Fate,
    world::FEW,
};

/// The word of faults on the way, which hit the requests of any step.
const NETWORK: &str = "network";

/// One step, and what becomes of its requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub what: What,
    /// Fates of the requests that it makes, in order; the others are delivered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fates: Vec<Fate>,
}

/// A run that can be made again: the seed of its world, its faults and its steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    pub seed: u64,
    pub faults: Vec<String>,
    pub steps: Vec<Step>,
}

/// Which faults there are to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(pub BTreeSet<String>);

impl Faults {
    /// The words of all there are.
    pub fn words() -> BTreeSet<&'static str> {
        KINDS.iter().filter_map(|kind| kind.fault).chain([NETWORK]).collect()
    }

    /// All of them.
    pub fn all() -> Self {
        Self(Self::words().into_iter().map(str::to_owned).collect())
    }
    /// None: everybody is online and honest.
    pub fn none() -> Self {
        Self(BTreeSet::new())
    }
    /// Whether there are such faults.
    pub fn has(&self, word: &str) -> bool {
        self.0.contains(word)
    }
    /// Whether nothing goes wrong at all.
    pub fn is_calm(&self) -> bool {
        self.0.is_empty()
    }
}

/// What steps are made from.
pub struct Making<'a> {
    pub dice: fastrand::Rng,
    pub faults: &'a Faults,
    tills: usize,
}

impl Making<'_> {
    /// A counter.
    pub fn till(&mut self) -> usize {
        self.dice.usize(..self.tills)
    }
    /// Mostly one of a few, so that several meet over the same.
    pub fn thing(&mut self) -> usize {
        match self.dice.u8(..4) {
            0 => self.dice.usize(..1_000),
            _ => self.dice.usize(..FEW),
        }
    }

    fn what(&mut self) -> What {
        let till = self.till();
        let all: u32 = KINDS.iter().map(|kind| kind.weight).sum();
        loop {
            let mut drawn = self.dice.u32(..all);
            let kind = KINDS.iter().find(|kind| {
                let found = drawn < kind.weight;
                drawn = drawn.saturating_sub(kind.weight);
                found
            });
            // Another one, in place of a fault that there is not to be.
            if let Some(kind) = kind.filter(|kind| kind.fault.is_none_or(|fault| self.faults.has(fault))) {
                return (kind.make)(self, till);
            }
        }
    }

    fn step(&mut self) -> Step {
        let what = self.what();
        let mut fates = Vec::new();
        if self.faults.has(NETWORK) && self.dice.u8(..5) == 0 {
            for _ in 0..self.dice.usize(1..3) {
                fates.push(match self.dice.bool() {
                    true => Fate::FAULTS[self.dice.usize(..Fate::FAULTS.len())],
                    false => Fate::Delivered,
                });
            }
        }
        Step { what, fates }
    }
}

/// The steps of this seed.
pub fn steps(seed: u64, events: usize, faults: &Faults, tills: usize) -> Vec<Step> {
    let mut making = Making {
        dice: fastrand::Rng::with_seed(seed),
        faults,
        tills,
    };
    (0..events).map(|_| making.step()).collect()
}
