//! What the site must be told: a row that commits with what happened, sent until the site has taken it.

use counterfoil_domain::{
    ids::{self, TenantId},
    time::{HOUR, Millis, SECOND},
};
use sqlx::AnyConnection;
use uuid::Uuid;

use super::{Caller, SiteError, rows};
use crate::{
    app::App,
    clock::{self, Random},
    db::DbError,
    retry,
};

/// First wait after a failure.
const FIRST: Millis = 10 * SECOND;
/// Longest wait.
const MOST: Millis = HOUR;
/// After so many tries somebody should look.
pub const ALERT_AFTER: i64 = 8;

/// Puts something in that the site must be told; it commits with what happened. `kind` is a word of the capability that says
/// it, and `body` holds the same word and the same id.
///
/// # Errors
/// The driver's.
pub async fn put(
    connection: &mut AnyConnection,
    tenant: TenantId,
    id: Uuid,
    kind: &'static str,
    body: &serde_json::Value,
    now: Millis,
) -> Result<(), DbError> {
    let due = rows::Due {
        id,
        kind: kind.to_owned(),
        body: body.to_string(),
        tries: 0,
    };
    rows::insert_notice(connection, tenant, &due, now).await
}

/// The id of something to tell.
///
/// # Errors
/// When there is no randomness.
pub fn fresh(random: &dyn Random, now: Millis) -> Result<Uuid, DbError> {
    let random = clock::bytes::<10>(random).map_err(|error| DbError::config(error.to_string()))?;
    Ok(ids::make(ids::Place::ZERO, now, random))
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// The site has taken these.
    pub told: u64,
    /// These are tried again later.
    pub failed: u64,
}

/// Tells every tenant's site what it must be told, at most `limit` a tenant.
///
/// # Errors
/// The database's.
pub async fn sweep(app: &App, caller: &Caller, now: Millis, limit: i64) -> Result<Counts, DbError> {
    let mut counts = Counts::default();
    let tenants = {
        let mut connection = app.db.reader().acquire().await?;
        rows::tenants(&mut connection).await?
    };
    for tenant in tenants {
        let (webhook, due) = {
            let mut connection = app.db.reader().acquire().await?;
            let due = rows::due(&mut connection, tenant, now, limit).await?;
            if due.is_empty() {
                continue;
            }
            (rows::webhook(&mut connection, tenant).await?, due)
        };
        let Some(webhook) = webhook else { continue };
        let mut reached = true;
        for one in due {
            if !reached {
                // It would wait as long for each: the rest stays due.
                break;
            }
            let sent = caller.post(&webhook, one.id, one.body.clone().into_bytes()).await;
            let mut lease = app.db.lease_behind().await?;
            let mut transaction = lease.begin().await?;
            match sent {
                Ok(_) => {
                    counts.told += 1;
                    rows::told(&mut transaction, tenant, one.id).await?;
                }
                Err(error) => {
                    reached &= !matches!(error, SiteError::Unreached(_));
                    counts.failed += 1;
                    tracing::warn!(%error, kind = %one.kind, tries = one.tries + 1, "a site was not told");
                    if one.tries + 1 >= ALERT_AFTER {
                        metrics::counter!("counterfoil_alerts_total", "what" => "site_not_told").increment(1);
                    }
                    let next = now.saturating_add(retry::after(one.tries, FIRST, MOST, app.random.as_ref()));
                    rows::failed(&mut transaction, tenant, &one, next).await?;
                }
            }
            transaction.commit("site.sweep").await?;
        }
    }
    Ok(counts)
}
