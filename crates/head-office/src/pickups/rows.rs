//! SQL of pickup orders and their codes.

use std::collections::BTreeSet;

use counterfoil_domain::{
    ids::{DeviceId, FreezeId, MemberId, OperationId, OrderId, StoreId, TenantId},
    pickups::{Order, OrderFreeze, OrderState},
    time::Millis,
    typed,
};
use sqlx::{AnyConnection, Row, any::AnyRow};

use crate::{
    db::batch::select_by_id,
    db::told,
    db::{
        DbError,
        batch::{Text, execute, execute_all, fetch, id, id_or_null, json},
    },
};

const SELECT: Text = select_by_id!(
    "SELECT id, number, code, store, member, collector, deadline, lines, state, holder, held_at, held_where, version, surplus, told FROM orders"
);
const SELECT_BY_CODE: &str = "SELECT o.id, o.number, o.code, o.store, o.member, o.collector, o.deadline, o.lines, o.state, o.holder, o.held_at, o.held_where, o.version, o.surplus, o.told FROM pickup_codes c JOIN orders o ON o.tenant = c.tenant AND o.id = c.order_id WHERE c.tenant = $1 AND c.code = $2";
const UPDATE: Text = Text::new(
    "UPDATE orders SET state = v.column3, holder = v.column4, held_at = v.column5, held_where = v.column6, version = v.column7, surplus = v.column8, told = v.column9 FROM (VALUES ",
    ") AS v WHERE orders.tenant = $1 AND orders.id = v.column1 AND orders.version = v.column2",
);
const INSERT: Text = Text::new(
    "INSERT INTO orders (tenant, id, number, code, store, member, collector, deadline, lines, state, created_at, version) VALUES ",
    " ON CONFLICT DO NOTHING",
);
const INSERT_CODES: Text = Text::new(
    "INSERT INTO pickup_codes (tenant, code, order_id) VALUES ",
    " ON CONFLICT DO NOTHING",
);

const REST: Text = Text::new(
    "UPDATE pickup_codes SET rests_until = v.column3 FROM (VALUES ",
    ") AS v WHERE pickup_codes.tenant = $1 AND pickup_codes.code = v.column1 AND pickup_codes.order_id = v.column2 AND pickup_codes.rests_until IS NULL",
);
const SELECT_TAKEN: Text = Text::new("SELECT code FROM pickup_codes WHERE tenant = $1 AND code IN (", ")");

fn read(row: &AnyRow) -> Result<Order, DbError> {
    let state: String = row.try_get("state")?;
    let state = match state.as_str() {
        "ready" => OrderState::Ready {
            freeze: match id_or_null(row, "holder", FreezeId::from_bytes)? {
                None => None,
                Some(freeze) => Some(OrderFreeze {
                    freeze,
                    until: row.try_get("held_at")?,
                    device: id(row, "held_where", DeviceId::from_bytes)?,
                }),
            },
        },
        "collected" => OrderState::Collected {
            operation: id(row, "holder", OperationId::from_bytes)?,
            at: row.try_get("held_at")?,
            store: id(row, "held_where", StoreId::from_bytes)?,
        },
        "returned" => OrderState::Returned,
        "cancelled" => OrderState::Cancelled,
        _ => return Err(DbError::Decode { column: "state" }),
    };
    Ok(Order {
        id: id(row, "id", OrderId::from_bytes)?,
        number: row.try_get("number")?,
        code: row.try_get("code")?,
        store: id(row, "store", StoreId::from_bytes)?,
        member: id_or_null(row, "member", MemberId::from_bytes)?,
        collector: row.try_get("collector")?,
        deadline: row.try_get("deadline")?,
        lines: json(row, "lines")?,
        state,
        version: row.try_get("version")?,
        surplus: told::read_surplus(row)?,
        told: told::read(row)?,
    })
}

/// Loads orders; `lock` holds them until the transaction ends.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn load(
    connection: &mut AnyConnection,
    tenant: TenantId,
    ids: &[OrderId],
    lock: &'static str,
) -> Result<Vec<Order>, DbError> {
    fetch(connection, SELECT, lock, tenant, ids, |b, id| {
        b.bytes(id.bytes());
    })
    .await?
    .read(read)
    .collect()
}

/// Finds the order that holds this pickup code: one indexed read.
///
/// # Errors
/// As [`load`].
pub async fn by_code(connection: &mut AnyConnection, tenant: TenantId, code: &str) -> Result<Option<Order>, DbError> {
    let Some(code) = typed::pickup_code(code) else {
        return Ok(None);
    };
    let row = sqlx::query(SELECT_BY_CODE)
        .bind(tenant.bytes().to_vec())
        .bind(code)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(read).transpose()
}

/// Stores orders that changed, each with the version it was loaded at.
///
/// # Errors
/// [`DbError::RowCount`] when one of them is no longer at that version.
pub async fn update(connection: &mut AnyConnection, tenant: TenantId, orders: &[(i64, &Order)]) -> Result<(), DbError> {
    execute_all(connection, "orders", UPDATE, tenant, orders, |b, (loaded, order)| {
        let (holder, held_at, held_where) = match &order.state {
            OrderState::Ready { freeze: Some(held) } => (
                Some(&held.freeze.bytes()[..]),
                Some(held.until),
                Some(&held.device.bytes()[..]),
            ),
            OrderState::Collected { operation, at, store } => {
                (Some(&operation.bytes()[..]), Some(*at), Some(&store.bytes()[..]))
            }
            _ => (None, None, None),
        };
        b.bytes(order.id.bytes())
            .number(*loaded)
            .text(order.state.as_str())
            .bytes_or_null(holder)
            .number_or_null(held_at)
            .bytes_or_null(held_where)
            .number(order.version)
            .text_or_null(told::surplus(&order.surplus).as_deref())
            .bytes_or_null(told::stores(&order.told).as_deref());
    })
    .await
}

/// Stores new orders that wait, and takes their codes.
///
/// # Errors
/// [`DbError::RowCount`] when a number or a code is taken: nothing may be kept then.
pub async fn insert(
    connection: &mut AnyConnection,
    tenant: TenantId,
    orders: &[Order],
    now: Millis,
) -> Result<(), DbError> {
    let lines: Vec<(String, &Order)> = orders
        .iter()
        .map(|order| serde_json::to_string(&order.lines).map(|lines| (lines, order)))
        .collect::<Result<_, _>>()
        .map_err(|_| DbError::Decode { column: "lines" })?;
    execute_all(connection, "orders", INSERT, tenant, &lines, |b, (lines, order)| {
        b.bytes(order.id.bytes())
            .text(&order.number)
            .text(&order.code)
            .bytes(order.store.bytes())
            .bytes_or_null(order.member.as_ref().map(|id| &id.bytes()[..]))
            .text(&order.collector)
            .number_or_null(order.deadline)
            .text(lines)
            .text(order.state.as_str())
            .number(now)
            .number(order.version);
    })
    .await?;
    execute_all(connection, "pickup_codes", INSERT_CODES, tenant, orders, |b, order| {
        b.text(&order.code).bytes(order.id.bytes());
    })
    .await
}

/// Which of these codes are taken.
///
/// # Errors
/// The driver's.
pub async fn taken_codes(
    connection: &mut AnyConnection,
    tenant: TenantId,
    codes: &[String],
) -> Result<BTreeSet<String>, DbError> {
    fetch(connection, SELECT_TAKEN, "", tenant, codes, |b, code| {
        b.text(code);
    })
    .await?
    .read(|row| Ok(row.try_get("code")?))
    .collect()
}

/// Whether an order of this number exists.
///
/// # Errors
/// The driver's.
pub async fn number_exists(connection: &mut AnyConnection, tenant: TenantId, number: &str) -> Result<bool, DbError> {
    let row = sqlx::query("SELECT id FROM orders WHERE tenant = $1 AND number = $2")
        .bind(tenant.bytes().to_vec())
        .bind(number.to_owned())
        .fetch_optional(connection)
        .await?;
    Ok(row.is_some())
}

/// Lets the codes of orders that stand as cancelled rest until then, unless they rest already or were given to others.
///
/// # Errors
/// The driver's.
pub async fn rest_codes(
    connection: &mut AnyConnection,
    tenant: TenantId,
    orders: &[&Order],
    until: Millis,
) -> Result<(), DbError> {
    execute(connection, REST, tenant, orders, |b, order| {
        b.text(&order.code).bytes(order.id.bytes()).number(until);
    })
    .await?;
    Ok(())
}
