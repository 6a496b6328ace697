//! `cargo xtask bench`: release binaries and the databases; the measuring is `tests/src/bin/bench.rs`.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::cleanup::Cleanup;
use crate::display::Display;
use crate::postgres::Postgres;
use crate::setup::{self, Purpose};
use crate::{places, shell, ui};

#[derive(clap::Args)]
pub struct Options {
    /// Also run what can be run beside it
    #[arg(long)]
    peer: bool,
    /// For the benchmark program
    #[arg(last = true)]
    arguments: Vec<String>,
}

pub fn bench(options: &Options) -> Result<ExitCode> {
    setup::setup(Purpose::Test)?;
    let mut cleanup = Cleanup::start()?;
    ui::build()?;
    let packages = [
        "counterfoil",
        "counterfoil-head-office",
        "counterfoil-counter",
        "counterfoil-tests",
    ]
    .map(|name| ["-p", name]);
    let mut build = shell::cargo(["build", "--release", "--bins"]);
    build.args(packages.iter().flatten());
    shell::run(build)?;

    let postgres = Postgres::start(&mut cleanup)?;
    let display = Display::start(&mut cleanup)?;
    // The same selection as above, or cargo would choose other features and compile again.
    let mut bench = shell::command(places::target().join("release/bench"), options.peer.then_some("--peer"));
    bench
        .args(&options.arguments)
        .current_dir(places::root())
        .env("COUNTERFOIL_TEST_POSTGRES", &postgres.url)
        .env("COUNTERFOIL_TAURI_DRIVER", setup::tauri_driver()?)
        .env("COUNTERFOIL_BIN_DIR", places::target().join("release"));
    display.apply(&mut bench);
    shell::say(format!("$ {}", shell::shown(&bench)));
    // Standard output is the benchmark's own: one JSON object a line.
    let status = bench.status().context("cannot start the benchmark")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
