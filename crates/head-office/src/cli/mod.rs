//! The command line of head office: what is typed, and what it ends with.
//!
//! Answers go to stdout in a form for programs, messages to stderr. 0 = done, 2 = the input was wrong, 1 = anything
//! else.

mod arguments;
mod carrier;
mod error;
mod people;
mod serve;
mod work;

use std::{io::Write, process::ExitCode};

use arguments::{
    Admin, Arguments, Command,
    work::{Device, Grant},
};
use clap::Parser;
pub use error::CliError;

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return CliError::failed("internal", format!("The program can't start its threads: {error}.")).exit();
        }
    };
    match runtime.block_on(run(arguments)) {
        Ok(code) => code,
        Err(error) => error.exit(),
    }
}

async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let serving = matches!(arguments.command, Command::Serve(_) | Command::SandboxCarrier(_));
    log_to_stderr(if serving { "info" } else { "warn" });
    let database = arguments.database;
    match arguments.command {
        Command::Serve(options) => serve::serve(&database, options).await?,
        Command::Seed(options) => work::seed(&database, &options).await?,
        Command::Verify => return work::verify(&database).await,
        Command::SandboxCarrier(options) => carrier::sandbox(options).await?,
        Command::Device(Device::EnrolCode(options)) => work::enrol_code(&database, &options).await?,
        Command::Admin(admin) => match admin {
            Admin::Tenant(action) => people::tenant(&database, action).await?,
            Admin::Store(action) => people::add_store(&database, action.into_inner()).await?,
            Admin::Clerk(action) => people::add_clerk(&database, action.into_inner()).await?,
            Admin::Operator(action) => people::operator(&database, action).await?,
            Admin::Device(action) => work::decide_device(&database, action).await?,
            Admin::Order(action) => work::add_order(&database, action.into_inner()).await?,
            Admin::Carrier(action) => carrier::decide(&database, action).await?,
            Admin::Coupon(Grant::Grant(options)) => work::grant(&database, &options).await?,
        },
    }
    Ok(ExitCode::SUCCESS)
}

fn log_to_stderr(default: &str) {
    use std::io::IsTerminal;
    use tracing_subscriber::EnvFilter;
    // The driver prints the whole text of a slow statement, which here is hundreds of kilobytes, and what PostgreSQL
    // finds worth noticing.
    let quiet = format!("{default},sqlx::query=off,sqlx::postgres::notice=warn");
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(quiet));
    // A second subscriber in one process is a test's; the first one stays.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
}

/// One line for programs.
fn print(line: &str) -> Result<(), CliError> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")
        .and_then(|()| stdout.flush())
        .map_err(|error| CliError::failed("output", format!("The answer can't be printed: {error}.")))
}
