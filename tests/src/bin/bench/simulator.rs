//! The simulator: how many steps it takes a second.

use std::{sync::Arc, time::Instant};

use anyhow::{Result, bail};
use counterfoil_sim::{Base, Faults, faults_of, run, steps, tills};

use crate::report;

const EVENTS: usize = 1_000;
const SEEDS: std::ops::RangeInclusive<u64> = 1..=10;

/// Steps a second of ten seeds with all faults, one after the other.
pub fn measure() -> Result<()> {
    // Its schedule needs one thread.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let base = Arc::new(Base::make().await?);
        let begun = Instant::now();
        let mut events = 0;
        for seed in SEEDS {
            let faults = faults_of(seed, &Faults::all());
            let steps = steps(seed, EVENTS, &faults, tills());
            let ran = run(seed, Arc::clone(&base), &steps, faults).await?;
            if !ran.violations.is_empty() {
                bail!("seed {seed}: {:?}", ran.violations);
            }
            events += steps.len();
        }
        let rate = events as f64 / begun.elapsed().as_secs_f64();
        report("simulator.events", rate, "1/s", "higher", events as u64);
        Ok(())
    })
}
