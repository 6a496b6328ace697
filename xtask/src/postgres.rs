//! A PostgreSQL of our own: fresh data, free port, durable settings, gone afterwards.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::cleanup::{Cleanup, as_user};
use crate::shell;

/// Oldest version that is supported.
pub const OLDEST: u32 = 14;

/// The folder with the newest server binaries and their major version.
pub fn binaries() -> Option<(PathBuf, u32)> {
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            let bin = entry.path().join("bin");
            bin.join("initdb").is_file().then_some((bin, version))
        });
    debian.max_by_key(|(_, version)| *version).or_else(|| {
        let initdb = shell::which("initdb")?;
        // "initdb (PostgreSQL) 16.2"
        let said = shell::capture(shell::command(&initdb, ["--version"])).ok()?;
        let number = said.split_whitespace().nth(2)?;
        let major = number.split(|sign: char| !sign.is_ascii_digit()).next()?.parse().ok()?;
        Some((initdb.parent()?.to_owned(), major))
    })
}

pub struct Postgres {
    pub url: String,
}

impl Postgres {
    pub fn start(cleanup: &mut Cleanup) -> Result<Self> {
        let (bin, version) = binaries().context("PostgreSQL's server is missing")?;
        if version < OLDEST {
            bail!("PostgreSQL {version} is too old: {OLDEST} or newer is needed");
        }
        // The server refuses to run as root; its package made this user.
        let user = shell::is_root().then_some("postgres");
        let data = data_folder(user)?;
        cleanup.postgres(&bin, &data, user)?;

        let mut initdb = as_user(user, &bin.join("initdb"));
        initdb
            .args([
                "--auth=trust",
                "--username=postgres",
                "--encoding=UTF8",
                "--locale=C",
                "--pgdata",
            ])
            .arg(&data);
        initdb.current_dir("/");
        shell::capture(initdb).context("PostgreSQL's data folder could not be made")?;

        let port = shell::free_port()?;
        let log = data.join("server.log");
        let mut start = as_user(user, &bin.join("pg_ctl"));
        start.args(["start", "-w", "-t", "60", "-s", "-D"]).arg(&data).arg("-l").arg(&log).arg("-o").arg(format!(
            "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={} -c max_connections=200 -c fsync=on \
             -c synchronous_commit=on -c full_page_writes=on -c max_wal_size=256MB",
            data.display()
        ));
        if let Err(error) = run_quietly(start) {
            bail!(
                "PostgreSQL {version} did not start: {error:#}\n{}",
                shell::tail(&log, 20)
            );
        }
        shell::say(format!("PostgreSQL {version} on port {port}, for this run only"));
        Ok(Self {
            url: format!("postgres://postgres@127.0.0.1:{port}/postgres"),
        })
    }
}

/// Outside the clone: the server's user may not be able to enter the folders above it.
fn data_folder(user: Option<&str>) -> Result<PathBuf> {
    let mut mktemp = as_user(user, Path::new("mktemp"));
    mktemp
        .args(["-d", "-p", "/tmp", "counterfoil-postgres.XXXXXXXX"])
        .current_dir("/");
    Ok(PathBuf::from(shell::capture(mktemp)?.trim()))
}

/// Without pipes: the server that `pg_ctl` leaves behind would hold them open for ever.
fn run_quietly(mut command: std::process::Command) -> Result<()> {
    let status = command
        .current_dir("/")
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()?;
    if !status.success() {
        bail!("{} ({status})", shell::shown(&command));
    }
    Ok(())
}
