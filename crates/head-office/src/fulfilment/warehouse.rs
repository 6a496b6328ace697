//! What the warehouse does with parcels, and what follows from it.

use counterfoil_domain::{
    ids::{ParcelId, ShipmentId},
    planted,
};
use counterfoil_protocol::problem::Code;
use uuid::Uuid;

use super::{
    Outcome, Settled, ShipLine, ShipmentKind, TOPIC_SETTLED, key,
    rows::{self, Parcel, ParcelState, Shipment},
};
use crate::{
    db::{DbError, Trouble},
    deed::Deed,
    http::ApiError,
    outbox::Outgoing,
};

fn conflict(what: impl Into<String>) -> ApiError {
    ApiError::detailed(Code::StateConflict, what)
}

/// A parcel of the deed's own chain.
///
/// # Errors
/// `not_found`, and the database's.
pub async fn parcel(deed: &mut Deed<'_>, id: ParcelId) -> Result<Parcel, ApiError> {
    let tenant = deed.tenant();
    rows::parcel(deed, tenant, id).await?.ok_or_else(ApiError::not_found)
}

/// A request of the deed's own chain.
///
/// # Errors
/// `not_found`, and the database's.
pub async fn shipment(deed: &mut Deed<'_>, id: ShipmentId) -> Result<Shipment, ApiError> {
    let tenant = deed.tenant();
    let found = rows::shipments(deed, tenant, &[id]).await?.pop();
    found.ok_or_else(ApiError::not_found)
}

async fn held(deed: &mut Deed<'_>, parcel: ParcelId) -> Result<Vec<(i64, i64)>, DbError> {
    let tenant = deed.tenant();
    let lines = rows::parcel_lines(deed, tenant, &[parcel]).await?;
    Ok(lines.into_iter().map(|(_, line, quantity)| (line, quantity)).collect())
}

/// Packs a parcel; `packed` = what is in it, where that is less than planned. The rest is outside of parcels again.
///
/// # Errors
/// `state_conflict`, and the database's.
pub async fn pack(deed: &mut Deed<'_>, id: ParcelId, packed: Option<&[(i64, i64)]>) -> Result<(), ApiError> {
    let (tenant, now) = (deed.tenant(), deed.now());
    let parcel = parcel(deed, id).await?;
    if let Some(packed) = packed {
        hold(deed, &parcel).await?;
        let held = held(deed, id).await?;
        if packed
            .iter()
            .any(|(line, _)| !held.iter().any(|(known, _)| known == line))
        {
            return Err(conflict("the parcel has no such line"));
        }
        let missing: Vec<(i64, i64)> = held
            .iter()
            .map(|&(line, planned)| {
                let found = packed.iter().find(|(known, _)| *known == line);
                (line, planned - found.map_or(0, |(_, quantity)| *quantity))
            })
            .filter(|(_, missing)| *missing != 0)
            .collect();
        if missing.iter().any(|(_, missing)| *missing < 0) {
            return Err(conflict("more was packed than the parcel is to hold"));
        }
        if !missing.is_empty() && !rows::take_out(deed, tenant, &parcel, &held, &missing).await? {
            return Err(conflict("an empty parcel is not packed: cancel it"));
        }
    }
    if !rows::pack(deed, tenant, id, now).await? {
        return Err(waits(&parcel, "packed"));
    }
    Ok(())
}

async fn hold(deed: &mut Deed<'_>, parcel: &Parcel) -> Result<(), ApiError> {
    let (tenant, now) = (deed.tenant(), deed.now());
    if rows::hold_waiting(deed, tenant, parcel.id, now).await? {
        return Ok(());
    }
    Err(waits(parcel, "split or packed"))
}

fn waits(parcel: &Parcel, what: &str) -> ApiError {
    conflict(match parcel.change {
        Some(_) => "a change of the parcel waits for its carrier".to_owned(),
        None => format!("only what waits to be packed can be {what}"),
    })
}

/// Takes pieces out of a parcel that waits, into a new one.
///
/// # Errors
/// `state_conflict`, and the database's.
pub async fn split(deed: &mut Deed<'_>, id: ParcelId, out: &[(i64, i64)]) -> Result<ParcelId, ApiError> {
    let tenant = deed.tenant();
    let parcel = parcel(deed, id).await?;
    if !rows::hold_shipment(deed, tenant, parcel.shipment).await? {
        return Err(conflict("the request was cancelled"));
    }
    hold(deed, &parcel).await?;
    let held = held(deed, id).await?;
    if !rows::take_out(deed, tenant, &parcel, &held, out).await? {
        return Err(conflict(
            "there is not so much in the parcel, or nothing would be left in it",
        ));
    }
    add(deed, parcel.shipment, out).await
}

/// Puts what is outside of parcels into a new one.
///
/// # Errors
/// `state_conflict`, and the database's.
pub async fn add(deed: &mut Deed<'_>, id: ShipmentId, lines: &[(i64, i64)]) -> Result<ParcelId, ApiError> {
    let (tenant, now) = (deed.tenant(), deed.now());
    let shipment = shipment(deed, id).await?;
    if shipment.cancelled_at.is_some() {
        return Err(conflict("the request was cancelled"));
    }
    let parcel = ParcelId::placed(id.place(), now, deed.fresh()?);
    match rows::insert_parcel(deed, tenant, id, parcel, shipment.parcels + 1, lines, now).await {
        Ok(()) => Ok(parcel),
        Err(DbError::RowCount {
            table: "shipment_lines",
            ..
        }) => Err(conflict("there is not so much outside of parcels")),
        Err(error) if error.trouble() == Trouble::Again => Err(ApiError::new(Code::ChangedMeanwhile)),
        Err(error) => Err(error.into()),
    }
}

/// Books what became of a parcel for good, once, and says so to whoever gives back what it cost.
///
/// # Errors
/// `state_conflict`, and the database's.
pub async fn settle(deed: &mut Deed<'_>, id: ParcelId, outcome: Outcome) -> Result<(), ApiError> {
    let (tenant, now) = (deed.tenant(), deed.now());
    let parcel = parcel(deed, id).await?;
    let state = match outcome {
        Outcome::Returned => ParcelState::Returned,
        Outcome::Lost => ParcelState::Lost,
    };
    if !rows::settle(deed, tenant, id, state, now).await? {
        return Err(conflict(
            "only what the carrier has can be booked as returned or lost, and once",
        ));
    }
    let shipment = shipment(deed, parcel.shipment).await?;
    let outcome = planted!("lost_said_returned", Outcome::Returned, outcome);
    let lines = held(deed, id).await?;
    Ok(tell(deed, &shipment, id.0, outcome, &lines).await?)
}

/// A parcel was given up before the carrier had it: whoever cancelled the whole request is told.
///
/// # Errors
/// The database's.
pub async fn settle_cancelled(deed: &mut Deed<'_>, parcel: &Parcel, outcome: Outcome) -> Result<(), DbError> {
    let tenant = deed.tenant();
    let Some(shipment) = rows::shipments(deed, tenant, &[parcel.shipment]).await?.pop() else {
        return Ok(());
    };
    if shipment.cancelled_at.is_none() {
        return Ok(());
    }
    let lines = held(deed, parcel.id).await?;
    tell(deed, &shipment, parcel.id.0, outcome, &lines).await
}

/// Cancels a request: nothing more goes into parcels, and what is outside of them is settled at once.
///
/// # Errors
/// `state_conflict`, and the database's.
pub async fn cancel(deed: &mut Deed<'_>, id: ShipmentId) -> Result<(), ApiError> {
    let (tenant, now) = (deed.tenant(), deed.now());
    let shipment = shipment(deed, id).await?;
    if !rows::cancel(deed, tenant, id, now).await? {
        return Err(conflict("the request was cancelled before"));
    }
    let parcels = rows::parcels_of(deed, tenant, &[id]).await?;
    for parcel in parcels {
        rows::begin_change(deed, tenant, parcel.id, rows::Change::Cancel, now).await?;
    }
    let lines = rows::lines_of(deed, tenant, &[id]).await?;
    let outside: Vec<(i64, i64)> = lines
        .iter()
        .map(|line| (line.line, line.ordered - line.in_parcels))
        .filter(|(_, outside)| *outside > 0)
        .collect();
    if !outside.is_empty() {
        tell(deed, &shipment, id.0, Outcome::Returned, &outside).await?;
    }
    Ok(())
}

async fn tell(
    deed: &mut Deed<'_>,
    shipment: &Shipment,
    booked: Uuid,
    outcome: Outcome,
    lines: &[(i64, i64)],
) -> Result<(), DbError> {
    if shipment.kind != ShipmentKind::Exchange {
        return Ok(());
    }
    let tenant = deed.tenant();
    let known = rows::lines_of(deed, tenant, &[shipment.id]).await?;
    let lines = lines.iter().filter_map(|(number, quantity)| {
        let line = known.iter().find(|line| line.line == *number)?;
        Some(ShipLine {
            sku: line.sku.clone(),
            name: line.name.clone(),
            quantity: *quantity,
        })
    });
    let settled = Settled {
        id: booked,
        kind: shipment.kind,
        source: shipment.source.clone(),
        outcome,
        lines: lines.collect(),
    };
    let body = serde_json::to_string(&settled).map_err(|error| DbError::config(error.to_string()))?;
    deed.send(&Outgoing {
        topic: TOPIC_SETTLED,
        key: key(shipment.kind, &shipment.source),
        source: booked.to_string(),
        body,
    })
    .await?;
    Ok(())
}
