//! SQL of pickup orders and their codes. Each statement is of one shard: on PostgreSQL that is one partition.

use std::collections::{BTreeMap, BTreeSet};

use counterfoil_domain::{
    ids::{DeviceId, FreezeId, MemberId, OperationId, OrderId, StoreId, TenantId},
    pickup_codes::{self, Shard},
    pickups::{Order, OrderFreeze, OrderNumber, OrderState},
    time::Millis,
    transition::Numbered,
};
use sqlx::{AnyConnection, Row, any::AnyRow};

use super::policies;
use crate::{
    db::told,
    db::{
        DbError,
        batch::{Scope, Text, execute, execute_all, fetch, id, id_or_null, json},
    },
};

const SELECT: Text = Text::new(
    "SELECT id, number, code, store, member, collector, deadline, lines, state, holder, held_at, held_where, version, surplus, told FROM orders WHERE tenant = $1 AND shard = $2 AND id IN (",
    ") ORDER BY id",
);
const SELECT_BY_CODE: Text = Text::new(
    "SELECT o.id, o.number, o.code, o.store, o.member, o.collector, o.deadline, o.lines, o.state, o.holder, o.held_at, o.held_where, o.version, o.surplus, o.told FROM pickup_codes c JOIN orders o ON o.tenant = c.tenant AND o.shard = c.shard AND o.id = c.order_id WHERE c.tenant = $1 AND c.shard = $2 AND o.shard = $2 AND c.code IN (",
    ")",
);
const UPDATE: Text = Text::new(
    "UPDATE orders SET state = v.column3, holder = v.column4, held_at = v.column5, held_where = v.column6, version = v.column7, surplus = v.column8, told = v.column9 FROM (VALUES ",
    ") AS v WHERE orders.tenant = $1 AND orders.shard = $2 AND orders.id = v.column1 AND orders.version = v.column2",
);
const INSERT: Text = Text::new(
    "INSERT INTO orders (tenant, shard, id, number, code, store, member, collector, deadline, lines, state, created_at, version) VALUES ",
    " ON CONFLICT DO NOTHING",
);
const INSERT_NUMBERS: Text = Text::new(
    "INSERT INTO order_numbers (tenant, number, shard, order_id) VALUES ",
    " ON CONFLICT DO NOTHING",
);
const FORGET_NUMBERS: Text = Text::new(
    "DELETE FROM order_numbers WHERE tenant = $1 AND (number, order_id) IN (VALUES ",
    ")",
);
const INSERT_CODES: Text = Text::new(
    "INSERT INTO pickup_codes (tenant, shard, code, order_id) VALUES ",
    " ON CONFLICT DO NOTHING",
);
const REST: Text = Text::new(
    "UPDATE pickup_codes SET rests_until = v.column3 FROM (VALUES ",
    ") AS v WHERE pickup_codes.tenant = $1 AND pickup_codes.shard = $2 AND pickup_codes.code = v.column1 AND pickup_codes.order_id = v.column2",
);
const WAKE: Text = Text::new(
    "UPDATE pickup_codes SET rests_until = NULL FROM (VALUES ",
    ") AS v WHERE pickup_codes.tenant = $1 AND pickup_codes.shard = $2 AND pickup_codes.code = v.column1 AND pickup_codes.order_id = v.column2",
);
const RENAME: Text = Text::new(
    "UPDATE orders SET code = v.column2 FROM (VALUES ",
    ") AS v WHERE orders.tenant = $1 AND orders.shard = $2 AND orders.id = v.column1",
);
const SELECT_TAKEN: Text = Text::new(
    "SELECT code FROM pickup_codes WHERE tenant = $1 AND shard = $2 AND code IN (",
    ")",
);
const SELECT_ORDERS: Text = Text::new(
    "SELECT number, order_id FROM order_numbers WHERE tenant = $1 AND number IN (",
    ") ORDER BY number",
);
const SELECT_NUMBERS: Text = Text::new(
    "SELECT number FROM order_numbers WHERE tenant = $1 AND number IN (",
    ")",
);

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

/// Things of several shards, those of each.
fn by_shard<T>(things: impl IntoIterator<Item = T>, shard: impl Fn(&T) -> Shard) -> BTreeMap<Shard, Vec<T>> {
    let mut sorted: BTreeMap<Shard, Vec<T>> = BTreeMap::new();
    for thing in things {
        sorted.entry(shard(&thing)).or_default().push(thing);
    }
    sorted
}

/// Loads orders; `lock` holds them until the transaction ends, in the order of shards and ids.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn load(
    connection: &mut AnyConnection,
    tenant: TenantId,
    ids: &[OrderId],
    lock: &'static str,
) -> Result<Vec<Order>, DbError> {
    let mut found = Vec::with_capacity(ids.len());
    for (shard, ids) in by_shard(ids.iter().copied(), OrderId::shard) {
        let scope = Scope::shard(tenant, shard);
        let rows = fetch(connection, SELECT, lock, scope, &ids, |b, id| {
            b.bytes(id.bytes());
        });
        for order in rows.await?.read(read) {
            found.push(order?);
        }
    }
    Ok(found)
}

/// Finds the order that holds this pickup code. The code says its shard, so it is one read in one partition; a code that is
/// the order's number leads there by the map of numbers. What is no code of the tenant's is not asked for.
///
/// # Errors
/// As [`load`].
pub async fn by_code(connection: &mut AnyConnection, tenant: TenantId, code: &str) -> Result<Option<Order>, DbError> {
    let policies = policies::all(connection, tenant).await?;
    let Some(read_code) = pickup_codes::read(&policies, code) else {
        return Ok(None);
    };
    let Some(shard) = read_code.shard else {
        let found = by_number(connection, tenant, &read_code.code).await?;
        return Ok(found.filter(|order| order.code == read_code.code));
    };
    let codes = [read_code.code];
    fetch(
        connection,
        SELECT_BY_CODE,
        "",
        Scope::shard(tenant, shard),
        &codes,
        |b, code| {
            b.text(code);
        },
    )
    .await?
    .read(read)
    .next()
    .transpose()
}

/// Finds the order that is known by this number: the map of numbers leads to its id, and that to its shard.
///
/// # Errors
/// As [`load`].
pub async fn by_number(
    connection: &mut AnyConnection,
    tenant: TenantId,
    number: &str,
) -> Result<Option<Order>, DbError> {
    let row = sqlx::query("SELECT order_id FROM order_numbers WHERE tenant = $1 AND number = $2")
        .bind(tenant.bytes().to_vec())
        .bind(number.to_owned())
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let id = id(&row, "order_id", OrderId::from_bytes)?;
    Ok(load(connection, tenant, &[id], "").await?.pop())
}

/// A member's orders in these shards, the latest first, before an id.
///
/// # Errors
/// As [`load`].
pub async fn of_member(
    connection: &mut AnyConnection,
    tenant: TenantId,
    shards: &BTreeSet<Shard>,
    member: MemberId,
    before: Option<OrderId>,
    limit: i64,
) -> Result<Vec<Order>, DbError> {
    let before = before.map_or(vec![0xff; 17], |id| id.bytes().to_vec());
    let mut found = Vec::new();
    for shard in shards {
        let rows = sqlx::query(
            "SELECT id, number, code, store, member, collector, deadline, lines, state, holder, held_at, held_where, version, surplus, told FROM orders WHERE tenant = $1 AND shard = $2 AND member = $3 AND id < $4 ORDER BY id DESC LIMIT $5",
        )
        .bind(tenant.bytes().to_vec())
        .bind(shard.number())
        .bind(member.bytes().to_vec())
        .bind(before.clone())
        .bind(limit)
        .fetch_all(&mut *connection)
        .await?;
        for row in &rows {
            found.push(self::read(row)?);
        }
    }
    found.sort_by_key(|order| std::cmp::Reverse(order.id));
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(found)
}

/// The orders that are known by these numbers.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn load_numbers(
    connection: &mut AnyConnection,
    tenant: TenantId,
    numbers: &[OrderNumber],
    lock: &'static str,
) -> Result<Vec<Numbered>, DbError> {
    fetch(connection, SELECT_ORDERS, lock, tenant, numbers, |b, number| {
        b.text(number.as_str());
    })
    .await?
    .read(|row| {
        let number: String = row.try_get("number")?;
        Ok(Numbered {
            number: OrderNumber::new(&number).ok_or(DbError::Decode { column: "number" })?,
            order: id(row, "order_id", OrderId::from_bytes)?,
        })
    })
    .collect()
}

/// Stores orders that changed, each with the version it was loaded at.
///
/// # Errors
/// [`DbError::RowCount`] when one of them is no longer at that version.
pub async fn update(connection: &mut AnyConnection, tenant: TenantId, orders: &[(i64, &Order)]) -> Result<(), DbError> {
    for (shard, orders) in by_shard(orders.iter().copied(), |(_, order)| order.id.shard()) {
        let scope = Scope::shard(tenant, shard);
        execute_all(connection, "orders", UPDATE, scope, &orders, |b, (loaded, order)| {
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
        .await?;
    }
    Ok(())
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
        b.number(order.id.shard().number())
            .bytes(order.id.bytes())
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
    let numbers: Vec<(&str, OrderId)> = orders.iter().map(|order| (order.number.as_str(), order.id)).collect();
    insert_numbers(connection, tenant, &numbers).await?;
    insert_codes(connection, tenant, &orders.iter().collect::<Vec<_>>()).await
}

/// Lets numbers lead to their orders.
///
/// # Errors
/// [`DbError::RowCount`] when one of them leads to another order.
pub async fn insert_numbers(
    connection: &mut AnyConnection,
    tenant: TenantId,
    numbers: &[(&str, OrderId)],
) -> Result<(), DbError> {
    execute_all(
        connection,
        "order_numbers",
        INSERT_NUMBERS,
        tenant,
        numbers,
        |b, (number, id)| {
            b.text(number).number(id.shard().number()).bytes(id.bytes());
        },
    )
    .await
}

/// Lets numbers lead to their orders no more.
///
/// # Errors
/// The driver's.
pub async fn forget_numbers(
    connection: &mut AnyConnection,
    tenant: TenantId,
    numbers: &[(&str, OrderId)],
) -> Result<(), DbError> {
    execute(connection, FORGET_NUMBERS, tenant, numbers, |b, (number, id)| {
        b.text(number).bytes(id.bytes());
    })
    .await?;
    Ok(())
}

async fn insert_codes(connection: &mut AnyConnection, tenant: TenantId, orders: &[&Order]) -> Result<(), DbError> {
    execute_all(connection, "pickup_codes", INSERT_CODES, tenant, orders, |b, order| {
        b.number(order.id.shard().number())
            .text(&order.code)
            .bytes(order.id.bytes());
    })
    .await
}

/// Which of these codes of a shard are taken, or rest.
///
/// # Errors
/// The driver's.
pub async fn taken_codes(
    connection: &mut AnyConnection,
    tenant: TenantId,
    shard: Shard,
    codes: &[String],
) -> Result<BTreeSet<String>, DbError> {
    fetch(
        connection,
        SELECT_TAKEN,
        "",
        Scope::shard(tenant, shard),
        codes,
        |b, code| {
            b.text(code);
        },
    )
    .await?
    .read(|row| Ok(row.try_get("code")?))
    .collect()
}

/// The codes of a shard that are taken, or rest, from one to another, both included.
///
/// # Errors
/// The driver's.
pub async fn taken_between(
    connection: &mut AnyConnection,
    tenant: TenantId,
    shard: Shard,
    (from, to): (&str, &str),
) -> Result<BTreeSet<String>, DbError> {
    let codes: Vec<String> = sqlx::query_scalar(
        "SELECT code FROM pickup_codes WHERE tenant = $1 AND shard = $2 AND code >= $3 AND code <= $4",
    )
    .bind(tenant.bytes().to_vec())
    .bind(shard.number())
    .bind(from.to_owned())
    .bind(to.to_owned())
    .fetch_all(connection)
    .await?;
    Ok(codes.into_iter().collect())
}

/// The numbers that lead to an order, from one to another, both included.
///
/// # Errors
/// The driver's.
pub async fn numbers_between(
    connection: &mut AnyConnection,
    tenant: TenantId,
    (from, to): (&str, &str),
) -> Result<BTreeSet<String>, DbError> {
    let numbers: Vec<String> =
        sqlx::query_scalar("SELECT number FROM order_numbers WHERE tenant = $1 AND number >= $2 AND number <= $3")
            .bind(tenant.bytes().to_vec())
            .bind(from.to_owned())
            .bind(to.to_owned())
            .fetch_all(connection)
            .await?;
    Ok(numbers.into_iter().collect())
}

/// Which of these numbers lead to an order.
///
/// # Errors
/// The driver's.
pub async fn taken_numbers(
    connection: &mut AnyConnection,
    tenant: TenantId,
    numbers: &[String],
) -> Result<BTreeSet<String>, DbError> {
    fetch(connection, SELECT_NUMBERS, "", tenant, numbers, |b, number| {
        b.text(number);
    })
    .await?
    .read(|row| Ok(row.try_get("number")?))
    .collect()
}

/// Whether an order of this number exists.
///
/// # Errors
/// The driver's.
pub async fn number_exists(connection: &mut AnyConnection, tenant: TenantId, number: &str) -> Result<bool, DbError> {
    let row = sqlx::query("SELECT order_id FROM order_numbers WHERE tenant = $1 AND number = $2")
        .bind(tenant.bytes().to_vec())
        .bind(number.to_owned())
        .fetch_optional(connection)
        .await?;
    Ok(row.is_some())
}

/// Lets the codes of orders that wait no more rest until then, unless they were given to others.
///
/// # Errors
/// The driver's.
pub async fn rest_codes(
    connection: &mut AnyConnection,
    tenant: TenantId,
    orders: &[&Order],
    until: Millis,
) -> Result<(), DbError> {
    for (shard, orders) in by_shard(orders.iter().copied(), |order| order.id.shard()) {
        execute(connection, REST, Scope::shard(tenant, shard), &orders, |b, order| {
            b.text(&order.code).bytes(order.id.bytes()).number(until);
        })
        .await?;
    }
    Ok(())
}

/// Lets orders that wait again have their codes again, which rested meanwhile. Those whose code has been given to others
/// since, or is free: they need another one.
///
/// # Errors
/// The driver's.
pub async fn wake_codes<'o>(
    connection: &mut AnyConnection,
    tenant: TenantId,
    orders: &[&'o Order],
) -> Result<Vec<&'o Order>, DbError> {
    let mut lost = Vec::new();
    for (shard, orders) in by_shard(orders.iter().copied(), |order| order.id.shard()) {
        let scope = Scope::shard(tenant, shard);
        let bind = |b: &mut crate::db::batch::Binds, order: &&Order| {
            b.text(&order.code).bytes(order.id.bytes());
        };
        if execute(connection, WAKE, scope, &orders, bind).await? == orders.len() as u64 {
            continue;
        }
        for order in orders {
            if execute(connection, WAKE, scope, &[order], bind).await? == 0 {
                lost.push(order);
            }
        }
    }
    Ok(lost)
}

/// Gives orders other codes than they had.
///
/// # Errors
/// [`DbError::RowCount`] when one of the codes is taken: nothing may be kept then.
pub async fn rename(connection: &mut AnyConnection, tenant: TenantId, orders: &[&Order]) -> Result<(), DbError> {
    insert_codes(connection, tenant, orders).await?;
    for (shard, orders) in by_shard(orders.iter().copied(), |order| order.id.shard()) {
        execute_all(
            connection,
            "orders",
            RENAME,
            Scope::shard(tenant, shard),
            &orders,
            |b, order| {
                b.bytes(order.id.bytes()).text(&order.code);
            },
        )
        .await?;
    }
    Ok(())
}

/// Frees codes whose rest is over, at most so many; how many they were.
///
/// # Errors
/// The driver's.
pub async fn forget_rested(connection: &mut AnyConnection, now: Millis, most: i64) -> Result<u64, DbError> {
    let done = sqlx::query(
        "DELETE FROM pickup_codes WHERE (tenant, shard, code) IN (SELECT tenant, shard, code FROM pickup_codes WHERE rests_until <= $1 LIMIT $2) AND rests_until <= $1",
    )
    .bind(now)
    .bind(most)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Frees codes of a shard whose rest is over.
///
/// # Errors
/// The driver's.
pub async fn forget_rested_of(
    connection: &mut AnyConnection,
    tenant: TenantId,
    shard: Shard,
    now: Millis,
) -> Result<(), DbError> {
    sqlx::query("DELETE FROM pickup_codes WHERE tenant = $1 AND shard = $2 AND rests_until <= $3")
        .bind(tenant.bytes().to_vec())
        .bind(shard.number())
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}
