//! What a developer types: `cargo xtask run`, `test`, `check`, `bench`.
//!
//! Standard output carries results only (test output, benchmark lines); everything xtask itself has to say
//! goes to standard error.

mod bare;
mod bench;
mod capability;
mod check;
mod cleanup;
mod counts;
mod direction;
mod display;
mod drops;
mod floors;
mod fuzz;
mod places;
mod planted;
mod postgres;
mod python;
mod run;
mod setup;
mod shell;
mod soak;
mod test;
mod traces;
mod ui;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::setup::Purpose;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Everything a developer of Counterfoil types",
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the other commands need (they call this themselves)
    ///
    /// Example: cargo xtask setup
    Setup,
    /// Build and start head office and the counter app on demo data
    ///
    /// Examples: cargo xtask run; cargo xtask run --empty
    Run(run::Options),
    /// Run every test of every crate and front end; the closing line says how many ran
    ///
    /// Examples: cargo xtask test; cargo xtask test -- -p counterfoil-counter overlay
    Test(test::Options),
    /// Formatting, lints, licences, dependency direction, generated bindings; `--deep` adds a longer simulation
    ///
    /// Examples: cargo xtask check; cargo xtask check --deep
    Check(check::Options),
    /// Plant each known bug in turn and say which check finds it
    ///
    /// Examples: cargo xtask planted; cargo xtask planted --only foreign_freeze
    Planted(planted::Options),
    /// Real processes on a bad line, killed at any moment; exit 1 when something is lost or double
    ///
    /// Examples: cargo xtask soak --minutes 20; cargo xtask soak --minutes 20 --on postgres --seed 7
    Soak(soak::Options),
    /// Write the TypeScript bindings of the desktop commands
    ///
    /// Example: cargo xtask bindings
    Bindings,
    /// Print the benchmark table as JSON lines
    ///
    /// Examples: cargo xtask bench; cargo xtask bench --peer
    Bench(bench::Options),
    /// Prove `run` and `test` on a bare Debian in a chroot (slow: half an hour and more; as root)
    ///
    /// Example: cargo xtask bare --suite bookworm
    Bare(bare::Options),
    /// Stop what is named on standard input as soon as that is closed
    #[command(hide = true)]
    Cleanup,
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Setup => setup::setup(Purpose::Test).map(|()| ExitCode::SUCCESS),
        Task::Run(options) => run::run(&options),
        Task::Test(options) => test::test(&options),
        Task::Check(options) => check::check(&options),
        Task::Planted(options) => planted::planted(&options),
        Task::Soak(options) => soak::soak(&options),
        Task::Bindings => bindings(),
        Task::Bench(options) => bench::bench(&options),
        Task::Bare(options) => bare::bare(&options),
        Task::Cleanup => cleanup::serve().map(|()| ExitCode::SUCCESS),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            shell::say(format!("error: {error:#}"));
            match error.downcast_ref::<setup::NeedsPerson>() {
                Some(_) => ExitCode::from(2),
                None => ExitCode::FAILURE,
            }
        }
    }
}

fn bindings() -> anyhow::Result<ExitCode> {
    setup::setup(Purpose::Build)?;
    shell::run(shell::cargo([
        "run",
        "--quiet",
        "--package",
        "counterfoil",
        "--",
        "bindings",
    ]))?;
    Ok(ExitCode::SUCCESS)
}
