//! SQL of shipping requests, parcels, their errands and their waybills. Every write says under which condition, and whether
//! it happened.

use counterfoil_domain::{
    ids::{MemberId, ParcelId, ShipmentId, TenantId},
    time::Millis,
    words::Word,
};
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, Row, any::AnyRow};
use utoipa::ToSchema;

use super::{Address, ShipLine, ShipRequest, ShipmentKind, addresses};
use crate::{
    carriers::{Consignment, Event, Goods, Progress, Report},
    db::{
        DbError,
        batch::{Binds, Text, execute, execute_all, fetch, id, id_or_null, json, select_by_id},
    },
};

/// Where a parcel stands. The words never change: they are stored.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    ToSchema,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ParcelState {
    /// It waits to be packed.
    Waiting,
    /// It is packed.
    Packed,
    /// The carrier has it.
    HandedOver,
    /// It is back, for good.
    Returned,
    /// It is gone, for good.
    Lost,
    /// It was given up before the carrier had it.
    Cancelled,
}

/// What follows once the carrier has cancelled a parcel's waybill.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    ToSchema,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Change {
    /// It goes somewhere else, with another waybill.
    Address,
    /// It goes nowhere.
    Cancel,
}

/// What is to be done at the carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Errand {
    /// Order a waybill.
    Order,
    /// Cancel every waybill of the generation but the live one, and that too where a change waits for it.
    Clear,
}

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

/// A shipping request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipment {
    /// Which.
    pub id: ShipmentId,
    /// What asked for it.
    pub kind: ShipmentKind,
    /// Which of these.
    pub source: String,
    /// Whose it is.
    pub member: Option<MemberId>,
    /// Where what is not yet on its way goes.
    pub address: Address,
    /// The number of its last parcel.
    pub parcels: i64,
    /// When it was cancelled.
    pub cancelled_at: Option<Millis>,
    /// When it was made.
    pub created_at: Millis,
}

/// A line of a shipping request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Whose.
    pub shipment: ShipmentId,
    /// Its number, from 0.
    pub line: i64,
    /// The sku.
    pub sku: String,
    /// What it is called.
    pub name: String,
    /// How many were asked for.
    pub ordered: i64,
    /// How many of them are in parcels.
    pub in_parcels: i64,
}

/// A parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    /// Which.
    pub id: ParcelId,
    /// Of which request.
    pub shipment: ShipmentId,
    /// Its number in it, from 1.
    pub number: i64,
    /// What the carrier was told, counted from 1.
    pub generation: i64,
    /// Where it stands.
    pub state: ParcelState,
    /// What follows once the carrier has cancelled.
    pub change: Option<Change>,
    /// When its state last changed.
    pub changed_at: Millis,
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

/// An errand that somebody has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The chain.
    pub tenant: TenantId,
    /// Of which parcel.
    pub parcel: ParcelId,
    /// Of which generation.
    pub generation: i64,
    /// What is to be done.
    pub errand: Errand,
    /// How often it was begun, this time included.
    pub tries: i64,
    /// Proves that nobody else has taken it since.
    pub turn: i64,
    /// Until when an answer may still come that nobody has heard.
    pub doubtful_until: Option<Millis>,
}

fn word<W: Word>(row: &AnyRow, column: &'static str) -> Result<W, DbError> {
    W::parse(&row.try_get::<String, _>(column)?).ok_or(DbError::Decode { column })
}

fn word_or_null<W: Word>(row: &AnyRow, column: &'static str) -> Result<Option<W>, DbError> {
    let text: Option<String> = row.try_get(column)?;
    text.map(|text| W::parse(&text).ok_or(DbError::Decode { column }))
        .transpose()
}

fn read_shipment(row: &AnyRow) -> Result<Shipment, DbError> {
    Ok(Shipment {
        id: id(row, "id", ShipmentId::from_bytes)?,
        kind: word(row, "kind")?,
        source: row.try_get("source")?,
        member: id_or_null(row, "member", MemberId::from_bytes)?,
        address: addresses::read(row)?,
        parcels: row.try_get("parcels")?,
        cancelled_at: row.try_get("cancelled_at")?,
        created_at: row.try_get("created_at")?,
    })
}

fn read_parcel(row: &AnyRow) -> Result<Parcel, DbError> {
    Ok(Parcel {
        id: id(row, "id", ParcelId::from_bytes)?,
        shipment: id(row, "shipment", ShipmentId::from_bytes)?,
        number: row.try_get("number")?,
        generation: row.try_get("generation")?,
        state: word(row, "state")?,
        change: word_or_null(row, "change")?,
        changed_at: row.try_get("changed_at")?,
    })
}

fn read_line(row: &AnyRow) -> Result<Line, DbError> {
    Ok(Line {
        shipment: id(row, "shipment", ShipmentId::from_bytes)?,
        line: row.try_get("line")?,
        sku: row.try_get("sku")?,
        name: row.try_get("name")?,
        ordered: row.try_get("ordered")?,
        in_parcels: row.try_get("in_parcels")?,
    })
}

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

macro_rules! shipments {
    ($rest:literal) => {
        concat!("SELECT id, kind, source, member, recipient, phone, region, street, parcels, cancelled_at, created_at FROM shipments WHERE tenant = $1", $rest)
    };
}
macro_rules! parcels {
    ($rest:literal) => {
        concat!(
            "SELECT id, shipment, number, generation, state, change, changed_at FROM parcels WHERE tenant = $1",
            $rest
        )
    };
}

const INSERT_LINES: Text = Text::new(
    "INSERT INTO shipment_lines (tenant, shipment, line, sku, name, ordered, in_parcels) VALUES ",
    " ON CONFLICT DO NOTHING",
);
const INSERT_PARCEL_LINES: Text = Text::new(
    "INSERT INTO parcel_lines (tenant, parcel, line, quantity) VALUES ",
    " ON CONFLICT DO NOTHING",
);
const TAKE_LINES: Text = Text::new(
    "UPDATE shipment_lines SET in_parcels = shipment_lines.in_parcels + v.column3 FROM (VALUES ",
    ") AS v WHERE shipment_lines.tenant = $1 AND shipment_lines.shipment = v.column1 AND shipment_lines.line = v.column2 AND shipment_lines.in_parcels + v.column3 <= shipment_lines.ordered AND shipment_lines.in_parcels + v.column3 >= 0",
);
const TAKE_OUT: Text = Text::new(
    "UPDATE parcel_lines SET quantity = parcel_lines.quantity - v.column3 FROM (VALUES ",
    ") AS v WHERE parcel_lines.tenant = $1 AND parcel_lines.parcel = v.column1 AND parcel_lines.line = v.column2 AND parcel_lines.quantity > v.column3",
);
const DELETE_PARCEL_LINES: Text = Text::new(
    "DELETE FROM parcel_lines WHERE tenant = $1 AND (parcel, line, quantity) IN (VALUES ",
    ")",
);
const SHIPMENTS: Text = select_by_id!(
    "SELECT id, kind, source, member, recipient, phone, region, street, parcels, cancelled_at, created_at FROM shipments"
);
const LINES_OF: Text = Text::new(
    "SELECT shipment, line, sku, name, ordered, in_parcels FROM shipment_lines WHERE tenant = $1 AND shipment IN (",
    ") ORDER BY shipment, line",
);
const PARCELS_OF: Text = Text::new(
    "SELECT id, shipment, number, generation, state, change, changed_at FROM parcels WHERE tenant = $1 AND shipment IN (",
    ") ORDER BY shipment, number",
);
const PARCEL_LINES_OF: Text = Text::new(
    "SELECT parcel, line, quantity FROM parcel_lines WHERE tenant = $1 AND parcel IN (",
    ") ORDER BY parcel, line",
);
const WAYBILLS_OF: Text = Text::new(
    "SELECT carrier, number, parcel, generation, status, progress, events, told_at, asked_at, subscribed FROM waybills WHERE tenant = $1 AND parcel IN (",
    ") ORDER BY parcel, created_at, number",
);
const TROUBLES_OF: Text = Text::new(
    "SELECT parcel, generation, errand, tries, trouble FROM parcel_generations WHERE tenant = $1 AND parcel IN (",
    ") ORDER BY parcel, generation",
);

/// Makes a request and its lines; false when there is one of this source already.
///
/// # Errors
/// The driver's.
pub async fn insert_shipment(
    connection: &mut AnyConnection,
    tenant: TenantId,
    shipment: ShipmentId,
    request: &ShipRequest,
    now: Millis,
) -> Result<bool, DbError> {
    let address = &request.address;
    let made = sqlx::query(
        "INSERT INTO shipments (tenant, id, kind, source, member, recipient, phone, region, street, parcels, cancelled_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, NULL, $10) ON CONFLICT (tenant, kind, source) DO NOTHING",
    )
    .bind(tenant.bytes().to_vec())
    .bind(shipment.bytes().to_vec())
    .bind(request.kind.as_str().to_owned())
    .bind(request.source.clone())
    .bind(request.member.map(|member| member.bytes().to_vec()))
    .bind(address.recipient.clone())
    .bind(address.phone.clone())
    .bind(address.region.clone())
    .bind(address.street.clone())
    .bind(now)
    .execute(&mut *connection)
    .await?;
    if made.rows_affected() == 0 {
        return Ok(false);
    }
    let lines: Vec<(i64, &ShipLine)> = (0..).zip(&request.lines).collect();
    execute_all(
        connection,
        "shipment_lines",
        INSERT_LINES,
        tenant,
        &lines,
        |b, (number, line)| {
            b.bytes(shipment.bytes())
                .number(*number)
                .text(&line.sku)
                .text(&line.name)
                .number(line.quantity)
                .number(0);
        },
    )
    .await?;
    Ok(true)
}

/// Makes a parcel of so many pieces of these lines, each named once, and the errand of its waybill.
///
/// # Errors
/// [`DbError::RowCount`] when there is not so much outside of parcels, or the number is not the next one.
pub async fn insert_parcel(
    connection: &mut AnyConnection,
    tenant: TenantId,
    shipment: ShipmentId,
    parcel: ParcelId,
    number: i64,
    lines: &[(i64, i64)],
    now: Millis,
) -> Result<(), DbError> {
    let counted = sqlx::query(
        "UPDATE shipments SET parcels = $1 WHERE tenant = $2 AND id = $3 AND parcels = $4 AND cancelled_at IS NULL",
    )
    .bind(number)
    .bind(tenant.bytes().to_vec())
    .bind(shipment.bytes().to_vec())
    .bind(number - 1)
    .execute(&mut *connection)
    .await?
    .rows_affected();
    one("shipments", counted)?;
    take_lines(connection, tenant, shipment, lines, 1).await?;
    sqlx::query(
        "INSERT INTO parcels (tenant, id, shipment, number, generation, state, change, changed_at) VALUES ($1, $2, $3, $4, 1, 'waiting', NULL, $5)",
    )
    .bind(tenant.bytes().to_vec())
    .bind(parcel.bytes().to_vec())
    .bind(shipment.bytes().to_vec())
    .bind(number)
    .bind(now)
    .execute(&mut *connection)
    .await?;
    execute_all(
        connection,
        "parcel_lines",
        INSERT_PARCEL_LINES,
        tenant,
        lines,
        |b, (line, quantity)| {
            b.bytes(parcel.bytes()).number(*line).number(*quantity);
        },
    )
    .await?;
    insert_generation(connection, tenant, parcel, 1, now).await
}

fn one(table: &'static str, found: u64) -> Result<(), DbError> {
    if found == 1 {
        return Ok(());
    }
    Err(DbError::RowCount {
        table,
        expected: 1,
        found,
    })
}

/// Takes so many pieces of each line into parcels (`sign` 1) or out of them (-1).
async fn take_lines(
    connection: &mut AnyConnection,
    tenant: TenantId,
    shipment: ShipmentId,
    lines: &[(i64, i64)],
    sign: i64,
) -> Result<(), DbError> {
    execute_all(
        connection,
        "shipment_lines",
        TAKE_LINES,
        tenant,
        lines,
        |b, (line, quantity)| {
            b.bytes(shipment.bytes()).number(*line).number(sign * *quantity);
        },
    )
    .await
}

/// A new generation, whose waybill is to be ordered.
///
/// # Errors
/// The driver's.
pub async fn insert_generation(
    connection: &mut AnyConnection,
    tenant: TenantId,
    parcel: ParcelId,
    generation: i64,
    now: Millis,
) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO parcel_generations (tenant, parcel, generation, errand, errand_at, tries, turn, doubtful_until, trouble) VALUES ($1, $2, $3, 'order', $4, 0, 0, NULL, NULL)",
    )
    .bind(tenant.bytes().to_vec())
    .bind(parcel.bytes().to_vec())
    .bind(generation)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes pieces out of a parcel that waits: some of a line, or all of it; they are outside of parcels again. False when it
/// does not wait, a change waits for it, there are not so many, or nothing would be left.
///
/// # Errors
/// The driver's.
pub async fn take_out(
    connection: &mut AnyConnection,
    tenant: TenantId,
    parcel: &Parcel,
    held: &[(i64, i64)],
    out: &[(i64, i64)],
) -> Result<bool, DbError> {
    let (mut some, mut all) = (Vec::new(), Vec::new());
    for &(line, quantity) in out {
        match held.iter().find(|(known, _)| *known == line) {
            Some(&(_, had)) if quantity < had => some.push((line, quantity)),
            Some(&(_, had)) if quantity == had => all.push((line, quantity)),
            _ => return Ok(false),
        }
    }
    if all.len() == held.len() {
        return Ok(false);
    }
    let bind = |b: &mut Binds, (line, quantity): &(i64, i64)| {
        b.bytes(parcel.id.bytes()).number(*line).number(*quantity);
    };
    let mut done = 0;
    if !some.is_empty() {
        done += execute(connection, TAKE_OUT, tenant, &some, bind).await?;
    }
    if !all.is_empty() {
        done += execute(connection, DELETE_PARCEL_LINES, tenant, &all, bind).await?;
    }
    if done != out.len() as u64 {
        return Ok(false);
    }
    take_lines(connection, tenant, parcel.shipment, out, -1).await?;
    Ok(true)
}

/// Holds a parcel that waits and that nothing waits for, until the transaction ends; false when it is not so.
///
/// # Errors
/// The driver's.
pub async fn hold_waiting(
    connection: &mut AnyConnection,
    tenant: TenantId,
    parcel: ParcelId,
    now: Millis,
) -> Result<bool, DbError> {
    moved(
        connection,
        tenant,
        parcel,
        now,
        "UPDATE parcels SET changed_at = $1 WHERE tenant = $2 AND id = $3 AND state = 'waiting' AND change IS NULL",
    )
    .await
}

/// A parcel is packed; false when it does not wait to be.
///
/// # Errors
/// The driver's.
pub async fn pack(
    connection: &mut AnyConnection,
    tenant: TenantId,
    parcel: ParcelId,
    now: Millis,
) -> Result<bool, DbError> {
    moved(connection, tenant, parcel, now, "UPDATE parcels SET state = 'packed', changed_at = $1 WHERE tenant = $2 AND id = $3 AND state = 'waiting' AND change IS NULL").await
}

/// The carrier has a parcel, from now on it is tracked; false when it is not packed, has no waybill, or a change waits.
///
/// # Errors
/// The driver's.
pub async fn hand_over(
    connection: &mut AnyConnection,
    tenant: TenantId,
    parcel: ParcelId,
    now: Millis,
) -> Result<bool, DbError> {
    let handed = moved(connection, tenant, parcel, now, "UPDATE parcels SET state = 'handed_over', changed_at = $1 WHERE tenant = $2 AND id = $3 AND state = 'packed' AND change IS NULL AND EXISTS (SELECT 1 FROM waybills w WHERE w.tenant = $2 AND w.parcel = $3 AND w.status = 'live')").await?;
    if handed {
        sqlx::query("UPDATE waybills SET track_at = $1 WHERE tenant = $2 AND parcel = $3 AND status = 'live'")
            .bind(now)
            .bind(tenant.bytes().to_vec())
            .bind(parcel.bytes().to_vec())
            .execute(connection)
            .await?;
    }
    Ok(handed)
}

/// Books what became of a parcel for good; false when the carrier does not have it.
///
/// # Errors
/// The driver's.
pub async fn settle(
    connection: &mut AnyConnection,
    tenant: TenantId,
    parcel: ParcelId,
    state: ParcelState,
    now: Millis,
) -> Result<bool, DbError> {
    let settled = sqlx::query(
        "UPDATE parcels SET state = $1, changed_at = $2 WHERE tenant = $3 AND id = $4 AND state = 'handed_over'",
    )
    .bind(state.as_str().to_owned())
    .bind(now)
    .bind(tenant.bytes().to_vec())
    .bind(parcel.bytes().to_vec())
    .execute(&mut *connection)
    .await?;
    if settled.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query("UPDATE waybills SET track_at = NULL WHERE tenant = $1 AND parcel = $2 AND status = 'live'")
        .bind(tenant.bytes().to_vec())
        .bind(parcel.bytes().to_vec())
        .execute(connection)
        .await?;
    Ok(true)
}

async fn moved(
    connection: &mut AnyConnection,
    tenant: TenantId,
    parcel: ParcelId,
    now: Millis,
    sql: &'static str,
) -> Result<bool, DbError> {
    let moved = sqlx::query(sql)
        .bind(now)
        .bind(tenant.bytes().to_vec())
        .bind(parcel.bytes().to_vec())
        .execute(connection)
        .await?;
    Ok(moved.rows_affected() == 1)
}

/// Has a parcel wait for a change, which its errand is from now on; false when the carrier has it, or another change waits
/// (but giving it up goes before a change of address).
///
/// # Errors
/// The driver's.
pub async fn begin_change(
    connection: &mut AnyConnection,
    tenant: TenantId,
    parcel: ParcelId,
    change: Change,
    now: Millis,
) -> Result<bool, DbError> {
    let sql = match change {
        Change::Address => {
            "UPDATE parcels SET change = 'address', changed_at = $1 WHERE tenant = $2 AND id = $3 AND state IN ('waiting', 'packed') AND change IS NULL"
        }
        Change::Cancel => {
            "UPDATE parcels SET change = 'cancel', changed_at = $1 WHERE tenant = $2 AND id = $3 AND state IN ('waiting', 'packed') AND (change IS NULL OR change = 'address')"
        }
    };
    if !moved(connection, tenant, parcel, now, sql).await? {
        return Ok(false);
    }
    let set = sqlx::query(
        "UPDATE parcel_generations SET errand = 'clear', errand_at = $1, tries = 0, turn = turn + 1, trouble = NULL WHERE tenant = $2 AND parcel = $3 AND generation = (SELECT p.generation FROM parcels p WHERE p.tenant = $2 AND p.id = $3)",
    )
    .bind(now)
    .bind(tenant.bytes().to_vec())
    .bind(parcel.bytes().to_vec())
    .execute(connection)
    .await?;
    one("parcel_generations", set.rows_affected())?;
    Ok(true)
}

/// Ends a change, once the carrier has cancelled what there was of this generation; false when no such change waits.
///
/// # Errors
/// The driver's.
pub async fn end_change(
    connection: &mut AnyConnection,
    tenant: TenantId,
    parcel: &Parcel,
    change: Change,
    now: Millis,
) -> Result<bool, DbError> {
    sqlx::query("UPDATE waybills SET status = 'cancelled', track_at = NULL WHERE tenant = $1 AND parcel = $2 AND generation = $3 AND status = 'live'")
        .bind(tenant.bytes().to_vec())
        .bind(parcel.id.bytes().to_vec())
        .bind(parcel.generation)
        .execute(&mut *connection)
        .await?;
    let sql = match change {
        // What was packed goes with another label: whoever packs looks at it again.
        Change::Address => {
            "UPDATE parcels SET generation = generation + 1, state = 'waiting', change = NULL, changed_at = $1 WHERE tenant = $2 AND id = $3 AND generation = $4 AND change = 'address'"
        }
        Change::Cancel => {
            "UPDATE parcels SET state = 'cancelled', change = NULL, changed_at = $1 WHERE tenant = $2 AND id = $3 AND generation = $4 AND change = 'cancel'"
        }
    };
    let ended = sqlx::query(sql)
        .bind(now)
        .bind(tenant.bytes().to_vec())
        .bind(parcel.id.bytes().to_vec())
        .bind(parcel.generation)
        .execute(&mut *connection)
        .await?;
    if ended.rows_affected() == 0 {
        return Ok(false);
    }
    match change {
        Change::Address => {
            insert_generation(connection, tenant, parcel.id, parcel.generation + 1, now).await?;
        }
        Change::Cancel => {
            sqlx::query(
                "UPDATE shipment_lines SET in_parcels = in_parcels - (SELECT p.quantity FROM parcel_lines p WHERE p.tenant = $1 AND p.parcel = $2 AND p.line = shipment_lines.line) WHERE tenant = $1 AND shipment = $3 AND line IN (SELECT l.line FROM parcel_lines l WHERE l.tenant = $1 AND l.parcel = $2)",
            )
            .bind(tenant.bytes().to_vec())
            .bind(parcel.id.bytes().to_vec())
            .bind(parcel.shipment.bytes().to_vec())
            .execute(connection)
            .await?;
        }
    }
    Ok(true)
}

/// A change can't be: the carrier has the parcel already.
///
/// # Errors
/// The driver's.
pub async fn give_change_up(
    connection: &mut AnyConnection,
    tenant: TenantId,
    parcel: &Parcel,
    now: Millis,
) -> Result<bool, DbError> {
    let given_up = sqlx::query("UPDATE parcels SET change = NULL, changed_at = $1 WHERE tenant = $2 AND id = $3 AND generation = $4 AND change IS NOT NULL")
        .bind(now)
        .bind(tenant.bytes().to_vec())
        .bind(parcel.id.bytes().to_vec())
        .bind(parcel.generation)
        .execute(connection)
        .await?;
    Ok(given_up.rows_affected() == 1)
}

/// Sets where what is not yet on its way goes; false when the request was cancelled.
///
/// # Errors
/// The driver's.
pub async fn set_address(
    connection: &mut AnyConnection,
    tenant: TenantId,
    shipment: ShipmentId,
    address: &Address,
) -> Result<bool, DbError> {
    let set = sqlx::query("UPDATE shipments SET recipient = $1, phone = $2, region = $3, street = $4 WHERE tenant = $5 AND id = $6 AND cancelled_at IS NULL")
        .bind(address.recipient.clone())
        .bind(address.phone.clone())
        .bind(address.region.clone())
        .bind(address.street.clone())
        .bind(tenant.bytes().to_vec())
        .bind(shipment.bytes().to_vec())
        .execute(connection)
        .await?;
    Ok(set.rows_affected() == 1)
}

/// Holds a request until the transaction ends: whoever takes it and its parcels takes it first. False when it was cancelled.
///
/// # Errors
/// The driver's.
pub async fn hold_shipment(
    connection: &mut AnyConnection,
    tenant: TenantId,
    shipment: ShipmentId,
) -> Result<bool, DbError> {
    let held =
        sqlx::query("UPDATE shipments SET parcels = parcels WHERE tenant = $1 AND id = $2 AND cancelled_at IS NULL")
            .bind(tenant.bytes().to_vec())
            .bind(shipment.bytes().to_vec())
            .execute(connection)
            .await?;
    Ok(held.rows_affected() == 1)
}

/// Cancels a request; false when it was before.
///
/// # Errors
/// The driver's.
pub async fn cancel(
    connection: &mut AnyConnection,
    tenant: TenantId,
    shipment: ShipmentId,
    now: Millis,
) -> Result<bool, DbError> {
    let set =
        sqlx::query("UPDATE shipments SET cancelled_at = $1 WHERE tenant = $2 AND id = $3 AND cancelled_at IS NULL")
            .bind(now)
            .bind(tenant.bytes().to_vec())
            .bind(shipment.bytes().to_vec())
            .execute(connection)
            .await?;
    Ok(set.rows_affected() == 1)
}

// ---- errands

/// Errands that are due, of all chains, the one that waits longest first.
///
/// # Errors
/// The driver's.
pub async fn due(connection: &mut AnyConnection, now: Millis, most: i64) -> Result<Vec<Taken>, DbError> {
    sqlx::query(
        "SELECT tenant, parcel, generation, errand, tries, turn, doubtful_until FROM parcel_generations WHERE errand_at <= $1 ORDER BY errand_at LIMIT $2",
    )
    .bind(now)
    .bind(most)
    .fetch_all(connection)
    .await?
    .iter()
    .map(|row| {
        Ok(Taken {
            tenant: id(row, "tenant", TenantId::from_bytes)?,
            parcel: id(row, "parcel", ParcelId::from_bytes)?,
            generation: row.try_get("generation")?,
            errand: word(row, "errand")?,
            tries: row.try_get("tries")?,
            turn: row.try_get("turn")?,
            doubtful_until: row.try_get("doubtful_until")?,
        })
    })
    .collect()
}

/// Takes an errand as it was read: nobody else takes it before `until`. An order leaves doubt from here on, whatever becomes
/// of whoever takes it. Nothing when somebody was first.
///
/// # Errors
/// The driver's.
pub async fn take(
    connection: &mut AnyConnection,
    seen: &Taken,
    until: Millis,
    doubtful_until: Millis,
) -> Result<Option<Taken>, DbError> {
    let doubtful_until = match seen.errand {
        Errand::Order => Some(doubtful_until),
        Errand::Clear => seen.doubtful_until,
    };
    let taken = sqlx::query(
        "UPDATE parcel_generations SET errand_at = $1, tries = tries + 1, turn = turn + 1, doubtful_until = $2 WHERE tenant = $3 AND parcel = $4 AND generation = $5 AND turn = $6 AND errand IS NOT NULL",
    )
    .bind(until)
    .bind(doubtful_until)
    .bind(seen.tenant.bytes().to_vec())
    .bind(seen.parcel.bytes().to_vec())
    .bind(seen.generation)
    .bind(seen.turn)
    .execute(connection)
    .await?;
    Ok((taken.rows_affected() == 1).then(|| Taken {
        tries: seen.tries + 1,
        turn: seen.turn + 1,
        doubtful_until,
        ..seen.clone()
    }))
}

/// An errand came to nothing and is done again later. `uncounted` = it was not really begun; `sure` = nothing can have been
/// done at the carrier, so that it leaves no doubt. Nothing when somebody else has it by now.
///
/// # Errors
/// The driver's.
pub async fn put_off(
    connection: &mut AnyConnection,
    taken: &Taken,
    until: Millis,
    trouble: &str,
    uncounted: bool,
    sure: bool,
) -> Result<(), DbError> {
    sqlx::query(
        "UPDATE parcel_generations SET errand_at = $1, trouble = $2, tries = tries - $3, doubtful_until = CASE WHEN $4 = 1 THEN NULL ELSE doubtful_until END WHERE tenant = $5 AND parcel = $6 AND generation = $7 AND turn = $8 AND errand IS NOT NULL",
    )
    .bind(until)
    .bind(trouble.to_owned())
    .bind(i64::from(uncounted))
    .bind(i64::from(sure))
    .bind(taken.tenant.bytes().to_vec())
    .bind(taken.parcel.bytes().to_vec())
    .bind(taken.generation)
    .bind(taken.turn)
    .execute(connection)
    .await?;
    Ok(())
}

/// An order is done, whoever did it. What is left is to look, once no answer can come any longer, for what nobody has heard
/// of: an order that was begun twice, or a carrier that made two waybills of one. False when it was done before, or something
/// else is to be done by now.
///
/// # Errors
/// The driver's.
pub async fn ordered(
    connection: &mut AnyConnection,
    tenant: TenantId,
    parcel: ParcelId,
    generation: i64,
) -> Result<bool, DbError> {
    let done = sqlx::query(
        "UPDATE parcel_generations SET errand = CASE WHEN doubtful_until IS NULL THEN NULL ELSE 'clear' END, errand_at = doubtful_until, tries = 0, turn = turn + 1, trouble = NULL WHERE tenant = $1 AND parcel = $2 AND generation = $3 AND errand = 'order'",
    )
    .bind(tenant.bytes().to_vec())
    .bind(parcel.bytes().to_vec())
    .bind(generation)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The waybill is typed: as [`ordered`], but an order that was begun at all may still come to something.
///
/// # Errors
/// The driver's.
pub async fn ordered_by_hand(
    connection: &mut AnyConnection,
    tenant: TenantId,
    parcel: &Parcel,
) -> Result<bool, DbError> {
    let done = sqlx::query(
        "UPDATE parcel_generations SET errand = CASE WHEN doubtful_until IS NULL THEN NULL ELSE 'clear' END, errand_at = doubtful_until, tries = 0, turn = turn + 1, trouble = NULL WHERE tenant = $1 AND parcel = $2 AND generation = $3 AND errand = 'order'",
    )
    .bind(tenant.bytes().to_vec())
    .bind(parcel.id.bytes().to_vec())
    .bind(parcel.generation)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Everything is cleared away; where an answer may still come it is done again then. False when somebody else has it by now.
///
/// # Errors
/// The driver's.
pub async fn cleared(connection: &mut AnyConnection, taken: &Taken, now: Millis) -> Result<bool, DbError> {
    let done = sqlx::query(
        "UPDATE parcel_generations SET errand = CASE WHEN doubtful_until > $1 THEN 'clear' ELSE NULL END, errand_at = CASE WHEN doubtful_until > $1 THEN doubtful_until ELSE NULL END, doubtful_until = CASE WHEN doubtful_until > $1 THEN doubtful_until ELSE NULL END, tries = 0, turn = turn + 1, trouble = NULL WHERE tenant = $2 AND parcel = $3 AND generation = $4 AND turn = $5 AND errand = 'clear'",
    )
    .bind(now)
    .bind(taken.tenant.bytes().to_vec())
    .bind(taken.parcel.bytes().to_vec())
    .bind(taken.generation)
    .bind(taken.turn)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// There is something to clear away now.
///
/// # Errors
/// The driver's.
pub async fn to_be_cleared(
    connection: &mut AnyConnection,
    tenant: TenantId,
    parcel: ParcelId,
    generation: i64,
    now: Millis,
) -> Result<(), DbError> {
    sqlx::query("UPDATE parcel_generations SET errand = 'clear', errand_at = $1, tries = 0, turn = turn + 1 WHERE tenant = $2 AND parcel = $3 AND generation = $4 AND (errand IS NULL OR errand = 'clear')")
        .bind(now)
        .bind(tenant.bytes().to_vec())
        .bind(parcel.bytes().to_vec())
        .bind(generation)
        .execute(connection)
        .await?;
    Ok(())
}

/// What the carrier is told of a parcel of this generation; nothing when it is none that goes anywhere.
///
/// # Errors
/// The driver's.
pub async fn consignment(
    connection: &mut AnyConnection,
    tenant: TenantId,
    parcel: ParcelId,
    generation: i64,
) -> Result<Option<Consignment>, DbError> {
    let Some(found) = self::parcel(connection, tenant, parcel).await? else {
        return Ok(None);
    };
    let goes = matches!(found.state, ParcelState::Waiting | ParcelState::Packed);
    if found.generation != generation || found.change.is_some() || !goes {
        return Ok(None);
    }
    let Some(shipment) = shipments(connection, tenant, &[found.shipment]).await?.pop() else {
        return Ok(None);
    };
    let lines = lines_of(connection, tenant, &[found.shipment]).await?;
    let goods = parcel_lines(connection, tenant, &[parcel]).await?.into_iter();
    let goods = goods.filter_map(|(_, line, quantity)| {
        let line = lines.iter().find(|one| one.line == line)?;
        Some(Goods {
            name: line.name.clone(),
            quantity,
        })
    });
    let Address {
        recipient,
        phone,
        region,
        street,
    } = shipment.address;
    Ok(Some(Consignment {
        recipient,
        phone,
        region,
        street,
        goods: goods.collect(),
    }))
}

// ---- waybills

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

// ---- looking

/// A parcel.
///
/// # Errors
/// The driver's.
pub async fn parcel(
    connection: &mut AnyConnection,
    tenant: TenantId,
    parcel: ParcelId,
) -> Result<Option<Parcel>, DbError> {
    let row = sqlx::query(parcels!(" AND id = $2"))
        .bind(tenant.bytes().to_vec())
        .bind(parcel.bytes().to_vec())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(read_parcel).transpose()
}

/// Parcels that wait to be packed or handed over, the oldest first.
///
/// # Errors
/// The driver's.
pub async fn to_pack(
    connection: &mut AnyConnection,
    tenant: TenantId,
    after: Option<ParcelId>,
    rows: i64,
) -> Result<Vec<Parcel>, DbError> {
    sqlx::query(parcels!(
        " AND id > $2 AND state IN ('waiting', 'packed') ORDER BY id LIMIT $3"
    ))
    .bind(tenant.bytes().to_vec())
    .bind(after.map_or_else(Vec::new, |id| id.bytes().to_vec()))
    .bind(rows)
    .fetch_all(connection)
    .await?
    .iter()
    .map(read_parcel)
    .collect()
}

/// Requests, by id.
///
/// # Errors
/// The driver's.
pub async fn shipments(
    connection: &mut AnyConnection,
    tenant: TenantId,
    ids: &[ShipmentId],
) -> Result<Vec<Shipment>, DbError> {
    fetch(connection, SHIPMENTS, "", tenant, ids, |b, id| {
        b.bytes(id.bytes());
    })
    .await?
    .read(read_shipment)
    .collect()
}

/// The request of a source.
///
/// # Errors
/// The driver's.
pub async fn of_source(
    connection: &mut AnyConnection,
    tenant: TenantId,
    kind: ShipmentKind,
    source: &str,
) -> Result<Option<Shipment>, DbError> {
    let row = sqlx::query(shipments!(" AND kind = $2 AND source = $3"))
        .bind(tenant.bytes().to_vec())
        .bind(kind.as_str().to_owned())
        .bind(source.to_owned())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(read_shipment).transpose()
}

/// Requests before `before`, the latest first; those of this member, or all.
///
/// # Errors
/// The driver's.
pub async fn before(
    connection: &mut AnyConnection,
    tenant: TenantId,
    member: Option<MemberId>,
    before: Option<ShipmentId>,
    rows: i64,
) -> Result<Vec<Shipment>, DbError> {
    // Two texts: each reads along its own index.
    let query = match member {
        Some(_) => sqlx::query(shipments!(" AND id < $2 AND member = $4 ORDER BY id DESC LIMIT $3")),
        None => sqlx::query(shipments!(" AND id < $2 ORDER BY id DESC LIMIT $3")),
    };
    let mut query = query
        .bind(tenant.bytes().to_vec())
        .bind(before.map_or_else(|| vec![0xff; 17], |id| id.bytes().to_vec()))
        .bind(rows);
    if let Some(member) = member {
        query = query.bind(member.bytes().to_vec());
    }
    query.fetch_all(connection).await?.iter().map(read_shipment).collect()
}

/// Lines of requests.
///
/// # Errors
/// The driver's.
pub async fn lines_of(
    connection: &mut AnyConnection,
    tenant: TenantId,
    shipments: &[ShipmentId],
) -> Result<Vec<Line>, DbError> {
    fetch(connection, LINES_OF, "", tenant, shipments, |b, id| {
        b.bytes(id.bytes());
    })
    .await?
    .read(read_line)
    .collect()
}

/// Parcels of requests.
///
/// # Errors
/// The driver's.
pub async fn parcels_of(
    connection: &mut AnyConnection,
    tenant: TenantId,
    shipments: &[ShipmentId],
) -> Result<Vec<Parcel>, DbError> {
    fetch(connection, PARCELS_OF, "", tenant, shipments, |b, id| {
        b.bytes(id.bytes());
    })
    .await?
    .read(read_parcel)
    .collect()
}

/// What is in parcels: parcel, line, how many.
///
/// # Errors
/// The driver's.
pub async fn parcel_lines(
    connection: &mut AnyConnection,
    tenant: TenantId,
    parcels: &[ParcelId],
) -> Result<Vec<(ParcelId, i64, i64)>, DbError> {
    fetch(connection, PARCEL_LINES_OF, "", tenant, parcels, |b, id| {
        b.bytes(id.bytes());
    })
    .await?
    .read(|row| {
        Ok((
            id(row, "parcel", ParcelId::from_bytes)?,
            row.try_get("line")?,
            row.try_get("quantity")?,
        ))
    })
    .collect()
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

/// What is left to do at the carrier for a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Of which parcel.
    pub parcel: ParcelId,
    /// Of which generation.
    pub generation: i64,
    /// What.
    pub errand: Option<Errand>,
    /// How often it was begun.
    pub tries: i64,
    /// Why it came to nothing.
    pub trouble: Option<String>,
}

/// What is left to do at the carrier for parcels, by generation.
///
/// # Errors
/// The driver's.
pub async fn left(
    connection: &mut AnyConnection,
    tenant: TenantId,
    parcels: &[ParcelId],
) -> Result<Vec<Left>, DbError> {
    fetch(connection, TROUBLES_OF, "", tenant, parcels, |b, id| {
        b.bytes(id.bytes());
    })
    .await?
    .read(|row| {
        Ok(Left {
            parcel: id(row, "parcel", ParcelId::from_bytes)?,
            generation: row.try_get("generation")?,
            errand: word_or_null(row, "errand")?,
            tries: row.try_get("tries")?,
            trouble: row.try_get("trouble")?,
        })
    })
    .collect()
}
