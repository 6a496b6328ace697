//! `cargo xtask check`: everything that can be said about the code without running its tests.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::setup::{self, Purpose};
use crate::{capability, direction, drops, floors, fuzz, shell, traces, ui};

#[derive(clap::Args)]
pub struct Options {
    /// Also what takes minutes: a simulation, a capability added to a copy, every fuzzing target for some seconds
    #[arg(long)]
    deep: bool,
    /// Seconds for each fuzzing target
    #[arg(long, default_value_t = fuzz::SECONDS, requires = "deep")]
    fuzz_seconds: u64,
    /// Only the steps whose name contains this, as --only fuzzing
    #[arg(long)]
    only: Option<String>,
}

type Step = (&'static str, fn(&Options) -> Result<()>);

/// Run all, then name what failed: one failure doesn't hide the next.
const STEPS: &[Step] = &[
    ("formatting", |_| {
        shell::run(shell::cargo(["fmt", "--all", "--check"]))?;
        shell::run(shell::cargo(["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]))
    }),
    ("dependency direction", |_| direction::check()),
    ("no hosts and paths of one machine", |_| traces::check()),
    ("floors and circles", |_| floors::check()),
    ("no lock in a drop", |_| drops::check()),
    ("front ends' types", |_| {
        ui::install()?;
        shell::run(shell::npm(["run", "check"]))
    }),
    ("front ends' formatting", |_| {
        ui::install()?;
        shell::run(shell::npm(["run", "format:check"]))
    }),
    ("front ends' lints", |_| {
        ui::install()?;
        shell::run(shell::npm(["run", "lint"]))
    }),
    ("lints", |_| {
        shell::run(shell::cargo([
            "clippy",
            "--quiet",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]))
    }),
    ("bindings are those of the code", |_| {
        shell::run(shell::cargo([
            "run",
            "--quiet",
            "--package",
            "counterfoil",
            "--",
            "bindings",
            "--check",
        ]))
    }),
    ("licences, bans, sources", |_| {
        let deny = setup::tool("cargo-deny", "0.20.2", "checks the dependencies' licences and sources")?;
        let mut command = shell::command(
            deny,
            [
                "--workspace",
                "check",
                "--deny",
                "unmatched-skip",
                "bans",
                "licenses",
                "sources",
            ],
        );
        command.current_dir(crate::places::root());
        shell::run(command)
    }),
];

/// Only with `--deep`.
const DEEP_STEPS: &[Step] = &[
    ("simulation of 200 seeds", |_| {
        shell::run(shell::cargo([
            "run",
            "--quiet",
            "--release",
            "--package",
            "counterfoil-sim",
            "--",
            "--seeds",
            "1..200",
            "--events",
            "1000",
        ]))
    }),
    ("a capability that is thrown away", |_| capability::check()),
    ("fuzzing", |options| fuzz::run(options.fuzz_seconds)),
];

pub fn check(options: &Options) -> Result<ExitCode> {
    setup::setup(Purpose::Build)?;
    let deep = if options.deep { DEEP_STEPS } else { &[] };
    let wanted = |name: &str| options.only.as_deref().is_none_or(|only| name.contains(only));
    let steps: Vec<&Step> = STEPS.iter().chain(deep).filter(|(name, _)| wanted(name)).collect();
    if steps.is_empty() {
        bail!("no step is named so");
    }
    let mut failed = Vec::new();
    for (name, step) in &steps {
        shell::say(format!("-- {name}"));
        if let Err(error) = step(options) {
            shell::say(format!("error: {name}: {error:#}"));
            failed.push(*name);
        }
    }
    if failed.is_empty() {
        println!("{} checks passed", steps.len());
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "{} of {} checks failed: {}",
        failed.len(),
        steps.len(),
        failed.join(", ")
    );
    Ok(ExitCode::FAILURE)
}
