//! Everything worth showing about a counter.

use counterfoil_domain::{
    ids::DeviceId,
    offline::CLOCK_WARN,
    people::Store,
    time::{HOUR, Millis},
    transition::DeviceStatus,
};
use serde::Serialize;
use sqlx::SqliteConnection;

use crate::{
    codes::Code,
    error::Result,
    guessing::{self, Guessing},
    http::{is_exposed, parse_address},
    identity::{self, Identity},
    inner::Inner,
    journal,
    line::Link,
    queue::{self, QueueCounts},
    replica,
};

/// What was done alone, and how much may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LimitsUsage {
    /// Redemptions that wait for delivery and that head office did not confirm before.
    pub count: i64,
    /// At most so many.
    pub max_count: i64,
    /// Their value, minor units.
    pub amount: i64,
    /// At most so much.
    pub max_amount: i64,
    /// Whole hours since the last pull.
    pub hours: i64,
    /// At most so many.
    pub max_hours: i64,
    /// ISO 4217.
    pub currency: String,
}

/// A counter that has its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Placed {
    /// Which device it is.
    pub device: DeviceId,
    /// Where it stands.
    pub store: Store,
    /// May it work.
    pub device_status: DeviceStatus,
    /// Head office's address.
    pub address: String,
    /// Others on the way to head office can read along.
    pub exposed: bool,
    /// When head office was last heard, by this device's clock.
    pub last_contact: Option<Millis>,
    /// When everything was last read.
    pub last_pull: Option<Millis>,
    /// This device's clock minus head office's, when that is worth a warning.
    pub clock_skew: Option<Millis>,
    /// The local copy is being read anew; what is here stays usable meanwhile.
    pub resyncing: bool,
    /// The kinds of rows that head office told of and that do not read here: the program must be updated.
    pub unread: Vec<String>,
    /// What was done alone.
    pub limits: LimitsUsage,
    /// What was guessed.
    pub guessing: Guessing,
}

/// Everything worth showing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// `None` = not enrolled.
    pub placed: Option<Placed>,
    /// The line to head office.
    pub link: Link,
    /// Whether this process delivers; otherwise another one does, or none.
    pub drains: bool,
    /// The journal.
    pub queue: QueueCounts,
}

async fn limits_of(db: &mut SqliteConnection, who: &Identity, now: Millis) -> Result<LimitsUsage> {
    let limits = replica::limits(db, who.store.id).await?;
    let usage = journal::usage(db, None).await?;
    let alone = who
        .last_pull
        .map_or(0, |at| now.max(who.clock_high_water).saturating_sub(at).max(0));
    Ok(LimitsUsage {
        count: usage.count,
        max_count: limits.max_count,
        amount: usage.amount,
        max_amount: limits.max_amount,
        hours: alone / HOUR,
        max_hours: limits.max_hours,
        currency: replica::currency(db).await?.unwrap_or_else(|| "CNY".to_owned()),
    })
}

/// What was done alone, and how much may be.
pub async fn limits_usage(db: &mut SqliteConnection, now: Millis) -> Result<LimitsUsage> {
    let who = identity::load(db).await?;
    limits_of(db, &who, now).await
}

/// Everything worth showing.
pub async fn status(inner: &Inner) -> Result<Status> {
    let mut db = inner.db.read().await?;
    let now = inner.clock.now();
    let placed = match identity::find(&mut db).await? {
        None => None,
        Some(who) => Some(Placed {
            limits: limits_of(&mut db, &who, now).await?,
            guessing: guessing::guessing(&mut db, inner).await?,
            unread: identity::unread(&mut db).await?,
            exposed: parse_address(&who.address).is_ok_and(|address| is_exposed(&address)),
            device: who.device,
            store: who.store,
            device_status: who.device_status,
            address: who.address,
            last_contact: who.last_contact,
            last_pull: who.last_pull,
            clock_skew: who.skew.filter(|skew| skew.saturating_abs() > CLOCK_WARN),
            resyncing: who.resyncing,
        }),
    };
    let mut link = inner.engine().link().clone();
    if let Some(trouble) = inner.trouble() {
        link.problem = Some(trouble);
    }
    if let (None, Some(placed)) = (&link.problem, &placed)
        && !placed.unread.is_empty()
    {
        let detail = format!("rows that this version does not read: {}", placed.unread.join(", "));
        link.problem = Some((Code::ProgramOutdated.as_str().to_owned(), detail));
    }
    Ok(Status {
        placed,
        link,
        drains: inner.drains(),
        queue: queue::counts(&mut db).await?,
    })
}
