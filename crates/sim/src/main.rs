//! `counterfoil-sim`: see [`counterfoil_sim`].

use std::{
    collections::{BTreeMap, VecDeque},
    ops::RangeInclusive,
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result, bail};
use clap::Parser;
use counterfoil_sim::{Base, Faults, Ran, Replay, faults_of, record, run, shrink, steps, tills};
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
    #[arg(long, help = format!("Only these faults, separated by commas, or `none`: {}", known_faults()))]
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

/// The faults there are.
fn known_faults() -> String {
    Faults::words().into_iter().collect::<Vec<_>>().join(", ")
}

fn faults(words: Option<&str>) -> Result<Faults> {
    match words {
        None => Ok(Faults::all()),
        Some("none") => Ok(Faults::none()),
        Some(words) => {
            let mut faults = Faults::none();
            for word in words.split(',') {
                if !Faults::words().contains(word) {
                    bail!("{word}: no such faults; there are {}", known_faults());
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

/// What is to be run: made only when its turn comes.
fn chosen(options: &Options, all: &Faults, seed: u64) -> Replay {
    let faults = faults_of(seed, all);
    Replay {
        seed,
        steps: steps(seed, options.events, &faults, tills()),
        faults: faults.0.into_iter().collect(),
    }
}

/// One run, and the shortest list of steps that fails, if it does.
struct Done {
    steps: usize,
    ran: Ran,
    short: Option<Replay>,
}

async fn one(base: &Arc<Base>, replay: Replay, to_shrink: bool) -> Result<Done> {
    let Replay { seed, faults, steps } = replay;
    let faults = Faults(faults.into_iter().collect());
    let ran = run(seed, Arc::clone(base), &steps, faults.clone())
        .await
        .with_context(|| format!("seed {seed}"))?;
    let count = steps.len();
    if ran.violations.is_empty() {
        return Ok(Done {
            steps: count,
            ran,
            short: None,
        });
    }
    eprintln!("seed {seed}: {} violations", ran.violations.len());
    for violation in ran.violations.iter().take(10) {
        eprintln!("  {violation}");
    }
    let short = if to_shrink {
        shrink(steps, |fewer| {
            let (base, faults) = (Arc::clone(base), faults.clone());
            async move { matches!(run(seed, base, &fewer, faults).await, Ok(ran) if !ran.violations.is_empty()) }
        })
        .await
    } else {
        steps
    };
    let short = Some(Replay {
        seed,
        faults: faults.0.into_iter().collect(),
        steps: short,
    });
    Ok(Done {
        steps: count,
        ran,
        short,
    })
}

/// Each seed is a world of its own on one thread; several run side by side.
fn beside(
    options: &Options,
    all: &Faults,
    next: &Mutex<VecDeque<Replay>>,
    seeds: &Mutex<VecDeque<u64>>,
    done: &Mutex<BTreeMap<u64, Done>>,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let base = Arc::new(Base::make().await?);
        loop {
            let given = next.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let replay = match given {
                Some(replay) => replay,
                None => match seeds.lock().unwrap_or_else(PoisonError::into_inner).pop_front() {
                    Some(seed) => chosen(options, all, seed),
                    None => return Ok(()),
                },
            };
            let seed = replay.seed;
            let ended = one(&base, replay, !options.no_shrink).await?;
            done.lock().unwrap_or_else(PoisonError::into_inner).insert(seed, ended);
        }
    })
}

fn simulate(options: &Options) -> Result<bool> {
    if let Some(folder) = &options.record {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let requests = runtime.block_on(record(*options.seeds.start(), options.events, folder))?;
        println!("{}", json!({ "requests": requests, "folder": folder }));
        return Ok(true);
    }
    let all = faults(options.faults.as_deref())?;
    let mut given = VecDeque::new();
    let mut seeds: VecDeque<u64> = options.seeds.clone().collect();
    if let Some(file) = &options.replay {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        given.push_back(serde_json::from_str(&text).with_context(|| file.display().to_string())?);
        seeds.clear();
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (given, seeds, done) = (Mutex::new(given), Mutex::new(seeds), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| beside(options, &all, &given, &seeds, &done)))
            .collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(ended) => ended,
            Err(_) => bail!("the simulator panicked"),
        })
    })?;
    let mut sum = Sum::default();
    let mut fails = false;
    for done in done.into_inner().unwrap_or_else(PoisonError::into_inner).into_values() {
        sum.add(done.steps, &done.ran);
        if let Some(short) = done.short {
            fails = true;
            println!("{}", serde_json::to_string(&short)?);
        }
    }
    // The same build and seed do the same.
    eprintln!(
        "commit {}, {}, lock file {}",
        env!("COUNTERFOIL_SIM_COMMIT"),
        env!("COUNTERFOIL_SIM_COMPILER"),
        hex::encode(Sha256::digest(include_bytes!("../../../Cargo.lock")))
    );
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
    match simulate(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
