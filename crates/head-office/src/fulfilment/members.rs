//! Routes of members: their address book, and what is sent to them.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode, response::Response};
use counterfoil_domain::ids::{AddressId, ShipmentId};
use counterfoil_protocol::problem::Code;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Address,
    addresses::{self, Kept},
    requests, rows,
    shown::{self, Eyes, ShipmentView},
};
use crate::{
    app::App,
    db::DbError,
    deed::Deed,
    http::{ApiError, Asked, MemberSession, Nothing, Page, Paging, Path, Query},
};

/// These routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list_addresses, add_address))
        .routes(routes!(change_address))
        .routes(routes!(delete_address))
        .routes(routes!(list))
        .routes(routes!(show))
}

/// An address of a member's book.
#[derive(Debug, Serialize, ToSchema)]
struct KeptAddress {
    /// Its id.
    #[schema(value_type = Uuid)]
    id: AddressId,
    /// Where.
    address: Address,
}

impl From<Kept> for KeptAddress {
    fn from(kept: Kept) -> Self {
        Self {
            id: kept.id,
            address: kept.address,
        }
    }
}

/// A member's address book.
#[derive(Debug, Serialize, ToSchema)]
struct AddressBook {
    /// The addresses, the oldest first.
    items: Vec<KeptAddress>,
}

/// The addresses of one's own book.
#[utoipa::path(
    get, path = "/v1/member/addresses", tag = "shipping", operation_id = "list_addresses",
    responses((status = 200, description = "The addresses", body = AddressBook)),
    security(("member" = []))
)]
async fn list_addresses(State(app): State<Arc<App>>, session: MemberSession) -> Result<Json<AddressBook>, ApiError> {
    let mut reader = app.db.reader().acquire().await.map_err(DbError::from)?;
    let kept = addresses::list(&mut reader, session.tenant, session.member).await?;
    Ok(Json(AddressBook {
        items: kept.into_iter().map(KeptAddress::from).collect(),
    }))
}

/// Add an address to one's own book.
#[utoipa::path(
    post, path = "/v1/member/addresses", tag = "shipping", operation_id = "add_address", request_body = Address,
    responses(
        (status = 201, description = "The address", body = KeptAddress),
        (status = 409, description = "`state_conflict`: the book is full"),
    ),
    security(("member" = []))
)]
async fn add_address(
    State(app): State<Arc<App>>,
    session: MemberSession,
    asked: Asked<Address>,
) -> Result<Response, ApiError> {
    let member = session.member;
    let effect = async |deed: &mut Deed<'_>, address: Address| {
        let address = requests::checked(address)?;
        let (tenant, now) = (deed.tenant(), deed.now());
        let kept = Kept {
            id: AddressId::placed(member.place(), now, deed.fresh()?),
            address,
        };
        if !addresses::insert(deed, tenant, member, &kept, now).await? {
            return Err(ApiError::detailed(
                Code::StateConflict,
                "the book is full: delete an address first",
            ));
        }
        deed.audit("address.added", &kept.id.to_string()).await?;
        Ok((StatusCode::CREATED, KeptAddress::from(kept)))
    };
    asked.decide(&app, session.actor(), effect).await
}

/// Change an address of one's own book.
///
/// What was sent there before keeps the address as it was.
#[utoipa::path(
    post, path = "/v1/member/addresses/{id}", tag = "shipping", operation_id = "change_address", request_body = Address,
    params(("id" = Uuid, Path, description = "The address")),
    responses((status = 200, description = "The address", body = KeptAddress)),
    security(("member" = []))
)]
async fn change_address(
    State(app): State<Arc<App>>,
    session: MemberSession,
    Path(id): Path<AddressId>,
    asked: Asked<Address>,
) -> Result<Response, ApiError> {
    let member = session.member;
    let effect = async |deed: &mut Deed<'_>, address: Address| {
        let address = requests::checked(address)?;
        let tenant = deed.tenant();
        let kept = Kept { id, address };
        if !addresses::update(deed, tenant, member, &kept).await? {
            return Err(ApiError::not_found());
        }
        deed.audit("address.changed", &id.to_string()).await?;
        Ok((StatusCode::OK, KeptAddress::from(kept)))
    };
    asked.decide(&app, session.actor(), effect).await
}

/// Take an address out of one's own book.
#[utoipa::path(
    post, path = "/v1/member/addresses/{id}/delete", tag = "shipping", operation_id = "delete_address",
    params(("id" = Uuid, Path, description = "The address")), request_body = Nothing,
    responses((status = 200, description = "It is gone", body = Nothing)),
    security(("member" = []))
)]
async fn delete_address(
    State(app): State<Arc<App>>,
    session: MemberSession,
    Path(id): Path<AddressId>,
    asked: Asked<Nothing>,
) -> Result<Response, ApiError> {
    let member = session.member;
    let effect = async |deed: &mut Deed<'_>, Nothing {}| {
        let tenant = deed.tenant();
        if !addresses::delete(deed, tenant, member, id).await? {
            return Err(ApiError::not_found());
        }
        deed.audit("address.deleted", &id.to_string()).await?;
        Ok((StatusCode::OK, Nothing {}))
    };
    asked.decide(&app, session.actor(), effect).await
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// `next` of the page before.
    after: Option<String>,
    /// Rows of a page, at most 200.
    limit: Option<u32>,
}

/// What is sent to oneself, the latest first.
#[utoipa::path(
    get, path = "/v1/member/shipments", tag = "shipping", operation_id = "list_my_shipments", params(Which),
    responses((status = 200, description = "A page", body = Page<ShipmentView>)),
    security(("member" = []))
)]
async fn list(
    State(app): State<Arc<App>>,
    session: MemberSession,
    Query(which): Query<Which>,
) -> Result<Json<Page<ShipmentView>>, ApiError> {
    let paging = Paging::<ShipmentId>::read(which.after.as_deref(), which.limit)?;
    let (tenant, now) = (session.tenant, app.clock.now());
    let mut snapshot = app.db.snapshot().await?;
    let found = rows::before(&mut snapshot, tenant, Some(session.member), paging.after, paging.rows()).await?;
    let views = shown::views(&mut snapshot, tenant, found, Eyes::Member, now).await?;
    Ok(Json(paging.page(views, |last| last.id)))
}

/// Something that is sent to oneself: its parcels, and how far each is.
#[utoipa::path(
    get, path = "/v1/member/shipments/{id}", tag = "shipping", operation_id = "show_my_shipment",
    params(("id" = Uuid, Path, description = "The shipping request")),
    responses((status = 200, description = "The request", body = ShipmentView)),
    security(("member" = []))
)]
async fn show(
    State(app): State<Arc<App>>,
    session: MemberSession,
    Path(id): Path<ShipmentId>,
) -> Result<Json<ShipmentView>, ApiError> {
    let mut snapshot = app.db.snapshot().await?;
    let view = shown::view(&mut snapshot, session.tenant, id, Eyes::Member, app.clock.now()).await?;
    let own = view.filter(|view| view.member == Some(session.member));
    Ok(Json(own.ok_or_else(ApiError::not_found)?))
}
