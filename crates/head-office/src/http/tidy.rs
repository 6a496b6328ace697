//! Forgets what nobody needs any more: answers after their time, sessions that have ended.

use std::sync::Arc;

use counterfoil_domain::time::{HOUR, Millis};

use super::idempotency;
use crate::{App, db::DbError, members::sessions};

/// How often.
pub const PERIOD: Millis = HOUR;
/// Rows in one transaction.
const PIECE: i64 = 500;

/// Forgets a piece; true when there is more.
///
/// # Errors
/// The database's.
pub async fn tidy(app: Arc<App>) -> Result<bool, DbError> {
    let now = app.clock.now();
    let mut lease = app.db.lease().await?;
    let mut transaction = lease.begin().await?;
    let answers = idempotency::forget(&mut transaction, now, PIECE).await?;
    let sessions = sessions::forget(&mut transaction, now, PIECE).await?;
    transaction.commit().await?;
    Ok(answers.max(sessions) >= PIECE.unsigned_abs())
}
