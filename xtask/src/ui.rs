//! The front ends: installed and built only when something changed.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::{places, shell};

fn folder() -> PathBuf {
    places::root().join("ui")
}

/// `npm ci`, unless what is installed is what the lock file says.
pub fn install() -> Result<()> {
    let lock = fs::read(folder().join("package-lock.json")).context("ui/package-lock.json cannot be read")?;
    let stamp = folder().join("node_modules/.installed-lock");
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    shell::run(shell::npm(["ci", "--no-progress"]))?;
    fs::create_dir_all(folder().join("node_modules"))?;
    fs::write(stamp, lock)?;
    Ok(())
}

/// `npm run build`, unless sources and output are those of the last build.
pub fn build() -> Result<()> {
    install()?;
    let stamp = places::target().join("ui-built");
    if fs::read_to_string(&stamp).is_ok_and(|built| built == state()) {
        return Ok(());
    }
    shell::run(shell::npm(["run", "build"]))?;
    fs::create_dir_all(places::target())?;
    fs::write(stamp, state())?;
    Ok(())
}

/// Path, size and time of every source and of every built page. A page that is missing, or the placeholder that
/// the desktop app's build writes in its place, is thus a change.
fn state() -> String {
    let mut files = Vec::new();
    walk(&folder(), &mut files);
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in &files {
        file.hash(&mut hasher);
        if let Ok(about) = fs::metadata(file) {
            about.len().hash(&mut hasher);
            about.modified().ok().hash(&mut hasher);
        }
    }
    format!("{:016x} {}", hasher.finish(), files.len())
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    /// Installed, or made by the build or by the checks.
    const LEFT_OUT: [&str; 6] = [
        "node_modules",
        "paraglide",
        "dist-fake",
        ".svelte-kit",
        "coverage",
        "cache",
    ];
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if !path.is_dir() {
            files.push(path);
        } else if name == "dist" {
            files.push(path.join("index.html"));
        } else if !LEFT_OUT.iter().any(|left_out| name == *left_out) {
            walk(&path, files);
        }
    }
}
