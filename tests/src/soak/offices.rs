//! Head office's processes: one on SQLite, two on PostgreSQL, killed and started again.

use std::{
    fs::OpenOptions,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::proxy::Targets;
use crate::program;

/// Head office.
pub struct Offices {
    url: String,
    log: PathBuf,
    targets: Targets,
    running: Vec<Option<(Child, String)>>,
}

impl Offices {
    /// So many processes on a database, none of which runs yet. What they say goes to the log.
    pub fn new(url: &str, log: &Path, targets: Targets, count: usize) -> Self {
        Self {
            url: url.to_owned(),
            log: log.to_owned(),
            targets,
            running: (0..count).map(|_| None).collect(),
        }
    }

    /// Runs `counterfoil-hq` on the database: whether all went well, and what it printed.
    pub fn command(&self, arguments: &[&str]) -> (bool, String) {
        let output = Command::new(program("counterfoil-hq"))
            .args(arguments)
            .args(["--database", &self.url])
            .stderr(log(&self.log))
            .env("RUST_LOG", "warn")
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.running.len()
    }

    /// Starts one, if it does not run.
    pub fn start(&mut self, place: usize) {
        if self.running[place].is_none() {
            let mut child = Command::new(program("counterfoil-hq"))
                .args(["serve", "--listen", "127.0.0.1:0", "--database", &self.url])
                .env("RUST_LOG", "warn")
                .stdout(Stdio::piped())
                .stderr(log(&self.log))
                .spawn()
                .unwrap();
            let mut line = String::new();
            BufReader::new(child.stdout.take().unwrap())
                .read_line(&mut line)
                .unwrap();
            let address = line.trim().strip_prefix("listening on http://").map(str::to_owned);
            let address = address.expect("head office does not start: see its log");
            self.running[place] = Some((child, address));
        }
        self.publish();
    }

    /// `kill -9`. Whether it had ended by itself before.
    pub fn kill(&mut self, place: usize) -> bool {
        let Some((mut child, _)) = self.running[place].take() else {
            return false;
        };
        let ended = child.try_wait().unwrap().is_some();
        let _ = child.kill();
        child.wait().unwrap();
        self.publish();
        ended
    }

    fn publish(&self) {
        let addresses = self.running.iter().flatten().map(|(_, address)| address.clone());
        *self.targets.lock().unwrap() = addresses.collect();
    }
}

impl Drop for Offices {
    fn drop(&mut self) {
        for place in 0..self.count() {
            self.kill(place);
        }
    }
}

/// A log that is written on.
pub fn log(file: &Path) -> Stdio {
    OpenOptions::new().create(true).append(true).open(file).unwrap().into()
}

/// Looks again and again until there is nothing left to wait for; else what there was.
pub fn until_nothing(limit: Duration, mut left: impl FnMut() -> Option<String>) -> Result<(), String> {
    let begun = Instant::now();
    loop {
        match left() {
            None => return Ok(()),
            Some(what) if begun.elapsed() > limit => return Err(what),
            Some(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}
