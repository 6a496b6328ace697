//! A batch as people are shown it.

use counterfoil_domain::{
    ids::{BatchId, JobId, TemplateId, TenantId},
    time::Millis,
    transition::BatchStatus,
    words::Word,
};
use serde::Serialize;
use sqlx::{AnyConnection, Row, any::AnyRow};
use utoipa::ToSchema;

use super::Purpose;
use crate::db::{
    DbError,
    batch::{id, id_or_null},
};

/// A batch.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchView {
    /// Its id.
    #[schema(value_type = Uuid)]
    pub id: BatchId,
    /// Of which template.
    #[schema(value_type = Uuid)]
    pub template: TemplateId,
    /// Of which version of it.
    pub template_version: i64,
    /// `claim`, `print` or `grant`.
    #[schema(value_type = String)]
    pub purpose: Purpose,
    /// How many coupons it is to have.
    pub size: i64,
    /// How many there are.
    pub made: i64,
    /// How many were given to members.
    pub claimed: i64,
    /// `making`, `ready` or `closed`.
    #[schema(value_type = String)]
    pub status: BatchStatus,
    /// When it was begun, UTC ms.
    pub created_at: Millis,
    /// The job that makes it.
    #[schema(value_type = Option<Uuid>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
}

const SHOWN: &str = "SELECT b.id AS id, b.template AS template, b.template_version AS template_version, b.purpose AS purpose, b.size AS size, b.made AS made, b.claimed AS claimed, b.status AS status, b.created_at AS created_at, j.id AS job FROM batches b LEFT JOIN jobs j ON j.tenant = b.tenant AND j.subject = b.id AND j.kind = 'batch'";

fn shown(row: &AnyRow) -> Result<BatchView, DbError> {
    let purpose: String = row.try_get("purpose")?;
    let status: String = row.try_get("status")?;
    Ok(BatchView {
        id: id(row, "id", BatchId::from_bytes)?,
        template: id(row, "template", TemplateId::from_bytes)?,
        template_version: row.try_get("template_version")?,
        purpose: Purpose::parse(&purpose).ok_or(DbError::Decode { column: "purpose" })?,
        size: row.try_get("size")?,
        made: row.try_get("made")?,
        claimed: row.try_get("claimed")?,
        status: BatchStatus::parse(&status).ok_or(DbError::Decode { column: "status" })?,
        created_at: row.try_get("created_at")?,
        job: id_or_null(row, "job", JobId::from_bytes)?,
    })
}

/// A batch.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn show(
    connection: &mut AnyConnection,
    tenant: TenantId,
    batch: BatchId,
) -> Result<Option<BatchView>, DbError> {
    let sql = format!("{SHOWN} WHERE b.tenant = $1 AND b.id = $2");
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(tenant.bytes().to_vec())
        .bind(batch.bytes().to_vec())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(shown).transpose()
}

/// A page of batches, the latest first: those before `before`, of one template or of all.
///
/// # Errors
/// As [`show`].
pub async fn page(
    connection: &mut AnyConnection,
    tenant: TenantId,
    template: Option<TemplateId>,
    before: Option<BatchId>,
    limit: i64,
) -> Result<Vec<BatchView>, DbError> {
    let before = before.map_or(vec![0xff; 16], |id| id.bytes().to_vec());
    let of = if template.is_some() { " AND b.template = $4" } else { "" };
    let sql = format!("{SHOWN} WHERE b.tenant = $1 AND b.id < $2{of} ORDER BY b.id DESC LIMIT $3");
    let mut query = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(tenant.bytes().to_vec())
        .bind(before)
        .bind(limit);
    if let Some(template) = template {
        query = query.bind(template.bytes().to_vec());
    }
    query.fetch_all(connection).await?.iter().map(shown).collect()
}
