//! Marks coupons whose time is up, every hour. Nothing waits for it: wherever a coupon is read, its time is checked.

use counterfoil_domain::{
    ids::TenantId,
    time::{HOUR, Millis},
    transition::{Answer, Command, ExpireCoupon, Swept},
};

use super::days::{self, Due, What};
use crate::{app::App, db::DbError, engine::Refusal, site};

/// Rows at once: one group of the engine.
const PAGE: i64 = 400;

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Coupons that were marked.
    pub expired: u64,
    /// Nothing was left to do: used, or held by an order that decides how it ends.
    pub settled: u64,
    /// Looked at again later.
    pub later: u64,
}

/// Marks what has ended, at most some `limit` coupons a tenant.
///
/// # Errors
/// The database's. What was not done is done by the next sweep.
pub async fn sweep(app: &App, now: Millis, limit: i64) -> Result<Counts, DbError> {
    let tenants = {
        let mut connection = app.db.reader().acquire().await?;
        site::rows::tenants(&mut connection).await?
    };
    let mut counts = Counts::default();
    for tenant in tenants {
        let (mut after, mut left) = (None, limit);
        while left > 0 {
            let page = left.min(PAGE);
            let rows = {
                let mut connection = app.db.reader().acquire().await?;
                days::due(&mut connection, tenant, What::Expire, now, after, page).await?
            };
            let Some(last) = rows.last() else { break };
            after = Some((last.day, last.coupon));
            left -= page;
            if !expire(app, tenant, &rows, now, &mut counts).await? {
                // Clerks come first: the rest has time until the next sweep.
                return Ok(counts);
            }
        }
    }
    Ok(counts)
}

async fn expire(app: &App, tenant: TenantId, rows: &[Due], now: Millis, counts: &mut Counts) -> Result<bool, DbError> {
    let commands = rows
        .iter()
        .map(|due| {
            Command::ExpireCoupon(ExpireCoupon {
                coupon: due.coupon,
                now,
            })
        })
        .collect();
    let answers = match app.engine.submit(tenant, commands).await {
        Ok(answers) => answers,
        Err(Refusal::Busy) => return Ok(false),
        Err(refusal) => return Err(DbError::config(refusal.to_string())),
    };
    let (mut done, mut later) = (Vec::new(), Vec::new());
    for (due, answered) in rows.iter().zip(answers) {
        match answered.answer {
            Answer::Swept(Swept::Expired) => {
                counts.expired += 1;
                done.push(*due);
            }
            Answer::Swept(Swept::Settled) => {
                counts.settled += 1;
                done.push(*due);
            }
            Answer::Swept(Swept::Later(at)) => later.push(due.at(at)),
            // Its handler failed, which is logged; the row must not come back at once.
            _ => later.push(due.at(now.saturating_add(HOUR))),
        }
    }
    counts.later += u64::try_from(later.len()).unwrap_or(u64::MAX);
    let mut lease = app.db.lease_behind().await?;
    let mut transaction = lease.begin().await?;
    days::remove(&mut transaction, tenant, &done).await?;
    days::try_again(&mut transaction, tenant, &later).await?;
    transaction.commit("coupons.expire").await?;
    Ok(true)
}
