//! Orders whose deadline has passed: their owner is asked, and only their owner's word ends them.

use std::sync::Arc;

use counterfoil_domain::{
    ids::TenantId,
    time::{HOUR, MINUTE, Millis},
    transition::{
        Answer, Command,
        online::{End, EndOnline, Spent},
    },
};
use tokio::task::JoinSet;

use super::{
    owner::{OrderOwner, Payment},
    rows::{self, Overdue},
};
use crate::{app::App, db::DbError, engine::Refusal, retry, site};

/// First wait after an answer that does not help.
const FIRST: Millis = MINUTE;
/// Longest wait.
const MOST: Millis = HOUR;
/// After so many questions without an answer somebody should look.
pub const ALERT_AFTER: i64 = 8;
/// Owners asked at once.
const AT_ONCE: usize = 8;

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Paid: confirmed.
    pub confirmed: u64,
    /// Not paid: cancelled, the coupons are free again.
    pub cancelled: u64,
    /// Nobody knows: asked again later.
    pub unknown: u64,
}

/// Asks the owners of overdue orders, at most `limit` a tenant, and does what they say.
///
/// # Errors
/// The database's. What was not done is done by the next sweep.
pub async fn sweep(app: &App, owner: &Arc<dyn OrderOwner>, now: Millis, limit: i64) -> Result<Counts, DbError> {
    let mut counts = Counts::default();
    let tenants = {
        let mut connection = app.db.reader().acquire().await?;
        site::rows::tenants(&mut connection).await?
    };
    for tenant in tenants {
        let overdue = {
            let mut connection = app.db.reader().acquire().await?;
            rows::overdue(&mut connection, tenant, now, limit).await?
        };
        let mut answers = Answers::new(owner, tenant, overdue);
        while let Some((order, payment)) = answers.next().await {
            answered(app, tenant, &order, payment, now, &mut counts).await?;
        }
    }
    Ok(counts)
}

/// The owners of all that is overdue, asked a few at once.
#[derive(Debug)]
pub struct Answers {
    owner: Arc<dyn OrderOwner>,
    tenant: TenantId,
    overdue: std::vec::IntoIter<Overdue>,
    asked: JoinSet<(Overdue, Payment)>,
}

impl Answers {
    /// Begins to ask.
    pub fn new(owner: &Arc<dyn OrderOwner>, tenant: TenantId, overdue: Vec<Overdue>) -> Self {
        Self {
            owner: Arc::clone(owner),
            tenant,
            overdue: overdue.into_iter(),
            asked: JoinSet::new(),
        }
    }

    /// What one of them says; `None` when all have.
    pub async fn next(&mut self) -> Option<(Overdue, Payment)> {
        loop {
            while self.asked.len() < AT_ONCE
                && let Some(order) = self.overdue.next()
            {
                let (owner, tenant) = (Arc::clone(&self.owner), self.tenant);
                self.asked.spawn(async move {
                    let payment = owner.payment(tenant, &order).await;
                    (order, payment)
                });
            }
            match self.asked.join_next().await? {
                Ok(answer) => return Some(answer),
                // An owner that panics knows nothing: the order stays due.
                Err(error) => tracing::error!(%error, "an order's owner failed"),
            }
        }
    }
}

/// When an owner who did not know is asked again; `what` is the alert once they have not known for long.
pub fn ask_again_at(app: &App, what: &'static str, asks: i64, now: Millis) -> Millis {
    if asks + 1 >= ALERT_AFTER {
        metrics::counter!("counterfoil_alerts_total", "what" => what).increment(1);
    }
    now.saturating_add(retry::after(asks, FIRST, MOST, app.random.as_ref()))
}

async fn answered(
    app: &App,
    tenant: TenantId,
    order: &Overdue,
    payment: Payment,
    now: Millis,
    counts: &mut Counts,
) -> Result<(), DbError> {
    let (end, count) = match payment {
        Payment::Paid => (End::Confirm, &mut counts.confirmed),
        Payment::Failed => (End::Cancel, &mut counts.cancelled),
        Payment::Unknown => {
            counts.unknown += 1;
            let at = ask_again_at(app, "order_unknown", order.asks, now);
            let mut lease = app.db.lease_behind().await?;
            let mut transaction = lease.begin().await?;
            rows::ask_later(&mut transaction, tenant, order, at).await?;
            transaction.commit("online.answered").await?;
            return Ok(());
        }
    };
    let command = Command::EndOnline(EndOnline {
        spent: Spent::default(),
        id: order.id,
        number: None,
        end,
        by: None,
        now: app.clock.now(),
    });
    match app.engine.submit(tenant, vec![command]).await {
        // Ended otherwise meanwhile: whoever did that knew better.
        Ok(answers) => {
            if matches!(answers.first().map(|answered| &answered.answer), Some(Answer::Order(_))) {
                *count += 1;
            }
            Ok(())
        }
        Err(Refusal::Busy) => Ok(()),
        Err(refusal) => Err(DbError::config(refusal.to_string())),
    }
}
