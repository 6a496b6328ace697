//! SQL of template versions.

use counterfoil_domain::{
    ids::{TemplateId, TenantId},
    time::Millis,
    transition::LimitCounts,
    words::Word,
};
use serde::Serialize;
use sqlx::{
    Any, AnyConnection, AssertSqlSafe, Row,
    any::{AnyArguments, AnyRow},
    query::Query,
};

use super::{Checked, Status, Validity, Version, Window};
use crate::{
    coupons::rows::read_template,
    db::{DbError, batch::id},
};

const COLUMNS: &str = "id, template_version, status, name_zh, name_en, logo, category, product_line, currency, rule, scope, stacking, stores, valid_from, valid_until, valid_days, claim_from, claim_until, member_limit, limit_counts, offline, floor_limit, worth_unbounded, created_at, published_at, retired_at, ended_at, version";

fn read(row: &AnyRow) -> Result<Version, DbError> {
    let status: String = row.try_get("status")?;
    let limit_counts: String = row.try_get("limit_counts")?;
    let member_limit: i64 = row.try_get("member_limit")?;
    Ok(Version {
        template: read_template(row)?,
        status: Status::parse(&status).ok_or(DbError::Decode { column: "status" })?,
        logo: row.try_get("logo")?,
        category: row.try_get("category")?,
        product_line: row.try_get("product_line")?,
        validity: Validity {
            from: row.try_get("valid_from")?,
            until: row.try_get("valid_until")?,
            days: row.try_get("valid_days")?,
        },
        claim: Window {
            from: row.try_get("claim_from")?,
            until: row.try_get("claim_until")?,
        },
        member_limit: (member_limit > 0).then_some(member_limit),
        limit_counts: LimitCounts::parse(&limit_counts).ok_or(DbError::Decode { column: "limit_counts" })?,
        created_at: row.try_get("created_at")?,
        published_at: row.try_get("published_at")?,
        retired_at: row.try_get("retired_at")?,
        ended_at: row.try_get("ended_at")?,
        revision: row.try_get("version")?,
    })
}

/// Every version of a template, the latest first.
pub(super) async fn versions(
    connection: &mut AnyConnection,
    tenant: TenantId,
    id: TemplateId,
) -> Result<Vec<Version>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM templates WHERE tenant = $1 AND id = $2 ORDER BY template_version DESC");
    sqlx::query(AssertSqlSafe(sql))
        .bind(tenant.bytes().to_vec())
        .bind(id.bytes().to_vec())
        .fetch_all(connection)
        .await?
        .iter()
        .map(read)
        .collect()
}

/// The latest version of each template behind `after`, by id, of one status or of any.
pub(super) async fn latest(
    connection: &mut AnyConnection,
    tenant: TenantId,
    status: Option<Status>,
    after: Option<TemplateId>,
    rows: i64,
) -> Result<Vec<Version>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM templates t WHERE tenant = $1 AND id > $2 AND ($3 = '' OR status = $3) AND template_version = (SELECT MAX(o.template_version) FROM templates o WHERE o.tenant = t.tenant AND o.id = t.id) ORDER BY id LIMIT $4"
    );
    sqlx::query(AssertSqlSafe(sql))
        .bind(tenant.bytes().to_vec())
        .bind(after.map_or_else(Vec::new, |id| id.bytes().to_vec()))
        .bind(status.map_or("", Status::as_str).to_owned())
        .bind(rows)
        .fetch_all(connection)
        .await?
        .iter()
        .map(read)
        .collect()
}

fn json<T: Serialize>(value: &T, column: &'static str) -> Result<String, DbError> {
    serde_json::to_string(value).map_err(|_| DbError::Decode { column })
}

type Statement<'q> = Query<'q, Any, AnyArguments>;

/// Binds what is said of a version: the 20 columns in the order of both statements below.
fn bind<'q>(query: Statement<'q>, checked: &Checked) -> Result<Statement<'q>, DbError> {
    let stores = checked
        .stores
        .as_ref()
        .map(|stores| json(stores, "stores"))
        .transpose()?;
    Ok(query
        .bind(checked.name_zh.clone())
        .bind(checked.name_en.clone())
        .bind(checked.logo.clone())
        .bind(checked.category.clone())
        .bind(checked.product_line.clone())
        .bind(json(&checked.rule, "rule")?)
        .bind(json(&checked.scope, "scope")?)
        .bind(json(&checked.stacking, "stacking")?)
        .bind(stores)
        .bind(checked.validity.from)
        .bind(checked.validity.until)
        .bind(checked.validity.days)
        .bind(checked.claim.from)
        .bind(checked.claim.until)
        .bind(checked.member_limit.unwrap_or(0))
        .bind(checked.limit_counts.as_str().to_owned())
        .bind(checked.offline.as_str().to_owned())
        .bind(checked.floor_limit)
        .bind(checked.worth_unbounded))
}

/// Stores a new version, a draft or published from the start; false when there is one of this number.
pub(crate) async fn insert(
    connection: &mut AnyConnection,
    tenant: TenantId,
    (id, number): (TemplateId, i64),
    checked: &Checked,
    currency: &str,
    status: Status,
    now: Millis,
) -> Result<bool, DbError> {
    let query = sqlx::query(
        "INSERT INTO templates (name_zh, name_en, logo, category, product_line, rule, scope, stacking, stores, valid_from, valid_until, valid_days, claim_from, claim_until, member_limit, limit_counts, offline, floor_limit, worth_unbounded, tenant, id, template_version, status, currency, created_at, published_at, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, 1) ON CONFLICT DO NOTHING",
    );
    let inserted = bind(query, checked)?
        .bind(tenant.bytes().to_vec())
        .bind(id.bytes().to_vec())
        .bind(number)
        .bind(status.as_str())
        .bind(currency.to_owned())
        .bind(now)
        .bind((status == Status::Published).then_some(now))
        .execute(connection)
        .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Changes a draft; false when it is none, or was changed meanwhile.
pub(super) async fn update_draft(
    connection: &mut AnyConnection,
    tenant: TenantId,
    (id, number): (TemplateId, i64),
    revision: i64,
    checked: &Checked,
) -> Result<bool, DbError> {
    let query = sqlx::query(
        "UPDATE templates SET name_zh = $1, name_en = $2, logo = $3, category = $4, product_line = $5, rule = $6, scope = $7, stacking = $8, stores = $9, valid_from = $10, valid_until = $11, valid_days = $12, claim_from = $13, claim_until = $14, member_limit = $15, limit_counts = $16, offline = $17, floor_limit = $18, worth_unbounded = $19, version = version + 1 WHERE tenant = $20 AND id = $21 AND template_version = $22 AND status = 'draft' AND version = $23",
    );
    let updated = bind(query, checked)?
        .bind(tenant.bytes().to_vec())
        .bind(id.bytes().to_vec())
        .bind(number)
        .bind(revision)
        .execute(connection)
        .await?;
    Ok(updated.rows_affected() == 1)
}

/// Publishes a draft as it was read; false when it is none, or was changed meanwhile.
pub(super) async fn publish(
    connection: &mut AnyConnection,
    tenant: TenantId,
    draft: &Version,
    now: Millis,
) -> Result<bool, DbError> {
    let updated = sqlx::query(
        "UPDATE templates SET status = 'published', published_at = $1, version = version + 1 WHERE tenant = $2 AND id = $3 AND template_version = $4 AND status = 'draft' AND version = $5",
    )
    .bind(now)
    .bind(tenant.bytes().to_vec())
    .bind(draft.template.id.bytes().to_vec())
    .bind(draft.template.version)
    .bind(draft.revision)
    .execute(connection)
    .await?;
    Ok(updated.rows_affected() == 1)
}

/// Ends claims and grants of every published version; how many there were.
pub(super) async fn retire(
    connection: &mut AnyConnection,
    tenant: TenantId,
    id: TemplateId,
    now: Millis,
) -> Result<u64, DbError> {
    let updated = sqlx::query(
        "UPDATE templates SET status = 'retired', retired_at = $1, version = version + 1 WHERE tenant = $2 AND id = $3 AND status = 'published'",
    )
    .bind(now)
    .bind(tenant.bytes().to_vec())
    .bind(id.bytes().to_vec())
    .execute(connection)
    .await?;
    Ok(updated.rows_affected())
}

/// What is over by `$2` and not noted yet, of `$1`: the window in which it may be claimed, or a validity whose end is fixed.
macro_rules! over {
    () => {
        "SELECT id, template_version FROM templates WHERE tenant = $1 AND status = 'published' AND ended_at IS NULL AND claim_until <= $2
         UNION SELECT id, template_version FROM templates WHERE tenant = $1 AND status = 'published' AND ended_at IS NULL AND valid_days IS NULL AND valid_until <= $2"
    };
}

/// Whether a version is over that is not marked so.
pub(super) async fn any_is_over(
    connection: &mut AnyConnection,
    tenant: TenantId,
    now: Millis,
) -> Result<bool, DbError> {
    let found = sqlx::query(concat!(over!(), " LIMIT 1"))
        .bind(tenant.bytes().to_vec())
        .bind(now)
        .fetch_optional(connection)
        .await?;
    Ok(found.is_some())
}

/// Marks published versions that are over, at most so many; which they were.
pub(super) async fn end(
    connection: &mut AnyConnection,
    tenant: TenantId,
    now: Millis,
    limit: i64,
) -> Result<Vec<(TemplateId, i64)>, DbError> {
    sqlx::query(concat!(
        "UPDATE templates SET ended_at = $2, version = version + 1 WHERE tenant = $1 AND status = 'published' AND ended_at IS NULL AND (id, template_version) IN (",
        over!(),
        " LIMIT $3) RETURNING id, template_version"
    ))
    .bind(tenant.bytes().to_vec())
    .bind(now)
    .bind(limit)
    .fetch_all(connection)
    .await?
    .iter()
    .map(|row| Ok((id(row, "id", TemplateId::from_bytes)?, row.try_get("template_version")?)))
    .collect()
}
