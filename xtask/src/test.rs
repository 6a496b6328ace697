//! `cargo xtask test`: everything that can fail, counted.

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};

use crate::cleanup::Cleanup;
use crate::counts::{self, Counts};
use crate::display::Display;
use crate::postgres::Postgres;
use crate::setup::{self, Purpose};
use crate::{places, python, shell, ui};

#[derive(clap::Args)]
pub struct Options {
    /// For `cargo test`, instead of the whole workspace; the front ends' tests are then left out
    #[arg(last = true)]
    arguments: Vec<String>,
}

pub fn test(options: &Options) -> Result<ExitCode> {
    let mut counts = Counts::default();
    if let Err(error) = all(options, &mut counts) {
        if error.is::<setup::NeedsPerson>() {
            return Err(error);
        }
        // What could not even be run has failed.
        shell::say(format!("error: {error:#}"));
        counts.failed += 1;
    }
    println!("{} passed, {} failed", counts.passed, counts.failed);
    Ok(if counts.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn all(options: &Options, counts: &mut Counts) -> Result<()> {
    setup::setup(Purpose::Test)?;
    let mut cleanup = Cleanup::start()?;
    let driver = setup::tauri_driver()?;
    let python = python::tools()?;
    let everything = options.arguments.is_empty();

    ui::build()?;
    if everything {
        let mut command = shell::npm(["run", "test"]);
        command.env("NO_COLOR", "1").env("CI", "1");
        counts.add(counted("the front ends' tests", command, counts::of_npm_line)?);
        if let Err(error) = shell::run(shell::npm(["run", "check"])) {
            shell::say(format!("error: the front ends' types: {error:#}"));
            counts.failed += 1;
        }
    }

    // Binaries and tests in one go, so that both get the same features of every dependency and compile once.
    shell::run(shell::cargo(["build", "--workspace", "--bins", "--tests"]))?;

    let postgres = Postgres::start(&mut cleanup)?;
    let display = Display::start(&mut cleanup)?;
    let selects_package = options
        .arguments
        .iter()
        .any(|word| word == "-p" || word == "--package" || word.starts_with("--package="));
    let mut command = shell::cargo(["test", "--no-fail-fast"]);
    if !selects_package {
        command.arg("--workspace");
    }
    command
        .args(&options.arguments)
        .env("COUNTERFOIL_TEST_POSTGRES", &postgres.url)
        .env("COUNTERFOIL_BIN_DIR", places::target().join("debug"))
        .env("COUNTERFOIL_TEST_PYTHON", python.unwrap_or_default())
        .env("COUNTERFOIL_TAURI_DRIVER", &driver);
    display.apply(&mut command);
    counts.add(counted("the crates' tests", command, counts::of_cargo_line)?);
    Ok(())
}

/// Passes the output on, line by line, and counts. A program that fails without having counted a failure (it did
/// not compile, it crashed) counts as one.
fn counted(what: &str, mut command: Command, read: fn(&str) -> Option<Counts>) -> Result<Counts> {
    shell::say(format!("$ {}", shell::shown(&command)));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {what}"))?;
    let mut counts = Counts::default();
    let mut output = BufReader::new(child.stdout.take().context("no output")?);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        print!("{text}");
        counts.add(read(&text).unwrap_or_default());
        line.clear();
    }
    let status = child.wait()?;
    if !status.success() {
        shell::say(format!("error: {what} failed ({status})"));
        if counts.failed == 0 {
            counts.failed = 1;
        }
    }
    Ok(counts)
}
