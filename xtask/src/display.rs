//! A screen for windows where there is none.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cleanup::Cleanup;
use crate::shell;

/// `1280x800` is the smallest screen the counter app is made for.
const SCREEN: &str = "1280x800x24";

pub fn is_there() -> bool {
    ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// An X server without a screen; it takes a free display number itself.
pub struct Display(String);

impl Display {
    pub fn start(cleanup: &mut Cleanup) -> Result<Self> {
        let program = shell::which("Xvfb").context("Xvfb is missing")?;
        let mut server = Command::new(program)
            .args([
                "-displayfd",
                "1",
                "-screen",
                "0",
                SCREEN,
                "-nolisten",
                "tcp",
                "-noreset",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start Xvfb")?;
        cleanup.process(&server)?;
        let mut number = String::new();
        let stdout = server.stdout.take().context("Xvfb has no output")?;
        BufReader::new(stdout).read_line(&mut number)?;
        if number.trim().is_empty() {
            bail!("Xvfb stopped at once ({})", server.wait()?);
        }
        Ok(Self(format!(":{}", number.trim())))
    }

    pub fn name(&self) -> &str {
        &self.0
    }

    /// Makes a program's windows go here, and nowhere else.
    pub fn apply(&self, command: &mut Command) {
        command
            .env("DISPLAY", &self.0)
            .env("GDK_BACKEND", "x11")
            .env_remove("WAYLAND_DISPLAY");
    }

    /// Takes a picture of the whole screen and says how many colours are in it and a digest of it:
    /// an empty screen has one colour, and two equal digests mean that nothing moves any more.
    pub fn picture(&self, file: &Path) -> Result<(usize, String)> {
        let mut target = std::ffi::OsString::from("png:");
        target.push(file);
        let mut import = shell::command("import", ["-silent", "-window", "root"]);
        import.arg(&target);
        self.apply(&mut import);
        shell::capture(import)?;
        let mut identify = shell::command("identify", ["-format", "%k %#"]);
        identify.arg(&target);
        let seen = shell::capture(identify)?;
        let (colours, digest) = seen
            .trim()
            .split_once(' ')
            .context("identify said something unexpected")?;
        Ok((
            colours.parse().context("identify said something unexpected")?,
            digest.to_owned(),
        ))
    }
}
