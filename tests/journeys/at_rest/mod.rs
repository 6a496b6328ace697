//! Faults of what lies on disks: full, damaged, read-only, cut off in the middle of writing or of an upgrade.

mod damaged;
mod full_disk;
mod migrating;
mod power_cut;
mod read_only;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use counterfoil_counter::db::FILE_NAME;
use counterfoil_tests::{disk::skipped, log, program};
use sqlx::{AnyConnection, Connection};

const SEED: &[&str] = &[
    "--members",
    "40",
    "--coupons",
    "600",
    "--stores",
    "2",
    "--pickups",
    "10",
    "--seed",
    "13",
];

/// The counter's database in this folder.
fn database_in(folder: &Path) -> PathBuf {
    folder.join(FILE_NAME)
}

/// Folds the log back into a database that no process has open, and removes it.
async fn fold(database: &Path) {
    let mut connection = connect(database).await;
    let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    assert!(!log::beside(database).exists());
}

/// A connection to an SQLite file.
async fn connect(database: &Path) -> AnyConnection {
    sqlx::any::install_default_drivers();
    AnyConnection::connect(&format!("sqlite:{}", database.display()))
        .await
        .unwrap()
}

/// Copies every file of a folder that no process writes.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        if entry.path().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// Every file of a folder with what it holds, in order.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// How `counterfoil-syncd` ended, and what it said to people.
fn syncd(folder: &Path, options: &[&str]) -> (Option<i32>, String, Output) {
    let output = Command::new(program("counterfoil-syncd"))
        .arg("--data-dir")
        .arg(folder)
        .args(options)
        .env("RUST_LOG", "off")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said, output)
}

/// How `counterfoil-hq` ended, and what it said to people.
fn hq(url: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(program("counterfoil-hq"))
        .args(arguments)
        .args(["--database", url])
        .env("RUST_LOG", "off")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

/// The signal that ends a program which writes beyond its limit.
const SIGXFSZ: i32 = 25;

/// Runs a program that the system ends when it writes a file beyond so many bytes: a `kill -9` at the same byte each
/// time. Whether it was ended so. `None` where programs can't be limited.
fn ended_at(bytes: u64, name: &str, arguments: &[&str]) -> Option<bool> {
    use std::os::unix::process::ExitStatusExt;
    let output = Command::new("prlimit")
        .arg(format!("--fsize={bytes}"))
        .arg("--core=0")
        .arg(program(name))
        .args(arguments)
        .env("RUST_LOG", "off")
        .output();
    match output {
        Ok(output) => Some(output.status.signal() == Some(SIGXFSZ)),
        Err(error) => {
            skipped(&format!("prlimit: {error}"));
            None
        }
    }
}
