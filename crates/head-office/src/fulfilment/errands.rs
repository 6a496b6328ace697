//! What is to be done at carriers: waybills are ordered, and what holds no longer is cleared away.
//!
//! An errand is a row that a process takes for a while ([`LEASE`]); taking it counts as a try before the carrier is asked
//! anything, so whoever takes it after a crash knows that something may have been asked. It then looks first what the
//! carrier has under our own key. Whoever comes first with a waybill writes it, under the condition that one is still to be
//! ordered; every other one, however late, is surplus, cancelled at the carrier, and told of. Where more than one order
//! may have been on its way, the carrier is looked at once more when no answer can come any longer.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use counterfoil_domain::{
    ids::TenantId,
    planted,
    time::{HOUR, MINUTE, Millis, SECOND},
    words::Word,
};
use tokio::task::JoinSet;

use super::{
    Bell, Outcome, carrier_key,
    rows::{self, Change, Errand, Parcel, Taken, Waybill, WaybillStatus},
    warehouse,
};
use crate::{
    app::App,
    carriers::{CarrierError, Line, Registry, setting::Adapter},
    db::{Db, DbError},
    deed::{Actor, Deed},
    retry,
};

/// How long an errand is somebody's who may have died: longer than its questions take.
pub const LEASE: Millis = 20 * SECOND;
/// How long after an order an answer may come that nobody hears: longer than the adapters wait for one.
pub const LATE: Millis = 11 * MINUTE;
/// First wait after an errand that came to nothing.
const FIRST: Millis = SECOND;
/// Longest wait.
const MOST: Millis = 10 * MINUTE;
/// When is looked again whether the chain has a carrier by now, where nobody says so ([`carrier_is_there`]).
const NO_CARRIER: Millis = HOUR;
/// Orders of a chain without a carrier that are put off at once.
const PUT_OFF: i64 = 500;
/// After so many tries somebody should look.
pub const ALERT_AFTER: i64 = 8;
/// How often errands of other processes' making are looked for.
const LOOK: Duration = Duration::from_millis(500);
/// Errands of a process at a time.
const AT_ONCE: usize = 16;

/// What became of a waybill that a carrier gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given {
    /// The parcel travels by it.
    Live,
    /// It was known.
    Known,
    /// The parcel has another one; this one is to be cancelled.
    Surplus,
    /// Another parcel has it.
    Taken,
}

/// Does errands until `app.stopping` is cancelled.
pub fn start(app: &Arc<App>) {
    let app = Arc::clone(app);
    app.tasks.clone().spawn(async move {
        let mut at_work = JoinSet::new();
        while !app.stopping.is_cancelled() {
            match take(&app, AT_ONCE.saturating_sub(at_work.len())).await {
                Ok(taken) => {
                    for one in taken {
                        at_work.spawn(run(Arc::clone(&app), one));
                    }
                }
                Err(error) => tracing::warn!(%error, "errands can't be taken at the moment"),
            }
            let is_full = at_work.len() >= AT_ONCE;
            tokio::select! {
                () = app.stopping.cancelled() => {}
                Some(_) = at_work.join_next(), if !at_work.is_empty() => {}
                () = app.own.of::<Bell>().0.notified(), if !is_full => {}
                () = app.clock.sleep(LOOK), if !is_full => {}
            }
        }
    });
}

/// Does what is due now, one after the other; how many there were. What still hangs when its time is up goes on by itself.
///
/// # Errors
/// The database's.
pub async fn turn(app: &Arc<App>) -> Result<usize, DbError> {
    let taken = take(app, AT_ONCE).await?;
    let count = taken.len();
    for one in taken {
        run(Arc::clone(app), one).await;
    }
    Ok(count)
}

async fn take(app: &App, most: usize) -> Result<Vec<Taken>, DbError> {
    let Ok(most @ 1..) = i64::try_from(most) else {
        return Ok(Vec::new());
    };
    let now = app.clock.now();
    let seen = {
        let mut reader = app.db.reader().acquire().await?;
        rows::due(&mut reader, now, most).await?
    };
    if seen.is_empty() {
        return Ok(Vec::new());
    }
    // Where there is nobody to ask, nothing is begun, and all of it is put off at once.
    let tenants: BTreeSet<TenantId> = seen.iter().map(|one| one.tenant).collect();
    let mut idle = BTreeSet::new();
    for tenant in tenants {
        let ordering = app.own.of::<Registry>().ordering(app, tenant).await?;
        idle.extend(ordering.is_none().then_some(tenant));
    }
    let waits = |one: &Taken| one.errand == Errand::Order && idle.contains(&one.tenant);
    let mut lease = app.db.lease_behind().await?;
    let mut transaction = lease.begin().await?;
    if !idle.is_empty() {
        let (trouble, until) = (Trouble::NoCarrier.code(), now.saturating_add(NO_CARRIER));
        let more = rows::due(&mut transaction, now, PUT_OFF).await?;
        for tenant in &idle {
            let theirs: Vec<&Taken> = more.iter().filter(|one| one.tenant == *tenant && waits(one)).collect();
            rows::put_off_orders(&mut transaction, *tenant, &theirs, until, trouble).await?;
        }
    }
    let mut taken = Vec::new();
    for one in seen.iter().filter(|one| !waits(one)) {
        taken.extend(rows::take(&mut transaction, one, now + LEASE, now + LATE).await?);
    }
    transaction.commit("errands.take").await?;
    Ok(taken)
}

/// A chain has a carrier from now on: what waits for one is ordered.
///
/// # Errors
/// The database's.
pub async fn carrier_is_there(db: &Db, tenant: TenantId, now: Millis) -> Result<(), DbError> {
    let mut lease = db.lease().await?;
    let mut transaction = lease.begin().await?;
    rows::resume(&mut transaction, tenant, Trouble::NoCarrier.code(), now).await?;
    transaction.commit("errands.resume").await
}

async fn run(app: Arc<App>, taken: Taken) {
    let done = match taken.errand {
        Errand::Order => order(&app, &taken).await,
        Errand::Clear => clear(&app, &taken).await,
    };
    let trouble = match done {
        Ok(()) => return,
        Err(trouble) => trouble,
    };
    if taken.tries >= ALERT_AFTER {
        tracing::error!(parcel = %taken.parcel, generation = taken.generation, tries = taken.tries, %trouble, "a carrier does not do it");
        metrics::counter!("counterfoil_alerts_total", "what" => "carrier_errand").increment(1);
    }
    if let Err(error) = put_off(&app, &taken, &trouble).await {
        // Whoever takes it when its time is up goes on.
        tracing::warn!(%error, parcel = %taken.parcel, "an errand could not be put off");
    }
}

/// Why an errand came to nothing.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Carrier(#[from] CarrierError),
    #[error(transparent)]
    Db(#[from] DbError),
    #[error("there is no carrier to order at")]
    NoCarrier,
    #[error("the carrier gave the waybill of another parcel")]
    Taken,
}

impl Trouble {
    fn code(&self) -> &'static str {
        match self {
            Self::Carrier(error) => error.code(),
            Self::Db(_) => "database",
            Self::NoCarrier => "no_carrier",
            Self::Taken => "waybill_of_another_parcel",
        }
    }

    /// Whether nothing can have been done at the carrier.
    fn is_sure(&self) -> bool {
        match self {
            Self::Carrier(error) => !matches!(error, CarrierError::Unclear(_)),
            Self::NoCarrier => true,
            Self::Db(_) | Self::Taken => false,
        }
    }
}

async fn put_off(app: &App, taken: &Taken, trouble: &Trouble) -> Result<(), DbError> {
    let wait = match trouble {
        Trouble::NoCarrier => NO_CARRIER,
        _ => retry::after(taken.tries - 1, FIRST, MOST, app.random.as_ref()),
    };
    let uncounted = matches!(trouble, Trouble::NoCarrier | Trouble::Carrier(CarrierError::LeftAlone));
    // What an earlier try may have left stays in doubt.
    let sure =
        taken.errand == Errand::Order && taken.tries == 1 && planted!("doubt_forgotten", true, trouble.is_sure());
    let mut lease = app.db.lease_behind().await?;
    let mut transaction = lease.begin().await?;
    let until = app.clock.now().saturating_add(wait);
    rows::put_off(&mut transaction, taken, until, trouble.code(), uncounted, sure).await?;
    transaction.commit("errands.put_off").await
}

async fn ordering(app: &App, taken: &Taken) -> Result<Option<(&'static str, Line)>, DbError> {
    app.own.of::<Registry>().ordering(app, taken.tenant).await
}

async fn order(app: &Arc<App>, taken: &Taken) -> Result<(), Trouble> {
    let key = carrier_key(taken.parcel, taken.generation);
    let what = {
        let mut reader = app.db.reader().acquire().await.map_err(DbError::from)?;
        rows::consignment(&mut reader, taken.tenant, taken.parcel, taken.generation).await?
    };
    // A change came in between: its own errand stands in the row by now.
    let Some(what) = what else { return Ok(()) };
    let Some((carrier, line)) = ordering(app, taken).await? else {
        return Err(Trouble::NoCarrier);
    };
    if taken.tries > 1 {
        let found = line.find(&key).await?;
        if !found.is_empty() {
            for number in &found {
                if give(app, taken, carrier, number).await? == Given::Taken {
                    return Err(Trouble::Taken);
                }
            }
            return Ok(());
        }
    }
    let patience = line.patience;
    let mut asking = {
        let line = line.clone();
        Box::pin(async move { line.order(&key, &what).await })
    };
    tokio::select! {
        biased;
        answer = &mut asking => return written(app, taken, carrier, answer).await,
        () = app.clock.sleep(patience) => line.gave_up(),
    }
    // It goes on by itself: what it comes to is written down however late.
    let (app, taken) = (Arc::clone(app), taken.clone());
    app.tasks.clone().spawn(async move {
        let Some(answer) = app.stopping.run_until_cancelled(asking).await else {
            return;
        };
        if let Err(trouble) = written(&app, &taken, carrier, answer).await {
            tracing::warn!(%trouble, parcel = %taken.parcel, "an order that was given up came to nothing");
        }
    });
    Err(Trouble::Carrier(CarrierError::Unclear("no answer in time")))
}

/// What a carrier answered to an order, written down. What can't be written is found again under our own key.
async fn written(app: &App, taken: &Taken, carrier: &str, answer: Result<String, CarrierError>) -> Result<(), Trouble> {
    match give(app, taken, carrier, &answer?).await? {
        Given::Taken => Err(Trouble::Taken),
        Given::Live | Given::Known | Given::Surplus => Ok(()),
    }
}

/// Writes down what a carrier gave: the first waybill is the parcel's own, every other one is surplus.
async fn give(app: &App, taken: &Taken, carrier: &str, number: &str) -> Result<Given, DbError> {
    let now = app.clock.now();
    let (tenant, parcel, generation) = (taken.tenant, taken.parcel, taken.generation);
    let mut lease = app.db.lease_behind().await?;
    let mut deed = worker(app, lease.begin().await?, taken);
    if rows::ordered(&mut deed, tenant, parcel, generation).await? {
        let live = WaybillStatus::Live;
        if !rows::insert_waybill(&mut deed, tenant, carrier, number, parcel, generation, live, now).await? {
            deed.rollback().await?;
            return Ok(Given::Taken);
        }
        deed.audit("waybill.ordered", &format!("{parcel} {number}")).await?;
        deed.commit("errands.ordered").await?;
        return Ok(Given::Live);
    }
    let surplus = WaybillStatus::Surplus;
    if !rows::insert_waybill(&mut deed, tenant, carrier, number, parcel, generation, surplus, now).await? {
        deed.rollback().await?;
        return Ok(Given::Known);
    }
    rows::to_be_cleared(&mut deed, tenant, parcel, generation, now).await?;
    deed.audit("waybill.surplus", &format!("{parcel} {number}")).await?;
    deed.commit("errands.surplus").await?;
    alert(taken, number);
    app.own.of::<Bell>().0.notify_one();
    Ok(Given::Surplus)
}

fn alert(taken: &Taken, number: &str) {
    tracing::error!(parcel = %taken.parcel, generation = taken.generation, number, "a carrier gave a second waybill: it is being cancelled");
    metrics::counter!("counterfoil_alerts_total", "what" => "second_waybill").increment(1);
}

fn worker<'d>(app: &'d App, transaction: crate::db::Tx<'d>, taken: &Taken) -> Deed<'d> {
    let actor = Actor::of(taken.tenant, "fulfilment");
    Deed::new(transaction, app.random.as_ref(), actor, app.clock.now())
}

async fn clear(app: &Arc<App>, taken: &Taken) -> Result<(), Trouble> {
    let tenant = taken.tenant;
    let (parcel, known) = {
        let mut reader = app.db.reader().acquire().await.map_err(DbError::from)?;
        let Some(parcel) = rows::parcel(&mut reader, tenant, taken.parcel).await? else {
            return Ok(());
        };
        let known = rows::waybills_of(&mut reader, tenant, &[taken.parcel]).await?;
        (parcel, known)
    };
    let change = parcel.change.filter(|_| parcel.generation == taken.generation);
    let mut known: Vec<Waybill> = known
        .into_iter()
        .filter(|one| one.generation == taken.generation)
        .collect();
    let ordering = ordering(app, taken).await?;
    if taken.doubtful_until.is_some() && planted!("second_waybill_stays", false, true) {
        let (carrier, line) = ordering.as_ref().ok_or(Trouble::NoCarrier)?;
        for number in line.find(&carrier_key(taken.parcel, taken.generation)).await? {
            if !known.iter().any(|one| one.number == number && one.carrier == *carrier) {
                known.push(unheard(app, taken, carrier, &number, change.is_some()).await?);
            }
        }
    }
    for waybill in &known {
        let is_wanted = match waybill.status {
            WaybillStatus::Live => change.is_none() || planted!("unwanted_waybill_stays", true, false),
            WaybillStatus::Surplus => false,
            WaybillStatus::Cancelled => continue,
        };
        if is_wanted {
            continue;
        }
        match &ordering {
            Some((carrier, line)) if *carrier == waybill.carrier => match line.cancel(&waybill.number).await {
                Ok(()) => {}
                Err(CarrierError::Refused(_)) if waybill.status == WaybillStatus::Live => {
                    return Ok(give_up(app, taken, &parcel).await?);
                }
                Err(error) => return Err(error.into()),
            },
            None if Adapter::parse(&waybill.carrier) == Some(Adapter::Sandbox) => return Err(Trouble::NoCarrier),
            // Of a carrier that is told by hand.
            _ => {}
        }
        if waybill.status == WaybillStatus::Surplus {
            let mut lease = app.db.lease_behind().await?;
            let mut deed = worker(app, lease.begin().await?, taken);
            rows::surplus_cancelled(&mut deed, tenant, &waybill.carrier, &waybill.number).await?;
            deed.audit("waybill.cancelled", &format!("{} {}", taken.parcel, waybill.number))
                .await?;
            deed.commit("errands.cancelled").await?;
        }
    }
    Ok(end(app, taken, &parcel, change).await?)
}

/// A waybill that the carrier has under our key, and that nobody here has heard of. Whoever had no answer expects one.
async fn unheard(app: &App, taken: &Taken, carrier: &str, number: &str, expected: bool) -> Result<Waybill, DbError> {
    let now = app.clock.now();
    let surplus = WaybillStatus::Surplus;
    let (tenant, parcel, generation) = (taken.tenant, taken.parcel, taken.generation);
    let mut lease = app.db.lease_behind().await?;
    let mut deed = worker(app, lease.begin().await?, taken);
    let is_new = rows::insert_waybill(&mut deed, tenant, carrier, number, parcel, generation, surplus, now).await?;
    if is_new {
        deed.audit("waybill.surplus", &format!("{parcel} {number}")).await?;
    }
    deed.commit("errands.unheard").await?;
    if is_new && !expected {
        alert(taken, number);
    }
    Ok(Waybill {
        carrier: carrier.to_owned(),
        number: number.to_owned(),
        parcel,
        generation,
        status: surplus,
        progress: None,
        events: Vec::new(),
        told_at: None,
        asked_at: None,
        subscribed: false,
    })
}

/// The carrier has the parcel already: it stays as it is.
async fn give_up(app: &App, taken: &Taken, parcel: &Parcel) -> Result<(), DbError> {
    let now = app.clock.now();
    let mut lease = app.db.lease_behind().await?;
    let mut deed = worker(app, lease.begin().await?, taken);
    rows::give_change_up(&mut deed, taken.tenant, parcel, now).await?;
    if !rows::cleared(&mut deed, taken, now).await? {
        return deed.rollback().await;
    }
    deed.audit("parcel.change_refused", &taken.parcel.to_string()).await?;
    deed.commit("errands.given_up").await?;
    tracing::error!(parcel = %taken.parcel, "the carrier has the parcel already: it can't be changed");
    metrics::counter!("counterfoil_alerts_total", "what" => "change_refused").increment(1);
    Ok(())
}

/// Nothing is left at the carrier that is not wanted: what waited for that happens.
async fn end(app: &App, taken: &Taken, parcel: &Parcel, change: Option<Change>) -> Result<(), DbError> {
    let now = app.clock.now();
    let mut lease = app.db.lease_behind().await?;
    let mut deed = worker(app, lease.begin().await?, taken);
    if let Some(change) = change {
        if !rows::end_change(&mut deed, taken.tenant, parcel, change, now).await? {
            return deed.rollback().await;
        }
        let (action, detail) = match change {
            Change::Address => ("parcel.generation_raised", parcel.generation + 1),
            Change::Cancel => ("parcel.cancelled", parcel.generation),
        };
        deed.audit(action, &format!("{} {detail}", taken.parcel)).await?;
        if change == Change::Cancel && planted!("cancelled_unsaid", false, true) {
            warehouse::settle_cancelled(&mut deed, parcel, Outcome::Returned).await?;
        }
    }
    // Last, since whoever asks for a change takes the rows in this order. If somebody else has it by now, they do it all again.
    if !rows::cleared(&mut deed, taken, now).await? {
        return deed.rollback().await;
    }
    deed.commit("errands.cleared").await?;
    app.own.of::<Bell>().0.notify_one();
    Ok(())
}
