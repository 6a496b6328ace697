//! SQL of tenants, stores, clerks, devices and keys.

use counterfoil_domain::{
    ids::{ClerkId, DeviceId, HistoryId, Place, StoreId, TenantId},
    offline::OfflineLimits,
    people::{Clerk, Role, Store},
    time::Millis,
    tokens::TokenKey,
    transition::{Device, genesis},
    words::Word,
};
use sqlx::{AnyConnection, Row, any::AnyRow};

use crate::{
    db::batch::select_by_id,
    db::{
        DbError,
        batch::{Text, execute_all, fetch, hash, id},
    },
    http::device_status,
};

const SELECT_STORES: Text = select_by_id!(
    "SELECT id, code, name_zh, name_en, time_zone, max_count, max_amount, max_each, max_per_member, max_hours, version FROM stores"
);
const SELECT_CLERKS: Text = select_by_id!("SELECT id, store, name, role, pin_hash, active, version FROM clerks");
const INSERT_CLERKS: Text = Text::new(
    "INSERT INTO clerks (tenant, id, store, name, role, pin_hash, active, created_at, version) VALUES ",
    " ON CONFLICT DO NOTHING RETURNING id",
);
const SELECT_DEVICES: Text =
    select_by_id!("SELECT id, store, status, epoch, last_seq, last_hash, settled_at, version FROM devices");
const UPDATE_DEVICES: Text = Text::new(
    "UPDATE devices SET status = v.column3, last_seq = v.column4, last_hash = v.column5, settled_at = v.column6, version = v.column7 FROM (VALUES ",
    ") AS v WHERE devices.tenant = $1 AND devices.id = v.column1 AND devices.version = v.column2",
);
const SELECT_KEYS: Text = Text::new(
    "SELECT key_id, public_key, version FROM token_keys WHERE tenant = $1 AND key_id IN (",
    ")",
);

/// A store as a row: with its limits and the row's version.
#[derive(Debug, Clone)]
pub struct StoreRow {
    /// The store.
    pub store: Store,
    /// What its counters may do offline.
    pub limits: OfflineLimits,
    /// Version of the row.
    pub version: i64,
}

/// Loads stores.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn load_stores(
    connection: &mut AnyConnection,
    tenant: TenantId,
    ids: &[StoreId],
) -> Result<Vec<StoreRow>, DbError> {
    fetch(connection, SELECT_STORES, "", tenant, ids, |b, id| {
        b.bytes(id.bytes());
    })
    .await?
    .read(read_store)
    .collect()
}

/// Stores behind `after`, by id.
///
/// # Errors
/// As [`load_stores`].
pub async fn stores_after(
    connection: &mut AnyConnection,
    tenant: TenantId,
    after: Option<StoreId>,
    rows: i64,
) -> Result<Vec<StoreRow>, DbError> {
    sqlx::query(
        "SELECT id, code, name_zh, name_en, time_zone, max_count, max_amount, max_each, max_per_member, max_hours, version FROM stores WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3",
    )
    .bind(tenant.bytes().to_vec())
    .bind(after.map_or_else(Vec::new, |id| id.bytes().to_vec()))
    .bind(rows)
    .fetch_all(connection)
    .await?
    .iter()
    .map(read_store)
    .collect()
}

fn read_store(row: &AnyRow) -> Result<StoreRow, DbError> {
    Ok(StoreRow {
        store: Store {
            id: id(row, "id", StoreId::from_bytes)?,
            code: row.try_get("code")?,
            name_zh: row.try_get("name_zh")?,
            name_en: row.try_get("name_en")?,
            time_zone: row.try_get("time_zone")?,
        },
        limits: OfflineLimits {
            max_count: row.try_get("max_count")?,
            max_amount: row.try_get("max_amount")?,
            max_each: row.try_get("max_each")?,
            max_per_member: row.try_get("max_per_member")?,
            max_hours: row.try_get("max_hours")?,
        },
        version: row.try_get("version")?,
    })
}

/// A store's place, for the ids of what happens there; 0 where there is no such store.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn place(connection: &mut AnyConnection, tenant: TenantId, store: StoreId) -> Result<Place, DbError> {
    let number: Option<i64> = sqlx::query_scalar("SELECT place FROM stores WHERE tenant = $1 AND id = $2")
        .bind(tenant.bytes().to_vec())
        .bind(store.bytes().to_vec())
        .fetch_optional(connection)
        .await?;
    number
        .map_or(Ok(Place::ZERO), Place::try_from)
        .map_err(|_| DbError::Decode { column: "place" })
}

/// The longest that a counter of the tenant's stores may be without head office, hours; 0 where there is no store.
///
/// # Errors
/// The driver's.
pub async fn longest_offline(connection: &mut AnyConnection, tenant: TenantId) -> Result<i64, DbError> {
    Ok(
        sqlx::query_scalar("SELECT COALESCE(MAX(max_hours), 0) FROM stores WHERE tenant = $1")
            .bind(tenant.bytes().to_vec())
            .fetch_one(connection)
            .await?,
    )
}

/// Stores a new store; its place is the one in its id.
///
/// # Errors
/// A constraint when the code is taken.
pub async fn insert_store(
    connection: &mut AnyConnection,
    tenant: TenantId,
    store: &Store,
    limits: &OfflineLimits,
    now: Millis,
) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO stores (tenant, id, code, name_zh, name_en, time_zone, max_count, max_amount, max_each, max_per_member, max_hours, created_at, place, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 1)",
    )
    .bind(tenant.bytes().to_vec())
    .bind(store.id.bytes().to_vec())
    .bind(store.code.clone())
    .bind(store.name_zh.clone())
    .bind(store.name_en.clone())
    .bind(store.time_zone.clone())
    .bind(limits.max_count)
    .bind(limits.max_amount)
    .bind(limits.max_each)
    .bind(limits.max_per_member)
    .bind(limits.max_hours)
    .bind(now)
    .bind(store.id.place().number())
    .execute(connection)
    .await?;
    Ok(())
}

/// Loads clerks with the version of their row.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn load_clerks(
    connection: &mut AnyConnection,
    tenant: TenantId,
    ids: &[ClerkId],
) -> Result<Vec<(i64, Clerk)>, DbError> {
    fetch(connection, SELECT_CLERKS, "", tenant, ids, |b, id| {
        b.bytes(id.bytes());
    })
    .await?
    .read(|row| {
        let role: String = row.try_get("role")?;
        let clerk = Clerk {
            id: id(row, "id", ClerkId::from_bytes)?,
            store: id(row, "store", StoreId::from_bytes)?,
            name: row.try_get("name")?,
            role: Role::parse(&role).ok_or(DbError::Decode { column: "role" })?,
            pin_hash: row.try_get("pin_hash")?,
            active: row.try_get::<i64, _>("active")? == 1,
        };
        Ok((row.try_get("version")?, clerk))
    })
    .collect()
}

/// Stores a new clerk.
///
/// # Errors
/// A constraint when the name is taken in this store.
pub async fn insert_clerk(
    connection: &mut AnyConnection,
    tenant: TenantId,
    clerk: &Clerk,
    now: Millis,
) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO clerks (tenant, id, store, name, role, pin_hash, active, created_at, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1)",
    )
    .bind(tenant.bytes().to_vec())
    .bind(clerk.id.bytes().to_vec())
    .bind(clerk.store.bytes().to_vec())
    .bind(clerk.name.clone())
    .bind(clerk.role.as_str().to_owned())
    .bind(clerk.pin_hash.clone())
    .bind(i64::from(clerk.active))
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

/// Stores those of the clerks that are new; their ids.
///
/// # Errors
/// The driver's.
pub async fn insert_new_clerks(
    connection: &mut AnyConnection,
    tenant: TenantId,
    clerks: &[Clerk],
    now: Millis,
) -> Result<Vec<ClerkId>, DbError> {
    fetch(connection, INSERT_CLERKS, "", tenant, clerks, |b, clerk| {
        b.bytes(clerk.id.bytes())
            .bytes(clerk.store.bytes())
            .text(&clerk.name)
            .text(clerk.role.as_str())
            .text(&clerk.pin_hash)
            .number(i64::from(clerk.active))
            .number(now)
            .number(1);
    })
    .await?
    .read(|row| id(row, "id", ClerkId::from_bytes))
    .collect()
}

fn read_device(row: &AnyRow) -> Result<Device, DbError> {
    Ok(Device {
        id: id(row, "id", DeviceId::from_bytes)?,
        store: id(row, "store", StoreId::from_bytes)?,
        status: device_status(row)?,
        epoch: row.try_get("epoch")?,
        last_seq: row.try_get("last_seq")?,
        last_hash: hash(row, "last_hash")?,
        settled_at: row.try_get("settled_at")?,
        version: row.try_get("version")?,
    })
}

/// Adds a device whose journal is empty.
///
/// # Errors
/// The driver's; a broken constraint when there is such a device.
pub async fn insert_device(
    connection: &mut AnyConnection,
    tenant: TenantId,
    device: DeviceId,
    store: StoreId,
    name: &str,
    public_key: &[u8; 32],
    now: Millis,
) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO devices (tenant, id, store, name, public_key, status, epoch, last_seq, last_hash, enrolled_at, version) VALUES ($1, $2, $3, $4, $5, 'active', 1, 0, $6, $7, 1)",
    )
    .bind(tenant.bytes().to_vec())
    .bind(device.bytes().to_vec())
    .bind(store.bytes().to_vec())
    .bind(name.to_owned())
    .bind(public_key.to_vec())
    .bind(genesis().to_vec())
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

/// Loads devices; `lock` holds them until the transaction ends.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn load_devices(
    connection: &mut AnyConnection,
    tenant: TenantId,
    ids: &[DeviceId],
    lock: &'static str,
) -> Result<Vec<Device>, DbError> {
    fetch(connection, SELECT_DEVICES, lock, tenant, ids, |b, id| {
        b.bytes(id.bytes());
    })
    .await?
    .read(read_device)
    .collect()
}

/// Stores devices that changed, each with the version it was loaded at.
///
/// # Errors
/// [`DbError::RowCount`] when one of them is no longer at that version.
pub async fn update_devices(
    connection: &mut AnyConnection,
    tenant: TenantId,
    devices: &[(i64, &Device)],
) -> Result<(), DbError> {
    execute_all(
        connection,
        "devices",
        UPDATE_DEVICES,
        tenant,
        devices,
        |b, (loaded, device)| {
            b.bytes(device.id.bytes())
                .number(*loaded)
                .text(device.status.as_str())
                .number(device.last_seq)
                .bytes(&device.last_hash)
                .number_or_null(device.settled_at)
                .number(device.version);
        },
    )
    .await
}

/// A device and the history it is part of, in one read: what every sync begins and ends with.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn device_in_history<'c>(
    connection: impl sqlx::Executor<'c, Database = sqlx::Any>,
    tenant: TenantId,
    device: DeviceId,
) -> Result<Option<(HistoryId, Device)>, DbError> {
    let row = sqlx::query(
        "SELECT COALESCE(t.history_id, h.history_id) AS history_id, d.id, d.store, d.status, d.epoch, d.last_seq, d.last_hash, d.settled_at, d.version FROM devices d CROSS JOIN history h LEFT JOIN histories t ON t.tenant = $1 WHERE d.tenant = $1 AND d.id = $2",
    )
    .bind(tenant.bytes().to_vec())
    .bind(device.bytes().to_vec())
    .fetch_optional(connection)
    .await?;
    row.map(|row| Ok((id(&row, "history_id", HistoryId::from_bytes)?, read_device(&row)?)))
        .transpose()
}

/// Loads public keys of tokens with the version of their row.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn load_token_keys(
    connection: &mut AnyConnection,
    tenant: TenantId,
    ids: &[u32],
) -> Result<Vec<(i64, TokenKey)>, DbError> {
    fetch(connection, SELECT_KEYS, "", tenant, ids, |b, id| {
        b.number(i64::from(*id));
    })
    .await?
    .read(|row| {
        let key = TokenKey {
            key_id: u32::try_from(row.try_get::<i64, _>("key_id")?)
                .map_err(|_| DbError::Decode { column: "key_id" })?,
            public_key: hex::encode(hash(row, "public_key")?),
        };
        Ok((row.try_get("version")?, key))
    })
    .collect()
}

/// Finds a store by its code.
///
/// # Errors
/// The driver's, and [`DbError::Config`] when there is none.
pub async fn find_store(connection: &mut AnyConnection, tenant: TenantId, code: &str) -> Result<StoreId, DbError> {
    let row = sqlx::query("SELECT id FROM stores WHERE tenant = $1 AND code = $2")
        .bind(tenant.bytes().to_vec())
        .bind(code.to_owned())
        .fetch_optional(connection)
        .await?;
    match row {
        Some(row) => id(&row, "id", StoreId::from_bytes),
        None => Err(DbError::config(format!("there is no store {code}"))),
    }
}
