//! `counterfoil`: the desktop app, and a few commands for scripts and IT.

#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

use std::io::{stderr, stdin, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use counterfoil_desktop::IDENTIFIER;
use counterfoil_desktop::cli::bindings::{self, BindingsArgs};
use counterfoil_desktop::cli::qr::{QrArgs, qr};
use counterfoil_desktop::cli::quote::{self, QuoteArgs};
use counterfoil_desktop::cli::scan::{ScanArgs, scan};
use counterfoil_desktop::cli::{Ending, doctor};
use tracing_subscriber::EnvFilter;

/// Coupons and pickup codes at the counter. Without a command it opens the desk.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:\n  counterfoil --data-dir /srv/counter-1\n  counterfoil doctor\n\nRUST_LOG says what is logged on standard error, e.g. RUST_LOG=counterfoil=debug."
)]
struct Arguments {
    /// Where the app keeps its database and keys, e.g. --data-dir /srv/counter-1 [default: the user's data folder]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Task>,
}

#[derive(Debug, Subcommand)]
enum Task {
    Scan(ScanArgs),
    Qr(QrArgs),
    Quote(QuoteArgs),
    /// Check database, disk, key, clock, head office, camera, scanner, printer: one line each, ok or !! and what to do
    #[command(after_help = "Example:\n  counterfoil doctor --data-dir /srv/counter-1")]
    Doctor,
    #[command(hide = true)]
    Bindings(BindingsArgs),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log(arguments.command.is_none());
    let folder = || {
        arguments
            .data_dir
            .clone()
            .or_else(|| dirs::data_dir().map(|folder| folder.join(IDENTIFIER)))
    };
    match &arguments.command {
        Some(Task::Scan(args)) => scan(&args.files, &mut stdout().lock()).into(),
        Some(Task::Qr(args)) => qr(
            &args.text,
            &args.out,
            &args.style(),
            &mut stdout().lock(),
            &mut stderr().lock(),
        )
        .into(),
        Some(Task::Quote(args)) => quote::run(args, &mut stdin().lock(), &mut stdout().lock()).into(),
        Some(Task::Bindings(args)) => bindings::run(Path::new(bindings::FILE), args.check, &mut stderr().lock()).into(),
        Some(Task::Doctor) => on(folder(), look),
        None => on(folder(), counterfoil_desktop::run),
    }
}

fn on(folder: Option<PathBuf>, work: impl FnOnce(&Path) -> ExitCode) -> ExitCode {
    match folder {
        Some(folder) => work(&folder),
        None => {
            eprintln!("counterfoil: this machine names no folder for data; say where with --data-dir DIR");
            Ending::BadInput.into()
        }
    }
}

fn look(folder: &Path) -> ExitCode {
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(doctor::run(folder, &mut stdout())).into(),
        Err(error) => {
            eprintln!("counterfoil doctor: {error}");
            Ending::Failed.into()
        }
    }
}

/// To standard error; more of it while the app runs than for a command, whose messages are its own.
fn log(app: bool) {
    let usual = if app { "info,sqlx=warn" } else { "error" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usual));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .init();
}
