//! SQL of the versions of the rule of earning.

use std::sync::Arc;

use counterfoil_domain::{ids::TenantId, points::earning::EarningRule, time::Millis};
use sqlx::{AnyConnection, Row, any::AnyRow};
use uuid::Uuid;

use crate::db::{
    DbError,
    batch::{Text, fetch, json, uuid_or_null},
};

const SELECT_RULES: Text = Text::new(
    "SELECT version, rule FROM earning_rules WHERE tenant = $1 AND version IN (",
    ") ORDER BY version",
);

/// Loads versions of the rule.
///
/// # Errors
/// As [`load`].
pub async fn load_rules(
    connection: &mut AnyConnection,
    tenant: TenantId,
    versions: &[i64],
) -> Result<Vec<Arc<EarningRule>>, DbError> {
    fetch(connection, SELECT_RULES, "", tenant, versions, |b, version| {
        b.number(*version);
    })
    .await?
    .read(|row| {
        let rule: EarningRule = json(row, "rule")?;
        Ok(Arc::new(EarningRule {
            version: row.try_get("version")?,
            ..rule
        }))
    })
    .collect()
}

/// A version of the rule as it was published.
#[derive(Debug, Clone)]
pub struct Published {
    /// What it says.
    pub rule: EarningRule,
    /// When.
    pub at: Millis,
    /// By which operator; `None` = on the command line.
    pub by: Option<Uuid>,
}

fn read_published(row: &AnyRow) -> Result<Published, DbError> {
    let rule: EarningRule = json(row, "rule")?;
    Ok(Published {
        rule: EarningRule {
            version: row.try_get("version")?,
            ..rule
        },
        at: row.try_get("published_at")?,
        by: uuid_or_null(row, "published_by")?,
    })
}

/// Versions of the rule below `before`, newest first.
///
/// # Errors
/// As [`load`].
pub async fn rules(
    connection: &mut AnyConnection,
    tenant: TenantId,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Published>, DbError> {
    sqlx::query(
        "SELECT version, rule, published_at, published_by FROM earning_rules WHERE tenant = $1 AND version < $2 ORDER BY version DESC LIMIT $3",
    )
    .bind(tenant.bytes().to_vec())
    .bind(before.unwrap_or(i64::MAX))
    .bind(limit)
    .fetch_all(connection)
    .await?
    .iter()
    .map(read_published)
    .collect()
}

/// The version of the rule that counts now.
///
/// # Errors
/// As [`load`].
pub async fn newest_rule(connection: &mut AnyConnection, tenant: TenantId) -> Result<Option<EarningRule>, DbError> {
    Ok(rules(connection, tenant, None, 1)
        .await?
        .pop()
        .map(|published| published.rule))
}

/// Stores a new version.
///
/// # Errors
/// [`DbError::RowCount`] when somebody else was first with it.
pub async fn insert_rule(
    connection: &mut AnyConnection,
    tenant: TenantId,
    published: &Published,
) -> Result<(), DbError> {
    let text = serde_json::to_string(&published.rule).map_err(|_| DbError::Decode { column: "rule" })?;
    let found = sqlx::query(
        "INSERT INTO earning_rules (tenant, version, rule, published_at, published_by) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
    )
    .bind(tenant.bytes().to_vec())
    .bind(published.rule.version)
    .bind(text)
    .bind(published.at)
    .bind(published.by.map(|by| by.as_bytes().to_vec()))
    .execute(connection)
    .await?
    .rows_affected();
    match found {
        1 => Ok(()),
        found => Err(DbError::RowCount {
            table: "earning_rules",
            expected: 1,
            found,
        }),
    }
}
