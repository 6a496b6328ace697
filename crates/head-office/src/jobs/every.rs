//! What is due at some time, once whatever the number of processes: a row says when, and whose turn it is.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use counterfoil_domain::time::{MINUTE, Millis, SECOND};

use super::{Owner, rows};
use crate::{app::App, clock, db::DbError};

/// How often a process looks what is due.
const LOOK: Millis = 5 * SECOND;
/// When a sweep that failed is tried again.
const AGAIN: Millis = MINUTE;

/// What a sweep does: a piece of its work, in transactions of its own; true when there is more.
pub type Sweep = fn(Arc<App>) -> Pin<Box<dyn Future<Output = Result<bool, DbError>> + Send>>;

/// Whether a piece of so many was full, so that there may be more.
pub fn full(done: &[u64], piece: i64) -> bool {
    i64::try_from(done.iter().sum::<u64>()).is_ok_and(|done| done >= piece)
}

/// Something that is due again and again.
#[derive(Debug, Clone, Copy)]
pub struct Due {
    /// The name of its row.
    pub name: &'static str,
    /// How often.
    pub period: Millis,
    /// What is done then.
    pub sweep: Sweep,
}

/// Does `sweep` each `period` until `app.stopping` is cancelled. Processes take turns: the row of this name says when
/// it is due next, and a process that dies in the middle loses its turn after [`super::LEASE`]. A sweep has to bear
/// being begun again at any point.
pub fn every(app: &Arc<App>, name: &'static str, period: Millis, sweep: Sweep) {
    let app = Arc::clone(app);
    app.tasks.clone().spawn(async move {
        let owner: Owner = match clock::bytes(app.random.as_ref()) {
            Ok(owner) => owner,
            Err(error) => return tracing::error!(%error, name, "this sweep is not done"),
        };
        let look = Duration::from_millis(u64::try_from(LOOK.min(period)).unwrap_or(1));
        loop {
            if let Err(error) = once(&app, &owner, name, period, sweep).await {
                tracing::warn!(%error, name, "a sweep failed");
            }
            if app.stopping.run_until_cancelled(app.clock.sleep(look)).await.is_none() {
                return;
            }
        }
    });
}

/// Does the sweep if it is due; true if it was.
async fn once(app: &Arc<App>, owner: &Owner, name: &str, period: Millis, sweep: Sweep) -> Result<bool, DbError> {
    let mut reader = app.db.reader().acquire().await.map_err(DbError::from)?;
    if !rows::sweep_is_due(&mut reader, name, app.clock.now()).await? {
        return Ok(false);
    }
    drop(reader);
    if !write(app, async |connection| {
        rows::lease_sweep(connection, owner, name, app.clock.now()).await
    })
    .await?
    {
        return Ok(false);
    }
    let began = app.clock.now();
    loop {
        let next = match sweep(Arc::clone(app)).await {
            Ok(true) if !app.stopping.is_cancelled() => {
                let kept = write(app, async |connection| {
                    rows::keep_sweep(connection, owner, name, app.clock.now()).await
                });
                if kept.await? {
                    continue;
                }
                return Ok(true);
            }
            // Cut off: whoever looks next goes on.
            Ok(true) => began,
            Ok(false) => began + period,
            Err(error) => {
                tracing::warn!(%error, name, "a sweep failed and is tried again");
                began + AGAIN.min(period)
            }
        };
        write(app, async |connection| {
            rows::end_sweep(connection, owner, name, next).await
        })
        .await?;
        return Ok(true);
    }
}

async fn write<T>(
    app: &App,
    work: impl AsyncFnOnce(&mut sqlx::AnyConnection) -> Result<T, DbError>,
) -> Result<T, DbError> {
    let mut lease = app.db.lease_behind().await?;
    let mut transaction = lease.begin().await?;
    let result = work(&mut transaction).await?;
    transaction.commit("jobs.write").await?;
    Ok(result)
}
