//! SQL of orders placed online and the coupons they hold.

use std::collections::BTreeMap;

use counterfoil_domain::{
    ids::{CouponId, FreezeId, MemberId, OperationId, TenantId},
    points::Amounts,
    time::Millis,
    transition::online::{Held, OnlineOrder, OnlineStatus, Taken},
    words::Word,
};
use sqlx::{AnyConnection, Row, any::AnyRow};
use uuid::Uuid;

use crate::{
    db::batch::select_by_id,
    db::{
        DbError,
        batch::{Binds, Text, execute, execute_all, fetch, id, id_or_null, uuid},
    },
};

const SELECT: Text = select_by_id!(
    "SELECT id, number, status, question, member, amount, deadline, asked_at, asked_by, points, balance, refusals, ended_at, ended_by, ask_at, asks, version FROM order_freezes"
);
const SELECT_COUPONS: Text = Text::new(
    "SELECT order_id, coupon, taken_by, taken_at FROM order_freeze_coupons WHERE tenant = $1 AND order_id IN (",
    ") ORDER BY order_id, coupon",
);
const INSERT: Text = Text::new(
    "INSERT INTO order_freezes (tenant, id, number, status, question, member, amount, deadline, asked_at, asked_by, points, balance, refusals, ended_at, ended_by, ask_at, asks, version) VALUES ",
    " ON CONFLICT DO NOTHING",
);
const UPDATE: Text = Text::new(
    "UPDATE order_freezes SET status = v.column3, question = v.column4, member = v.column5, amount = v.column6, deadline = v.column7, asked_at = v.column8, asked_by = v.column9, points = v.column10, balance = v.column11, refusals = v.column12, ended_at = v.column13, ended_by = v.column14, ask_at = v.column15, version = v.column16 FROM (VALUES ",
    ") AS v WHERE order_freezes.tenant = $1 AND order_freezes.id = v.column1 AND order_freezes.version = v.column2",
);
const INSERT_COUPONS: Text = Text::new(
    "INSERT INTO order_freeze_coupons (tenant, order_id, coupon) VALUES ",
    " ON CONFLICT DO NOTHING",
);
const UPDATE_TAKEN: Text = Text::new(
    "UPDATE order_freeze_coupons SET taken_by = v.column3, taken_at = v.column4 FROM (VALUES ",
    ") AS v WHERE order_freeze_coupons.tenant = $1 AND order_freeze_coupons.order_id = v.column1 AND order_freeze_coupons.coupon = v.column2",
);

fn read(row: &AnyRow) -> Result<OnlineOrder, DbError> {
    let status: String = row.try_get("status")?;
    let refusals: Option<String> = row.try_get("refusals")?;
    let ended_at: Option<Millis> = row.try_get("ended_at")?;
    let ended_by: Option<Vec<u8>> = row.try_get("ended_by")?;
    let ended_by = ended_by
        .map(|bytes| Uuid::from_slice(&bytes).map_err(|_| DbError::Decode { column: "ended_by" }))
        .transpose()?;
    Ok(OnlineOrder {
        amounts: Amounts {
            points: row.try_get("points")?,
            balance: row.try_get("balance")?,
        },
        id: id(row, "id", FreezeId::from_bytes)?,
        number: row.try_get("number")?,
        status: OnlineStatus::parse(&status).ok_or(DbError::Decode { column: "status" })?,
        question: row.try_get("question")?,
        member: id_or_null(row, "member", MemberId::from_bytes)?,
        amount: row.try_get("amount")?,
        deadline: row.try_get("deadline")?,
        asked_at: row.try_get("asked_at")?,
        asked_by: uuid(row, "asked_by")?,
        coupons: Vec::new(),
        refusals: refusals
            .map(|text| serde_json::from_str(&text).map_err(|_| DbError::Decode { column: "refusals" }))
            .transpose()?
            .unwrap_or_default(),
        ended: ended_at.map(|at| (at, ended_by)),
        ask_at: row.try_get("ask_at")?,
        asks: row.try_get("asks")?,
        version: row.try_get("version")?,
    })
}

/// Loads orders with their coupons; `lock` holds the orders until the transaction ends.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn load(
    connection: &mut AnyConnection,
    tenant: TenantId,
    ids: &[FreezeId],
    lock: &'static str,
) -> Result<Vec<OnlineOrder>, DbError> {
    let bind = |b: &mut Binds, id: &FreezeId| {
        b.bytes(id.bytes());
    };
    let mut orders: BTreeMap<FreezeId, OnlineOrder> = fetch(connection, SELECT, lock, tenant, ids, bind)
        .await?
        .read(|row| read(row).map(|order| (order.id, order)))
        .collect::<Result<_, _>>()?;
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    // After its parent's lock: nobody adds coupons to an order that is held.
    let found: Vec<FreezeId> = orders.keys().copied().collect();
    let coupons = fetch(connection, SELECT_COUPONS, "", tenant, &found, bind).await?;
    let held = coupons.read(|row| {
        let by = id_or_null(row, "taken_by", OperationId::from_bytes)?;
        let at: Option<Millis> = row.try_get("taken_at")?;
        let coupon = id(row, "coupon", CouponId::from_bytes)?;
        let taken = by.zip(at);
        Ok((id(row, "order_id", FreezeId::from_bytes)?, Held { coupon, taken }))
    });
    for held in held {
        let (order, held) = held?;
        if let Some(order) = orders.get_mut(&order) {
            order.coupons.push(held);
        }
    }
    Ok(orders.into_values().collect())
}

fn refusals(order: &OnlineOrder) -> Option<String> {
    // Reasons are plain data: they always write.
    (order.status == OnlineStatus::Refused).then(|| serde_json::to_string(&order.refusals).unwrap_or_default())
}

fn bind_state(b: &mut Binds, order: &OnlineOrder) {
    let (ended_at, ended_by) = order.ended.map_or((None, None), |(at, by)| (Some(at), by));
    b.text(order.status.as_str())
        .text(&order.question)
        .bytes_or_null(order.member.as_ref().map(|id| &id.bytes()[..]))
        .number(order.amount)
        .number(order.deadline)
        .number(order.asked_at)
        .bytes(order.asked_by.as_bytes())
        .number(order.amounts.points)
        .number(order.amounts.balance)
        .text_or_null(refusals(order).as_deref())
        .number_or_null(ended_at)
        .bytes_or_null(ended_by.as_ref().map(|id| &id.as_bytes()[..]))
        .number_or_null(order.ask_at);
}

/// Stores new orders.
///
/// # Errors
/// [`DbError::RowCount`] when one of them exists.
pub async fn insert(connection: &mut AnyConnection, tenant: TenantId, orders: &[&OnlineOrder]) -> Result<(), DbError> {
    execute_all(connection, "order_freezes", INSERT, tenant, orders, |b, order| {
        b.bytes(order.id.bytes()).text(&order.number);
        bind_state(b, order);
        b.number(order.asks).number(order.version);
    })
    .await
}

/// Stores orders that took a step, each with the version it was loaded at.
///
/// # Errors
/// [`DbError::RowCount`] when one of them is no longer at that version.
pub async fn update(
    connection: &mut AnyConnection,
    tenant: TenantId,
    orders: &[(i64, &OnlineOrder)],
) -> Result<(), DbError> {
    execute_all(
        connection,
        "order_freezes",
        UPDATE,
        tenant,
        orders,
        |b, (loaded, order)| {
            b.bytes(order.id.bytes()).number(*loaded);
            bind_state(b, order);
            b.number(order.version);
        },
    )
    .await
}

/// Stores which coupons orders hold; those that are there stay as they are.
///
/// # Errors
/// The driver's.
pub async fn insert_coupons(
    connection: &mut AnyConnection,
    tenant: TenantId,
    held: &[(FreezeId, CouponId)],
) -> Result<(), DbError> {
    execute(connection, INSERT_COUPONS, tenant, held, |b, (order, coupon)| {
        b.bytes(order.bytes()).bytes(coupon.bytes());
    })
    .await?;
    Ok(())
}

/// Notes at an order that a counter honoured one of its coupons; of several that did, the last.
///
/// # Errors
/// [`DbError::RowCount`] when the order does not hold it.
pub async fn mark_taken(connection: &mut AnyConnection, tenant: TenantId, taken: &[Taken]) -> Result<(), DbError> {
    let last: BTreeMap<(FreezeId, CouponId), &Taken> =
        taken.iter().map(|taken| ((taken.order, taken.coupon), taken)).collect();
    let last: Vec<&Taken> = last.into_values().collect();
    execute_all(
        connection,
        "order_freeze_coupons",
        UPDATE_TAKEN,
        tenant,
        &last,
        |b, taken| {
            b.bytes(taken.order.bytes())
                .bytes(taken.coupon.bytes())
                .bytes(taken.operation.bytes())
                .number(taken.at);
        },
    )
    .await
}

/// What the owner of an order placed online is asked.
pub const ORDER_PAYMENT: &str = "order_payment";

/// An order whose deadline has passed without word of its payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overdue {
    /// What its owner is asked: the word that stands in the question.
    pub kind: &'static str,
    /// The order.
    pub id: FreezeId,
    /// Its number.
    pub number: String,
    /// What it comes to, minor units.
    pub amount: i64,
    /// Until when payment should have been known.
    pub deadline: Millis,
    /// How often its owner has been asked.
    pub asks: i64,
}

/// Orders of a tenant whose owner is to be asked, those that wait longest first.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn overdue(
    connection: &mut AnyConnection,
    tenant: TenantId,
    now: Millis,
    limit: i64,
) -> Result<Vec<Overdue>, DbError> {
    sqlx::query(
        "SELECT id, number, amount, deadline, asks FROM order_freezes WHERE tenant = $1 AND ask_at <= $2 ORDER BY ask_at LIMIT $3",
    )
    .bind(tenant.bytes().to_vec())
    .bind(now)
    .bind(limit)
    .fetch_all(connection)
    .await?
    .iter()
    .map(|row| {
        Ok(Overdue {
            kind: ORDER_PAYMENT,
            id: id(row, "id", FreezeId::from_bytes)?,
            number: row.try_get("number")?,
            amount: row.try_get("amount")?,
            deadline: row.try_get("deadline")?,
            asks: row.try_get("asks")?,
        })
    })
    .collect()
}

/// Puts the next question to an order's owner off; false when the order has ended, or somebody else asked meanwhile.
///
/// # Errors
/// The driver's.
pub async fn ask_later(
    connection: &mut AnyConnection,
    tenant: TenantId,
    order: &Overdue,
    at: Millis,
) -> Result<bool, DbError> {
    let changed = sqlx::query(
        "UPDATE order_freezes SET ask_at = $1, asks = asks + 1 WHERE tenant = $2 AND id = $3 AND asks = $4 AND status = 'frozen'",
    )
    .bind(at)
    .bind(tenant.bytes().to_vec())
    .bind(order.id.bytes().to_vec())
    .bind(order.asks)
    .execute(connection)
    .await?
    .rows_affected();
    Ok(changed == 1)
}

/// The next page of a tenant's orders, oldest first by id's place in the numbers' order.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn page(
    connection: &mut AnyConnection,
    tenant: TenantId,
    status: Option<OnlineStatus>,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<FreezeId>, DbError> {
    sqlx::query(
        "SELECT id FROM order_freezes WHERE tenant = $1 AND number > $2 AND (CAST($3 AS TEXT) = '' OR status = $3) ORDER BY number LIMIT $4",
    )
    .bind(tenant.bytes().to_vec())
    .bind(after.unwrap_or_default().to_owned())
    .bind(status.map_or("", OnlineStatus::as_str).to_owned())
    .bind(limit)
    .fetch_all(connection)
    .await?
    .iter()
    .map(|row| id(row, "id", FreezeId::from_bytes))
    .collect()
}
