//! `cargo xtask bench`: speed, each figure beside the raw rate of the disk in the same run.
//!
//! Prints JSON lines `{name, value, unit, better, n}`. Nothing here passes or fails.

mod claims;
mod counter;
mod decide;
mod engine;
mod exchanges;
mod http;
mod launch;
mod ledger;
mod members;
mod pickups;
mod pictures;
mod quote;
mod simulator;
mod verify;
mod worst;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;
use counterfoil_head_office::testing::On;
use serde::Serialize;

/// Measures Counterfoil on this machine.
#[derive(Debug, Parser)]
struct Options {
    /// Also measure what can be run beside it.
    #[arg(long)]
    peer: bool,
    /// Only the parts whose name contains this: engine, ledger, exchanges, pickups, claims, http, members, verify, counter, quote, decide, simulator,
    /// member, launch; pictures, with `--pictures`; and worst, which nothing else asks for.
    #[arg(long)]
    only: Option<String>,
    /// Seconds for each figure of throughput.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// A folder of PNG and JPEG pictures, to measure how long reading one takes.
    #[arg(long, env = "COUNTERFOIL_BENCH_PICTURES", value_name = "DIR")]
    pictures: Option<PathBuf>,
    /// Where the search for the worst basket begins.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    value: f64,
    unit: &'a str,
    better: &'a str,
    n: u64,
}

/// Prints one figure.
pub fn report(name: &str, value: f64, unit: &str, better: &str, n: u64) {
    let value = (value * 1_000.0).round() / 1_000.0;
    if let Ok(line) = serde_json::to_string(&Line {
        name,
        value,
        unit,
        better,
        n,
    }) {
        println!("{line}");
    }
}

/// Latencies and their percentiles.
#[derive(Debug, Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    /// Adds one.
    pub fn add(&mut self, latency: Duration) {
        self.0.push(latency);
    }
    /// Adds all of another.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }
    /// Prints `name.p50` and `name.p99` in milliseconds.
    pub fn report(mut self, name: &str) {
        self.0.sort_unstable();
        for (suffix, share) in [("p50", 0.50), ("p99", 0.99)] {
            let place = ((self.0.len() as f64 * share) as usize).min(self.0.len().saturating_sub(1));
            let value = self.0.get(place).copied().unwrap_or_default();
            report(
                &format!("{name}.{suffix}"),
                value.as_secs_f64() * 1e3,
                "ms",
                "lower",
                self.0.len() as u64,
            );
        }
    }
}

/// The raw time of writing one page and syncing it: the neighbour of every durable figure.
pub fn disk(name: &str) -> anyhow::Result<()> {
    use std::os::unix::fs::FileExt;
    let file = tempfile::tempfile()?;
    let mut latencies = Latencies::default();
    for n in 0..500 {
        file.write_all_at(&[7u8; 4096], n * 4096)?;
        let begun = Instant::now();
        file.sync_data()?;
        latencies.add(begun.elapsed());
    }
    latencies.report(name);
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let wanted = |part: &str| options.only.as_deref().is_none_or(|only| part.contains(only));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let mut engines = vec![On::Sqlite];
    if std::env::var_os("COUNTERFOIL_TEST_POSTGRES").is_some() {
        engines.push(On::Postgres);
    }
    let span = Duration::from_secs(options.seconds);
    for on in engines {
        if wanted("engine") {
            runtime.block_on(engine::measure(on, span))?;
        }
        if wanted("ledger") {
            runtime.block_on(ledger::measure(on, span))?;
        }
        if wanted("exchanges") {
            runtime.block_on(exchanges::measure(on, span))?;
        }
        if wanted("pickups") {
            runtime.block_on(pickups::measure(on, span))?;
        }
        if wanted("claims") {
            runtime.block_on(claims::measure(on, span))?;
        }
        if wanted("http") {
            runtime.block_on(http::measure(on, span))?;
        }
        if wanted("members") {
            runtime.block_on(members::measure(on))?;
        }
        if wanted("verify") {
            runtime.block_on(verify::measure(on))?;
        }
    }
    if wanted("counter") {
        runtime.block_on(counter::measure())?;
    }
    if wanted("quote") {
        quote::measure()?;
    }
    if wanted("decide") {
        decide::measure()?;
    }
    if wanted("simulator") {
        simulator::measure()?;
    }
    if let Some(folder) = options.pictures.as_deref().filter(|_| wanted("pictures")) {
        pictures::measure(folder)?;
    }
    // A search, not a figure to compare: only when it is asked for.
    if options.only.as_deref() == Some("worst") {
        worst::measure(span, options.seed);
    }
    if wanted("launch") {
        runtime.block_on(launch::measure())?;
    }
    if options.peer {
        eprintln!("beside it: the raw rate of the disk above; no peer can be installed on this machine");
    }
    Ok(())
}
