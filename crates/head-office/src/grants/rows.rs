//! SQL of grants, but for what the engine reads and writes.

use counterfoil_domain::{
    ids::{BatchId, CouponId, GrantId, MemberId, TemplateId, TenantId},
    time::Millis,
    transition::{Audience, Grant, Part},
    words::Word,
};
use sqlx::{AnyConnection, Row};

use crate::db::{
    DbError,
    batch::{Text, execute_all, fetch, id, id_or_null, select_by_id},
};

const LIST: Text = Text::new(
    "INSERT INTO grant_members (tenant, grant_id, member) VALUES ",
    " ON CONFLICT DO NOTHING",
);

/// A grant's row to be.
#[derive(Debug)]
pub(super) struct NewGrant {
    pub id: GrantId,
    pub template: TemplateId,
    pub template_version: i64,
    pub batch: BatchId,
    pub audience: Audience,
    pub members: i64,
}

pub(super) async fn insert(
    connection: &mut AnyConnection,
    tenant: TenantId,
    new: &NewGrant,
    now: Millis,
) -> Result<(), DbError> {
    sqlx::query("INSERT INTO grants (tenant, id, template, template_version, batch, audience, status, members, created_at) VALUES ($1, $2, $3, $4, $5, $6, 'open', $7, $8)")
        .bind(tenant.bytes().to_vec())
        .bind(new.id.bytes().to_vec())
        .bind(new.template.bytes().to_vec())
        .bind(new.template_version)
        .bind(new.batch.bytes().to_vec())
        .bind(new.audience.as_str())
        .bind(new.members)
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn list(
    connection: &mut AnyConnection,
    tenant: TenantId,
    grant: GrantId,
    members: &[MemberId],
) -> Result<(), DbError> {
    execute_all(connection, "grant_members", LIST, tenant, members, |b, member| {
        b.bytes(grant.bytes()).bytes(member.bytes());
    })
    .await
}

pub(super) async fn count_members(connection: &mut AnyConnection, tenant: TenantId) -> Result<i64, DbError> {
    Ok(sqlx::query_scalar("SELECT COUNT(*) FROM members WHERE tenant = $1")
        .bind(tenant.bytes().to_vec())
        .fetch_one(connection)
        .await?)
}

/// The members of a list behind `after`, in order.
pub(super) async fn listed_after(
    connection: &mut AnyConnection,
    tenant: TenantId,
    grant: GrantId,
    after: &[u8],
    limit: i64,
) -> Result<Vec<MemberId>, DbError> {
    sqlx::query(
        "SELECT member FROM grant_members WHERE tenant = $1 AND grant_id = $2 AND member > $3 ORDER BY member LIMIT $4",
    )
    .bind(tenant.bytes().to_vec())
    .bind(grant.bytes().to_vec())
    .bind(after.to_vec())
    .bind(limit)
    .fetch_all(connection)
    .await?
    .iter()
    .map(|row| id(row, "member", MemberId::from_bytes))
    .collect()
}

/// The open grants to everybody, and when they were made.
pub(super) async fn open_to_all(
    connection: &mut AnyConnection,
    tenant: TenantId,
) -> Result<Vec<(GrantId, Millis)>, DbError> {
    sqlx::query(
        "SELECT id, created_at FROM grants WHERE tenant = $1 AND audience = 'all' AND status = 'open' ORDER BY id",
    )
    .bind(tenant.bytes().to_vec())
    .fetch_all(connection)
    .await?
    .iter()
    .map(|row| Ok((id(row, "id", GrantId::from_bytes)?, row.try_get("created_at")?)))
    .collect()
}

/// Those of the grants to everybody that this member has no part of yet, and was a member for.
pub(super) async fn due_to(
    connection: &mut AnyConnection,
    tenant: TenantId,
    member: MemberId,
    open: &[(GrantId, Millis)],
) -> Result<Vec<GrantId>, DbError> {
    let joined: Option<Millis> = sqlx::query_scalar("SELECT created_at FROM members WHERE tenant = $1 AND id = $2")
        .bind(tenant.bytes().to_vec())
        .bind(member.bytes().to_vec())
        .fetch_optional(&mut *connection)
        .await?;
    let Some(joined) = joined else {
        return Ok(Vec::new());
    };
    let keys: Vec<(GrantId, MemberId)> = open
        .iter()
        .filter(|(_, made_at)| joined <= *made_at)
        .map(|(grant, _)| (*grant, member))
        .collect();
    let parts = load_parts(connection, tenant, &keys).await?;
    Ok(keys
        .into_iter()
        .filter(|key| !parts.iter().any(|part| (part.grant, part.member) == *key))
        .map(|(grant, _)| grant)
        .collect())
}

/// Pauses, resumes or closes a grant, if it stands where that is possible; false if not.
///
/// # Errors
/// The driver's.
pub async fn decide(
    connection: &mut AnyConnection,
    tenant: TenantId,
    grant: GrantId,
    from: &'static str,
    to: &'static str,
) -> Result<bool, DbError> {
    let sql = format!("UPDATE grants SET status = $1 WHERE tenant = $2 AND id = $3 AND status IN ({from})");
    let changed = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(to)
        .bind(tenant.bytes().to_vec())
        .bind(grant.bytes().to_vec())
        .execute(connection)
        .await?
        .rows_affected();
    Ok(changed == 1)
}

/// A member, their number, their coupon and when it was given.
pub type MemberPart = (MemberId, String, Option<CouponId>, Option<Millis>);

/// A page of a grant's members, by id.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn parts(
    connection: &mut AnyConnection,
    tenant: TenantId,
    grant: GrantId,
    after: Option<MemberId>,
    limit: i64,
) -> Result<Vec<MemberPart>, DbError> {
    let after = after.map_or(vec![0; 16], |id| id.bytes().to_vec());
    sqlx::query("SELECT p.member AS member, m.number AS number, p.coupon AS coupon, p.given_at AS given_at FROM grant_members p JOIN members m ON m.tenant = p.tenant AND m.id = p.member WHERE p.tenant = $1 AND p.grant_id = $2 AND p.member > $3 ORDER BY p.member LIMIT $4")
        .bind(tenant.bytes().to_vec())
        .bind(grant.bytes().to_vec())
        .bind(after)
        .bind(limit)
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| {
            Ok((
                id(row, "member", MemberId::from_bytes)?,
                row.try_get("number")?,
                id_or_null(row, "coupon", CouponId::from_bytes)?,
                row.try_get("given_at")?,
            ))
        })
        .collect()
}

const SELECT_GRANTS: Text = select_by_id!("SELECT id, template, template_version, batch, audience, status FROM grants");

const SELECT_PARTS: Text = Text::new(
    "SELECT grant_id, member, coupon FROM grant_members WHERE tenant = $1 AND (grant_id, member) IN (VALUES ",
    ")",
);

const INSERT_PARTS: Text = Text::new(
    "INSERT INTO grant_members (tenant, grant_id, member, coupon, given_at) VALUES ",
    " ON CONFLICT DO NOTHING",
);

const GIVE_PARTS: Text = Text::new(
    "UPDATE grant_members SET coupon = v.column3, given_at = v.column4 FROM (VALUES ",
    ") AS v WHERE grant_members.tenant = $1 AND grant_members.grant_id = v.column1 AND grant_members.member = v.column2 AND grant_members.coupon IS NULL",
);

/// Loads grants.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn load_grants(
    connection: &mut AnyConnection,
    tenant: TenantId,
    ids: &[GrantId],
) -> Result<Vec<Grant>, DbError> {
    fetch(connection, SELECT_GRANTS, "", tenant, ids, |b, id| {
        b.bytes(id.bytes());
    })
    .await?
    .read(|row| {
        let audience: String = row.try_get("audience")?;
        let status: String = row.try_get("status")?;
        Ok(Grant {
            id: id(row, "id", GrantId::from_bytes)?,
            template: id(row, "template", TemplateId::from_bytes)?,
            template_version: row.try_get("template_version")?,
            batch: id(row, "batch", BatchId::from_bytes)?,
            audience: Audience::parse(&audience).ok_or(DbError::Decode { column: "audience" })?,
            open: status == "open",
        })
    })
    .collect()
}

/// Loads members' parts in grants.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn load_parts(
    connection: &mut AnyConnection,
    tenant: TenantId,
    keys: &[(GrantId, MemberId)],
) -> Result<Vec<Part>, DbError> {
    fetch(connection, SELECT_PARTS, "", tenant, keys, |b, (grant, member)| {
        b.bytes(grant.bytes()).bytes(member.bytes());
    })
    .await?
    .read(|row| {
        Ok(Part {
            grant: id(row, "grant_id", GrantId::from_bytes)?,
            member: id(row, "member", MemberId::from_bytes)?,
            given: id_or_null(row, "coupon", CouponId::from_bytes)?,
        })
    })
    .collect()
}

/// Stores who has their part of a grant; `due` were on its list before, `new` were not in any.
///
/// # Errors
/// [`DbError::RowCount`] when one of them has theirs already.
pub async fn store_parts(
    connection: &mut AnyConnection,
    tenant: TenantId,
    due: &[&Part],
    new: &[&Part],
    now: Millis,
) -> Result<(), DbError> {
    for (text, parts) in [(GIVE_PARTS, due), (INSERT_PARTS, new)] {
        if !parts.is_empty() {
            execute_all(connection, "grant_members", text, tenant, parts, |b, part| {
                b.bytes(part.grant.bytes())
                    .bytes(part.member.bytes())
                    .bytes_or_null(part.given.as_ref().map(|id| &id.bytes()[..]))
                    .number(now);
            })
            .await?;
        }
    }
    Ok(())
}
