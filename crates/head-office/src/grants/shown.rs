//! A grant as people are shown it.

use counterfoil_domain::{
    ids::{BatchId, GrantId, JobId, TemplateId, TenantId},
    time::Millis,
    transition::Audience,
    words::Word,
};
use serde::Serialize;
use sqlx::{AnyConnection, Row, any::AnyRow};
use utoipa::ToSchema;

use crate::db::{
    DbError,
    batch::{id, id_or_null},
};

/// A grant.
#[derive(Debug, Serialize, ToSchema)]
pub struct GrantView {
    /// Its id.
    #[schema(value_type = Uuid)]
    pub id: GrantId,
    /// Of which template.
    #[schema(value_type = Uuid)]
    pub template: TemplateId,
    /// Of which version of it.
    pub template_version: i64,
    /// The batch that its coupons are made in.
    #[schema(value_type = Uuid)]
    pub batch: BatchId,
    /// `list` or `all`.
    #[schema(value_type = String)]
    pub audience: Audience,
    /// `open`, `paused` or `closed`.
    pub status: String,
    /// How many members it is for.
    pub members: i64,
    /// How many have theirs.
    pub given: i64,
    /// When it was made, UTC ms.
    pub created_at: Millis,
    /// The job that gives a list theirs.
    #[schema(value_type = Option<Uuid>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
}

const SHOWN: &str = "SELECT g.id AS id, g.template AS template, g.template_version AS template_version, g.batch AS batch, g.audience AS audience, g.status AS status, g.members AS members, b.claimed AS given, g.created_at AS created_at, j.id AS job FROM grants g JOIN batches b ON b.tenant = g.tenant AND b.id = g.batch LEFT JOIN jobs j ON j.tenant = g.tenant AND j.subject = g.id AND j.kind = 'grant'";

fn shown(row: &AnyRow) -> Result<GrantView, DbError> {
    let audience: String = row.try_get("audience")?;
    Ok(GrantView {
        id: id(row, "id", GrantId::from_bytes)?,
        template: id(row, "template", TemplateId::from_bytes)?,
        template_version: row.try_get("template_version")?,
        batch: id(row, "batch", BatchId::from_bytes)?,
        audience: Audience::parse(&audience).ok_or(DbError::Decode { column: "audience" })?,
        status: row.try_get("status")?,
        members: row.try_get("members")?,
        given: row.try_get("given")?,
        created_at: row.try_get("created_at")?,
        job: id_or_null(row, "job", JobId::from_bytes)?,
    })
}

/// A grant.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn show(
    connection: &mut AnyConnection,
    tenant: TenantId,
    grant: GrantId,
) -> Result<Option<GrantView>, DbError> {
    let sql = format!("{SHOWN} WHERE g.tenant = $1 AND g.id = $2");
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(tenant.bytes().to_vec())
        .bind(grant.bytes().to_vec())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(shown).transpose()
}

/// A page of grants, the latest first: those before `before`.
///
/// # Errors
/// As [`show`].
pub async fn page(
    connection: &mut AnyConnection,
    tenant: TenantId,
    before: Option<GrantId>,
    limit: i64,
) -> Result<Vec<GrantView>, DbError> {
    let before = before.map_or(vec![0xff; 16], |id| id.bytes().to_vec());
    let sql = format!("{SHOWN} WHERE g.tenant = $1 AND g.id < $2 ORDER BY g.id DESC LIMIT $3");
    sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(tenant.bytes().to_vec())
        .bind(before)
        .bind(limit)
        .fetch_all(connection)
        .await?
        .iter()
        .map(shown)
        .collect()
}
