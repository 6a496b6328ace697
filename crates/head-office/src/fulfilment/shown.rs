//! Shipping requests as they are shown: with their parcels, waybills, and how far each is.

use counterfoil_domain::{
    ids::{MemberId, ParcelId, ShipmentId, TenantId},
    people::{mask_name, mask_phone},
    time::Millis,
};
use serde::Serialize;
use sqlx::AnyConnection;
use utoipa::ToSchema;

use super::{
    Address, ShipmentKind,
    rows::{self, Change, Left, Line, Parcel, ParcelState, Shipment, Waybill, WaybillStatus},
};
use crate::{carriers::Progress, db::DbError};

/// A shipping request.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Shipment)]
pub struct ShipmentView {
    /// Its id.
    #[schema(value_type = Uuid)]
    pub id: ShipmentId,
    /// What asked for it.
    pub kind: ShipmentKind,
    /// Which exchange, or the number of which order.
    pub source: String,
    /// Whose it is, if anybody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    pub member: Option<MemberId>,
    /// Where what is not yet on its way goes.
    pub address: Address,
    /// What was asked for.
    pub lines: Vec<LineView>,
    /// Its parcels, in their order.
    pub parcels: Vec<ParcelView>,
    /// When it was cancelled, UTC ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelled_at: Option<Millis>,
    /// When it was made, UTC ms.
    pub created_at: Millis,
}

/// A line of a shipping request.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ShipmentLine)]
pub struct LineView {
    /// Its number, from 0: parcels name it so.
    pub line: i64,
    /// The sku.
    pub sku: String,
    /// What it is called.
    pub name: String,
    /// How many were asked for.
    pub ordered: i64,
    /// How many of them are in parcels; never more.
    pub in_parcels: i64,
}

/// A parcel.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Parcel)]
pub struct ParcelView {
    /// Its id.
    #[schema(value_type = Uuid)]
    pub id: ParcelId,
    /// Its number in the request, from 1.
    pub number: i64,
    /// Grows when the carrier has to be told something else.
    pub generation: i64,
    /// Where it stands.
    pub state: ParcelState,
    /// What waits for the carrier's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
    /// What is in it.
    pub lines: Vec<PieceView>,
    /// By what it travels; absent until a carrier has given it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waybill: Option<WaybillView>,
    /// Why there is no waybill yet, or a change still waits: a stable word. Operators see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// When it last moved, UTC ms.
    pub changed_at: Millis,
}

/// Pieces of a line in a parcel.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ParcelLine)]
pub struct PieceView {
    /// Which line of the request.
    pub line: i64,
    /// How many.
    pub quantity: i64,
}

/// A waybill, and how far its parcel is.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Waybill)]
pub struct WaybillView {
    /// The carrier's code.
    pub carrier: String,
    /// Its number.
    pub number: String,
    /// How far the parcel is, as the carrier last told.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub progress: Option<Progress>,
    /// What happened to it, the earliest first.
    pub events: Vec<EventView>,
    /// When the carrier last told, UTC ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told_at: Option<Millis>,
    /// How long ago that is, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age: Option<Millis>,
}

/// Something that happened to a parcel.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ParcelEvent)]
pub struct EventView {
    /// When, UTC ms.
    pub at: Millis,
    /// What, in the carrier's words.
    pub text: String,
}

/// Who looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eyes {
    /// Somebody who works with it.
    Worker,
    /// Somebody who only looks: names, numbers and streets are masked.
    Auditor,
    /// Whose it is.
    Member,
}

fn address(address: Address, eyes: Eyes) -> Address {
    match eyes {
        Eyes::Auditor => Address {
            recipient: mask_name(&address.recipient),
            phone: mask_phone(&address.phone),
            region: address.region,
            street: "***".to_owned(),
        },
        Eyes::Worker | Eyes::Member => address,
    }
}

pub(super) fn waybill(waybill: Waybill, now: Millis) -> WaybillView {
    let events = waybill.events.into_iter().map(|event| EventView {
        at: event.at,
        text: event.text,
    });
    WaybillView {
        carrier: waybill.carrier,
        number: waybill.number,
        progress: waybill.progress,
        events: events.collect(),
        told_at: waybill.told_at,
        age: waybill.told_at.map(|at| now.saturating_sub(at).max(0)),
    }
}

fn line(line: &Line) -> LineView {
    LineView {
        line: line.line,
        sku: line.sku.clone(),
        name: line.name.clone(),
        ordered: line.ordered,
        in_parcels: line.in_parcels,
    }
}

fn parcel(
    parcel: &Parcel,
    pieces: &[(ParcelId, i64, i64)],
    waybills: &[Waybill],
    left: &[Left],
    eyes: Eyes,
    now: Millis,
) -> ParcelView {
    let of_it = pieces.iter().filter(|(id, _, _)| *id == parcel.id);
    let live = waybills
        .iter()
        .find(|one| one.parcel == parcel.id && one.status == WaybillStatus::Live);
    let left = left
        .iter()
        .find(|one| one.parcel == parcel.id && one.generation == parcel.generation);
    ParcelView {
        id: parcel.id,
        number: parcel.number,
        generation: parcel.generation,
        state: parcel.state,
        change: parcel.change,
        lines: of_it.map(|&(_, line, quantity)| PieceView { line, quantity }).collect(),
        waybill: live.cloned().map(|one| waybill(one, now)),
        trouble: left
            .and_then(|left| left.trouble.clone())
            .filter(|_| eyes != Eyes::Member),
        changed_at: parcel.changed_at,
    }
}

/// Requests with all that belongs to them, in the order in which they are given.
///
/// # Errors
/// The driver's.
pub async fn views(
    connection: &mut AnyConnection,
    tenant: TenantId,
    shipments: Vec<Shipment>,
    eyes: Eyes,
    now: Millis,
) -> Result<Vec<ShipmentView>, DbError> {
    let ids: Vec<ShipmentId> = shipments.iter().map(|shipment| shipment.id).collect();
    let lines = rows::lines_of(connection, tenant, &ids).await?;
    let parcels = rows::parcels_of(connection, tenant, &ids).await?;
    let of_parcels: Vec<ParcelId> = parcels.iter().map(|parcel| parcel.id).collect();
    let pieces = rows::parcel_lines(connection, tenant, &of_parcels).await?;
    let waybills = rows::waybills_of(connection, tenant, &of_parcels).await?;
    let left = rows::left(connection, tenant, &of_parcels).await?;
    let views = shipments.into_iter().map(|shipment| {
        let own = parcels.iter().filter(|parcel| parcel.shipment == shipment.id);
        ShipmentView {
            id: shipment.id,
            kind: shipment.kind,
            source: shipment.source,
            member: shipment.member,
            address: address(shipment.address, eyes),
            lines: lines
                .iter()
                .filter(|one| one.shipment == shipment.id)
                .map(line)
                .collect(),
            parcels: own
                .map(|one| parcel(one, &pieces, &waybills, &left, eyes, now))
                .collect(),
            cancelled_at: shipment.cancelled_at,
            created_at: shipment.created_at,
        }
    });
    Ok(views.collect())
}

/// The same of one; nothing when there is none.
///
/// # Errors
/// The driver's.
pub async fn view(
    connection: &mut AnyConnection,
    tenant: TenantId,
    shipment: ShipmentId,
    eyes: Eyes,
    now: Millis,
) -> Result<Option<ShipmentView>, DbError> {
    let found = rows::shipments(connection, tenant, &[shipment]).await?;
    Ok(views(connection, tenant, found, eyes, now).await?.pop())
}
