//! Under which terms coupons of a template are given: one reading of them for claims, grants and batches, whoever asks.

use counterfoil_domain::{
    ids::{TemplateId, TenantId},
    transition::{self, LimitCounts},
    words::Word,
};
use sqlx::{AnyConnection, Row, any::AnyRow};

use crate::db::DbError;

/// What a template's latest published version says about giving its coupons out.
#[derive(Debug, Clone)]
pub struct Latest {
    /// When, how many, and how long they are valid.
    pub terms: transition::Terms,
    /// For the codes.
    pub line: String,
    /// For the codes.
    pub category: String,
}

/// Loads them; a template that was taken back has none.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn latest(
    connection: &mut AnyConnection,
    tenant: TenantId,
    template: TemplateId,
) -> Result<Option<Latest>, DbError> {
    sqlx::query("SELECT template_version, status, claim_from, claim_until, member_limit, limit_counts, valid_from, valid_until, valid_days, product_line, category FROM templates WHERE tenant = $1 AND id = $2 AND status = 'published' ORDER BY template_version DESC LIMIT 1")
        .bind(tenant.bytes().to_vec())
        .bind(template.bytes().to_vec())
        .fetch_optional(connection)
        .await?
        .map(|row| {
            Ok(Latest {
                terms: read(&row)?,
                line: row.try_get("product_line")?,
                category: row.try_get("category")?,
            })
        })
        .transpose()
}

/// Reads them from a template's row.
///
/// # Errors
/// As [`latest`].
pub fn read(row: &AnyRow) -> Result<transition::Terms, DbError> {
    let status: String = row.try_get("status")?;
    let counts: String = row.try_get("limit_counts")?;
    Ok(transition::Terms {
        version: row.try_get("template_version")?,
        published: status == "published",
        claim_from: row.try_get("claim_from")?,
        claim_until: row.try_get("claim_until")?,
        member_limit: row.try_get("member_limit")?,
        limit_counts: LimitCounts::parse(&counts).ok_or(DbError::Decode { column: "limit_counts" })?,
        valid_from: row.try_get("valid_from")?,
        valid_until: row.try_get("valid_until")?,
        valid_days: row.try_get("valid_days")?,
    })
}
