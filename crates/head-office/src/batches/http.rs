//! Routes of batches.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use counterfoil_domain::ids::{BatchId, JobId, TemplateId, TenantId};
use counterfoil_protocol::problem::Code;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    MOST, New, NotMade, Purpose, rows,
    shown::{self, BatchView},
};
use crate::{
    app::App,
    db::DbError,
    deed::Deed,
    http::{
        ApiError, Asked, CutOff, Fields, File, Format, Nothing, Operator, Page, Pages, Paging, Path, Query, Table,
        exported,
    },
    jobs,
};

/// Codes read at once for an export.
const EXPORTED: i64 = 2_000;

/// These routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show))
        .routes(routes!(close))
        .routes(routes!(codes))
}

/// A batch to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewBatch {
    /// Of which template: its latest published version.
    #[schema(value_type = Uuid)]
    template: TemplateId,
    /// How many coupons.
    #[schema(minimum = 1, maximum = 20_000_000)]
    count: i64,
    /// `claim`: members claim them. `print`: their codes are printed, and whoever holds one may use it.
    #[serde(default = "claim")]
    #[schema(value_type = String)]
    purpose: Purpose,
}

fn claim() -> Purpose {
    Purpose::Claim
}

/// A batch that was begun.
#[derive(Debug, Serialize, ToSchema)]
struct BatchBegun {
    /// The batch.
    #[schema(value_type = Uuid)]
    batch: BatchId,
    /// The job that makes its codes: see `/v1/jobs/{id}`.
    #[schema(value_type = Uuid)]
    job: JobId,
}

impl From<NotMade> for ApiError {
    fn from(error: NotMade) -> Self {
        let mut fields = Fields::default();
        match error {
            NotMade::Db(error) => return error.into(),
            NotMade::Over | NotMade::Full => return Self::detailed(Code::StateConflict, error.to_string()),
            NotMade::NoTemplate => fields.refuse("template", "unknown", error.to_string()),
            NotMade::Count => fields.refuse("count", "out_of_range", error.to_string()),
        }
        fields.done().err().unwrap_or_else(Self::internal)
    }
}

/// Begin a batch.
///
/// Answers at once; a job makes the codes in the background.
#[utoipa::path(
    post, path = "/v1/batches", tag = "batches", operation_id = "create_batch", request_body = NewBatch,
    responses((status = 202, description = "The batch and its job", body = BatchBegun)),
    security(("operator" = ["admin", "operator"]))
)]
async fn create(State(app): State<Arc<App>>, operator: Operator, asked: Asked<NewBatch>) -> Result<Response, ApiError> {
    let actor = operator.actor();
    let now = app.clock.now();
    let effect = async |deed: &mut Deed<'_>, new: NewBatch| {
        let mut fields = Fields::default();
        fields.range("count", new.count, 1..=MOST);
        fields.check(
            new.purpose != Purpose::Grant,
            "purpose",
            "out_of_range",
            "claim or print",
        );
        fields.done()?;
        let new = New {
            template: new.template,
            count: new.count,
            purpose: new.purpose,
        };
        let (batch, job) = super::create(deed, app.random.as_ref(), operator.tenant, new, now).await?;
        let detail = batch.to_string();
        deed.audit("batch.begun", &detail).await?;
        Ok((StatusCode::ACCEPTED, BatchBegun { batch, job: job.id }))
    };
    let answer = asked.decide(&app, actor.clone(), effect).await?;
    app.jobs.notify_one();
    Ok(answer)
}

/// Which batches.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Of this template only.
    #[param(value_type = Option<Uuid>)]
    template: Option<TemplateId>,
    /// `next` of the page before.
    after: Option<String>,
    /// Rows of a page, at most 200.
    limit: Option<u32>,
}

/// The batches, the latest first.
#[utoipa::path(
    get, path = "/v1/batches", tag = "batches", operation_id = "list_batches", params(Which),
    responses((status = 200, description = "A page of batches", body = Page<BatchView>)),
    security(("operator" = ["admin", "operator", "warehouse", "auditor"]))
)]
async fn list(
    State(app): State<Arc<App>>,
    operator: Operator,
    Query(which): Query<Which>,
) -> Result<Json<Page<BatchView>>, ApiError> {
    let paging = Paging::<BatchId>::read(which.after.as_deref(), which.limit)?;
    let mut reader = app.db.reader().acquire().await.map_err(DbError::from)?;
    let views = shown::page(
        &mut reader,
        operator.tenant,
        which.template,
        paging.after,
        paging.rows(),
    )
    .await?;
    Ok(Json(paging.page(views, |last| last.id)))
}

/// A batch.
#[utoipa::path(
    get, path = "/v1/batches/{id}", tag = "batches", operation_id = "show_batch",
    params(("id" = Uuid, Path, description = "The batch")),
    responses((status = 200, description = "The batch", body = BatchView)),
    security(("operator" = ["admin", "operator", "warehouse", "auditor"]))
)]
async fn show(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<BatchId>,
) -> Result<Json<BatchView>, ApiError> {
    let mut reader = app.db.reader().acquire().await.map_err(DbError::from)?;
    let shown = shown::show(&mut reader, operator.tenant, id).await?;
    Ok(Json(shown.ok_or_else(ApiError::not_found)?))
}

/// Close a batch.
///
/// Nothing more is made or given out of it; what was given stays.
#[utoipa::path(
    post, path = "/v1/batches/{id}/close", tag = "batches", operation_id = "close_batch",
    params(("id" = Uuid, Path, description = "The batch")), request_body = Nothing,
    responses((status = 200, description = "The batch", body = BatchView)),
    security(("operator" = ["admin", "operator"]))
)]
async fn close(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<BatchId>,
    asked: Asked<Nothing>,
) -> Result<Response, ApiError> {
    let actor = operator.actor();
    let effect = async |deed: &mut Deed<'_>, Nothing {}| {
        let (tenant, now) = (deed.tenant(), deed.now());
        let before = shown::show(deed, tenant, id).await?.ok_or_else(ApiError::not_found)?;
        if !rows::close(deed, tenant, id).await? {
            return Err(ApiError::detailed(Code::StateConflict, "the batch is closed"));
        }
        if let Some(job) = before.job {
            jobs::rows::decide(deed, tenant, job, jobs::Status::Cancelled, now).await?;
        }
        let detail = id.to_string();
        deed.audit("batch.closed", &detail).await?;
        let shown = shown::show(deed, tenant, id).await?.ok_or_else(ApiError::not_found)?;
        Ok((StatusCode::OK, shown))
    };
    asked.decide(&app, actor.clone(), effect).await
}

/// How codes are exported.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct As {
    /// `csv` or `xlsx`; absent: what the header Accept names, else CSV.
    format: Option<String>,
}

/// The codes of a batch, read as they are sent.
struct Codes {
    app: Arc<App>,
    tenant: TenantId,
    batch: BatchId,
    position: u32,
}

impl Pages<2> for Codes {
    async fn next(&mut self) -> Result<Vec<[String; 2]>, CutOff> {
        if self.app.stopping.is_cancelled() {
            return Err(CutOff::Stopping);
        }
        let mut reader = self.app.db.reader().acquire().await.map_err(DbError::from)?;
        let page = rows::codes(&mut reader, self.tenant, self.batch, self.position, EXPORTED).await?;
        // Positions have no gaps.
        self.position = self
            .position
            .saturating_add(u32::try_from(page.len()).unwrap_or(u32::MAX));
        Ok(page.into_iter().map(|(code, state)| [code, state]).collect())
    }
}

/// Export a batch's codes.
///
/// The columns are `code` and `state`. A workbook keeps every digit in a spreadsheet, which takes the codes of CSV for
/// numbers. It has a further sheet after each 1,048,575 codes. An answer that is cut off is no whole one. Stands in the
/// audit log.
#[utoipa::path(
    get, path = "/v1/batches/{id}/codes", tag = "batches", operation_id = "export_codes",
    params(("id" = Uuid, Path, description = "The batch"), As),
    responses((status = 200, description = "The codes", content(
        (String = "text/csv"),
        (File = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ))),
    security(("operator" = ["admin", "operator"]))
)]
async fn codes(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<BatchId>,
    Query(wanted): Query<As>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let format = Format::of(wanted.format.as_deref(), &headers)?;
    let tenant = operator.tenant;
    let mut reader = app.db.reader().acquire().await.map_err(DbError::from)?;
    shown::show(&mut reader, tenant, id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    drop(reader);
    let mut lease = app.db.lease().await?;
    let (random, now) = (app.random.as_ref(), app.clock.now());
    let mut deed = Deed::new(lease.begin().await?, random, operator.actor(), now);
    deed.audit("batch.codes_exported", &id.to_string()).await?;
    deed.commit("batches.codes").await?;
    drop(lease);
    let table = Table {
        name: "codes",
        of: id.0,
        columns: ["code", "state"],
    };
    let codes = Codes {
        app: Arc::clone(&app),
        tenant,
        batch: id,
        position: 0,
    };
    exported(&app, format, table, codes)
}
