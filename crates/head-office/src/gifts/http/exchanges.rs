//! Exchanges, as people of head office and the chain's own site see them and end them.

use std::sync::Arc;

use axum::{Json, extract::State, response::Response};
use counterfoil_domain::{
    gifts::ExchangeStatus,
    ids::ExchangeId,
    time::Millis,
    transition::{Command, EndExchange, ExchangeEnd},
    words::Word,
};
use counterfoil_protocol::problem::Code;
use serde::Deserialize;
use utoipa::IntoParams;

use super::shown::{self, ExchangeView, view, views};
use crate::{
    app::App,
    db::DbError,
    gifts::rows,
    http::{ApiError, Asked, Begun, Nothing, Operator, Page, Paging, Path, Query},
    members, points,
};

/// Which exchanges are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Only those that stand so: `awaiting_payment`, `confirmed`, `cancelled`, `returned` or `lost`; not beside `member`.
    status: Option<String>,
    /// Only those of the member with this number.
    member: Option<String>,
    /// `next` of the page before.
    after: Option<String>,
    /// Rows of a page.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// Exchanges, the last one that was asked for first.
#[utoipa::path(
    get, path = "/v1/exchanges", tag = "gifts", operation_id = "list_exchanges", params(Wanted),
    responses((status = 200, description = "A page", body = Page<ExchangeView>)),
    security(("operator" = ["admin", "operator", "warehouse", "auditor"]))
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    operator: Operator,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<ExchangeView>>, ApiError> {
    let paging = Paging::<(Millis, ExchangeId)>::read(wanted.after.as_deref(), wanted.limit)?;
    let mut snapshot = app.db.snapshot().await?;
    let tenant = operator.tenant;
    let which = match (&wanted.member, wanted.status.as_deref()) {
        (Some(_), Some(_)) => return Err(ApiError::detailed(Code::Malformed, "either status or member")),
        (Some(number), None) => {
            let member = members::rows::by_number(&mut snapshot, tenant, number).await?;
            rows::Wanted::Of(member.ok_or_else(ApiError::not_found)?.id)
        }
        (None, Some(word)) => {
            let status = ExchangeStatus::parse(word);
            rows::Wanted::Standing(status.ok_or_else(|| ApiError::detailed(Code::Malformed, "status"))?)
        }
        (None, None) => rows::Wanted::All,
    };
    let found = rows::page(&mut snapshot, tenant, which, paging.after, paging.rows()).await?;
    let views = views(&mut snapshot, tenant, found).await?;
    Ok(Json(paging.page(views, |last| (last.asked_at, last.id))))
}

/// One exchange.
#[utoipa::path(
    get, path = "/v1/exchanges/{id}", tag = "gifts", operation_id = "show_exchange",
    params(("id" = uuid::Uuid, Path, description = "Its id")),
    responses((status = 200, description = "The exchange", body = ExchangeView), (status = 404, description = "There is no such exchange")),
    security(("operator" = ["admin", "operator", "warehouse", "auditor"]))
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<ExchangeId>,
) -> Result<Json<ExchangeView>, ApiError> {
    let mut snapshot = app.db.snapshot().await?;
    let found = rows::load(&mut snapshot, operator.tenant, &[id], "").await?.pop();
    let found = found.ok_or_else(ApiError::not_found)?;
    Ok(Json(view(&mut snapshot, operator.tenant, found).await?))
}

/// What the exchange costs besides points was paid.
///
/// The points are spent, the gift is the member's. Again: the same answer.
#[utoipa::path(
    post, path = "/v1/exchanges/{id}/paid", tag = "gifts", operation_id = "pay_exchange", request_body = Nothing,
    params(("id" = uuid::Uuid, Path, description = "Its id")),
    responses(
        (status = 200, description = "It is confirmed", body = ExchangeView),
        (status = 404, description = "There is no such exchange"),
        (status = 409, description = "`state_conflict`: it was cancelled, or has come back"),
    ),
    security(("operator" = ["admin", "operator"]))
)]
pub(super) async fn paid(
    State(app): State<Arc<App>>,
    Path(id): Path<ExchangeId>,
    operator: Operator,
    asked: Asked<Nothing>,
) -> Result<Response, ApiError> {
    end(&app, &operator, id, asked, ExchangeEnd::Paid).await
}

/// The exchange comes to nothing.
///
/// One that awaits payment lets go of points and gift. One whose gift waits in a store is called off: points and gift come
/// back. One that is being sent is ended by its shipment.
#[utoipa::path(
    post, path = "/v1/exchanges/{id}/cancel", tag = "gifts", operation_id = "cancel_exchange", request_body = Nothing,
    params(("id" = uuid::Uuid, Path, description = "Its id")),
    responses(
        (status = 200, description = "It has come to nothing", body = ExchangeView),
        (status = 404, description = "There is no such exchange"),
        (status = 409, description = "`state_conflict`: it is being sent, was handed over, or somebody is about to"),
    ),
    security(("operator" = ["admin", "operator"]))
)]
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    Path(id): Path<ExchangeId>,
    operator: Operator,
    asked: Asked<Nothing>,
) -> Result<Response, ApiError> {
    end(&app, &operator, id, asked, ExchangeEnd::Cancel).await
}

async fn end(
    app: &App,
    operator: &Operator,
    id: ExchangeId,
    asked: Asked<Nothing>,
    end: ExchangeEnd,
) -> Result<Response, ApiError> {
    let once = match asked.begin(app, operator.actor()).await? {
        Begun::Replay(answer) => return Ok(answer),
        Begun::Fresh(once, Nothing {}) => once,
    };
    let rule = {
        let mut reader = app.db.reader().acquire().await.map_err(DbError::from)?;
        let rule = points::rows::newest_rule(&mut reader, operator.tenant).await?;
        rule.map(|rule| rule.version)
    };
    let command = Command::EndExchange(EndExchange {
        id,
        end,
        rule,
        by: Some(operator.id.0),
        now: app.clock.now(),
    });
    once.submit(app, command, shown::ended).await
}
