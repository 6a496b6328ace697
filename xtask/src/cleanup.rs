//! Whatever happens, nothing that xtask started stays behind.
//!
//! A second process (this program again, in a process group of its own so that Ctrl-C passes it by) reads from a
//! pipe what was started. The pipe closes when xtask is done, panics, is interrupted or is killed; then it stops
//! everything, last started first. A `Drop` alone would not run after a signal, and a signal handler would need
//! more than the standard library.

use std::io::{BufRead, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::shell;

#[derive(Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case")]
enum Entry {
    /// `started` tells the process from a later one with the same number.
    Process {
        pid: u32,
        started: Option<String>,
    },
    Postgres {
        bin: PathBuf,
        data: PathBuf,
        user: Option<String>,
    },
    Folder(PathBuf),
}

pub struct Cleanup {
    process: Child,
    pipe: Option<ChildStdin>,
}

impl Cleanup {
    /// To be called before anything is built: a new build takes this program's file away under its feet.
    pub fn start() -> Result<Self> {
        let program = std::env::current_exe().context("where is this program?")?;
        let mut process = Command::new(program)
            .arg("cleanup")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(shell::stderr()?)
            .process_group(0)
            .spawn()
            .context("cannot start the process that cleans up")?;
        let pipe = process.stdin.take();
        Ok(Self { process, pipe })
    }

    pub fn process(&mut self, child: &Child) -> Result<()> {
        let pid = child.id();
        self.note(&Entry::Process {
            pid,
            started: started(pid),
        })
    }

    pub fn postgres(&mut self, bin: &Path, data: &Path, user: Option<&str>) -> Result<()> {
        let user = user.map(str::to_owned);
        self.note(&Entry::Postgres {
            bin: bin.to_owned(),
            data: data.to_owned(),
            user,
        })
    }

    pub fn folder(&mut self, folder: &Path) -> Result<()> {
        self.note(&Entry::Folder(folder.to_owned()))
    }

    fn note(&mut self, entry: &Entry) -> Result<()> {
        let pipe = self.pipe.as_mut().context("the process that cleans up is gone")?;
        writeln!(pipe, "{}", serde_json::to_string(entry)?).context("the process that cleans up is gone")
    }
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // Nothing sensible is left to do when this fails.
        let _ = self.process.wait();
    }
}

/// The second process.
pub fn serve() -> Result<()> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in std::io::stdin().lock().lines() {
        match line {
            Ok(line) => entries.extend(serde_json::from_str(&line)),
            Err(_) => break,
        }
    }
    for entry in entries.iter().rev() {
        match entry {
            Entry::Process { pid, started } => stop(*pid, started.as_deref()),
            Entry::Postgres { bin, data, user } => stop_postgres(bin, data, user.as_deref()),
            Entry::Folder(folder) => {
                let _ = std::fs::remove_dir_all(folder);
            }
        }
    }
    Ok(())
}

fn stop(pid: u32, started_then: Option<&str>) {
    let running = || started_then.is_some() && started(pid).as_deref() == started_then;
    let grace = [("TERM", Duration::from_secs(8)), ("KILL", Duration::from_secs(2))];
    for (signal, patience) in grace {
        if !running() {
            return;
        }
        // The shell's own `kill`: the program of that name is in a package that a bare machine lacks.
        let _ = Command::new("sh")
            .arg("-c")
            .arg(format!("kill -{signal} {pid}"))
            .status();
        let _ = shell::wait_for(patience, || Ok((!running()).then_some(())));
    }
}

fn stop_postgres(bin: &Path, data: &Path, user: Option<&str>) {
    if data.join("postmaster.pid").exists() {
        let mut command = as_user(user, &bin.join("pg_ctl"));
        command
            .args(["stop", "-m", "immediate", "-w", "-t", "20", "-s", "-D"])
            .arg(data);
        let _ = command.current_dir("/").stdin(Stdio::null()).status();
    }
    let _ = std::fs::remove_dir_all(data);
}

/// A command as another user, when we are root and there is one.
pub fn as_user(user: Option<&str>, program: &Path) -> Command {
    match user {
        None => Command::new(program),
        Some(user) => {
            let mut command = Command::new("runuser");
            command.args(["-u", user, "--"]).arg(program);
            command
        }
    }
}

/// When a process that is not a zombie was started; none when there is no such process.
fn started(pid: u32) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in brackets and may hold anything.
    let after_name = &text[text.rfind(')')? + 1..];
    let mut fields = after_name.split_whitespace();
    let state = fields.next()?;
    if state == "Z" || state == "X" {
        return None;
    }
    // starttime is field 22 of proc(5), the 19th after the state
    fields.nth(18).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_stopped_and_a_stranger_with_its_number_is_not() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        stop(child.id(), Some("1"));
        assert!(
            child.try_wait().unwrap().is_none(),
            "another start time means another process"
        );
        let start = started(child.id());
        stop(child.id(), start.as_deref());
        assert!(!child.wait().unwrap().success());
    }
}
