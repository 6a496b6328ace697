//! Writes down what happened to accounts by themselves: lots that ended or became available, holds that lapsed.

use counterfoil_domain::{
    ids::MemberId,
    time::Millis,
    transition::{Command, SettleAccount},
};

use super::rows;
use crate::{app::App, db::DbError, engine::Refusal, site};

/// Accounts at once: one group of the engine.
const PAGE: i64 = 400;

/// Brings accounts up to date, at most some `limit` a tenant; how many.
///
/// # Errors
/// The database's. What was not done is done by the next sweep.
pub async fn sweep(app: &App, now: Millis, limit: i64) -> Result<u64, DbError> {
    let tenants = {
        let mut connection = app.db.reader().acquire().await?;
        site::rows::tenants(&mut connection).await?
    };
    let mut done = 0;
    for tenant in tenants {
        let mut left = limit;
        let mut after: Option<(Millis, MemberId)> = None;
        while left > 0 {
            let page = left.min(PAGE);
            let due = {
                let mut connection = app.db.reader().acquire().await?;
                rows::due(&mut connection, tenant, now, after, page).await?
            };
            let Some(last) = due.last() else { break };
            after = Some(*last);
            left -= page;
            let commands = due
                .iter()
                .map(|(_, member)| Command::SettleAccount(SettleAccount { member: *member, now }));
            match app.engine.submit(tenant, commands.collect()).await {
                Ok(answers) => done += answers.len() as u64,
                // Clerks come first: the rest has time until the next sweep.
                Err(Refusal::Busy) => return Ok(done),
                Err(refusal) => return Err(DbError::config(refusal.to_string())),
            }
        }
    }
    Ok(done)
}
