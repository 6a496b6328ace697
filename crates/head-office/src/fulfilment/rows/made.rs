//! Shipping requests as they are made: many at once, each with its first parcel and the errand of its waybill.

use std::collections::BTreeSet;

use counterfoil_domain::{
    ids::{ParcelId, ShipmentId, TenantId},
    time::Millis,
    words::Word,
};
use sqlx::AnyConnection;

use super::{INSERT_PARCEL_LINES, ShipLine, ShipRequest};
use crate::db::{
    DbError,
    batch::{Text, execute_all, fetch, id},
};

const INSERT: Text = Text::new(
    "INSERT INTO shipments (tenant, id, kind, source, member, recipient, phone, region, street, parcels, created_at) VALUES ",
    " ON CONFLICT (tenant, kind, source) DO NOTHING RETURNING id",
);
const INSERT_LINES: Text = Text::new(
    "INSERT INTO shipment_lines (tenant, shipment, line, sku, name, ordered, in_parcels) VALUES ",
    " ON CONFLICT DO NOTHING",
);
const INSERT_PARCELS: Text = Text::new(
    "INSERT INTO parcels (tenant, id, shipment, number, generation, state, changed_at) VALUES ",
    " ON CONFLICT DO NOTHING",
);
const INSERT_GENERATIONS: Text = Text::new(
    "INSERT INTO parcel_generations (tenant, parcel, generation, errand, errand_at, tries, turn) VALUES ",
    " ON CONFLICT DO NOTHING",
);

/// A request that is to be made, and the parcel that all of it goes into at first.
#[derive(Debug)]
pub struct New<'r> {
    /// Its id.
    pub id: ShipmentId,
    /// The parcel's.
    pub parcel: ParcelId,
    /// What is asked for.
    pub request: &'r ShipRequest,
}

/// Makes requests, their lines, a parcel of each and the errand of its waybill; which of them were made. Of the others
/// there is one of the same source already, which stays as it is.
///
/// # Errors
/// [`DbError::RowCount`] when an id is known; else the driver's.
pub async fn insert_shipments(
    connection: &mut AnyConnection,
    tenant: TenantId,
    new: &[New<'_>],
    now: Millis,
) -> Result<BTreeSet<ShipmentId>, DbError> {
    let made: BTreeSet<ShipmentId> = fetch(connection, INSERT, "", tenant, new, |b, new| {
        let ShipRequest {
            kind,
            source,
            member,
            address,
            ..
        } = new.request;
        b.bytes(new.id.bytes())
            .text(kind.as_str())
            .text(source)
            .bytes_or_null(member.as_ref().map(|member| &member.bytes()[..]))
            .text(&address.recipient)
            .text(&address.phone)
            .text(&address.region)
            .text(&address.street)
            .number(1)
            .number(now);
    })
    .await?
    .read(|row| id(row, "id", ShipmentId::from_bytes))
    .collect::<Result<_, _>>()?;
    let new: Vec<&New<'_>> = new.iter().filter(|new| made.contains(&new.id)).collect();
    if new.is_empty() {
        return Ok(made);
    }
    let lines: Vec<(&New<'_>, i64, &ShipLine)> = new
        .iter()
        .flat_map(|new| (0..).zip(&new.request.lines).map(|(number, line)| (*new, number, line)))
        .collect();
    execute_all(
        connection,
        "shipment_lines",
        INSERT_LINES,
        tenant,
        &lines,
        |b, (new, number, line)| {
            b.bytes(new.id.bytes())
                .number(*number)
                .text(&line.sku)
                .text(&line.name)
                .number(line.quantity)
                .number(line.quantity);
        },
    )
    .await?;
    execute_all(connection, "parcels", INSERT_PARCELS, tenant, &new, |b, new| {
        b.bytes(new.parcel.bytes())
            .bytes(new.id.bytes())
            .number(1)
            .number(1)
            .text("waiting")
            .number(now);
    })
    .await?;
    execute_all(
        connection,
        "parcel_lines",
        INSERT_PARCEL_LINES,
        tenant,
        &lines,
        |b, (new, number, line)| {
            b.bytes(new.parcel.bytes()).number(*number).number(line.quantity);
        },
    )
    .await?;
    execute_all(
        connection,
        "parcel_generations",
        INSERT_GENERATIONS,
        tenant,
        &new,
        |b, new| {
            b.bytes(new.parcel.bytes())
                .number(1)
                .text("order")
                .number(now)
                .number(0)
                .number(0);
        },
    )
    .await?;
    Ok(made)
}
