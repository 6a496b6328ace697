//! `cargo xtask soak`: real processes, a bad line, kills; the work is done by `tests/src/soak`.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::cleanup::Cleanup;
use crate::postgres::Postgres;
use crate::setup::{self, Purpose};
use crate::{places, shell};

#[derive(clap::Args)]
pub struct Options {
    /// How long things go wrong; then everything is delivered and judged
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    minutes: u64,
    /// Head office's database: one process on SQLite, two on PostgreSQL
    #[arg(long, default_value = "sqlite", value_parser = ["sqlite", "postgres"])]
    on: String,
    /// Where choices come from, as far as processes leave any
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many counters work
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    counters: u64,
}

pub fn soak(options: &Options) -> Result<ExitCode> {
    setup::setup(Purpose::Test)?;
    let mut cleanup = Cleanup::start()?;
    let packages = ["counterfoil-head-office", "counterfoil-counter", "counterfoil-tests"].map(|name| ["-p", name]);
    let mut build = shell::cargo(["build", "--bins"]);
    build.args(packages.iter().flatten());
    shell::run(build)?;

    let mut soak = shell::command(
        places::target().join("debug/counterfoil-soak"),
        [
            "--minutes",
            &options.minutes.to_string(),
            "--on",
            &options.on,
            "--seed",
            &options.seed.to_string(),
            "--counters",
            &options.counters.to_string(),
        ],
    );
    soak.current_dir(places::root())
        .env("COUNTERFOIL_BIN_DIR", places::target().join("debug"));
    if options.on == "postgres" {
        soak.env("COUNTERFOIL_TEST_POSTGRES", Postgres::start(&mut cleanup)?.url);
    }
    shell::say(format!("$ {}", shell::shown(&soak)));
    // Standard output is the soak's own: one JSON object.
    let status = soak.status().context("cannot start the soak")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
