//! A counter as a process without a window: commands in as JSON lines, answers out as JSON lines.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::program;

/// The running process.
pub struct Desk {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Desk {
    /// Starts a counter on this folder.
    pub fn start(folder: &Path) -> Self {
        Self::spawn(Command::new(program("counterfoil-test-desk")).arg(folder))
    }

    /// The same; what it acknowledges is noted in a file, once it is on the disk and before anybody hears of it, and
    /// what it complains of goes to another.
    pub fn start_noting(folder: &Path, notes: &Path, complaints: Stdio) -> Self {
        let mut program = Command::new(program("counterfoil-test-desk"));
        Self::spawn(program.arg(folder).arg(notes).stderr(complaints))
    }

    fn spawn(program: &mut Command) -> Self {
        let mut child = program
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .env("RUST_LOG", std::env::var("RUST_LOG").unwrap_or_else(|_| "error".into()))
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdin, stdout }
    }

    /// Starts a counter and enrols it.
    pub fn enrol(folder: &Path, address: &str, code: &str) -> Self {
        let mut desk = Self::start(folder);
        let answer = desk.ask(json!({"do": "enrol", "address": address, "code": code}));
        assert_eq!(answer["ok"], true, "{answer}");
        desk
    }

    /// Sends a command without waiting for its answer.
    pub fn tell(&mut self, command: &Value) {
        writeln!(self.stdin, "{command}").unwrap();
        self.stdin.flush().unwrap();
    }

    /// The next answer; `None` when the process is gone.
    pub fn hear(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.stdout.read_line(&mut line) {
            Ok(count) if count > 0 && line.ends_with('\n') => Some(serde_json::from_str(&line).unwrap()),
            _ => None,
        }
    }

    /// Sends a command and waits for its answer.
    pub fn ask(&mut self, command: Value) -> Value {
        self.tell(&command);
        self.hear().expect("the counter has gone")
    }

    /// The same, where the counter may be gone: then there is no answer.
    pub fn try_ask(&mut self, command: &Value) -> Option<Value> {
        writeln!(self.stdin, "{command}").ok()?;
        self.stdin.flush().ok()?;
        self.hear()
    }

    /// Looks a code up and confirms it where that is possible.
    pub fn redeem(&mut self, code: &str) -> Value {
        self.ask(json!({"do": "redeem", "code": code}))
    }

    /// What the counter says of itself.
    pub fn status(&mut self) -> Value {
        self.ask(json!({"do": "status"}))
    }

    /// Every operation of the journal, newest first.
    pub fn queue(&mut self) -> Vec<Value> {
        self.ask(json!({"do": "queue"}))["entries"].as_array().unwrap().clone()
    }

    /// Waits until the status satisfies `wanted`, at most 60 seconds.
    pub fn wait_until(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let status = self.status();
            if wanted(&status) {
                return status;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "still not {what}: {status:#}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until nothing is pending.
    pub fn drained(&mut self) -> Value {
        self.wait_until("drained", |status| status["queue"]["pending"] == 0)
    }

    /// Waits until the line is up and the local copy complete.
    pub fn ready(&mut self) -> Value {
        self.wait_until("ready", |status| {
            status["link"]["state"] == "online" && !status["placed"]["lastPull"].is_null()
        })
    }

    /// Waits until the counter has noticed that the line is down.
    pub fn offline(&mut self) -> Value {
        self.wait_until("offline", |status| status["link"]["state"] == "offline")
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
