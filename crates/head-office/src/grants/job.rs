//! Gives the members of a long list their coupons, a slice at a time.
//!
//! The engine gives, in a transaction of its own, and gives nobody a second one; then the job moves on. Killed between
//! the two, the slice is asked for again and answered "given before".

use std::sync::Arc;

use async_trait::async_trait;
use counterfoil_domain::ids::GrantId;
use serde::{Deserialize, Serialize};

use sqlx::AnyConnection;

use super::rows;
use crate::{
    app::App,
    db::DbError,
    engine::Refusal,
    jobs::{self, Job, Owner, Step},
};

/// Members of a slice.
const SLICE: i64 = 500;

/// Where the job goes on from.
#[derive(Debug, Serialize, Deserialize)]
struct Place {
    /// The last member done, hexadecimal.
    after: String,
    /// How many got nothing, because the template ended meanwhile.
    refused: i64,
}

/// A list being given its coupons.
#[derive(Debug)]
pub struct Work {
    grant: GrantId,
}

/// The detail of a job that has not begun.
pub(super) fn from_the_beginning() -> String {
    r#"{"after":"","refused":0}"#.to_owned()
}

#[async_trait]
impl jobs::Work for Work {
    async fn slice(&mut self, app: &Arc<App>, owner: &Owner, job: &mut Job) -> Result<Step, DbError> {
        let decode = || DbError::Decode { column: "detail" };
        let mut place: Place = serde_json::from_str(&job.detail).map_err(|_| decode())?;
        let after = hex::decode(&place.after).map_err(|_| decode())?;
        let mut reader = app.db.reader().acquire().await.map_err(DbError::from)?;
        let members = rows::listed_after(&mut reader, job.tenant, self.grant, &after, SLICE).await?;
        drop(reader);
        let mut given = 0;
        if let Some(last) = members.last() {
            let got = super::give(app, job.tenant, self.grant, &members)
                .await
                .map_err(again)?;
            given = i64::try_from(got.len()).unwrap_or(i64::MAX);
            place.refused += got
                .iter()
                .map(|(_, got)| i64::from(matches!(got, super::Got::Nothing(_))))
                .sum::<i64>();
            place.after = hex::encode(last.bytes());
        }
        let over = job.done + given >= job.total || members.is_empty();
        let detail = serde_json::to_string(&place).map_err(|_| decode())?;
        let mut lease = app.db.lease_behind().await?;
        let mut transaction = lease.begin().await?;
        let ours = jobs::rows::advance(&mut transaction, owner, job, given, Some(detail), over, app.clock.now());
        if !ours.await? {
            return Ok(Step::Lost);
        }
        transaction.commit("grants.slice").await?;
        Ok(if over { Step::Done } else { Step::More })
    }
}

/// The kind of work.
#[derive(Debug)]
pub struct Grants;

#[async_trait]
impl jobs::Works for Grants {
    fn kind(&self) -> jobs::Kind {
        jobs::Kind::Grant
    }

    async fn begin(&self, _: &App, job: &Job) -> Result<Box<dyn jobs::Work>, DbError> {
        Ok(Box::new(Work::begin(job)?))
    }

    async fn cancelled(&self, connection: &mut AnyConnection, job: &Job) -> Result<(), DbError> {
        let grant = GrantId::from_bytes(&job.subject).map_err(|_| DbError::Decode { column: "subject" })?;
        rows::decide(connection, job.tenant, grant, "'open', 'paused'", "closed").await?;
        Ok(())
    }
}

impl Work {
    /// Reads whose job it is.
    ///
    /// # Errors
    /// [`DbError::Decode`].
    pub fn begin(job: &Job) -> Result<Self, DbError> {
        let grant = GrantId::from_bytes(&job.subject).map_err(|_| DbError::Decode { column: "subject" })?;
        Ok(Self { grant })
    }
}

/// What the engine can't do now is tried again, as a database that is busy.
fn again(refusal: Refusal) -> DbError {
    match refusal {
        Refusal::Busy | Refusal::Storage => DbError::Sqlx(sqlx::Error::PoolTimedOut),
        Refusal::Failed => DbError::config("the engine failed to give a grant"),
    }
}
