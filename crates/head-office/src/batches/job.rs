//! Makes a batch's codes, a slice at a time.
//!
//! Position, coupon id and code follow from each other, and `batches.made` moves in the transaction that stores the
//! coupons: whatever is killed when, the next slice begins where the last commit ended, without a duplicate or a gap.

use std::sync::Arc;

use async_trait::async_trait;
use counterfoil_domain::ids::{BatchId, CouponId};

use sqlx::AnyConnection;

use super::rows;
use crate::{
    app::App,
    db::DbError,
    jobs::{self, Job, Owner, Step},
};

/// Coupons of a slice while others wait for the writer: some 5 ms of it.
const SLICE: i64 = 500;
/// Coupons of a slice while nobody waits.
const SLICE_ALONE: i64 = 4_000;

/// A batch being made.
#[derive(Debug)]
pub struct Work {
    batch: BatchId,
    making: rows::Making,
}

#[async_trait]
impl jobs::Work for Work {
    async fn slice(&mut self, app: &Arc<App>, owner: &Owner, job: &mut Job) -> Result<Step, DbError> {
        let slice = if app.engine.is_idle() { SLICE_ALONE } else { SLICE };
        let count = slice.min(self.making.size - self.making.made);
        // Before the writer is ours: codes cost more than their rows.
        let coupons = self.codes(count)?;
        let last = self.making.made + count == self.making.size;
        let mut lease = app.db.lease_behind().await?;
        let mut transaction = lease.begin().await?;
        if !jobs::rows::advance(&mut transaction, owner, job, count, None, last, app.clock.now()).await? {
            return Ok(Step::Lost);
        }
        rows::make(
            &mut transaction,
            job.tenant,
            self.batch,
            self.making.made,
            &coupons,
            last,
        )
        .await?;
        transaction.commit("batches.slice").await?;
        self.making.made += count;
        Ok(if last { Step::Done } else { Step::More })
    }
}

/// The kind of work.
#[derive(Debug)]
pub struct Batches;

#[async_trait]
impl jobs::Works for Batches {
    fn kind(&self) -> jobs::Kind {
        jobs::Kind::Batch
    }

    async fn begin(&self, app: &App, job: &Job) -> Result<Box<dyn jobs::Work>, DbError> {
        Ok(Box::new(Work::begin(app, job).await?))
    }

    async fn cancelled(&self, connection: &mut AnyConnection, job: &Job) -> Result<(), DbError> {
        let batch = BatchId::from_bytes(&job.subject).map_err(|_| DbError::Decode { column: "subject" })?;
        rows::close(connection, job.tenant, batch).await?;
        Ok(())
    }
}

impl Work {
    /// Reads where the batch stands.
    ///
    /// # Errors
    /// The database's.
    pub async fn begin(app: &App, job: &Job) -> Result<Self, DbError> {
        let batch = BatchId::from_bytes(&job.subject).map_err(|_| DbError::Decode { column: "subject" })?;
        let mut reader = app.db.reader().acquire().await.map_err(DbError::from)?;
        let making = rows::making(&mut reader, job.tenant, batch).await?;
        Ok(Self { batch, making })
    }

    fn codes(&self, count: i64) -> Result<Vec<(CouponId, String)>, DbError> {
        let making = &self.making;
        (making.made..making.made + count)
            .map(|position| {
                let counter = making.first_counter + position.unsigned_abs();
                let position = u32::try_from(position).map_err(|_| DbError::Decode { column: "made" })?;
                let code = making.form.code(&making.key, counter);
                Ok((
                    self.batch.coupon(position),
                    code.ok_or_else(|| DbError::config("the batch's codes are used up"))?,
                ))
            })
            .collect()
    }
}
