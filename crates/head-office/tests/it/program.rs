//! `counterfoil-hq` as a process, and what it said.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
    pub fn json(&self) -> Value {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{}", self.out);
        assert_eq!(self.out.lines().count(), 1);
        serde_json::from_str(&self.out).unwrap()
    }
    /// Ends with this and says one sentence with this code; nothing for programs.
    pub fn refused(&self, code: i32, word: &str) {
        assert_eq!((self.code, self.out.as_str()), (code, ""), "{}", self.err);
        assert!(self.err.starts_with(&format!("error [{word}]: ")), "{}", self.err);
        assert_eq!(self.err.lines().count(), 1, "{}", self.err);
    }
}

pub fn program(url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_counterfoil-hq"));
    command
        .args(arguments)
        .env_remove("RUST_LOG")
        .env("COUNTERFOIL_HQ_DATABASE", url);
    command
}

pub fn hq(url: &str, arguments: &[&str]) -> Said {
    Said::of(program(url, arguments).stdin(Stdio::null()).output().unwrap())
}

pub fn hq_told(url: &str, arguments: &[&str], input: &str) -> Said {
    let mut child = program(url, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Said::of(child.wait_with_output().unwrap())
}
