//! SQL of waybills, and of how far each is.

use crate::{
    carriers::{Event, Progress, Report},
    db::{
        DbError,
        batch::{Text, fetch, id, json, word, word_or_null},
    },
};
use counterfoil_domain::{
    ids::{ParcelId, TenantId},
    time::Millis,
    words::Word,
};
use sqlx::{AnyConnection, Row, any::AnyRow};

/// How a waybill stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum WaybillStatus {
    /// The parcel travels by it.
    Live,
    /// It came though the parcel had one; the carrier is to cancel it.
    Surplus,
    /// The carrier has cancelled it.
    Cancelled,
}

/// A waybill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waybill {
    /// Whose.
    pub carrier: String,
    /// Its number.
    pub number: String,
    /// Of which parcel.
    pub parcel: ParcelId,
    /// Of which generation of it.
    pub generation: i64,
    /// How it stands.
    pub status: WaybillStatus,
    /// How far the parcel is, as far as anybody has told.
    pub progress: Option<Progress>,
    /// What happened to it.
    pub events: Vec<Event>,
    /// When the carrier last told.
    pub told_at: Option<Millis>,
    /// When it was last asked.
    pub asked_at: Option<Millis>,
    /// Whether it tells by itself.
    pub subscribed: bool,
}

const WAYBILLS_OF: Text = Text::new(
    "SELECT carrier, number, parcel, generation, status, progress, events, told_at, asked_at, subscribed FROM waybills WHERE tenant = $1 AND parcel IN (",
    ") ORDER BY parcel, created_at, number",
);

fn read_waybill(row: &AnyRow) -> Result<Waybill, DbError> {
    Ok(Waybill {
        carrier: row.try_get("carrier")?,
        number: row.try_get("number")?,
        parcel: id(row, "parcel", ParcelId::from_bytes)?,
        generation: row.try_get("generation")?,
        status: word(row, "status")?,
        progress: word_or_null(row, "progress")?,
        events: json(row, "events")?,
        told_at: row.try_get("told_at")?,
        asked_at: row.try_get("asked_at")?,
        subscribed: row.try_get::<i64, _>("subscribed")? == 1,
    })
}

/// Writes a waybill; false when it is known already, or the parcel has a live one.
///
/// # Errors
/// The driver's.
#[expect(clippy::too_many_arguments, reason = "a row")]
pub async fn insert_waybill(
    connection: &mut AnyConnection,
    tenant: TenantId,
    carrier: &str,
    number: &str,
    parcel: ParcelId,
    generation: i64,
    status: WaybillStatus,
    now: Millis,
) -> Result<bool, DbError> {
    let added = sqlx::query(
        "INSERT INTO waybills (tenant, carrier, number, parcel, generation, status, created_at, progress, event_at, event_count, events, told_at, asked_at, track_at, subscribed) VALUES ($1, $2, $3, $4, $5, $6, $7, NULL, NULL, 0, '[]', NULL, NULL, NULL, 0) ON CONFLICT DO NOTHING",
    )
    .bind(tenant.bytes().to_vec())
    .bind(carrier.to_owned())
    .bind(number.to_owned())
    .bind(parcel.bytes().to_vec())
    .bind(generation)
    .bind(status.as_str().to_owned())
    .bind(now)
    .execute(connection)
    .await?;
    Ok(added.rows_affected() == 1)
}

/// The carrier has cancelled a waybill that was surplus.
///
/// # Errors
/// The driver's.
pub async fn surplus_cancelled(
    connection: &mut AnyConnection,
    tenant: TenantId,
    carrier: &str,
    number: &str,
) -> Result<(), DbError> {
    sqlx::query("UPDATE waybills SET status = 'cancelled', track_at = NULL WHERE tenant = $1 AND carrier = $2 AND number = $3 AND status = 'surplus'")
        .bind(tenant.bytes().to_vec())
        .bind(carrier.to_owned())
        .bind(number.to_owned())
        .execute(connection)
        .await?;
    Ok(())
}

/// A waybill by its number.
///
/// # Errors
/// The driver's.
pub async fn waybill(
    connection: &mut AnyConnection,
    tenant: TenantId,
    carrier: &str,
    number: &str,
) -> Result<Option<Waybill>, DbError> {
    let row = sqlx::query(
        "SELECT carrier, number, parcel, generation, status, progress, events, told_at, asked_at, subscribed FROM waybills WHERE tenant = $1 AND carrier = $2 AND number = $3",
    )
        .bind(tenant.bytes().to_vec())
        .bind(carrier.to_owned())
        .bind(number.to_owned())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(read_waybill).transpose()
}

/// Waybills of which the carrier is to be asked, of all chains, the one that waits longest first.
///
/// # Errors
/// The driver's.
pub async fn to_track(
    connection: &mut AnyConnection,
    now: Millis,
    most: i64,
) -> Result<Vec<(TenantId, String, String)>, DbError> {
    sqlx::query("SELECT tenant, carrier, number FROM waybills WHERE track_at <= $1 ORDER BY track_at LIMIT $2")
        .bind(now)
        .bind(most)
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| {
            Ok((
                id(row, "tenant", TenantId::from_bytes)?,
                row.try_get("carrier")?,
                row.try_get("number")?,
            ))
        })
        .collect()
}

/// Takes the right to ask about a waybill, if nobody has since `spared`; it is due again at `next` where it is tracked at all.
///
/// # Errors
/// The driver's.
pub async fn take_look(
    connection: &mut AnyConnection,
    tenant: TenantId,
    waybill: (&str, &str),
    spared: Millis,
    now: Millis,
    next: Millis,
) -> Result<bool, DbError> {
    let taken = sqlx::query(
        "UPDATE waybills SET asked_at = $1, track_at = CASE WHEN track_at IS NULL THEN NULL ELSE $2 END WHERE tenant = $3 AND carrier = $4 AND number = $5 AND (asked_at IS NULL OR asked_at <= $6)",
    )
    .bind(now)
    .bind(next)
    .bind(tenant.bytes().to_vec())
    .bind(waybill.0.to_owned())
    .bind(waybill.1.to_owned())
    .bind(spared)
    .execute(connection)
    .await?;
    Ok(taken.rows_affected() == 1)
}

/// Has a waybill looked at later.
///
/// # Errors
/// The driver's.
pub async fn look_later(
    connection: &mut AnyConnection,
    tenant: TenantId,
    waybill: (&str, &str),
    at: Millis,
) -> Result<(), DbError> {
    sqlx::query(
        "UPDATE waybills SET track_at = $1 WHERE tenant = $2 AND carrier = $3 AND number = $4 AND track_at IS NOT NULL",
    )
    .bind(at)
    .bind(tenant.bytes().to_vec())
    .bind(waybill.0.to_owned())
    .bind(waybill.1.to_owned())
    .execute(connection)
    .await?;
    Ok(())
}

/// The carrier tells by itself from now on.
///
/// # Errors
/// The driver's.
pub async fn subscribed(
    connection: &mut AnyConnection,
    tenant: TenantId,
    waybill: (&str, &str),
) -> Result<(), DbError> {
    sqlx::query("UPDATE waybills SET subscribed = 1 WHERE tenant = $1 AND carrier = $2 AND number = $3")
        .bind(tenant.bytes().to_vec())
        .bind(waybill.0.to_owned())
        .bind(waybill.1.to_owned())
        .execute(connection)
        .await?;
    Ok(())
}

/// Writes what the carrier tells, unless it is older than what is held: by its newest event, and, of the same instant, by
/// how many there are. `next` = when it is due again where it is tracked at all; nothing once nothing more comes.
///
/// # Errors
/// The driver's.
pub async fn told(
    connection: &mut AnyConnection,
    tenant: TenantId,
    waybill: (&str, &str),
    report: &Report,
    now: Millis,
    next: Option<Millis>,
) -> Result<bool, DbError> {
    let events = serde_json::to_string(&report.events).map_err(|error| DbError::config(error.to_string()))?;
    let written = sqlx::query(
        "UPDATE waybills SET progress = $1, event_at = $2, event_count = $3, events = $4, told_at = $5, track_at = CASE WHEN track_at IS NULL THEN NULL ELSE $6 END WHERE tenant = $7 AND carrier = $8 AND number = $9 AND (event_at IS NULL OR event_at < $2 OR (event_at = $2 AND event_count <= $3))",
    )
    .bind(report.progress.as_str().to_owned())
    .bind(report.newest().unwrap_or(0))
    .bind(i64::try_from(report.events.len()).unwrap_or(i64::MAX))
    .bind(events)
    .bind(now)
    .bind(next)
    .bind(tenant.bytes().to_vec())
    .bind(waybill.0.to_owned())
    .bind(waybill.1.to_owned())
    .execute(connection)
    .await?;
    Ok(written.rows_affected() == 1)
}

/// The phone number of whom a parcel goes to.
///
/// # Errors
/// The driver's.
pub async fn phone(connection: &mut AnyConnection, tenant: TenantId, parcel: ParcelId) -> Result<String, DbError> {
    let phone: Option<String> = sqlx::query_scalar(
        "SELECT s.phone AS phone FROM parcels p JOIN shipments s ON s.tenant = p.tenant AND s.id = p.shipment WHERE p.tenant = $1 AND p.id = $2",
    )
    .bind(tenant.bytes().to_vec())
    .bind(parcel.bytes().to_vec())
    .fetch_optional(connection)
    .await?;
    Ok(phone.unwrap_or_default())
}

/// Waybills of parcels, whatever became of them.
///
/// # Errors
/// The driver's.
pub async fn waybills_of(
    connection: &mut AnyConnection,
    tenant: TenantId,
    parcels: &[ParcelId],
) -> Result<Vec<Waybill>, DbError> {
    fetch(connection, WAYBILLS_OF, "", tenant, parcels, |b, id| {
        b.bytes(id.bytes());
    })
    .await?
    .read(read_waybill)
    .collect()
}
