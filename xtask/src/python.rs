//! Tools in Python for the tests, in a folder of this clone: the system's own packages stay as they are.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::{places, shell};

/// Which, with all they need, each in one version.
const REQUIREMENTS: &str = "crates/head-office/tests/it/clients/requirements.txt";

/// The Python that has them, installed once for each list; none where there is no registry to fetch them from, so that
/// everything else can be tested all the same.
pub fn tools() -> Result<Option<PathBuf>> {
    let list = places::root().join(REQUIREMENTS);
    let wanted = fs::read(&list).with_context(|| format!("{REQUIREMENTS} cannot be read"))?;
    let folder = places::tools().join("python");
    let python = folder.join("bin/python");
    let stamp = folder.join("installed");
    if python.is_file() && fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(Some(python));
    }
    let mut make = shell::command("python3", ["-m", "venv", "--clear"]);
    make.arg(&folder);
    shell::run(make)?;
    let mut install = shell::command(
        &python,
        [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "-r",
        ],
    );
    install.arg(&list);
    if let Err(error) = shell::run(install) {
        shell::say(format!(
            "SKIPPED: the tests with tools in Python, which could not be installed: {error:#}"
        ));
        return Ok(None);
    }
    fs::write(stamp, wanted)?;
    Ok(Some(python))
}
