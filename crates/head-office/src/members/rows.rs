//! SQL of members.

use std::collections::BTreeMap;

use counterfoil_domain::{
    ids::{MemberId, StoreId, TenantId},
    people::Member,
    time::Millis,
    typed,
};
use sqlx::{AnyConnection, Row, any::AnyRow};

use crate::{
    db::batch::select_by_id,
    db::{
        DbError,
        batch::{Binds, Text, execute_all, fetch, id},
    },
};

const SELECT: Text = select_by_id!("SELECT id, number, name, phone, recent_stores, version FROM members");
const CONTACTS: Text = select_by_id!("SELECT id, number, email FROM members");
const SELECT_STANDING: Text = Text::new(
    "SELECT id, number, name, phone, recent_stores, version FROM members WHERE tenant = $1 AND merged_into IS NULL AND id IN (",
    ") ORDER BY id",
);
const UPDATE: Text = Text::new(
    "UPDATE members SET recent_stores = v.column3, version = members.version + 1 FROM (VALUES ",
    ") AS v WHERE members.tenant = $1 AND members.id = v.column1 AND members.version = v.column2",
);
const INSERT: Text = Text::new(
    "INSERT INTO members (tenant, id, number, name, phone, recent_stores, created_at, version) VALUES ",
    " ON CONFLICT DO NOTHING",
);
const INSERT_NEW: Text = INSERT.ending(" ON CONFLICT DO NOTHING RETURNING id");

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

fn read(row: &AnyRow) -> Result<Member, DbError> {
    Ok(Member {
        id: id(row, "id", MemberId::from_bytes)?,
        number: row.try_get("number")?,
        name: row.try_get("name")?,
        phone: row.try_get("phone")?,
        recent_stores: stores(&row.try_get::<Vec<u8>, _>("recent_stores")?)?,
    })
}

/// Loads members with the version of their row; `lock` holds them until the transaction ends: who hears of a row follows
/// from where its member was seen.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn load(
    connection: &mut AnyConnection,
    tenant: TenantId,
    ids: &[MemberId],
    lock: &'static str,
) -> Result<Vec<(i64, Member)>, DbError> {
    fetch(connection, SELECT, lock, tenant, ids, |b, id| {
        b.bytes(id.bytes());
    })
    .await?
    .read(|row| Ok((row.try_get("version")?, read(row)?)))
    .collect()
}

/// As [`load`], without those who were merged into others: nothing more is theirs.
///
/// # Errors
/// As [`load`].
pub async fn load_standing(
    connection: &mut AnyConnection,
    tenant: TenantId,
    ids: &[MemberId],
    lock: &'static str,
) -> Result<Vec<(i64, Member)>, DbError> {
    fetch(connection, SELECT_STANDING, lock, tenant, ids, |b, id| {
        b.bytes(id.bytes());
    })
    .await?
    .read(|row| Ok((row.try_get("version")?, read(row)?)))
    .collect()
}

/// Who a member is by now: whom they were merged into, else themselves. Nobody, if there is no such member.
///
/// # Errors
/// As [`load`].
pub async fn current(
    connection: &mut AnyConnection,
    tenant: TenantId,
    member: MemberId,
) -> Result<Option<MemberId>, DbError> {
    let row = sqlx::query("SELECT COALESCE(merged_into, id) AS id FROM members WHERE tenant = $1 AND id = $2")
        .bind(tenant.bytes().to_vec())
        .bind(member.bytes().to_vec())
        .fetch_optional(connection)
        .await?;
    row.map(|row| id(&row, "id", MemberId::from_bytes)).transpose()
}

/// Finds the member with this number, however it is typed; the number of who was merged finds whom they are one with.
///
/// # Errors
/// As [`load`].
pub async fn by_number(
    connection: &mut AnyConnection,
    tenant: TenantId,
    number: &str,
) -> Result<Option<Member>, DbError> {
    let row =
        sqlx::query(
            "SELECT m.id, m.number, m.name, m.phone, m.recent_stores FROM members n JOIN members m ON m.tenant = n.tenant AND m.id = COALESCE(n.merged_into, n.id) \
             WHERE n.tenant = $1 AND n.number = $2",
        )
            .bind(tenant.bytes().to_vec())
            .bind(typed::member_number(number))
            .fetch_optional(connection)
            .await?;
    row.as_ref().map(read).transpose()
}

/// The members who became one with this one.
///
/// # Errors
/// As [`load`].
pub async fn merged_into(
    connection: &mut AnyConnection,
    tenant: TenantId,
    member: MemberId,
) -> Result<Vec<MemberId>, DbError> {
    sqlx::query("SELECT id FROM members WHERE tenant = $1 AND merged_into = $2 ORDER BY id")
        .bind(tenant.bytes().to_vec())
        .bind(member.bytes().to_vec())
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| id(row, "id", MemberId::from_bytes))
        .collect()
}

/// Members behind `after`, by id; those with this phone number, however it is typed, or all.
///
/// # Errors
/// As [`load`].
pub async fn after(
    connection: &mut AnyConnection,
    tenant: TenantId,
    phone: Option<&str>,
    after: Option<MemberId>,
    rows: i64,
) -> Result<Vec<Member>, DbError> {
    // Two texts: each reads along its own index.
    let query = match phone {
        Some(_) => sqlx::query(
            "SELECT id, number, name, phone, recent_stores FROM members WHERE tenant = $1 AND id > $2 AND merged_into IS NULL AND phone = $4 ORDER BY id LIMIT $3",
        ),
        None => sqlx::query(
            "SELECT id, number, name, phone, recent_stores FROM members WHERE tenant = $1 AND id > $2 AND merged_into IS NULL ORDER BY id LIMIT $3",
        ),
    };
    let mut query = query
        .bind(tenant.bytes().to_vec())
        .bind(after.map_or_else(Vec::new, |id| id.bytes().to_vec()))
        .bind(rows);
    if let Some(phone) = phone {
        query = query.bind(typed::phone(phone));
    }
    query.fetch_all(connection).await?.iter().map(read).collect()
}

const SELECT_BY_NUMBER: Text = Text::new(
    "SELECT number, COALESCE(merged_into, id) AS id FROM members WHERE tenant = $1 AND number IN (",
    ")",
);

/// The members of these numbers, in the form they are stored in; a number that is nobody's is left out.
///
/// # Errors
/// As [`load`].
pub async fn ids_by_number(
    connection: &mut AnyConnection,
    tenant: TenantId,
    numbers: &[&str],
) -> Result<Vec<(String, MemberId)>, DbError> {
    fetch(connection, SELECT_BY_NUMBER, "", tenant, numbers, |b, number| {
        b.text(number);
    })
    .await?
    .read(|row| Ok((row.try_get("number")?, id(row, "id", MemberId::from_bytes)?)))
    .collect()
}

/// Finds a member with this phone number, however it is typed, the latest where several share it.
///
/// # Errors
/// As [`load`].
pub async fn by_phone(
    connection: &mut AnyConnection,
    tenant: TenantId,
    phone: &str,
) -> Result<Option<Member>, DbError> {
    let row = sqlx::query(
        "SELECT m.id, m.number, m.name, m.phone, m.recent_stores FROM members n JOIN members m ON m.tenant = n.tenant AND m.id = COALESCE(n.merged_into, n.id) \
         WHERE n.tenant = $1 AND n.phone = $2 ORDER BY n.id DESC LIMIT 1",
    )
    .bind(tenant.bytes().to_vec())
    .bind(typed::phone(phone))
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(read).transpose()
}

/// Stores where members were seen, each with the version the member was loaded at.
///
/// # Errors
/// [`DbError::RowCount`] when one of them is no longer at that version.
pub async fn update_stores(
    connection: &mut AnyConnection,
    tenant: TenantId,
    members: &[(i64, &Member)],
) -> Result<(), DbError> {
    execute_all(connection, "members", UPDATE, tenant, members, |b, (loaded, member)| {
        b.bytes(member.id.bytes())
            .number(*loaded)
            .bytes(&bytes(&member.recent_stores));
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
    execute_all(connection, "members", INSERT, tenant, members, bind_new(now)).await
}

/// Stores those of the members that are new; their ids.
///
/// # Errors
/// The driver's.
pub async fn insert_new(
    connection: &mut AnyConnection,
    tenant: TenantId,
    members: &[Member],
    now: Millis,
) -> Result<Vec<MemberId>, DbError> {
    fetch(connection, INSERT_NEW, "", tenant, members, bind_new(now))
        .await?
        .read(|row| id(row, "id", MemberId::from_bytes))
        .collect()
}

fn bind_new(now: Millis) -> impl Fn(&mut Binds, &Member) {
    move |b, member| {
        b.bytes(member.id.bytes())
            .text(&member.number)
            .text(&member.name)
            .text(&member.phone)
            .bytes(&bytes(&member.recent_stores))
            .number(now)
            .number(1);
    }
}

/// Members' numbers, and where they want mail.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn contacts(
    connection: &mut AnyConnection,
    tenant: TenantId,
    members: &[MemberId],
) -> Result<BTreeMap<MemberId, (String, Option<String>)>, DbError> {
    if members.is_empty() {
        return Ok(BTreeMap::new());
    }
    fetch(connection, CONTACTS, "", tenant, members, |b, id| {
        b.bytes(id.bytes());
    })
    .await?
    .read(|row| {
        let member = id(row, "id", MemberId::from_bytes)?;
        Ok((member, (row.try_get("number")?, row.try_get("email")?)))
    })
    .collect()
}
