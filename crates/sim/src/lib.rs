//! The deterministic simulator: real counters and a real head office on real SQLite files, in one schedule from a
//! seed. Clocks, randomness, network, disks and crashes are the simulator's; what must hold is judged by a plain model
//! once faults have stopped. See docs/TESTING.md.

mod ambient;
mod base;
mod carrier;
mod judge;
mod kinds;
mod net;
mod perform;
mod recorded;
mod shrink;
mod step;
mod world;

use std::{collections::BTreeMap, sync::Arc};

use anyhow::Result;
pub use base::Base;
pub use kinds::What;
pub use recorded::{record, replay};
pub use shrink::shrink;
pub use step::{Faults, Replay, Step, steps};

use world::World;

/// What became of one seed.
#[derive(Debug, Clone)]
pub struct Ran {
    /// Whatever broke a rule.
    pub violations: Vec<String>,
    /// Operations acknowledged.
    pub operations: u64,
    /// Faults that hit, by their word.
    pub hit: BTreeMap<&'static str, u64>,
    /// Cases by kind.
    pub exceptions: BTreeMap<String, u64>,
    /// SHA-256 over everything that happened.
    pub trace: [u8; 32],
}

/// How many counters there are to begin with.
pub fn tills() -> usize {
    base::DEVICES.iter().sum()
}

/// Which faults this seed has: some seeds have none, and then nothing may go wrong at all.
pub fn faults_of(seed: u64, all: &Faults) -> Faults {
    if seed % 10 == 5 { Faults::none() } else { all.clone() }
}

/// Runs these steps in a world of this seed.
///
/// # Errors
/// When the simulator itself can't go on: that is a fault of its own, or one of the programs that no rule is about.
pub async fn run(seed: u64, base: Arc<Base>, steps: &[Step], faults: Faults) -> Result<Ran> {
    let mut world = World::new(seed, base, faults).await?;
    let mut broken = Vec::new();
    for (place, step) in steps.iter().enumerate() {
        let done = perform::perform(&mut world, step).await?;
        let line = format!("{place} {step:?} -> {done}");
        world.trace(&line);
        broken.extend(
            judge::step(&mut world)
                .await?
                .map(|what| format!("step {place}: {what}")),
        );
    }
    broken.extend(judge::finale(&mut world).await?);
    let violations = broken;
    let exceptions = world.exceptions().await?;
    for violation in &violations {
        world.trace(violation);
    }
    let mut hit = world.net.hit();
    for (what, count) in &world.hit {
        *hit.entry(what).or_default() += count;
    }
    let ran = Ran {
        violations,
        operations: world.acknowledged.len() as u64,
        hit,
        exceptions,
        trace: world.digest(),
    };
    world.end().await?;
    Ok(ran)
}
