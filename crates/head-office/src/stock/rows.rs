//! SQL of stock, its movements, and the warehouses that are no stores.

use std::sync::Arc;

use counterfoil_domain::{
    ids::{LocationId, StockId, StoreId, TenantId},
    stock::{MoveCause, MoveKind, Moved, Stock},
    time::Millis,
    words::Word,
};
use sqlx::{AnyConnection, Row, any::AnyRow};

use crate::db::{
    DbError,
    batch::{Text, execute_all, fetch, id, select_by_id, uuid_or_null},
};

const SELECT: Text = select_by_id!("SELECT id, location, sku, on_hand, reserved, moves, version FROM stocks");
const INSERT: Text = Text::new(
    "INSERT INTO stocks (tenant, id, location, sku, on_hand, reserved, moves, version) VALUES ",
    " ON CONFLICT DO NOTHING",
);
const UPDATE: Text = Text::new(
    "UPDATE stocks SET on_hand = v.column3, reserved = v.column4, moves = v.column5, version = v.column6 FROM (VALUES ",
    ") AS v WHERE stocks.tenant = $1 AND stocks.id = v.column1 AND stocks.version = v.column2",
);
const INSERT_MOVES: Text = Text::new(
    "INSERT INTO stock_moves (tenant, stock, number, kind, quantity, on_hand, source, actor, note, at) VALUES ",
    " ON CONFLICT DO NOTHING",
);

fn read(row: &AnyRow) -> Result<Stock, DbError> {
    Ok(Stock {
        id: id(row, "id", StockId::from_bytes)?,
        location: id(row, "location", LocationId::from_bytes)?,
        sku: row.try_get("sku")?,
        on_hand: row.try_get("on_hand")?,
        reserved: row.try_get("reserved")?,
        moves: row.try_get("moves")?,
        version: row.try_get("version")?,
    })
}

/// Loads stock; `lock` holds it until the transaction ends.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn load(
    connection: &mut AnyConnection,
    tenant: TenantId,
    ids: &[StockId],
    lock: &'static str,
) -> Result<Vec<Stock>, DbError> {
    fetch(connection, SELECT, lock, tenant, ids, |b, id| {
        b.bytes(id.bytes());
    })
    .await?
    .read(read)
    .collect()
}

/// Stores new rows.
///
/// # Errors
/// [`DbError::RowCount`] when one of them exists.
pub async fn insert(connection: &mut AnyConnection, tenant: TenantId, stocks: &[&Stock]) -> Result<(), DbError> {
    execute_all(connection, "stocks", INSERT, tenant, stocks, |b, stock| {
        b.bytes(stock.id.bytes())
            .bytes(stock.location.bytes())
            .text(&stock.sku)
            .number(stock.on_hand)
            .number(stock.reserved)
            .number(stock.moves)
            .number(stock.version);
    })
    .await
}

/// Stores rows that changed, each with the version it was loaded at.
///
/// # Errors
/// [`DbError::RowCount`] when one of them is no longer at that version.
pub async fn update(connection: &mut AnyConnection, tenant: TenantId, stocks: &[(i64, &Stock)]) -> Result<(), DbError> {
    execute_all(connection, "stocks", UPDATE, tenant, stocks, |b, (loaded, stock)| {
        b.bytes(stock.id.bytes())
            .number(*loaded)
            .number(stock.on_hand)
            .number(stock.reserved)
            .number(stock.moves)
            .number(stock.version);
    })
    .await
}

/// Stores movements.
///
/// # Errors
/// [`DbError::RowCount`] when one of them exists, or its source has moved goods so before.
pub async fn insert_moves(connection: &mut AnyConnection, tenant: TenantId, moves: &[Moved]) -> Result<(), DbError> {
    execute_all(connection, "stock_moves", INSERT_MOVES, tenant, moves, |b, moved| {
        let MoveCause {
            kind,
            source,
            actor,
            note,
            at,
        } = &moved.cause;
        b.bytes(moved.stock.bytes())
            .number(moved.number)
            .text(kind.as_str())
            .number(moved.quantity)
            .number(moved.after)
            .bytes_or_null(source.as_ref().map(|id| &id.as_bytes()[..]))
            .bytes_or_null(actor.as_ref().map(|id| &id.as_bytes()[..]))
            .text_or_null(note.as_deref())
            .number(*at);
    })
    .await
}

/// What a location has, behind the sku `after`.
///
/// # Errors
/// As [`load`].
pub async fn at(
    connection: &mut AnyConnection,
    tenant: TenantId,
    location: LocationId,
    after: &str,
    limit: i64,
) -> Result<Vec<Stock>, DbError> {
    sqlx::query(
        "SELECT id, location, sku, on_hand, reserved, moves, version FROM stocks WHERE tenant = $1 AND location = $2 AND sku > $3 ORDER BY sku LIMIT $4",
    )
    .bind(tenant.bytes().to_vec())
    .bind(location.bytes().to_vec())
    .bind(after.to_owned())
    .bind(limit)
    .fetch_all(connection)
    .await?
    .iter()
    .map(read)
    .collect()
}

/// The movements of a stock before the number `before`, the last one first.
///
/// # Errors
/// As [`load`].
pub async fn moves(
    connection: &mut AnyConnection,
    tenant: TenantId,
    stock: StockId,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Moved>, DbError> {
    sqlx::query(
        "SELECT number, kind, quantity, on_hand, source, actor, note, at FROM stock_moves WHERE tenant = $1 AND stock = $2 AND number < $3 ORDER BY number DESC LIMIT $4",
    )
    .bind(tenant.bytes().to_vec())
    .bind(stock.bytes().to_vec())
    .bind(before.unwrap_or(i64::MAX))
    .bind(limit)
    .fetch_all(connection)
    .await?
    .iter()
    .map(|row| {
        let kind: String = row.try_get("kind")?;
        let note: Option<String> = row.try_get("note")?;
        Ok(Moved {
            stock,
            number: row.try_get("number")?,
            quantity: row.try_get("quantity")?,
            after: row.try_get("on_hand")?,
            cause: MoveCause {
                kind: MoveKind::parse(&kind).ok_or(DbError::Decode { column: "kind" })?,
                source: uuid_or_null(row, "source")?,
                actor: uuid_or_null(row, "actor")?,
                note: note.map(Arc::from),
                at: row.try_get("at")?,
            },
        })
    })
    .collect()
}

/// How many of each of these articles are available in all stores together.
///
/// # Errors
/// The driver's.
pub async fn in_stores(
    connection: &mut AnyConnection,
    tenant: TenantId,
    skus: &[&str],
) -> Result<Vec<(String, i64)>, DbError> {
    const SELECT: Text = Text::new(
        "SELECT s.sku AS sku, CAST(SUM(s.on_hand - s.reserved) AS BIGINT) AS available FROM stocks s JOIN stores p ON p.tenant = s.tenant AND p.id = s.location WHERE s.tenant = $1 AND s.sku IN (",
        ") GROUP BY s.sku",
    );
    fetch(connection, SELECT, "", tenant, skus, |b, sku| {
        b.text(sku);
    })
    .await?
    .read(|row| Ok((row.try_get("sku")?, row.try_get("available")?)))
    .collect()
}

/// Stores behind `after` that have an article, and how many.
///
/// # Errors
/// As [`load`].
pub async fn stores_with(
    connection: &mut AnyConnection,
    tenant: TenantId,
    sku: &str,
    after: Option<StoreId>,
    limit: i64,
) -> Result<Vec<(StoreId, i64)>, DbError> {
    sqlx::query(
        "SELECT p.id AS store, s.on_hand - s.reserved AS available FROM stocks s JOIN stores p ON p.tenant = s.tenant AND p.id = s.location WHERE s.tenant = $1 AND s.sku = $2 AND s.location > $3 AND s.on_hand > s.reserved ORDER BY s.location LIMIT $4",
    )
    .bind(tenant.bytes().to_vec())
    .bind(sku.to_owned())
    .bind(after.map_or_else(Vec::new, |id| id.bytes().to_vec()))
    .bind(limit)
    .fetch_all(connection)
    .await?
    .iter()
    .map(|row| Ok((id(row, "store", StoreId::from_bytes)?, row.try_get("available")?)))
    .collect()
}

/// A location that is no store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warehouse {
    /// Its id.
    pub id: LocationId,
    /// What people call it.
    pub name: String,
    /// Since when it is there.
    pub created_at: Millis,
}

/// Adds a warehouse; false when one has this name.
///
/// # Errors
/// The driver's.
pub async fn insert_warehouse(
    connection: &mut AnyConnection,
    tenant: TenantId,
    warehouse: &Warehouse,
) -> Result<bool, DbError> {
    let done = sqlx::query(
        "INSERT INTO warehouses (tenant, id, name, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
    )
    .bind(tenant.bytes().to_vec())
    .bind(warehouse.id.bytes().to_vec())
    .bind(warehouse.name.clone())
    .bind(warehouse.created_at)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Warehouses behind `after`, by id.
///
/// # Errors
/// As [`load`].
pub async fn warehouses(
    connection: &mut AnyConnection,
    tenant: TenantId,
    after: Option<LocationId>,
    limit: i64,
) -> Result<Vec<Warehouse>, DbError> {
    sqlx::query("SELECT id, name, created_at FROM warehouses WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3")
        .bind(tenant.bytes().to_vec())
        .bind(after.map_or_else(Vec::new, |id| id.bytes().to_vec()))
        .bind(limit)
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| {
            Ok(Warehouse {
                id: id(row, "id", LocationId::from_bytes)?,
                name: row.try_get("name")?,
                created_at: row.try_get("created_at")?,
            })
        })
        .collect()
}

/// What kind of location it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A store.
    Store,
    /// A warehouse.
    Warehouse,
}

/// What kind of location this is; `None` = there is none.
///
/// # Errors
/// The driver's.
pub async fn kind(
    connection: &mut AnyConnection,
    tenant: TenantId,
    location: LocationId,
) -> Result<Option<Kind>, DbError> {
    let row = sqlx::query(
        "SELECT CAST(0 AS BIGINT) AS kind FROM stores WHERE tenant = $1 AND id = $2 UNION ALL SELECT CAST(1 AS BIGINT) AS kind FROM warehouses WHERE tenant = $1 AND id = $2",
    )
    .bind(tenant.bytes().to_vec())
    .bind(location.bytes().to_vec())
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let kind: i64 = row.try_get("kind")?;
    Ok(Some(if kind == 0 { Kind::Store } else { Kind::Warehouse }))
}
