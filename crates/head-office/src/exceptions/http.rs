//! Routes of cases.

use std::sync::Arc;

use axum::{Json, extract::State};
use counterfoil_domain::{
    ids::{OperationId, StoreId, TenantId},
    operations::ExceptionKind,
    time::Millis,
    words::Word,
};
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, Row, any::AnyRow};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{
    app::App,
    db::{DbError, batch::id},
    http::{ApiError, Operator, Page, Paging, Path, Query},
};

/// These routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show))
}

/// Where a case stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, strum::IntoStaticStr, strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
enum Status {
    /// It waits for a person.
    Open,
    /// What caused it was taken back.
    Voided,
    /// A person has decided.
    Decided,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Only cases that stand so.
    #[param(inline)]
    status: Option<Status>,
    /// Only cases of this store.
    #[param(value_type = Option<Uuid>)]
    store: Option<StoreId>,
    /// `next` of the page before.
    after: Option<String>,
    /// Most rows.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// A case.
#[derive(Debug, Serialize, ToSchema)]
struct Case {
    /// The operation that broke a rule.
    #[schema(value_type = Uuid)]
    operation: OperationId,
    /// Which rule, as `double_redeem`. An operation has a case for each rule that it broke.
    kind: String,
    /// Where it happened.
    #[schema(value_type = Uuid)]
    store: StoreId,
    /// What it is about: `coupon`, `order`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    subject_kind: Option<String>,
    /// Its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Uuid>,
    /// Loss booked to the store, minor units.
    loss: i64,
    /// Where the case stands.
    status: Status,
    /// When it was opened, UTC ms.
    opened_at: Millis,
    /// When it was closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_at: Option<Millis>,
    /// What was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// List cases.
///
/// The one opened last first.
#[utoipa::path(
    get, path = "/v1/exceptions", tag = "exceptions", operation_id = "list_exceptions", params(Wanted),
    responses((status = 200, description = "A page", body = Page<Case>)),
    security(("operator" = ["admin", "operator", "auditor"]))
)]
async fn list(
    State(app): State<Arc<App>>,
    operator: Operator,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<Case>>, ApiError> {
    let paging = Paging::<(Millis, OperationId, String)>::read(wanted.after.as_deref(), wanted.limit)?;
    let mut connection = app.db.reader().acquire().await.map_err(DbError::from)?;
    let found = cases(
        &mut connection,
        operator.tenant,
        &wanted,
        paging.after.clone(),
        paging.rows(),
    )
    .await?;
    Ok(Json(paging.page(found, |last| {
        (last.opened_at, last.operation, last.kind.clone())
    })))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// By which rule; absent = by the one that the operation's outcome names.
    #[param(value_type = Option<String>)]
    kind: Option<ExceptionKind>,
}

/// Show a case.
#[utoipa::path(
    get, path = "/v1/exceptions/{operation}", tag = "exceptions", operation_id = "show_exception",
    params(("operation" = Uuid, Path, description = "The operation that broke a rule"), Which),
    responses((status = 200, description = "The case", body = Case)),
    security(("operator" = ["admin", "operator", "auditor"]))
)]
async fn show(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(operation): Path<OperationId>,
    Query(which): Query<Which>,
) -> Result<Json<Case>, ApiError> {
    let row = sqlx::query(
        "SELECT x.operation AS operation, x.kind AS kind, x.store AS store, x.subject_kind AS subject_kind, x.subject AS subject, x.loss AS loss, x.status AS status, x.opened_at AS opened_at, x.closed_at AS closed_at, x.note AS note
         FROM exceptions x JOIN operations o ON o.tenant = x.tenant AND o.id = x.operation WHERE x.tenant = $1 AND x.operation = $2 AND (x.kind = $3 OR ($3 = '' AND x.kind = o.detail))",
    )
    .bind(operator.tenant.bytes().to_vec())
    .bind(operation.bytes().to_vec())
    .bind(which.kind.map_or("", ExceptionKind::as_str).to_owned())
    .fetch_optional(app.db.reader())
    .await
    .map_err(DbError::from)?;
    let row = row.ok_or_else(ApiError::not_found)?;
    Ok(Json(read(&row)?))
}

async fn cases(
    connection: &mut AnyConnection,
    tenant: TenantId,
    wanted: &Wanted,
    before: Option<(Millis, OperationId, String)>,
    rows: i64,
) -> Result<Vec<Case>, DbError> {
    let (opened, operation, kind) = before.map_or_else(
        || (i64::MAX, vec![0xff; 16], String::new()),
        |(opened, operation, kind)| (opened, operation.bytes().to_vec(), kind),
    );
    sqlx::query(
        "SELECT operation, kind, store, subject_kind, subject, loss, status, opened_at, closed_at, note FROM exceptions WHERE tenant = $1 AND ($2 = '' OR status = $2) AND ($3 = 0 OR store = $4) AND (opened_at < $5 OR (opened_at = $5 AND (operation < $6 OR (operation = $6 AND kind > $7)))) ORDER BY opened_at DESC, operation DESC, kind LIMIT $8",
    )
    .bind(tenant.bytes().to_vec())
    .bind(wanted.status.map_or("", Status::as_str).to_owned())
    .bind(i64::from(wanted.store.is_some()))
    .bind(wanted.store.map_or_else(Vec::new, |store| store.bytes().to_vec()))
    .bind(opened)
    .bind(operation)
    .bind(kind)
    .bind(rows)
    .fetch_all(connection)
    .await?
    .iter()
    .map(read)
    .collect()
}

fn read(row: &AnyRow) -> Result<Case, DbError> {
    let status: String = row.try_get("status")?;
    let subject: Option<Vec<u8>> = row.try_get("subject")?;
    Ok(Case {
        operation: id(row, "operation", OperationId::from_bytes)?,
        kind: row.try_get("kind")?,
        store: id(row, "store", StoreId::from_bytes)?,
        subject_kind: row.try_get("subject_kind")?,
        subject: subject
            .map(|bytes| Uuid::from_slice(&bytes).map_err(|_| DbError::Decode { column: "subject" }))
            .transpose()?,
        loss: row.try_get("loss")?,
        status: Status::parse(&status).ok_or(DbError::Decode { column: "status" })?,
        opened_at: row.try_get("opened_at")?,
        closed_at: row.try_get("closed_at")?,
        note: row.try_get("note")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_cases_are_what_they_were() {
        for (status, word) in [
            (Status::Open, "open"),
            (Status::Voided, "voided"),
            (Status::Decided, "decided"),
        ] {
            assert_eq!((status.as_str(), Status::parse(word)), (word, Some(status)));
        }
    }
}
