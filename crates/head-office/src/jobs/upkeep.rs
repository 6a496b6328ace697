//! What is forgotten after a while: answers, sessions, refusals that nobody asks for any more.

use std::sync::Arc;

use counterfoil_domain::time::HOUR;

use super::{Known, every};
use crate::{app::App, db::DbError};

/// Rows in one transaction.
const PIECE: i64 = 500;

/// Begins the hourly upkeep.
pub(super) fn start(app: &Arc<App>) {
    every(app, "upkeep.forget", HOUR, |app| {
        Box::pin(async move { forget(&app).await })
    });
}

/// Forgets a piece; true when there is more.
///
/// # Errors
/// The database's.
pub async fn forget(app: &App) -> Result<bool, DbError> {
    let now = app.clock.now();
    let mut lease = app.db.lease_behind().await?;
    let mut transaction = lease.begin().await?;
    let mut more = false;
    for forget in &app.own.of::<Known>().forgets {
        more |= forget(&mut transaction, now, PIECE).await?;
    }
    transaction.commit("jobs.forget").await?;
    Ok(more)
}
