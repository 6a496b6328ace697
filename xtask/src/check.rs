//! `cargo xtask check`: everything that can be said about the code without running its tests.

use std::process::ExitCode;

use anyhow::Result;

use crate::setup::{self, Purpose};
use crate::{direction, shell, traces, ui};

type Step = (&'static str, fn() -> Result<()>);

/// Run all, then name what failed: one failure doesn't hide the next.
const STEPS: &[Step] = &[
    ("formatting", || shell::run(shell::cargo(["fmt", "--all", "--check"]))),
    ("dependency direction", direction::check),
    ("no hosts and paths of one machine", traces::check),
    ("front ends' types", || {
        ui::install()?;
        shell::run(shell::npm(["run", "check"]))
    }),
    ("lints", || {
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
    ("bindings are those of the code", || {
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
    ("licences, bans, sources", || {
        let deny = setup::tool("cargo-deny", "0.20.2", "checks the dependencies' licences and sources")?;
        let mut command = shell::command(deny, ["--workspace", "check", "bans", "licenses", "sources"]);
        command.current_dir(crate::places::root());
        shell::run(command)
    }),
];

#[derive(clap::Args)]
pub struct Options {
    /// Simulate 200 seeds as well
    #[arg(long)]
    deep: bool,
}

/// What takes too long for every change.
const DEEP: &[Step] = &[("simulation of 200 seeds", || {
    shell::run(shell::cargo([
        "run",
        "--quiet",
        "--package",
        "counterfoil-sim",
        "--",
        "--seeds",
        "1..200",
        "--events",
        "1000",
    ]))
})];

pub fn check(options: &Options) -> Result<ExitCode> {
    setup::setup(Purpose::Build)?;
    let mut failed = Vec::new();
    let deep = if options.deep { DEEP } else { &[] };
    for (name, step) in STEPS.iter().chain(deep) {
        shell::say(format!("-- {name}"));
        if let Err(error) = step() {
            shell::say(format!("error: {name}: {error:#}"));
            failed.push(*name);
        }
    }
    if failed.is_empty() {
        println!("{} checks passed", STEPS.len() + deep.len());
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "{} of {} checks failed: {}",
        failed.len(),
        STEPS.len() + deep.len(),
        failed.join(", ")
    );
    Ok(ExitCode::FAILURE)
}
