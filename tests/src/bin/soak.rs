//! `cargo xtask soak`: counts on standard output as JSON; what is lost or double on standard error.

use std::{process::ExitCode, time::Duration};

use clap::{Parser, ValueEnum};
use counterfoil_head_office::testing::On;
use counterfoil_tests::soak::{Plan, run};

#[derive(Clone, Copy, ValueEnum)]
enum Engine {
    Sqlite,
    Postgres,
}

#[derive(Parser)]
struct Options {
    #[arg(long)]
    minutes: u64,
    #[arg(long, value_enum, default_value = "sqlite")]
    on: Engine,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, default_value_t = 20)]
    counters: usize,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    let report = run(Plan {
        on: match options.on {
            Engine::Sqlite => On::Sqlite,
            Engine::Postgres => On::Postgres,
        },
        lasts: Duration::from_secs(options.minutes * 60),
        counters: options.counters,
        // Three counters a store, give or take one.
        stores: options.counters.div_ceil(3),
        seed: options.seed,
    })
    .await;
    println!("{}", serde_json::to_string(&report)?);
    for violation in &report.violations {
        eprintln!("{violation}");
    }
    Ok(if report.violations.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
