//! Exchanges that nobody has paid in time: whoever takes the payment is asked, and only their word ends them.

use std::sync::Arc;

use counterfoil_domain::{
    ids::{ExchangeId, TenantId},
    time::Millis,
    transition::{Answer, Command, EndExchange, ExchangeEnd},
};

use super::rows;
use crate::{
    app::App,
    db::DbError,
    engine::Refusal,
    online::{
        owner::{OrderOwner, Payment},
        rows::Overdue,
        sweep::{Answers, Counts, ask_again_at},
    },
    site,
};

/// Asks about overdue exchanges, at most `limit` a tenant, and does what is said.
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
        while let Some((exchange, payment)) = answers.next().await {
            answered(app, tenant, &exchange, payment, now, &mut counts).await?;
        }
    }
    Ok(counts)
}

async fn answered(
    app: &App,
    tenant: TenantId,
    exchange: &Overdue,
    payment: Payment,
    now: Millis,
    counts: &mut Counts,
) -> Result<(), DbError> {
    let (end, count) = match payment {
        Payment::Paid => (ExchangeEnd::Paid, &mut counts.confirmed),
        Payment::Failed => (ExchangeEnd::Cancel, &mut counts.cancelled),
        Payment::Unknown => {
            counts.unknown += 1;
            let at = ask_again_at(app, "exchange_unknown", exchange.asks, now);
            let mut lease = app.db.lease_behind().await?;
            let mut transaction = lease.begin().await?;
            rows::ask_later(&mut transaction, tenant, exchange, at).await?;
            transaction.commit("gifts.answered").await?;
            return Ok(());
        }
    };
    let command = Command::EndExchange(EndExchange {
        id: ExchangeId(exchange.id.0),
        end,
        rule: None,
        by: None,
        now: app.clock.now(),
    });
    match app.engine.submit(tenant, vec![command]).await {
        // Ended otherwise meanwhile: whoever did that knew better.
        Ok(answers) => {
            let answer = answers.first().map(|answered| &answered.answer);
            if matches!(answer, Some(Answer::Exchanged { .. })) {
                *count += 1;
            }
            Ok(())
        }
        Err(Refusal::Busy) => Ok(()),
        Err(refusal) => Err(DbError::config(refusal.to_string())),
    }
}
