//! SQL of shipping requests, parcels, their errands and their waybills. Every write says under which condition, and whether
//! it happened.

mod errands;
mod made;
mod waybills;

use counterfoil_domain::{
    ids::{MemberId, ParcelId, ShipmentId, TenantId},
    time::Millis,
    words::Word,
};
pub use errands::{
    Errand, Left, Taken, cleared, consignment, due, left, ordered, ordered_by_hand, put_off, put_off_orders, resume,
    take, to_be_cleared,
};
pub use made::{New, insert_shipments};
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, Row, any::AnyRow};
use utoipa::ToSchema;
pub use waybills::{
    Waybill, WaybillStatus, insert_waybill, look_later, phone, subscribed, surplus_cancelled, take_look, to_track,
    told, waybill, waybills_of,
};

use super::{Address, ShipLine, ShipRequest, ShipmentKind, addresses};
use crate::db::{
    DbError,
    batch::{Binds, Text, execute, execute_all, fetch, id, id_or_null, select_by_id, word, word_or_null},
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
