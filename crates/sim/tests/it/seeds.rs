//! Twenty seeds of a thousand steps, twice: nothing breaks a rule, and both runs are the same to the last byte.

use std::sync::Arc;

use counterfoil_sim::{Base, Faults, faults_of, run, steps, tills};

const EVENTS: usize = 1_000;

fn simulate() -> Vec<(u64, Vec<String>, [u8; 32])> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let base = Arc::new(Base::make().await.unwrap());
        let mut ran = Vec::new();
        for seed in 1..=20 {
            let faults = faults_of(seed, &Faults::all());
            let steps = steps(seed, EVENTS, &faults, tills());
            let done = run(seed, Arc::clone(&base), &steps, faults).await.unwrap();
            ran.push((seed, done.violations, done.trace));
        }
        ran
    })
}

#[test]
fn no_seed_breaks_a_rule_and_every_seed_repeats() {
    let beside = std::thread::spawn(simulate);
    let ran = simulate();
    for (seed, violations, _) in &ran {
        assert!(
            violations.is_empty(),
            "seed {seed}: {violations:?}\nsee it with: counterfoil-sim --seeds {seed}..{seed} --events {EVENTS}"
        );
    }
    assert_eq!(ran, beside.join().unwrap());
}
