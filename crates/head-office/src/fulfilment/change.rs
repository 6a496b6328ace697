//! Waybills that people type, and what goes somewhere else or nowhere.

use counterfoil_domain::{ids::ParcelId, typed};
use counterfoil_protocol::problem::Code;

use super::{
    Address,
    rows::{self, Change, ParcelState, Shipment, WaybillStatus},
    warehouse,
};
use crate::{deed::Deed, http::ApiError};

/// Longest code of a carrier, and longest number of a waybill.
const CARRIER_CHARACTERS: usize = 32;
const NUMBER_CHARACTERS: usize = 64;

/// Whether a text is a carrier's code: `shunfeng`.
pub fn is_carrier(text: &str) -> bool {
    (1..=CARRIER_CHARACTERS).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Whether a text is a waybill's number, in its form.
pub fn is_number(text: &str) -> bool {
    (4..=NUMBER_CHARACTERS).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A parcel travels by a waybill that somebody has typed.
///
/// # Errors
/// `state_conflict` when it has one, or another parcel has this one, and the database's.
pub async fn type_waybill(deed: &mut Deed<'_>, id: ParcelId, carrier: &str, number: &str) -> Result<(), ApiError> {
    let (tenant, now) = (deed.tenant(), deed.now());
    let parcel = warehouse::parcel(deed, id).await?;
    let refused = |what: &str| ApiError::detailed(Code::StateConflict, what);
    if !matches!(parcel.state, ParcelState::Waiting | ParcelState::Packed) || parcel.change.is_some() {
        return Err(refused("only a parcel that waits or is packed takes a waybill"));
    }
    if !rows::ordered_by_hand(deed, tenant, &parcel).await? {
        return Err(refused(
            "the parcel has a waybill: change its address or cancel it first",
        ));
    }
    let (number, generation) = (typed::waybill(number), parcel.generation);
    let live = WaybillStatus::Live;
    if !rows::insert_waybill(deed, tenant, carrier, &number, id, generation, live, now).await? {
        return Err(refused("this waybill is another parcel's"));
    }
    deed.audit("waybill.typed", &format!("{id} {carrier} {number}")).await?;
    Ok(())
}

/// What of a request is not yet on its way goes somewhere else; how many parcels wait for their carrier now.
///
/// # Errors
/// `state_conflict`, and the database's.
pub async fn readdress(deed: &mut Deed<'_>, shipment: &Shipment, address: &Address) -> Result<usize, ApiError> {
    let (tenant, now) = (deed.tenant(), deed.now());
    if !rows::set_address(deed, tenant, shipment.id, address).await? {
        return Err(ApiError::detailed(Code::StateConflict, "the request was cancelled"));
    }
    let parcels = rows::parcels_of(deed, tenant, &[shipment.id]).await?;
    let mut waiting = 0;
    for parcel in &parcels {
        if rows::begin_change(deed, tenant, parcel.id, Change::Address, now).await? {
            waiting += 1;
        }
    }
    let outside = rows::lines_of(deed, tenant, &[shipment.id]).await?;
    let is_open = outside.iter().any(|line| line.in_parcels < line.ordered)
        || parcels.iter().any(|parcel| parcel.change.is_some());
    if waiting == 0 && !is_open {
        return Err(ApiError::detailed(
            Code::StateConflict,
            "everything is on its way already",
        ));
    }
    Ok(waiting)
}
