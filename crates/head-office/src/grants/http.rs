//! Routes of grants.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode, response::Response};
use counterfoil_domain::{
    ids::{BatchId, GrantId, JobId, MemberId, TemplateId},
    time::Millis,
};
use counterfoil_protocol::problem::Code;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{
    LONGEST_LIST, New, NotMade, rows,
    shown::{self, GrantView},
};
use crate::{
    app::App,
    db::DbError,
    deed::Deed,
    http::{ApiError, Asked, Fields, Nothing, Operator, Page, Paging, Path, Query},
    jobs,
};

/// These routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show))
        .routes(routes!(members))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(close))
}

/// A grant to be: to `members`, or to `all`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewGrant {
    /// Of which template: its latest published version.
    #[schema(value_type = Uuid)]
    template: TemplateId,
    /// Numbers of the members, at most 50,000.
    #[serde(default)]
    #[schema(max_items = 50_000)]
    members: Option<Vec<String>>,
    /// To everybody who is a member now. Each gets theirs when they show up.
    #[serde(default)]
    all: bool,
}

/// A grant that was made.
#[derive(Debug, Serialize, ToSchema)]
struct GrantMade {
    /// The grant.
    #[schema(value_type = Uuid)]
    grant: GrantId,
    /// The batch that its coupons are made in.
    #[schema(value_type = Uuid)]
    batch: BatchId,
    /// How many members it is for.
    members: i64,
    /// The job that gives a list theirs.
    #[schema(value_type = Option<Uuid>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<JobId>,
}

impl From<NotMade> for ApiError {
    fn from(error: NotMade) -> Self {
        let mut fields = Fields::default();
        let message = error.to_string();
        match error {
            NotMade::Db(error) => return error.into(),
            NotMade::Over => return Self::detailed(Code::StateConflict, message),
            NotMade::NoTemplate => fields.refuse("template", "unknown", message),
            NotMade::Length => fields.refuse("members", "out_of_range", message),
            NotMade::UnknownMembers(some) => {
                fields.refuse("members", "unknown", format!("{message}: {}", some.join(", ")));
            }
        }
        fields.done().err().unwrap_or_else(Self::internal)
    }
}

/// Give coupons.
///
/// One to each member of the list, or to everybody. A list of up to 200 has theirs when this answers 201; a longer one
/// gets them from a job (202). Everybody's is one row: members get theirs when they show up.
#[utoipa::path(
    post, path = "/v1/grants", tag = "grants", operation_id = "create_grant", request_body = NewGrant,
    responses(
        (status = 201, description = "The grant", body = GrantMade),
        (status = 202, description = "The grant and its job", body = GrantMade),
    ),
    security(("operator" = ["admin", "operator"]))
)]
async fn create(State(app): State<Arc<App>>, operator: Operator, asked: Asked<NewGrant>) -> Result<Response, ApiError> {
    let actor = operator.actor();
    let tenant = operator.tenant;
    let mut at_once = None;
    let now = app.clock.now();
    let effect = async |deed: &mut Deed<'_>, new: NewGrant| {
        let mut fields = Fields::default();
        fields.check(
            new.all != new.members.is_some(),
            "members",
            "required",
            "either members or all",
        );
        let long = new.members.as_ref().is_some_and(|members| members.len() > LONGEST_LIST);
        fields.check(!long, "members", "too_long", "at most 50,000");
        fields.done()?;
        let new = New {
            template: new.template,
            members: new.members,
        };
        let made = super::create(deed, app.random.as_ref(), tenant, &new, now).await?;
        let detail = made.id.to_string();
        deed.audit("grant.made", &detail).await?;
        let waits = made.job.is_some() && made.at_once.is_empty();
        at_once = Some((made.id, made.at_once));
        let status = if waits {
            StatusCode::ACCEPTED
        } else {
            StatusCode::CREATED
        };
        let view = GrantMade {
            grant: made.id,
            batch: made.batch,
            members: made.members,
            job: made.job.map(|job| job.id),
        };
        Ok((status, view))
    };
    let answer = asked.decide(&app, actor.clone(), effect).await?;
    app.own.of::<super::Open>().0.invalidate(&tenant);
    if let Some((grant, members)) = at_once
        && !members.is_empty()
        && let Err(error) = super::give(&app, tenant, grant, &members).await
    {
        // The job does it in a moment.
        tracing::warn!(%error, %grant, "a short list was not given theirs at once");
    }
    app.jobs.notify_one();
    Ok(answer)
}

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// `next` of the page before.
    after: Option<String>,
    /// Rows of a page, at most 200.
    limit: Option<u32>,
}

/// The grants, the latest first.
#[utoipa::path(
    get, path = "/v1/grants", tag = "grants", operation_id = "list_grants", params(Which),
    responses((status = 200, description = "A page of grants", body = Page<GrantView>)),
    security(("operator" = ["admin", "operator", "auditor"]))
)]
async fn list(
    State(app): State<Arc<App>>,
    operator: Operator,
    Query(which): Query<Which>,
) -> Result<Json<Page<GrantView>>, ApiError> {
    let paging = Paging::<GrantId>::read(which.after.as_deref(), which.limit)?;
    let mut reader = app.db.reader().acquire().await.map_err(DbError::from)?;
    let views = shown::page(&mut reader, operator.tenant, paging.after, paging.rows()).await?;
    Ok(Json(paging.page(views, |last| last.id)))
}

/// A grant, and how many have theirs.
#[utoipa::path(
    get, path = "/v1/grants/{id}", tag = "grants", operation_id = "show_grant",
    params(("id" = Uuid, Path, description = "The grant")),
    responses((status = 200, description = "The grant", body = GrantView)),
    security(("operator" = ["admin", "operator", "auditor"]))
)]
async fn show(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<GrantId>,
) -> Result<Json<GrantView>, ApiError> {
    let mut reader = app.db.reader().acquire().await.map_err(DbError::from)?;
    let shown = shown::show(&mut reader, operator.tenant, id).await?;
    Ok(Json(shown.ok_or_else(ApiError::not_found)?))
}

/// A member's part in a grant.
#[derive(Debug, Serialize, ToSchema)]
struct PartView {
    /// Id of the member.
    #[schema(value_type = Uuid)]
    member: MemberId,
    /// Their number.
    number: String,
    /// Id of their coupon, once it is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    coupon: Option<Uuid>,
    /// When it was given, UTC ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    given_at: Option<Millis>,
}

/// The members of a grant: everybody on its list, or who has theirs of a grant to all.
#[utoipa::path(
    get, path = "/v1/grants/{id}/members", tag = "grants", operation_id = "list_grant_members",
    params(("id" = Uuid, Path, description = "The grant"), Which),
    responses((status = 200, description = "A page of members", body = Page<PartView>)),
    security(("operator" = ["admin", "operator", "auditor"]))
)]
async fn members(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<GrantId>,
    Query(which): Query<Which>,
) -> Result<Json<Page<PartView>>, ApiError> {
    let paging = Paging::<MemberId>::read(which.after.as_deref(), which.limit)?;
    let mut snapshot = app.db.snapshot().await?;
    shown::show(&mut snapshot, operator.tenant, id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    let parts = rows::parts(&mut snapshot, operator.tenant, id, paging.after, paging.rows()).await?;
    let views = parts
        .into_iter()
        .map(|(member, number, coupon, given_at)| PartView {
            member,
            number,
            coupon: coupon.map(|coupon| coupon.0),
            given_at,
        })
        .collect();
    Ok(Json(paging.page(views, |last: &PartView| last.member)))
}

/// Pause a grant, and the job that gives it.
#[utoipa::path(
    post, path = "/v1/grants/{id}/pause", tag = "grants", operation_id = "pause_grant",
    params(("id" = Uuid, Path, description = "The grant")), request_body = Nothing,
    responses((status = 200, description = "The grant", body = GrantView)),
    security(("operator" = ["admin", "operator"]))
)]
async fn pause(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<GrantId>,
    asked: Asked<Nothing>,
) -> Result<Response, ApiError> {
    decide(&app, operator, id, asked, ("'open'", "paused", jobs::Status::Paused)).await
}

/// Resume a grant, and the job that gives it.
#[utoipa::path(
    post, path = "/v1/grants/{id}/resume", tag = "grants", operation_id = "resume_grant",
    params(("id" = Uuid, Path, description = "The grant")), request_body = Nothing,
    responses((status = 200, description = "The grant", body = GrantView)),
    security(("operator" = ["admin", "operator"]))
)]
async fn resume(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<GrantId>,
    asked: Asked<Nothing>,
) -> Result<Response, ApiError> {
    decide(&app, operator, id, asked, ("'paused'", "open", jobs::Status::Queued)).await
}

/// Close a grant for good.
///
/// Who has theirs keeps it; nobody gets any more.
#[utoipa::path(
    post, path = "/v1/grants/{id}/close", tag = "grants", operation_id = "close_grant",
    params(("id" = Uuid, Path, description = "The grant")), request_body = Nothing,
    responses((status = 200, description = "The grant", body = GrantView)),
    security(("operator" = ["admin", "operator"]))
)]
async fn close(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<GrantId>,
    asked: Asked<Nothing>,
) -> Result<Response, ApiError> {
    let to = ("'open', 'paused'", "closed", jobs::Status::Cancelled);
    decide(&app, operator, id, asked, to).await
}

/// From which statuses, to which one, and what becomes of the job.
type Change = (&'static str, &'static str, jobs::Status);

async fn decide(
    app: &Arc<App>,
    operator: Operator,
    id: GrantId,
    asked: Asked<Nothing>,
    to: Change,
) -> Result<Response, ApiError> {
    let actor = operator.actor();
    let answer = asked
        .decide(app, actor.clone(), async |deed, Nothing {}| {
            let view = change(deed, id, to).await?;
            Ok((StatusCode::OK, view))
        })
        .await?;
    app.own.of::<super::Open>().0.invalidate(&operator.tenant);
    app.jobs.notify_one();
    Ok(answer)
}

async fn change(deed: &mut Deed<'_>, id: GrantId, (from, to, job): Change) -> Result<GrantView, ApiError> {
    let (tenant, now) = (deed.tenant(), deed.now());
    let before = shown::show(deed, tenant, id).await?.ok_or_else(ApiError::not_found)?;
    if !rows::decide(deed, tenant, id, from, to).await? {
        return Err(ApiError::detailed(
            Code::StateConflict,
            format!("the grant is {}", before.status),
        ));
    }
    // A job that is over already stays as it is.
    if let Some(of) = before.job {
        jobs::rows::decide(deed, tenant, of, job, now).await?;
    }
    let action = format!("grant.{to}");
    deed.audit(&action, &id.to_string()).await?;
    let shown = shown::show(deed, tenant, id).await?.ok_or_else(ApiError::not_found)?;
    Ok(shown)
}
