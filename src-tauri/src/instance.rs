//! One window for each data folder. A second start shows the first one's window instead of fighting over the files.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use counterfoil_counter::Code;

use crate::problem::Problem;

const LOCK: &str = "app.lock";
const SHOW: &str = "show-window";

/// Held while the app runs.
#[derive(Debug)]
pub struct Instance {
    folder: PathBuf,
    _lock: Option<File>,
}

impl Instance {
    /// Takes the folder, or asks the app that holds it to show its window and says `data_dir_locked`.
    ///
    /// A folder that can't be written can't be locked either; the counter says what is wrong with it, in the window.
    pub fn take(folder: &Path) -> Result<Self, Problem> {
        let lock = match lock(folder) {
            Ok(Lock::Taken(file)) => Some(file),
            Ok(Lock::Held) => {
                let _ = File::create(folder.join(SHOW));
                return Err(Problem::new(
                    Code::DataDirLocked,
                    format!("another Counterfoil has {} open", folder.display()),
                ));
            }
            Err(error) => {
                tracing::warn!(%error, folder = %folder.display(), "the data folder can't be locked");
                None
            }
        };
        let instance = Self {
            folder: folder.to_owned(),
            _lock: lock,
        };
        instance.was_called();
        Ok(instance)
    }

    /// Whether a second start asked for the window since the last time.
    pub fn was_called(&self) -> bool {
        fs::remove_file(self.folder.join(SHOW)).is_ok()
    }
}

/// Whether the folder was free.
#[derive(Debug)]
pub enum Lock {
    /// It was, and is this process's for as long as the file is open.
    Taken(File),
    /// The app runs in another process.
    Held,
}

/// Takes the folder's lock if it is free. Makes the folder when there is none.
pub fn lock(folder: &Path) -> std::io::Result<Lock> {
    make_private(folder)?;
    let mut options = OpenOptions::new();
    let file = options
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock::Taken(file)),
        Err(TryLockError::WouldBlock) => Ok(Lock::Held),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Only its owner needs to look into the data folder.
fn make_private(folder: &Path) -> std::io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_calls_the_first() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("new/folder");
        let first = Instance::take(&folder).unwrap();
        assert!(!first.was_called());
        assert_eq!(Instance::take(&folder).unwrap_err().code, "data_dir_locked");
        assert!(first.was_called());
        assert!(!first.was_called());
        drop(first);
        Instance::take(&folder).unwrap();
    }
}
