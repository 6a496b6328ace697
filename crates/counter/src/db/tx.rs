//! A transaction that writes, and its one way to end well.

use std::{
    fmt::Debug,
    ops::{Deref, DerefMut},
};

use sqlx::{Sqlite, SqliteConnection, Transaction};

use super::Fault;
use crate::error::{Error, Result};

/// Where the program ends, as far as the database can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// Nothing of the transaction is kept.
    Before,
    /// All of it is kept, and nobody hears of it.
    After,
}

/// What a test does to commits.
pub trait Faults: Debug + Send + Sync {
    /// Whether the program crashes at this commit.
    fn at(&self, commit: &'static str) -> Option<Crash>;
}

/// A transaction that writes; dropped without a commit it is rolled back.
#[derive(Debug)]
pub struct Tx<'a> {
    inner: Transaction<'a, Sqlite>,
    faults: Option<&'a dyn Faults>,
}

impl<'a> Tx<'a> {
    pub(super) fn new(inner: Transaction<'a, Sqlite>, faults: Option<&'a dyn Faults>) -> Self {
        Self { inner, faults }
    }

    /// Keeps it all. `name` says in the program which commit this is.
    ///
    /// # Errors
    /// `disk_full` and the like; then nothing is kept.
    #[expect(clippy::disallowed_methods, reason = "the one place that commits")]
    pub async fn commit(self, name: &'static str) -> Result<()> {
        let crash = self.faults.and_then(|faults| faults.at(name));
        if crash == Some(Crash::Before) {
            self.inner.rollback().await?;
            return Err(crashed(name));
        }
        self.inner.commit().await?;
        match crash {
            Some(Crash::After) => Err(crashed(name)),
            _ => Ok(()),
        }
    }

    /// Keeps nothing.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn rollback(self) -> Result<()> {
        Ok(self.inner.rollback().await?)
    }
}

fn crashed(name: &'static str) -> Error {
    Error::database(Fault::Other, format!("the program ended at {name}"))
}

impl Deref for Tx<'_> {
    type Target = SqliteConnection;
    fn deref(&self) -> &SqliteConnection {
        &self.inner
    }
}

impl DerefMut for Tx<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.inner
    }
}
