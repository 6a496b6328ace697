//! The headless sync daemon: delivers a counter's journal and keeps its local copy fresh while no app is open.

use std::{
    fmt::Display,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::Parser;
use counterfoil_counter::{Clock, Counter, Error, Report, System, db::FILE_NAME, salvage, sync::DrainLock};
use serde_json::json;
use tracing_subscriber::EnvFilter;

/// How long `--once` waits for a head office that is busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// Delivers a counter's journal to head office and keeps its local copy fresh.
///
/// It may run beside the app in the same data folder: a file lock decides which of the two delivers. It may be killed
/// at any moment; what was acknowledged is on disk. Logs go to standard error, RUST_LOG sets how much.
///
/// Exit: 0 success, 2 wrong input (usage, address, one-time code, no such data folder), 1 any other failure; a stable
/// code is on standard error.
#[derive(Debug, Parser)]
#[command(
    name = "counterfoil-syncd",
    version,
    after_help = "Examples:\n  \
        counterfoil-syncd --data-dir /var/lib/counterfoil\n      \
        run until stopped\n  \
        counterfoil-syncd --data-dir /var/lib/counterfoil --once\n      \
        deliver and fetch once; prints {\"pushed\":3,\"pulled\":12,\"pending\":0,\"exceptions\":0}\n  \
        counterfoil-syncd --data-dir /var/lib/counterfoil --enrol https://hq.example.com --code ABCD-EFGH\n      \
        enrol this machine first"
)]
struct Options {
    /// Folder with the counter's database and key, as given to the app. Example: --data-dir /var/lib/counterfoil
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Deliver and fetch once, print {"pushed","pulled","pending","exceptions"}, end. Exit 1 when head office can't be
    /// reached; the line is printed all the same. Example: --once
    #[arg(long, conflicts_with_all = ["enrol", "salvage"])]
    once: bool,
    /// Enrol this machine at a head office, print {"device","store"}, end. Example: --enrol https://hq.example.com
    #[arg(long, value_name = "ADDRESS", requires = "code")]
    enrol: Option<String>,
    /// The one-time code from `counterfoil-hq device enrol-code`. Example: --code ABCD-EFGH
    #[arg(long, requires = "enrol")]
    code: Option<String>,
    /// What people call this machine at head office. Example: --name "stock room"
    #[arg(long, requires = "enrol", default_value = "counterfoil-syncd")]
    name: String,
    /// After `database_corrupt`: keep the damaged file, take what can be read of the journal into a fresh one, print
    /// {"kept","operations","pending","lost","end_unreadable"}, end. Exit 1 when the journal's newest part could not be
    /// read (`end_unreadable`); what was read before it is saved all the same. Example: --salvage
    #[arg(long, conflicts_with = "enrol")]
    salvage: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        // Else it panics when standard error is closed.
        .log_internal_errors(false)
        .init();
    match run(options).await {
        Ok(code) => code,
        Err(error) => {
            tell(error.code(), &error);
            match error.code() {
                "address_invalid" | "enrol_code_invalid" => ExitCode::from(2),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

async fn run(options: Options) -> Result<ExitCode, Error> {
    // Only enrolment begins a folder: a misspelt one must not turn into a counter that delivers nothing.
    if options.enrol.is_none() && !options.data_dir.is_dir() {
        tell(
            "data_dir_missing",
            format_args!(
                "there is no folder {}; name the app's own data folder, or enrol this machine with --enrol",
                options.data_dir.display()
            ),
        );
        return Ok(ExitCode::from(2));
    }
    let system = Arc::new(System::new());
    if options.salvage {
        let salvaged = salvage(&options.data_dir, system.now()).await?;
        print(&salvaged)?;
        if salvaged.end_unreadable {
            tell(
                "journal_end_unreadable",
                "the newest operations of the journal could not be read; the damaged file is kept",
            );
            return Ok(ExitCode::FAILURE);
        }
        return Ok(ExitCode::SUCCESS);
    }
    if options.enrol.is_none() && !options.data_dir.join(FILE_NAME).exists() {
        // Opening would begin one.
        return Err(Error::NotEnrolled);
    }
    let counter = Counter::open(&options.data_dir, system.clone(), system).await?;
    if let (Some(address), Some(code)) = (&options.enrol, &options.code) {
        counter.enrol(address, code, &options.name).await?;
        if let Some(placed) = counter.status().await?.placed {
            print(&json!({ "device": placed.device, "store": placed.store.code }))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if options.once {
        let report = counter.sync_once(PATIENCE).await?;
        print(&report)?;
        return Ok(outcome(&report));
    }
    serve(&counter, &options.data_dir).await
}

fn print(line: &impl serde::Serialize) -> Result<(), Error> {
    let line = serde_json::to_string(line).map_err(Error::from)?;
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .map_err(|source| Error::File {
            what: "writing to standard output".to_owned(),
            source,
        })
}

/// For people and programs, as far as anybody listens: the exit code says the rest.
fn tell(code: &str, what: impl Display) {
    let _ = writeln!(io::stderr(), "{code}: {what}");
}

fn outcome(report: &Report) -> ExitCode {
    match &report.problem {
        None => ExitCode::SUCCESS,
        Some(code) => {
            tell(code, "not everything could be exchanged; nothing is lost");
            ExitCode::FAILURE
        }
    }
}

async fn serve(counter: &Counter, folder: &std::path::Path) -> Result<ExitCode, Error> {
    if counter.status().await?.placed.is_none() {
        return Err(Error::NotEnrolled);
    }
    // Only a look: the sync takes it again.
    if DrainLock::try_take(folder)?.is_none() {
        return Err(Error::DataDirLocked);
    }
    let sync = counter.start_sync();
    stop_asked_for().await;
    sync.stop().await;
    Ok(ExitCode::SUCCESS)
}

#[cfg(unix)]
async fn stop_asked_for() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

#[cfg(not(unix))]
async fn stop_asked_for() {
    let _ = tokio::signal::ctrl_c().await;
}
