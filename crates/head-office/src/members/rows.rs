//! SQL of members.

use counterfoil_domain::{
    ids::{MemberId, StoreId, TenantId},
    people::Member,
    time::Millis,
};
use sqlx::{AnyConnection, Row};

use crate::{
    db::{
        DbError,
        batch::{Text, execute_all, fetch, id},
    },
    select_by_id,
};

const SELECT: Text = select_by_id!("SELECT id, number, name, phone, recent_stores, version FROM members");
const UPDATE: Text = Text {
    head: "UPDATE members SET recent_stores = v.column2, version = members.version + 1 FROM (VALUES ",
    tail: ") AS v WHERE members.tenant = $1 AND members.id = v.column1",
    columns: 2,
    tenant_first: false,
    pad: true,
};
const INSERT: Text = Text {
    head: "INSERT INTO members (tenant, id, number, name, phone, recent_stores, created_at, version) VALUES ",
    tail: " ON CONFLICT DO NOTHING",
    columns: 7,
    tenant_first: true,
    pad: true,
};

fn stores(bytes: &[u8]) -> Result<Vec<StoreId>, DbError> {
    bytes
        .chunks(16)
        .map(|id| {
            StoreId::from_bytes(id).map_err(|_| DbError::Decode {
                column: "recent_stores",
            })
        })
        .collect()
}

fn bytes(stores: &[StoreId]) -> Vec<u8> {
    stores.iter().flat_map(|store| *store.bytes()).collect()
}

/// Loads members with the version of their row.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn load(
    connection: &mut AnyConnection,
    tenant: TenantId,
    ids: &[MemberId],
) -> Result<Vec<(i64, Member)>, DbError> {
    fetch(connection, SELECT, "", tenant, ids, |b, id| {
        b.bytes(id.bytes());
    })
    .await?
    .iter()
    .map(|row| {
        let member = Member {
            id: id(row, "id", MemberId::from_bytes)?,
            number: row.try_get("number")?,
            name: row.try_get("name")?,
            phone: row.try_get("phone")?,
            recent_stores: stores(&row.try_get::<Vec<u8>, _>("recent_stores")?)?,
        };
        Ok((row.try_get("version")?, member))
    })
    .collect()
}

/// Stores where members were seen. Two writers at once: the later one wins, which loses at most a convenience.
///
/// # Errors
/// [`DbError::RowCount`] when a member is gone.
pub async fn update_stores(
    connection: &mut AnyConnection,
    tenant: TenantId,
    members: &[Member],
) -> Result<(), DbError> {
    execute_all(connection, "members", UPDATE, tenant, members, |b, member| {
        b.bytes(member.id.bytes()).bytes(&bytes(&member.recent_stores));
    })
    .await
}

/// Stores new members.
///
/// # Errors
/// [`DbError::RowCount`] when a number is taken.
pub async fn insert(
    connection: &mut AnyConnection,
    tenant: TenantId,
    members: &[Member],
    now: Millis,
) -> Result<(), DbError> {
    execute_all(connection, "members", INSERT, tenant, members, |b, member| {
        b.bytes(member.id.bytes())
            .text(&member.number)
            .text(&member.name)
            .text(&member.phone)
            .bytes(&bytes(&member.recent_stores))
            .number(now)
            .number(1);
    })
    .await
}
