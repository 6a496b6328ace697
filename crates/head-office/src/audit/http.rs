//! Routes of the audit log.

use std::sync::Arc;

use axum::{Json, extract::State};
use counterfoil_domain::{
    ids::{OperationId, TenantId},
    time::Millis,
};
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, Row};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    db::{DbError, batch::id},
    http::{ApiError, Operator, Page, Paging, Query},
};

/// These routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Only lines of this actor: `admin`, `operator:<id>`, `device`.
    #[param(max_length = 64)]
    actor: Option<String>,
    /// `next` of the page before.
    after: Option<String>,
    /// Most rows.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// A line of the audit log.
#[derive(Debug, Serialize, ToSchema)]
struct AuditLine {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    id: OperationId,
    /// When, UTC ms.
    at: Millis,
    /// Who: `admin` on the command line, `operator:<id>`, `device`.
    actor: String,
    /// What was done.
    action: String,
    /// To what.
    detail: String,
}

/// List the audit log.
///
/// The latest line first.
#[utoipa::path(
    get, path = "/v1/audit", tag = "audit", operation_id = "list_audit", params(Wanted),
    responses((status = 200, description = "A page", body = Page<AuditLine>)),
    security(("operator" = ["admin", "auditor"]))
)]
async fn list(
    State(app): State<Arc<App>>,
    operator: Operator,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<AuditLine>>, ApiError> {
    let paging = Paging::<OperationId>::read(wanted.after.as_deref(), wanted.limit)?;
    let mut connection = app.db.reader().acquire().await.map_err(DbError::from)?;
    let lines = lines(
        &mut connection,
        operator.tenant,
        wanted.actor.as_deref(),
        paging.after,
        paging.rows(),
    )
    .await?;
    Ok(Json(paging.page(lines, |last| last.id)))
}

async fn lines(
    connection: &mut AnyConnection,
    tenant: TenantId,
    actor: Option<&str>,
    before: Option<OperationId>,
    rows: i64,
) -> Result<Vec<AuditLine>, DbError> {
    sqlx::query(
        "SELECT id, at, actor, action, detail FROM audit WHERE tenant = $1 AND id < $2 AND ($3 = '' OR actor = $3) ORDER BY id DESC LIMIT $4",
    )
    .bind(tenant.bytes().to_vec())
    // No id is all ones: a version and a variant are in it.
    .bind(before.map_or_else(|| vec![0xff; 16], |id| id.bytes().to_vec()))
    .bind(actor.unwrap_or_default().to_owned())
    .bind(rows)
    .fetch_all(connection)
    .await?
    .iter()
    .map(|row| {
        Ok(AuditLine {
            id: id(row, "id", OperationId::from_bytes)?,
            at: row.try_get("at")?,
            actor: row.try_get("actor")?,
            action: row.try_get("action")?,
            detail: row.try_get("detail")?,
        })
    })
    .collect()
}
