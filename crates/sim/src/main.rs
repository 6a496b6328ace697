//! `counterfoil-sim`: see [`counterfoil_sim`].

use std::{collections::BTreeMap, ops::RangeInclusive, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::{Context, Result, bail};
use clap::Parser;
use counterfoil_sim::{Base, Faults, Ran, Step, faults_of, record, run, shrink, steps, tills};
use serde_json::json;
use sha2::{Digest, Sha256};

/// Simulate counters and head office with faults, and judge what comes of it
///
/// Example: counterfoil-sim --seeds 1..20 --events 1000
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Seeds, both ends included, for example 1..20
    #[arg(long, default_value = "1..20", value_parser = seeds)]
    seeds: RangeInclusive<u64>,
    /// Steps of each seed
    #[arg(long, default_value_t = 1_000)]
    events: usize,
    /// Only these faults, separated by commas, or `none`: network, cut, crash, restore, clone, clock, revoke, disk, hostile
    #[arg(long)]
    faults: Option<String>,
    /// Run the steps of this file (as a violation prints them) instead
    #[arg(long)]
    replay: Option<PathBuf>,
    /// Record the first seed's requests into this folder instead, for later versions to answer
    #[arg(long)]
    record: Option<PathBuf>,
    /// Don't cut a failing list down
    #[arg(long)]
    no_shrink: bool,
}

fn seeds(text: &str) -> Result<RangeInclusive<u64>, String> {
    let (first, last) = text.split_once("..").ok_or("for example 1..20")?;
    let number = |word: &str| word.parse::<u64>().map_err(|error| error.to_string());
    let (first, last) = (number(first)?, number(last.trim_start_matches('='))?);
    if first > last {
        return Err("the first seed is larger than the last".into());
    }
    Ok(first..=last)
}

fn faults(words: Option<&str>) -> Result<Faults> {
    match words {
        None => Ok(Faults::all()),
        Some("none") => Ok(Faults::none()),
        Some(words) => {
            let mut faults = Faults::none();
            for word in words.split(',') {
                if !Faults::ALL.contains(&word) {
                    bail!("{word}: no such faults; there are {}", Faults::ALL.join(", "));
                }
                faults.0.insert(word.to_owned());
            }
            Ok(faults)
        }
    }
}

#[derive(Default)]
struct Sum {
    seeds: u64,
    events: u64,
    operations: u64,
    hit: BTreeMap<String, u64>,
    exceptions: BTreeMap<String, u64>,
    violations: usize,
    trace: Sha256,
}

impl Sum {
    fn add(&mut self, events: usize, ran: &Ran) {
        self.seeds += 1;
        self.events += events as u64;
        self.operations += ran.operations;
        for (what, count) in &ran.hit {
            *self.hit.entry((*what).to_owned()).or_default() += count;
        }
        for (what, count) in &ran.exceptions {
            *self.exceptions.entry(what.clone()).or_default() += count;
        }
        self.violations += ran.violations.len();
        self.trace.update(ran.trace);
    }
}

/// A replay file: the seed of the world and its steps.
#[derive(serde::Serialize, serde::Deserialize)]
struct Replay {
    seed: u64,
    faults: Vec<String>,
    steps: Vec<Step>,
}

async fn simulate(options: &Options) -> Result<bool> {
    if let Some(folder) = &options.record {
        let requests = record(*options.seeds.start(), options.events, folder).await?;
        println!("{}", json!({ "requests": requests, "folder": folder }));
        return Ok(true);
    }
    let all = faults(options.faults.as_deref())?;
    let base = Arc::new(Base::make().await?);
    let mut sum = Sum::default();
    let mut fails = false;
    let runs: Vec<Replay> = match &options.replay {
        Some(file) => {
            let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
            vec![serde_json::from_str(&text).with_context(|| file.display().to_string())?]
        }
        None => options
            .seeds
            .clone()
            .map(|seed| {
                let faults = faults_of(seed, &all);
                Replay {
                    seed,
                    steps: steps(seed, options.events, &faults, tills()),
                    faults: faults.0.into_iter().collect(),
                }
            })
            .collect(),
    };
    for Replay { seed, faults, steps } in runs {
        let faults = Faults(faults.into_iter().collect());
        let ran = run(seed, Arc::clone(&base), &steps, faults.clone())
            .await
            .with_context(|| format!("seed {seed}"))?;
        sum.add(steps.len(), &ran);
        if ran.violations.is_empty() {
            continue;
        }
        fails = true;
        eprintln!("seed {seed}: {} violations", ran.violations.len());
        for violation in ran.violations.iter().take(10) {
            eprintln!("  {violation}");
        }
        let short = if options.no_shrink {
            steps
        } else {
            shrink(steps, |fewer| {
                let (base, faults) = (Arc::clone(&base), faults.clone());
                async move { matches!(run(seed, base, &fewer, faults).await, Ok(ran) if !ran.violations.is_empty()) }
            })
            .await
        };
        println!(
            "{}",
            serde_json::to_string(&Replay {
                seed,
                faults: faults.0.into_iter().collect(),
                steps: short,
            })?
        );
    }
    let trace = hex::encode(sum.trace.finalize());
    println!(
        "{}",
        json!({
            "seeds": sum.seeds, "events": sum.events, "operations": sum.operations, "faults": sum.hit,
            "exceptions": sum.exceptions, "violations": sum.violations, "trace": trace,
        })
    );
    Ok(!fails)
}

fn main() -> ExitCode {
    let options = Options::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "off".into()))
        .with_writer(std::io::stderr)
        .without_time()
        .init();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(simulate(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
