//! Routes by which the chain's own site asks for something to be sent, operators look, and the warehouse works.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use counterfoil_domain::{
    ids::{ParcelId, ShipmentId},
    people::OperatorRole,
    typed,
};
use counterfoil_protocol::problem::Code;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Address, Bell, LINES, Outcome, QUANTITY, ShipLine, ShipRequest, ShipmentKind, TOPIC_SHIP, change, requests,
    rows::{self, Change, WaybillStatus},
    shown::{self, Eyes, ShipmentView, WaybillView},
    tracking::{self, Looked},
    warehouse,
};
use crate::{
    app::App,
    carriers::{CarrierError, Registry},
    db::DbError,
    deed::Deed,
    http::{ApiError, Asked, Fields, Nothing, Operator, Page, Paging, Path, Query},
    members,
    outbox::Outgoing,
};

/// Most waybills of one import.
const IMPORTED: usize = 500;

/// These routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list, ask))
        .routes(routes!(show))
        .routes(routes!(readdress))
        .routes(routes!(cancel))
        .routes(routes!(add_parcel))
        .routes(routes!(packing_list))
        .routes(routes!(pack))
        .routes(routes!(split))
        .routes(routes!(hand_over))
        .routes(routes!(cancel_parcel))
        .routes(routes!(type_waybill))
        .routes(routes!(settle))
        .routes(routes!(progress))
        .routes(routes!(label))
        .routes(routes!(import_waybills))
}

fn eyes(operator: &Operator) -> Eyes {
    match operator.role {
        OperatorRole::Auditor => Eyes::Auditor,
        _ => Eyes::Worker,
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// With `source`: only the request that this asked for.
    #[param(inline)]
    kind: Option<ShipmentKind>,
    /// The exchange, or the number of the order.
    #[param(max_length = 64)]
    source: Option<String>,
    /// `next` of the page before.
    after: Option<String>,
    /// Rows of a page, at most 200.
    limit: Option<u32>,
}

/// The shipping requests, the latest first.
#[utoipa::path(
    get, path = "/v1/shipments", tag = "shipping", operation_id = "list_shipments", params(Which),
    responses((status = 200, description = "A page", body = Page<ShipmentView>)),
    security(("operator" = ["admin", "operator", "warehouse", "auditor"]))
)]
async fn list(
    State(app): State<Arc<App>>,
    operator: Operator,
    Query(which): Query<Which>,
) -> Result<Json<Page<ShipmentView>>, ApiError> {
    let paging = Paging::<ShipmentId>::read(which.after.as_deref(), which.limit)?;
    let tenant = operator.tenant;
    let mut snapshot = app.db.snapshot().await?;
    let found = match (which.kind, &which.source) {
        (Some(kind), Some(source)) => {
            let found = rows::of_source(&mut snapshot, tenant, kind, source).await?;
            found.into_iter().collect()
        }
        (None, None) => rows::before(&mut snapshot, tenant, None, paging.after, paging.rows()).await?,
        _ => {
            let mut fields = Fields::default();
            fields.refuse("source", "required", "kind and source go together");
            return Err(fields.done().err().unwrap_or_else(ApiError::internal));
        }
    };
    let views = shown::views(&mut snapshot, tenant, found, eyes(&operator), app.clock.now()).await?;
    Ok(Json(paging.page(views, |last| last.id)))
}

/// Something to be sent that was bought online.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewShipment {
    /// The number of the order: of each there is one request.
    #[schema(min_length = 1, max_length = 64)]
    source: String,
    /// Number of the member whose it is, if it is one's.
    #[schema(max_length = 64)]
    member: Option<String>,
    /// What is sent, at most 200 lines.
    #[schema(min_items = 1, max_items = 200)]
    lines: Vec<ShipLine>,
    /// Where to.
    address: Address,
}

/// A request that will be made.
#[derive(Debug, Serialize, ToSchema)]
struct ShipmentAsked {
    /// What asks for it.
    kind: ShipmentKind,
    /// Which order: `GET /v1/shipments?kind=purchase&source=` shows it as soon as it is made.
    source: String,
}

/// Ask for a purchase to be sent.
///
/// Answers at once; the request and its waybill are made in the background, once for each order, however often it is asked.
#[utoipa::path(
    post, path = "/v1/shipments", tag = "shipping", operation_id = "ask_shipment", request_body = NewShipment,
    responses(
        (status = 202, description = "It will be made", body = ShipmentAsked),
        (status = 409, description = "`state_conflict`: there is one for this order already"),
    ),
    security(("operator" = ["admin", "operator"]))
)]
async fn ask(State(app): State<Arc<App>>, operator: Operator, asked: Asked<NewShipment>) -> Result<Response, ApiError> {
    let effect = async |deed: &mut Deed<'_>, new: NewShipment| {
        let tenant = deed.tenant();
        let mut request = ShipRequest {
            kind: ShipmentKind::Purchase,
            source: new.source,
            member: None,
            lines: new.lines,
            address: new.address,
        };
        let mut fields = Fields::default();
        requests::check(&mut fields, &mut request);
        if let Some(number) = &new.member {
            match members::rows::by_number(deed, tenant, number).await? {
                Some(member) => request.member = Some(member.id),
                None => fields.refuse("member", "unknown", "the number of a member"),
            }
        }
        fields.done()?;
        let body = serde_json::to_string(&request).map_err(|_| ApiError::internal())?;
        let message = Outgoing {
            topic: TOPIC_SHIP,
            key: request.key(),
            source: request.key(),
            body,
        };
        let is_there = rows::of_source(deed, tenant, request.kind, &request.source)
            .await?
            .is_some();
        if is_there || !deed.send(&message).await? {
            return Err(ApiError::detailed(
                Code::StateConflict,
                "there is a request for this order already",
            ));
        }
        deed.audit("shipment.asked", &message.key).await?;
        let ShipRequest { kind, source, .. } = request;
        Ok((StatusCode::ACCEPTED, ShipmentAsked { kind, source }))
    };
    asked.decide(&app, operator.actor(), effect).await
}

/// A shipping request: its parcels, and how far each is.
#[utoipa::path(
    get, path = "/v1/shipments/{id}", tag = "shipping", operation_id = "show_shipment",
    params(("id" = Uuid, Path, description = "The shipping request")),
    responses((status = 200, description = "The request", body = ShipmentView)),
    security(("operator" = ["admin", "operator", "warehouse", "auditor"]))
)]
async fn show(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<ShipmentId>,
) -> Result<Json<ShipmentView>, ApiError> {
    let mut snapshot = app.db.snapshot().await?;
    let view = shown::view(&mut snapshot, operator.tenant, id, eyes(&operator), app.clock.now()).await?;
    Ok(Json(view.ok_or_else(ApiError::not_found)?))
}

/// The request as it stands within the deed.
async fn seen(deed: &mut Deed<'_>, id: ShipmentId) -> Result<(StatusCode, ShipmentView), ApiError> {
    let (tenant, now) = (deed.tenant(), deed.now());
    let view = shown::view(deed, tenant, id, Eyes::Worker, now).await?;
    Ok((StatusCode::OK, view.ok_or_else(ApiError::not_found)?))
}

async fn seen_of(deed: &mut Deed<'_>, id: ParcelId) -> Result<(StatusCode, ShipmentView), ApiError> {
    let shipment = warehouse::parcel(deed, id).await?.shipment;
    seen(deed, shipment).await
}

/// Send what is not yet on its way somewhere else.
///
/// The carrier cancels each waybill first; then another one is ordered. What was packed is packed again.
#[utoipa::path(
    post, path = "/v1/shipments/{id}/address", tag = "shipping", operation_id = "readdress_shipment", request_body = Address,
    params(("id" = Uuid, Path, description = "The shipping request")),
    responses(
        (status = 200, description = "The request", body = ShipmentView),
        (status = 409, description = "`state_conflict`: everything is on its way already, or it was cancelled"),
    ),
    security(("operator" = ["admin", "operator"]))
)]
async fn readdress(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<ShipmentId>,
    asked: Asked<Address>,
) -> Result<Response, ApiError> {
    let effect = async |deed: &mut Deed<'_>, address: Address| {
        let address = requests::checked(address)?;
        let shipment = warehouse::shipment(deed, id).await?;
        change::readdress(deed, &shipment, &address).await?;
        deed.audit("shipment.readdressed", &id.to_string()).await?;
        seen(deed, id).await
    };
    rung(&app, asked.decide(&app, operator.actor(), effect).await)
}

fn rung(app: &App, answer: Result<Response, ApiError>) -> Result<Response, ApiError> {
    app.own.of::<Bell>().0.notify_one();
    answer
}

/// Cancel a shipping request.
///
/// Parcels that no carrier has go nowhere, as soon as the carrier has cancelled their waybills; those that it has go on. What
/// an exchange sent is given back for.
#[utoipa::path(
    post, path = "/v1/shipments/{id}/cancel", tag = "shipping", operation_id = "cancel_shipment", request_body = Nothing,
    params(("id" = Uuid, Path, description = "The shipping request")),
    responses(
        (status = 200, description = "The request", body = ShipmentView),
        (status = 409, description = "`state_conflict`: it was cancelled before"),
    ),
    security(("operator" = ["admin", "operator"]))
)]
async fn cancel(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<ShipmentId>,
    asked: Asked<Nothing>,
) -> Result<Response, ApiError> {
    let effect = async |deed: &mut Deed<'_>, Nothing {}| {
        warehouse::cancel(deed, id).await?;
        deed.audit("shipment.cancelled", &id.to_string()).await?;
        seen(deed, id).await
    };
    rung(&app, asked.decide(&app, operator.actor(), effect).await)
}

/// So many pieces of a line.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Piece {
    /// The line's number in the request, from 0.
    #[schema(minimum = 0, maximum = 199)]
    line: i64,
    /// How many.
    #[schema(minimum = 1, maximum = 10_000)]
    quantity: i64,
}

/// Pieces of some lines.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Pieces {
    /// Each line at most once.
    #[schema(min_items = 1, max_items = 200)]
    lines: Vec<Piece>,
}

fn pieces(pieces: &[Piece]) -> Result<Vec<(i64, i64)>, ApiError> {
    let mut fields = Fields::default();
    fields.check(
        (1..=LINES).contains(&pieces.len()),
        "lines",
        "out_of_range",
        "from 1 to 200 lines",
    );
    let mut seen = BTreeSet::new();
    for (place, piece) in pieces.iter().take(LINES).enumerate() {
        fields.range(&format!("lines[{place}].quantity"), piece.quantity, 1..=QUANTITY);
        if !seen.insert(piece.line) {
            fields.refuse(format!("lines[{place}].line"), "repeated", "each line once");
        }
    }
    fields.done()?;
    Ok(pieces.iter().map(|piece| (piece.line, piece.quantity)).collect())
}

/// Put what is outside of parcels into a new one.
#[utoipa::path(
    post, path = "/v1/shipments/{id}/parcels", tag = "shipping", operation_id = "add_parcel", request_body = Pieces,
    params(("id" = Uuid, Path, description = "The shipping request")),
    responses(
        (status = 200, description = "The request", body = ShipmentView),
        (status = 409, description = "`state_conflict`: there is not so much outside of parcels, or it was cancelled"),
    ),
    security(("operator" = ["admin", "operator", "warehouse"]))
)]
async fn add_parcel(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<ShipmentId>,
    asked: Asked<Pieces>,
) -> Result<Response, ApiError> {
    let effect = async |deed: &mut Deed<'_>, new: Pieces| {
        let lines = pieces(&new.lines)?;
        let parcel = warehouse::add(deed, id, &lines).await?;
        deed.audit("parcel.added", &parcel.to_string()).await?;
        seen(deed, id).await
    };
    rung(&app, asked.decide(&app, operator.actor(), effect).await)
}

/// A parcel to be packed or handed over, and the request that it belongs to.
#[derive(Debug, Serialize, ToSchema)]
struct ToPack {
    /// The parcel: one of those of the request.
    #[schema(value_type = Uuid)]
    parcel: ParcelId,
    /// The request.
    shipment: ShipmentView,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Paged {
    /// `next` of the page before.
    after: Option<String>,
    /// Rows of a page, at most 200.
    limit: Option<u32>,
}

/// The parcels that wait to be packed or handed over, the oldest first.
#[utoipa::path(
    get, path = "/v1/packing-list", tag = "shipping", operation_id = "list_packing", params(Paged),
    responses((status = 200, description = "A page", body = Page<ToPack>)),
    security(("operator" = ["admin", "operator", "warehouse"]))
)]
async fn packing_list(
    State(app): State<Arc<App>>,
    operator: Operator,
    Query(paged): Query<Paged>,
) -> Result<Json<Page<ToPack>>, ApiError> {
    let paging = Paging::<ParcelId>::read(paged.after.as_deref(), paged.limit)?;
    let (tenant, now) = (operator.tenant, app.clock.now());
    let mut snapshot = app.db.snapshot().await?;
    let parcels = rows::to_pack(&mut snapshot, tenant, paging.after, paging.rows()).await?;
    let ids: BTreeSet<ShipmentId> = parcels.iter().map(|parcel| parcel.shipment).collect();
    let ids: Vec<ShipmentId> = ids.into_iter().collect();
    let shipments = rows::shipments(&mut snapshot, tenant, &ids).await?;
    let views = shown::views(&mut snapshot, tenant, shipments, Eyes::Worker, now).await?;
    let to_pack = parcels.into_iter().filter_map(|parcel| {
        let shipment = views.iter().find(|view| view.id == parcel.shipment)?.clone();
        Some(ToPack {
            parcel: parcel.id,
            shipment,
        })
    });
    Ok(Json(paging.page(to_pack.collect(), |last| last.parcel)))
}

/// What was packed.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Packed {
    /// What is in the parcel, where that is less than planned; what is missing is outside of parcels again.
    #[schema(max_items = 200)]
    lines: Option<Vec<Piece>>,
}

/// A parcel is packed.
#[utoipa::path(
    post, path = "/v1/parcels/{id}/pack", tag = "shipping", operation_id = "pack_parcel", request_body = Packed,
    params(("id" = Uuid, Path, description = "The parcel")),
    responses(
        (status = 200, description = "Its request", body = ShipmentView),
        (status = 409, description = "`state_conflict`: it does not wait to be packed, or holds less than was packed"),
    ),
    security(("operator" = ["admin", "operator", "warehouse"]))
)]
async fn pack(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<ParcelId>,
    asked: Asked<Packed>,
) -> Result<Response, ApiError> {
    let effect = async |deed: &mut Deed<'_>, packed: Packed| {
        let lines = packed.lines.as_deref().map(pieces).transpose()?;
        warehouse::pack(deed, id, lines.as_deref()).await?;
        deed.audit("parcel.packed", &id.to_string()).await?;
        seen_of(deed, id).await
    };
    asked.decide(&app, operator.actor(), effect).await
}

/// Take pieces out of a parcel that waits, into a new one.
#[utoipa::path(
    post, path = "/v1/parcels/{id}/split", tag = "shipping", operation_id = "split_parcel", request_body = Pieces,
    params(("id" = Uuid, Path, description = "The parcel")),
    responses(
        (status = 200, description = "Its request", body = ShipmentView),
        (status = 409, description = "`state_conflict`: it does not wait, holds less, or nothing would be left in it"),
    ),
    security(("operator" = ["admin", "operator", "warehouse"]))
)]
async fn split(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<ParcelId>,
    asked: Asked<Pieces>,
) -> Result<Response, ApiError> {
    let effect = async |deed: &mut Deed<'_>, out: Pieces| {
        let lines = pieces(&out.lines)?;
        let new = warehouse::split(deed, id, &lines).await?;
        deed.audit("parcel.split", &format!("{id} {new}")).await?;
        seen_of(deed, id).await
    };
    rung(&app, asked.decide(&app, operator.actor(), effect).await)
}

/// The carrier has a parcel.
///
/// From now on the carrier is asked how far it is.
#[utoipa::path(
    post, path = "/v1/parcels/{id}/hand-over", tag = "shipping", operation_id = "hand_parcel_over", request_body = Nothing,
    params(("id" = Uuid, Path, description = "The parcel")),
    responses(
        (status = 200, description = "Its request", body = ShipmentView),
        (status = 409, description = "`state_conflict`: it is not packed, has no waybill, or a change waits"),
    ),
    security(("operator" = ["admin", "operator", "warehouse"]))
)]
async fn hand_over(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<ParcelId>,
    asked: Asked<Nothing>,
) -> Result<Response, ApiError> {
    let effect = async |deed: &mut Deed<'_>, Nothing {}| {
        let (tenant, now) = (deed.tenant(), deed.now());
        warehouse::parcel(deed, id).await?;
        if !rows::hand_over(deed, tenant, id, now).await? {
            return Err(ApiError::detailed(
                Code::StateConflict,
                "only what is packed, has a waybill, and waits for no change can be handed over",
            ));
        }
        deed.audit("parcel.handed_over", &id.to_string()).await?;
        seen_of(deed, id).await
    };
    asked.decide(&app, operator.actor(), effect).await
}

/// Give a parcel up before a carrier has it.
///
/// As soon as the carrier has cancelled its waybill, what is in it is outside of parcels again.
#[utoipa::path(
    post, path = "/v1/parcels/{id}/cancel", tag = "shipping", operation_id = "cancel_parcel", request_body = Nothing,
    params(("id" = Uuid, Path, description = "The parcel")),
    responses(
        (status = 200, description = "Its request", body = ShipmentView),
        (status = 409, description = "`state_conflict`: a carrier has it, or it was given up before"),
    ),
    security(("operator" = ["admin", "operator", "warehouse"]))
)]
async fn cancel_parcel(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<ParcelId>,
    asked: Asked<Nothing>,
) -> Result<Response, ApiError> {
    let effect = async |deed: &mut Deed<'_>, Nothing {}| {
        let (tenant, now) = (deed.tenant(), deed.now());
        warehouse::parcel(deed, id).await?;
        if !rows::begin_change(deed, tenant, id, Change::Cancel, now).await? {
            return Err(ApiError::detailed(
                Code::StateConflict,
                "only what waits or is packed can be given up, and once",
            ));
        }
        deed.audit("parcel.given_up", &id.to_string()).await?;
        seen_of(deed, id).await
    };
    rung(&app, asked.decide(&app, operator.actor(), effect).await)
}

/// A waybill that was made elsewhere.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TypedWaybill {
    /// The carrier's code, as aggregators know it: `shunfeng`.
    #[schema(min_length = 1, max_length = 32)]
    carrier: String,
    /// Its number.
    #[schema(min_length = 4, max_length = 64)]
    number: String,
}

fn check_waybill(fields: &mut Fields, prefix: &str, carrier: &str, number: &str) {
    fields.check(
        change::is_carrier(carrier),
        &format!("{prefix}carrier"),
        "malformed",
        "1 to 32 small letters, digits and _",
    );
    fields.check(
        change::is_number(&typed::waybill(number)),
        &format!("{prefix}number"),
        "malformed",
        "4 to 64 letters, digits and -",
    );
}

/// A parcel travels by a waybill that was made elsewhere.
#[utoipa::path(
    post, path = "/v1/parcels/{id}/waybill", tag = "shipping", operation_id = "type_waybill", request_body = TypedWaybill,
    params(("id" = Uuid, Path, description = "The parcel")),
    responses(
        (status = 200, description = "Its request", body = ShipmentView),
        (status = 409, description = "`state_conflict`: it has one already, or another parcel has this one"),
    ),
    security(("operator" = ["admin", "operator", "warehouse"]))
)]
async fn type_waybill(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<ParcelId>,
    asked: Asked<TypedWaybill>,
) -> Result<Response, ApiError> {
    let effect = async |deed: &mut Deed<'_>, typed: TypedWaybill| {
        let mut fields = Fields::default();
        check_waybill(&mut fields, "", &typed.carrier, &typed.number);
        fields.done()?;
        change::type_waybill(deed, id, &typed.carrier, &typed.number).await?;
        seen_of(deed, id).await
    };
    asked.decide(&app, operator.actor(), effect).await
}

/// Waybills that were made elsewhere.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ImportedWaybills {
    /// At most 500.
    #[schema(min_items = 1, max_items = 500)]
    waybills: Vec<ImportedWaybill>,
}

/// A waybill that was made elsewhere, and its parcel.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ImportedWaybill {
    /// The parcel.
    #[schema(value_type = Uuid)]
    parcel: ParcelId,
    /// The carrier's code.
    #[schema(min_length = 1, max_length = 32)]
    carrier: String,
    /// Its number.
    #[schema(min_length = 4, max_length = 64)]
    number: String,
}

/// How many were taken.
#[derive(Debug, Serialize, ToSchema)]
struct WaybillsImported {
    /// All that were sent.
    imported: usize,
}

/// Import waybills that were made elsewhere.
///
/// All of them or none: a refusal names the first that can't be.
#[utoipa::path(
    post, path = "/v1/waybills", tag = "shipping", operation_id = "import_waybills", request_body = ImportedWaybills,
    responses(
        (status = 200, description = "They are taken", body = WaybillsImported),
        (status = 409, description = "`state_conflict`: one of the parcels has a waybill already, or another parcel has this one"),
    ),
    security(("operator" = ["admin", "operator", "warehouse"]))
)]
async fn import_waybills(
    State(app): State<Arc<App>>,
    operator: Operator,
    asked: Asked<ImportedWaybills>,
) -> Result<Response, ApiError> {
    let effect = async |deed: &mut Deed<'_>, new: ImportedWaybills| {
        let mut fields = Fields::default();
        fields.check(
            (1..=IMPORTED).contains(&new.waybills.len()),
            "waybills",
            "out_of_range",
            "from 1 to 500",
        );
        for (place, one) in new.waybills.iter().take(IMPORTED).enumerate() {
            check_waybill(&mut fields, &format!("waybills[{place}]."), &one.carrier, &one.number);
        }
        fields.done()?;
        for (place, one) in new.waybills.iter().enumerate() {
            change::type_waybill(deed, one.parcel, &one.carrier, &one.number)
                .await
                .map_err(|ApiError(mut problem)| {
                    if let Some(detail) = &problem.detail {
                        problem.detail = Some(format!("waybills[{place}]: {detail}"));
                    }
                    ApiError(problem)
                })?;
        }
        let imported = new.waybills.len();
        Ok((StatusCode::OK, WaybillsImported { imported }))
    };
    asked.decide(&app, operator.actor(), effect).await
}

/// What became of a parcel for good.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Booking {
    /// `returned`: the goods are back, in full; `lost`: they are gone.
    outcome: Outcome,
}

/// Book what became for good of a parcel that will not arrive.
///
/// Once: what an exchange sent is then given back for, with the goods or without.
#[utoipa::path(
    post, path = "/v1/parcels/{id}/settle", tag = "shipping", operation_id = "settle_parcel", request_body = Booking,
    params(("id" = Uuid, Path, description = "The parcel")),
    responses(
        (status = 200, description = "Its request", body = ShipmentView),
        (status = 409, description = "`state_conflict`: no carrier has it, or it was booked before"),
    ),
    security(("operator" = ["admin", "operator", "warehouse"]))
)]
async fn settle(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<ParcelId>,
    asked: Asked<Booking>,
) -> Result<Response, ApiError> {
    let effect = async |deed: &mut Deed<'_>, Booking { outcome }| {
        warehouse::settle(deed, id, outcome).await?;
        let action = match outcome {
            Outcome::Returned => "parcel.returned",
            Outcome::Lost => "parcel.lost",
        };
        deed.audit(action, &id.to_string()).await?;
        seen_of(deed, id).await
    };
    asked.decide(&app, operator.actor(), effect).await
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Fresh {
    /// Whether the carrier is asked first, where that may be: each waybill once in half an hour.
    fresh: Option<bool>,
}

/// How far a parcel is, and what is known of the asking.
#[derive(Debug, Serialize, ToSchema)]
struct ParcelProgress {
    /// What is held, and since when.
    waybill: WaybillView,
    /// Why the carrier was not asked, or did not tell; absent when it did, or was not to be asked. `spared`: it was asked a
    /// short while ago; `carrier_left_alone`, `carrier_unreached`, `carrier_unclear`, `carrier_refused`: what is held is the
    /// last known; `nobody`: nobody who knows is set up.
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
}

async fn live(app: &App, operator: &Operator, id: ParcelId) -> Result<rows::Waybill, ApiError> {
    let mut reader = app.db.reader().acquire().await.map_err(DbError::from)?;
    rows::parcel(&mut reader, operator.tenant, id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    let waybills = rows::waybills_of(&mut reader, operator.tenant, &[id]).await?;
    let mut live = waybills.into_iter().filter(|one| one.status == WaybillStatus::Live);
    live.next()
        .ok_or_else(|| ApiError::detailed(Code::StateConflict, "the parcel has no waybill yet"))
}

/// How far a parcel is.
#[utoipa::path(
    get, path = "/v1/parcels/{id}/progress", tag = "shipping", operation_id = "show_progress",
    params(("id" = Uuid, Path, description = "The parcel"), Fresh),
    responses(
        (status = 200, description = "What is known", body = ParcelProgress),
        (status = 409, description = "`state_conflict`: it has no waybill yet"),
    ),
    security(("operator" = ["admin", "operator", "warehouse"]))
)]
async fn progress(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<ParcelId>,
    Query(Fresh { fresh }): Query<Fresh>,
) -> Result<Json<ParcelProgress>, ApiError> {
    let mut waybill = live(&app, &operator, id).await?;
    let mut trouble = None;
    if fresh == Some(true) {
        let looked = tracking::look(&app, operator.tenant, &waybill.carrier, &waybill.number).await?;
        trouble = match looked {
            Looked::Told | Looked::Older | Looked::Subscribed | Looked::Unknown => None,
            Looked::Spared => Some("spared".to_owned()),
            Looked::Nobody => Some("nobody".to_owned()),
            Looked::Failed(error) => Some(error.code().to_owned()),
        };
        waybill = live(&app, &operator, id).await?;
    }
    let waybill = shown::waybill(waybill, app.clock.now());
    Ok(Json(ParcelProgress { waybill, trouble }))
}

/// The label of a parcel.
///
/// As the carrier gives it: a picture or a document.
#[utoipa::path(
    get, path = "/v1/parcels/{id}/label", tag = "shipping", operation_id = "show_label",
    params(("id" = Uuid, Path, description = "The parcel")),
    responses(
        (status = 200, description = "The label", body = crate::http::File, content_type = "application/octet-stream"),
        (status = 409, description = "`state_conflict`: it has no waybill yet, or its carrier prints no labels here"),
    ),
    security(("operator" = ["admin", "operator", "warehouse"]))
)]
async fn label(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<ParcelId>,
) -> Result<Response, ApiError> {
    let waybill = live(&app, &operator, id).await?;
    let line = match app.own.of::<Registry>().ordering(&app, operator.tenant).await? {
        Some((carrier, line)) if carrier == waybill.carrier => line,
        _ => return Err(no_label("its carrier prints no labels here")),
    };
    match line.label(&waybill.number).await {
        Ok(label) => {
            let headers = [
                (header::CONTENT_TYPE, label.media_type),
                // A picture of somebody else's making is looked at apart from this page.
                (header::CONTENT_DISPOSITION, "attachment".to_owned()),
            ];
            Ok((headers, label.bytes).into_response())
        }
        Err(CarrierError::Refused(word)) => Err(no_label(&format!("the carrier gives no label: {word}"))),
        Err(error) => {
            tracing::warn!(%error, "a carrier gives no label");
            Err(ApiError::busy(30))
        }
    }
}

fn no_label(why: &str) -> ApiError {
    ApiError::detailed(Code::StateConflict, why)
}
