//! Work in the background: long jobs with progress, and what is due at some time.
//!
//! A job is a row. A process takes it by a lease, works in small slices, and each slice moves `done` in the transaction
//! that does the work, on condition that the lease is still its own. So a job survives `kill -9` at any point: another
//! process, or the same one started again, goes on where the last commit was.

mod every;
pub mod http;
pub mod rows;
pub(crate) mod rules;
mod runner;
pub mod upkeep;

use std::sync::Arc;

use counterfoil_domain::{
    ids::{JobId, TenantId},
    time::{Millis, SECOND},
    words::Word,
};
use serde::{Deserialize, Serialize};

pub use every::{Due, Sweep, every, full};
pub use runner::{start, turn};

use async_trait::async_trait;
use futures_core::future::BoxFuture;
use sqlx::AnyConnection;

use crate::{app::App, db::DbError};

/// How long a process that works on something may be silent before another takes over.
pub const LEASE: Millis = 10 * SECOND;

/// What a job does.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    /// Makes a batch's codes.
    Batch,
    /// Gives the members of a list their coupons.
    Grant,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::EnumString)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Status {
    /// It waits for a process.
    Queued,
    /// A process works on it.
    Running,
    /// A person stopped it for a while.
    Paused,
    /// All of it is done.
    Done,
    /// It can't go on; a person may resume it once the reason is gone.
    Failed,
    /// A person ended it.
    Cancelled,
}

impl Status {
    /// Whether nothing more will happen by itself.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// A job. Where it is only shown, its kind is the word that stands there: a newer process may know more of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job<K = Kind> {
    /// The chain.
    pub tenant: TenantId,
    /// Which.
    pub id: JobId,
    /// What it does.
    pub kind: K,
    /// Id of what it works on.
    pub subject: [u8; 16],
    /// Where it stands.
    pub status: Status,
    /// How much is done.
    pub done: i64,
    /// Of how much.
    pub total: i64,
    /// Where the kind goes on from.
    pub detail: String,
    /// Why it failed.
    pub error: Option<String>,
    /// When it was asked for.
    pub created_at: Millis,
    /// When it last moved.
    pub updated_at: Millis,
    /// Grows with every change.
    pub version: i64,
}

/// How a slice ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There is more to do.
    More,
    /// It is done.
    Done,
    /// The job is not ours any more: it was paused, cancelled, or taken over.
    Lost,
}

/// Who works: a name for this run of this process.
pub type Owner = [u8; 16];

/// A kind of work.
#[async_trait]
pub trait Works: Send + Sync + std::fmt::Debug {
    /// Which.
    fn kind(&self) -> Kind;

    /// Reads what one turn needs to keep between its slices.
    ///
    /// # Errors
    /// The database's.
    async fn begin(&self, app: &App, job: &Job) -> Result<Box<dyn Work>, DbError>;

    /// Ends what the job worked on, in the transaction in which a person cancels it.
    ///
    /// # Errors
    /// The database's.
    async fn cancelled(&self, connection: &mut AnyConnection, job: &Job) -> Result<(), DbError>;
}

/// One turn of a job.
#[async_trait]
pub trait Work: Send {
    /// Does the next piece, and notes how far it is, in one transaction.
    ///
    /// # Errors
    /// The database's.
    async fn slice(&mut self, app: &Arc<App>, owner: &Owner, job: &mut Job) -> Result<Step, DbError>;
}

/// All kinds of work, and what is forgotten after a while.
#[derive(Debug, Default)]
pub struct Known {
    /// Kinds of work.
    pub works: Vec<&'static dyn Works>,
    /// What is forgotten.
    pub forgets: Vec<Forget>,
}

impl Known {
    /// The work of this kind.
    ///
    /// # Errors
    /// When nobody here does it.
    pub fn of(&self, kind: Kind) -> Result<&'static dyn Works, DbError> {
        let works = self.works.iter().find(|works| works.kind() == kind);
        works
            .copied()
            .ok_or_else(|| DbError::config(format!("nobody does jobs of the kind {}", kind.as_str())))
    }
}

/// Forgets at most so many rows that nobody asks for any more; true when there are more.
pub type Forget = for<'c> fn(&'c mut AnyConnection, now: Millis, most: i64) -> BoxFuture<'c, Result<bool, DbError>>;
