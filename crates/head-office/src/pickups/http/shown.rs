//! What is shown at the counter: an order's code as a QR code, and a member's own orders.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Json,
    extract::State,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use counterfoil_domain::{
    ids::{MemberId, OrderId, TenantId},
    pickup_codes::{Owner, Shard},
    pickups::{Order, OrderState},
    time::{HOUR, Millis},
    tokens::{Bearer, Token},
};
use counterfoil_protocol::problem::Code;
use counterfoil_qr::{QrStyle, png, svg};
use serde::Deserialize;
use sqlx::AnyConnection;
use utoipa::{IntoParams, ToSchema};

use super::orders::PickupOrder;
use crate::{
    app::App,
    db::DbError,
    http::{ApiError, File, MemberSession, Operator, Page, Paging, Path, Query},
    members,
    pickups::{policies, rows},
    tenants,
};

/// How long a QR code is good: long enough for a page that was opened at home, or a print.
const GOOD_FOR: Millis = 24 * HOUR;

/// How a QR code is drawn.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Drawn {
    /// For print, at any size.
    #[default]
    Svg,
    /// For screens.
    Png,
}

/// How a QR code is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct As {
    /// `svg` by default.
    #[param(inline)]
    format: Option<Drawn>,
}

/// Where a member's orders are: by every policy that there was, and also those of members who became one with them.
pub(super) async fn shards_of(
    connection: &mut AnyConnection,
    tenant: TenantId,
    member: MemberId,
) -> Result<BTreeSet<Shard>, DbError> {
    // Orders stay where they were when two members became one.
    let mut owners = members::rows::merged_into(connection, tenant, member).await?;
    owners.push(member);
    let policies = policies::all(connection, tenant).await?;
    let of = |owner: &MemberId| {
        let owner = Owner::Member(*owner);
        policies.iter().map(move |policy| policy.shards.of(tenant, owner))
    };
    Ok(owners.iter().flat_map(of).collect())
}

/// Which orders are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// `next` of the page before.
    after: Option<String>,
    /// Rows of a page.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// The member's pickup orders, the latest first, with their codes.
#[utoipa::path(
    get, path = "/v1/member/pickups", tag = "members", operation_id = "list_my_pickups", params(Which),
    responses((status = 200, description = "A page", body = Page<PickupOrder>)),
    security(("member" = []))
)]
pub(super) async fn mine(
    State(app): State<Arc<App>>,
    session: MemberSession,
    Query(which): Query<Which>,
) -> Result<Json<Page<PickupOrder>>, ApiError> {
    let paging = Paging::<OrderId>::read(which.after.as_deref(), which.limit)?;
    let (tenant, member) = (session.tenant, session.member);
    let mut snapshot = app.db.snapshot().await?;
    let shards = shards_of(&mut snapshot, tenant, member).await?;
    let found = rows::of_member(&mut snapshot, tenant, &shards, member, paging.after, paging.rows()).await?;
    let views = found.into_iter().map(|order| PickupOrder::of(order, None)).collect();
    Ok(Json(paging.page(views, PickupOrder::id)))
}

/// One of the member's pickup orders as a QR code to be shown at the counter, good for a day.
#[utoipa::path(
    get, path = "/v1/member/pickups/{id}/qr", tag = "members", operation_id = "draw_my_pickup",
    params(("id" = uuid::Uuid, Path, description = "The order"), As),
    responses(
        (status = 200, description = "The picture", content((String = "image/svg+xml"), (File = "image/png"))),
        (status = 404, description = "It is none of theirs"),
        (status = 409, description = "`state_conflict`: it does not wait any more"),
    ),
    security(("member" = []))
)]
pub(super) async fn my_qr(
    State(app): State<Arc<App>>,
    session: MemberSession,
    Path(id): Path<OrderId>,
    Query(wanted): Query<As>,
) -> Result<Response, ApiError> {
    let is_mine = |order: &Order| order.member == Some(session.member);
    drawn(&app, session.tenant, id, wanted, is_mine).await
}

/// A pickup order as a QR code, for print or for the shop's own site to show, good for a day.
#[utoipa::path(
    get, path = "/v1/pickups/{id}/qr", tag = "pickups", operation_id = "draw_pickup",
    params(("id" = uuid::Uuid, Path, description = "The order"), As),
    responses(
        (status = 200, description = "The picture", content((String = "image/svg+xml"), (File = "image/png"))),
        (status = 404, description = "There is none"),
        (status = 409, description = "`state_conflict`: it does not wait any more"),
    ),
    security(("operator" = ["admin", "operator"]))
)]
pub(super) async fn qr(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<OrderId>,
    Query(wanted): Query<As>,
) -> Result<Response, ApiError> {
    drawn(&app, operator.tenant, id, wanted, |_| true).await
}

/// Signs and draws, with no connection held.
async fn drawn(
    app: &App,
    tenant: TenantId,
    id: OrderId,
    wanted: As,
    may_see: impl Fn(&Order) -> bool,
) -> Result<Response, ApiError> {
    let mut snapshot = app.db.snapshot().await?;
    let order = rows::load(&mut snapshot, tenant, &[id], "").await?.pop();
    let order = order.filter(may_see).ok_or_else(ApiError::not_found)?;
    let key = tenants::rows::signing_key(&mut snapshot, tenant).await?;
    drop(snapshot);
    if !matches!(order.state, OrderState::Ready { .. }) {
        let detail = format!("the order is {}", order.state.as_str());
        return Err(ApiError::detailed(Code::StateConflict, detail));
    }
    let Some((key_id, key)) = key else {
        return Err(ApiError::detailed(
            Code::StateConflict,
            "the chain has no key to sign with",
        ));
    };
    let now = app.clock.now();
    let token = Token {
        key_id,
        bearer: Bearer::Pickup(order.id),
        store: Some(order.store),
        issued_at: now,
        expires_at: now.saturating_add(GOOD_FOR),
    };
    let (text, style) = (token.sign(&key), QrStyle::default());
    let (kind, picture) = match wanted.format.unwrap_or_default() {
        Drawn::Svg => ("image/svg+xml", svg(&text, &style).map(String::into_bytes)),
        Drawn::Png => ("image/png", png(&text, &style)),
    };
    let picture = picture.map_err(|error| {
        tracing::error!(%error, "a QR code was not drawn");
        ApiError::internal()
    })?;
    // Whoever has it may collect: it stays in no cache.
    Ok(([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store")], picture).into_response())
}
