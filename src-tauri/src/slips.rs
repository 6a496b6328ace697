//! Slips as files: written into the data folder, shown by whatever this machine reads PDF with.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::process::Command;

use crate::problem::{Result, of_file};

const FOLDER: &str = "slips";
/// A slip can be made again at any time, so none is kept for long.
const KEPT: Duration = Duration::from_hours(7 * 24);

/// Writes it, whole or not at all, and forgets those of last week.
pub fn keep(data: &Path, name: &str, pdf: &[u8]) -> Result<PathBuf> {
    let folder = data.join(FOLDER);
    fs::create_dir_all(&folder).map_err(of_file("the folder of slips"))?;
    forget(&folder, SystemTime::now());
    let path = folder.join(format!("{name}.pdf"));
    let unfinished = folder.join(format!("{name}.part"));
    fs::write(&unfinished, pdf)
        .and_then(|()| fs::rename(&unfinished, &path))
        .map_err(of_file("the slip"))?;
    Ok(path)
}

/// A file that can't be removed now is removed next time.
fn forget(folder: &Path, now: SystemTime) {
    let Ok(files) = fs::read_dir(folder) else { return };
    for file in files.flatten() {
        let age = file
            .metadata()
            .and_then(|about| about.modified())
            .ok()
            .and_then(|at| now.duration_since(at).ok());
        if age.is_some_and(|age| age > KEPT) {
            let _ = fs::remove_file(file.path());
        }
    }
}

/// Shows it. A machine that has nothing for PDF still has the file, and the screen says where.
pub fn show(path: &Path) {
    let program = if cfg!(target_os = "windows") {
        "explorer"
    } else if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    };
    if let Err(error) = Command::new(program).arg(path).spawn() {
        tracing::info!(%error, program, "the slip can't be shown");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_written_over_and_old_ones_go() {
        let data = tempfile::tempdir().unwrap();
        let first = keep(data.path(), "a", b"%PDF-1").unwrap();
        assert_eq!(keep(data.path(), "a", b"%PDF-2").unwrap(), first);
        assert_eq!(fs::read(&first).unwrap(), b"%PDF-2");
        let folder = first.parent().unwrap();
        assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
        forget(folder, SystemTime::now());
        assert!(first.exists());
        forget(folder, SystemTime::now() + KEPT * 2);
        assert!(!first.exists());
    }
}
