//! Routes of jobs: how far one is, and what a person decides about it.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{Response, sse::Event},
};
use counterfoil_domain::{
    ids::{JobId, TenantId},
    time::Millis,
    words::Word,
};
use counterfoil_protocol::problem::Code;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{Job, Kind, Known, Status, rows};
use crate::{
    app::App,
    db::DbError,
    deed::Deed,
    http::{self, ApiError, Asked, CutOff, Nothing, Operator, Path},
};

/// How often a job that is watched is looked at.
const LOOK: Duration = Duration::from_millis(300);

/// These routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(show))
        .routes(routes!(events))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(cancel))
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct JobView {
    /// Its id.
    #[schema(value_type = Uuid)]
    pub id: JobId,
    /// `batch` or `grant`, or what only a newer head office knows.
    pub kind: String,
    /// Id of what it works on.
    pub subject: Uuid,
    /// `queued`, `running`, `paused`, `done`, `failed` or `cancelled`.
    #[schema(value_type = String)]
    pub status: Status,
    /// How much is done.
    pub done: i64,
    /// Of how much.
    pub total: i64,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it was asked for, UTC ms.
    pub created_at: Millis,
    /// When it last moved, UTC ms.
    pub updated_at: Millis,
}

impl From<&Job<String>> for JobView {
    fn from(job: &Job<String>) -> Self {
        Self {
            id: job.id,
            kind: job.kind.clone(),
            subject: Uuid::from_bytes(job.subject),
            status: job.status,
            done: job.done,
            total: job.total,
            // What the database said is for the log.
            error: job
                .error
                .as_ref()
                .map(|_| "It failed for a reason of head office's own.".to_owned()),
            created_at: job.created_at,
            updated_at: job.updated_at,
        }
    }
}

async fn load(app: &App, tenant: TenantId, job: JobId) -> Result<Job<String>, ApiError> {
    let mut reader = app.db.reader().acquire().await.map_err(DbError::from)?;
    rows::show(&mut reader, tenant, job)
        .await?
        .ok_or_else(ApiError::not_found)
}

/// How far a job is.
#[utoipa::path(
    get, path = "/v1/jobs/{id}", tag = "jobs", operation_id = "show_job",
    params(("id" = Uuid, Path, description = "The job")),
    responses((status = 200, description = "The job", body = JobView)),
    security(("operator" = ["admin", "operator", "warehouse", "auditor"]))
)]
async fn show(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<JobId>,
) -> Result<Json<JobView>, ApiError> {
    Ok(Json(JobView::from(&load(&app, operator.tenant, id).await?)))
}

/// Watch a job.
///
/// Server-sent events named `job`, each with the job as it is, until it is over.
#[utoipa::path(
    get, path = "/v1/jobs/{id}/events", tag = "jobs", operation_id = "watch_job",
    params(("id" = Uuid, Path, description = "The job")),
    responses((status = 200, description = "The events", body = String, content_type = "text/event-stream")),
    security(("operator" = ["admin", "operator", "warehouse", "auditor"]))
)]
async fn events(State(app): State<Arc<App>>, operator: Operator, Path(id): Path<JobId>) -> Result<Response, ApiError> {
    let mut job = load(&app, operator.tenant, id).await?;
    let watched = Arc::clone(&app);
    let clock = Arc::clone(&app.clock);
    http::events(&app, move |writer| async move {
        let mut told = None;
        loop {
            let view = JobView::from(&job);
            if told.as_ref() != Some(&view) {
                let json = serde_json::to_string(&view).unwrap_or_default();
                writer.write(Event::default().event("job").data(json)).await?;
                told = Some(view);
            }
            if job.status.is_over() {
                return Ok(());
            }
            tokio::select! {
                () = clock.sleep(LOOK) => {}
                () = writer.gone() => return Err(CutOff::Gone),
                () = watched.stopping.cancelled() => return Ok(()),
            }
            match load(&watched, operator.tenant, id).await {
                Ok(now) => job = now,
                Err(_) => return Ok(()),
            }
        }
    })
}

/// Pause a job.
#[utoipa::path(
    post, path = "/v1/jobs/{id}/pause", tag = "jobs", operation_id = "pause_job",
    params(("id" = Uuid, Path, description = "The job")), request_body = Nothing,
    responses((status = 200, description = "It is paused", body = JobView)),
    security(("operator" = ["admin", "operator"]))
)]
async fn pause(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<JobId>,
    asked: Asked<Nothing>,
) -> Result<Response, ApiError> {
    decide(&app, operator, id, asked, Status::Paused).await
}

/// Resume a job that was paused, or that failed.
#[utoipa::path(
    post, path = "/v1/jobs/{id}/resume", tag = "jobs", operation_id = "resume_job",
    params(("id" = Uuid, Path, description = "The job")), request_body = Nothing,
    responses((status = 200, description = "It goes on", body = JobView)),
    security(("operator" = ["admin", "operator"]))
)]
async fn resume(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<JobId>,
    asked: Asked<Nothing>,
) -> Result<Response, ApiError> {
    decide(&app, operator, id, asked, Status::Queued).await
}

/// Cancel a job.
///
/// What is done stays done. The batch or grant that it worked for is closed.
#[utoipa::path(
    post, path = "/v1/jobs/{id}/cancel", tag = "jobs", operation_id = "cancel_job",
    params(("id" = Uuid, Path, description = "The job")), request_body = Nothing,
    responses((status = 200, description = "It has ended", body = JobView)),
    security(("operator" = ["admin", "operator"]))
)]
async fn cancel(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<JobId>,
    asked: Asked<Nothing>,
) -> Result<Response, ApiError> {
    decide(&app, operator, id, asked, Status::Cancelled).await
}

async fn decide(
    app: &Arc<App>,
    operator: Operator,
    id: JobId,
    asked: Asked<Nothing>,
    next: Status,
) -> Result<Response, ApiError> {
    let actor = operator.actor();
    let answer = asked
        .decide(app, actor.clone(), async |deed, Nothing {}| {
            let job = change(app, deed, id, next).await?;
            Ok((StatusCode::OK, JobView::from(&job)))
        })
        .await?;
    app.jobs.notify_one();
    Ok(answer)
}

async fn change(app: &App, deed: &mut Deed<'_>, id: JobId, next: Status) -> Result<Job<String>, ApiError> {
    let (tenant, now) = (deed.tenant(), deed.now());
    let shown = rows::show(deed, tenant, id).await?.ok_or_else(ApiError::not_found)?;
    if Kind::parse(&shown.kind).is_none() {
        return Err(ApiError::detailed(
            Code::StateConflict,
            format!(
                "jobs of the kind {} are a newer head office's: ask one that knows them",
                shown.kind
            ),
        ));
    }
    let job = rows::load(deed, tenant, id).await?.ok_or_else(ApiError::not_found)?;
    if !rows::decide(deed, tenant, id, next, now).await? {
        return Err(ApiError::detailed(
            Code::StateConflict,
            format!("the job is {}", job.status.as_str()),
        ));
    }
    if next == Status::Cancelled {
        let known: &Known = app.own.of();
        known.of(job.kind)?.cancelled(deed, &job).await?;
    }
    let action = format!("job.{}", next.as_str());
    deed.audit(&action, &id.to_string()).await?;
    rows::show(deed, tenant, id).await?.ok_or_else(ApiError::not_found)
}
