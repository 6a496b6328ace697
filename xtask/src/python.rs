//! Tools in Python for the tests, in a folder of this clone: the system's own packages stay as they are.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::{places, shell};

/// Which, with all they need, each in one version.
const REQUIREMENTS: &str = "crates/head-office/tests/clients/requirements.txt";

/// The Python that has them. Installed once for each list.
pub fn tools() -> Result<PathBuf> {
    let list = places::root().join(REQUIREMENTS);
    let wanted = fs::read(&list).with_context(|| format!("{REQUIREMENTS} cannot be read"))?;
    let folder = places::tools().join("python");
    let python = folder.join("bin/python");
    let stamp = folder.join("installed");
    if python.is_file() && fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
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
    shell::run(install)?;
    fs::write(stamp, wanted)?;
    Ok(python)
}
