//! A transaction that writes, and its one way to end well.

use std::{
    fmt::Debug,
    ops::{Deref, DerefMut},
};

use sqlx::{Any, AnyConnection, Transaction};

use super::DbError;
use crate::broker::Broker;

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
    inner: Transaction<'a, Any>,
    faults: Option<&'a dyn Faults>,
    broker: &'a dyn Broker,
    sends: bool,
}

impl<'a> Tx<'a> {
    pub(super) fn new(inner: Transaction<'a, Any>, faults: Option<&'a dyn Faults>, broker: &'a dyn Broker) -> Self {
        Self {
            inner,
            faults,
            broker,
            sends: false,
        }
    }

    /// It holds messages to hand over: who does that is woken as soon as it is committed.
    pub fn sends(&mut self) {
        self.sends = true;
    }

    /// Keeps it all. `name` says in the program which commit this is.
    ///
    /// # Errors
    /// The driver's; after an error of the connection nobody knows whether it was kept.
    #[expect(clippy::disallowed_methods, reason = "the one place that commits")]
    pub async fn commit(self, name: &'static str) -> Result<(), DbError> {
        let crash = self.faults.and_then(|faults| faults.at(name));
        if crash == Some(Crash::Before) {
            self.inner.rollback().await?;
            return Err(DbError::Crashed { commit: name });
        }
        self.inner.commit().await?;
        match crash {
            Some(Crash::After) => Err(DbError::Crashed { commit: name }),
            _ => {
                if self.sends {
                    self.broker.ring();
                }
                Ok(())
            }
        }
    }

    /// Keeps nothing.
    ///
    /// # Errors
    /// The driver's.
    pub async fn rollback(self) -> Result<(), DbError> {
        Ok(self.inner.rollback().await?)
    }
}

impl Deref for Tx<'_> {
    type Target = AnyConnection;
    fn deref(&self) -> &AnyConnection {
        &self.inner
    }
}

impl DerefMut for Tx<'_> {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.inner
    }
}
