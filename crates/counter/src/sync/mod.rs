//! Delivering the journal and reading the feeds.

pub mod driver;
#[cfg(test)]
mod tests;

use std::{
    fs::{File, TryLockError},
    path::Path,
};

use crate::{
    db::lock_file,
    error::{Error, Result},
};

/// Decides which process drains the journal. Draining twice would be safe, only wasteful.
#[derive(Debug)]
pub struct DrainLock(#[expect(dead_code, reason = "held for its lock")] File);

impl DrainLock {
    /// Takes the lock, if no other process holds it.
    pub fn try_take(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join("sync.lock");
        let file = lock_file(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Error::file(format!("locking {}", path.display()))(error)),
        }
    }
}
