//! Takes jobs in turn and works on them, a turn of some slices at a time.

use std::{sync::Arc, time::Duration};

use super::{Job, Known, Owner, Status, Step, rows, upkeep};
use crate::{
    app::App,
    clock,
    db::{DbError, Trouble},
};

/// How often jobs that another process queued are looked for.
const LOOK: Duration = Duration::from_millis(500);
/// Slices of one turn; then the job that has waited longest has its turn.
const TURN: usize = 64;
/// How often a slice is tried again before its job has failed.
const TRIES: u32 = 8;

/// Works on jobs, and does the upkeep, until `app.stopping` is cancelled; the slice under way is finished.
pub fn start(app: &Arc<App>) {
    upkeep::start(app);
    let runner = Arc::clone(app);
    app.tasks.spawn(async move {
        let app = runner;
        let owner: Owner = match clock::bytes(app.random.as_ref()) {
            Ok(owner) => owner,
            Err(error) => return tracing::error!(%error, "no jobs are done"),
        };
        while !app.stopping.is_cancelled() {
            match turn(&app, &owner).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "can't work on jobs at the moment"),
            }
            tokio::select! {
                () = app.stopping.cancelled() => {}
                () = app.jobs.notified() => {}
                () = app.clock.sleep(LOOK) => {}
            }
        }
    });
}

/// One turn of the job that has waited longest; false when there is none.
///
/// # Errors
/// The database's. The job waits as it was.
pub async fn turn(app: &Arc<App>, owner: &Owner) -> Result<bool, DbError> {
    let Some(mut job) = take(app, owner).await? else {
        return Ok(false);
    };
    let mut tries = 0;
    loop {
        match slices(app, owner, &mut job).await {
            Ok(Step::More) => break,
            Ok(Step::Done | Step::Lost) => return Ok(true),
            Err(error) if matches!(error.trouble(), Trouble::Again | Trouble::Slow | Trouble::Storage) => {
                tries += 1;
                if tries > TRIES {
                    // The disk is full or the server away: the job waits as everybody does.
                    return Err(error);
                }
                tracing::debug!(%error, tries, "a slice is done again");
                app.clock.sleep(Duration::from_millis(5 << tries)).await;
                // Whether the last commit happened is not known: the row knows.
                let mut reader = app.db.reader().acquire().await.map_err(DbError::from)?;
                match rows::load(&mut reader, job.tenant, job.id).await? {
                    Some(now) if now.status == Status::Running => job = now,
                    _ => return Ok(true),
                }
            }
            Err(error) => {
                tracing::error!(%error, job = %job.id, "a job failed");
                let reason = error.to_string();
                release(app, owner, &job, Some(&reason)).await?;
                return Ok(true);
            }
        }
    }
    release(app, owner, &job, None).await?;
    Ok(true)
}

/// Slices until one fails or the turn is over.
async fn slices(app: &Arc<App>, owner: &Owner, job: &mut Job) -> Result<Step, DbError> {
    let mut work = app.own.of::<Known>().of(job.kind)?.begin(app, job).await?;
    for _ in 0..TURN {
        match work.slice(app, owner, job).await? {
            Step::More if app.stopping.is_cancelled() => return Ok(Step::More),
            Step::More => {}
            over => return Ok(over),
        }
        tokio::task::yield_now().await;
    }
    Ok(Step::More)
}

async fn take(app: &App, owner: &Owner) -> Result<Option<Job>, DbError> {
    let mut reader = app.db.reader().acquire().await.map_err(DbError::from)?;
    if !rows::any_waits(&mut reader, app.clock.now()).await? {
        return Ok(None);
    }
    drop(reader);
    let mut lease = app.db.lease_behind().await?;
    let mut transaction = lease.begin().await?;
    let job = rows::lease(&mut transaction, owner, app.clock.now()).await?;
    transaction.commit("jobs.take").await?;
    Ok(job)
}

async fn release(app: &App, owner: &Owner, job: &Job, error: Option<&str>) -> Result<(), DbError> {
    let mut lease = app.db.lease_behind().await?;
    let mut transaction = lease.begin().await?;
    rows::release(&mut transaction, owner, job, error, app.clock.now()).await?;
    transaction.commit("jobs.release").await
}
