//! How far parcels are: carriers are asked now and then, aggregators tell by themselves, and what is held is only replaced by
//! what is newer.

use std::sync::Arc;

use counterfoil_domain::{
    ids::TenantId,
    time::{DAY, HOUR, MINUTE, Millis},
};
use sqlx::AnyConnection;

use super::rows;
use crate::{
    app::App,
    carriers::{CarrierError, Progress, Registry, Report, Tracked},
    db::DbError,
};

/// A waybill is asked about at most once in this time: so never twice in 30 minutes, and, since 47 of these are more than a
/// day, never 48 times in 24 hours. Who asks more often is shut out by aggregators.
pub const SPARED: Millis = 31 * MINUTE;
/// How often a carrier is asked that does not tell by itself.
const EVERY: Millis = 2 * HOUR;
/// The same of one that does.
const SELDOM: Millis = 12 * HOUR;
/// How long after it was signed for a parcel may still come back.
const AFTER_SIGNED: Millis = 7 * DAY;
/// Waybills asked about in one piece of a sweep.
pub const PIECE: i64 = 16;

/// What became of looking at a waybill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    /// The carrier told something new, or the same again.
    Told,
    /// It told something older than what is held.
    Older,
    /// It tells by itself from now on.
    Subscribed,
    /// It was asked too short a while ago.
    Spared,
    /// Nobody who could be asked is known.
    Nobody,
    /// There is no such waybill.
    Unknown,
    /// The carrier did not tell.
    Failed(CarrierError),
}

/// When a waybill is due again after this report; nothing once nothing more comes.
fn next(report: &Report, subscribed: bool, now: Millis) -> Option<Millis> {
    let again = now.saturating_add(if subscribed { SELDOM } else { EVERY });
    match report.progress {
        progress if progress.is_final() => None,
        Progress::Signed => {
            let end = report.newest().unwrap_or(now).saturating_add(AFTER_SIGNED);
            (again < end).then_some(again)
        }
        _ => Some(again),
    }
}

/// Writes a report, whoever brought it; false when it is older than what is held.
///
/// # Errors
/// The database's.
pub async fn write(
    connection: &mut AnyConnection,
    tenant: TenantId,
    waybill: (&str, &str),
    subscribed: bool,
    report: &Report,
    now: Millis,
) -> Result<bool, DbError> {
    let next = next(report, subscribed, now);
    rows::told(connection, tenant, waybill, report, now, next).await
}

/// Asks the carrier of a waybill how far it is, unless it was asked a short while ago or is left alone at the moment.
///
/// # Errors
/// The database's.
pub async fn look(app: &App, tenant: TenantId, carrier: &str, number: &str) -> Result<Looked, DbError> {
    let now = app.clock.now();
    let (waybill, phone) = {
        let mut reader = app.db.reader().acquire().await?;
        let Some(waybill) = rows::waybill(&mut reader, tenant, carrier, number).await? else {
            return Ok(Looked::Unknown);
        };
        let phone = rows::phone(&mut reader, tenant, waybill.parcel).await?;
        (waybill, phone)
    };
    let named = (carrier, number);
    let again = now.saturating_add(if waybill.subscribed { SELDOM } else { EVERY });
    let Some(line) = app.own.of::<Registry>().tracking(app, tenant, carrier).await? else {
        later(app, tenant, named, again).await?;
        return Ok(Looked::Nobody);
    };
    if line.is_left_alone() {
        // It is known how it stood; the right to ask is not used up.
        later(app, tenant, named, now + MINUTE).await?;
        return Ok(Looked::Failed(CarrierError::LeftAlone));
    }
    let taken = {
        let mut lease = app.db.lease_behind().await?;
        let mut transaction = lease.begin().await?;
        let taken = rows::take_look(&mut transaction, tenant, named, now - SPARED, now, again).await?;
        if !taken {
            let free = waybill.asked_at.unwrap_or(now).saturating_add(SPARED).max(now + MINUTE);
            rows::look_later(&mut transaction, tenant, named, free).await?;
        }
        transaction.commit("tracking.look").await?;
        taken
    };
    if !taken {
        return Ok(Looked::Spared);
    }
    let what = Tracked {
        company: carrier.to_owned(),
        number: number.to_owned(),
        phone,
    };
    if !waybill.subscribed {
        match line.subscribe(&what).await {
            Ok(true) => {
                let mut lease = app.db.lease_behind().await?;
                let mut transaction = lease.begin().await?;
                rows::subscribed(&mut transaction, tenant, named).await?;
                rows::look_later(&mut transaction, tenant, named, now + SPARED).await?;
                transaction.commit("tracking.subscribed").await?;
                return Ok(Looked::Subscribed);
            }
            Ok(false) => {}
            Err(error) => return Ok(failed(carrier, error)),
        }
    }
    let report = match line.track(&what).await {
        Ok(report) => report,
        Err(error) => return Ok(failed(carrier, error)),
    };
    let mut lease = app.db.lease_behind().await?;
    let mut transaction = lease.begin().await?;
    let told = write(
        &mut transaction,
        tenant,
        named,
        waybill.subscribed,
        &report,
        app.clock.now(),
    )
    .await?;
    transaction.commit("tracking.told").await?;
    Ok(if told { Looked::Told } else { Looked::Older })
}

fn failed(carrier: &str, error: CarrierError) -> Looked {
    tracing::warn!(%error, carrier, "a carrier does not tell how far a parcel is");
    Looked::Failed(error)
}

async fn later(app: &App, tenant: TenantId, waybill: (&str, &str), at: Millis) -> Result<(), DbError> {
    let mut lease = app.db.lease_behind().await?;
    let mut transaction = lease.begin().await?;
    rows::look_later(&mut transaction, tenant, waybill, at).await?;
    transaction.commit("tracking.later").await
}

/// Asks about waybills that are due, of all chains; how many.
///
/// # Errors
/// The database's.
pub async fn sweep(app: &Arc<App>) -> Result<u64, DbError> {
    let due = {
        let mut reader = app.db.reader().acquire().await?;
        rows::to_track(&mut reader, app.clock.now(), PIECE).await?
    };
    let mut looking = tokio::task::JoinSet::new();
    for (tenant, carrier, number) in due {
        let app = Arc::clone(app);
        looking.spawn(async move { look(&app, tenant, &carrier, &number).await });
    }
    let mut count = 0;
    while let Some(looked) = looking.join_next().await {
        match looked {
            Ok(looked) => drop(looked?),
            Err(error) => tracing::error!(%error, "looking at a waybill failed"),
        }
        count += 1;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::carriers::Event;

    fn report(progress: Progress, at: Millis) -> Report {
        let event = Event {
            at,
            text: String::new(),
        };
        Report::new(progress, vec![event])
    }

    #[test]
    fn what_may_still_change_is_looked_at_again() {
        let now = 100 * DAY;
        for progress in [
            Progress::InTransit,
            Progress::Problem,
            Progress::Returning,
            Progress::Refused,
            Progress::Unknown,
        ] {
            assert_eq!(next(&report(progress, now), false, now), Some(now + EVERY));
            assert_eq!(next(&report(progress, now), true, now), Some(now + SELDOM));
        }
        assert_eq!(next(&report(Progress::ReturnedSigned, now), false, now), None);
        assert_eq!(next(&report(Progress::Cancelled, now), false, now), None);
        // What was signed for may come back for a while.
        assert_eq!(next(&report(Progress::Signed, now), false, now), Some(now + EVERY));
        assert_eq!(next(&report(Progress::Signed, now - 8 * DAY), false, now), None);
    }

    /// Who asks as often as it is let is within both limits.
    #[test]
    fn the_hungriest_stays_within_the_limits() {
        let asked: Vec<Millis> = (0..1_000).map(|n| n * SPARED).collect();
        for (place, first) in asked.iter().enumerate() {
            let within = |time: Millis| asked[place..].iter().take_while(|at| **at - first <= time).count();
            assert_eq!(within(30 * MINUTE), 1);
            assert!(within(DAY) <= 47);
        }
    }
}
