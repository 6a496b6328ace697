//! SQL of what is to be done at carriers.

use counterfoil_domain::{
    ids::{ParcelId, TenantId},
    time::Millis,
};
use sqlx::{AnyConnection, Row};

use super::{Parcel, ParcelState, lines_of, parcel_lines, shipments};
use crate::{
    carriers::{Consignment, Goods},
    db::{
        DbError,
        batch::{Text, execute, fetch, id, word, word_or_null},
    },
};

/// What is to be done at the carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Errand {
    /// Order a waybill.
    Order,
    /// Cancel every waybill of the generation but the live one, and that too where a change waits for it.
    Clear,
}

/// An errand that somebody has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The chain.
    pub tenant: TenantId,
    /// Of which parcel.
    pub parcel: ParcelId,
    /// Of which generation.
    pub generation: i64,
    /// What is to be done.
    pub errand: Errand,
    /// How often it was begun, this time included.
    pub tries: i64,
    /// Proves that nobody else has taken it since.
    pub turn: i64,
    /// Until when an answer may still come that nobody has heard.
    pub doubtful_until: Option<Millis>,
}

const PUT_OFF: Text = Text::new(
    "UPDATE parcel_generations SET errand_at = v.column4, trouble = v.column5 FROM (VALUES ",
    ") AS v WHERE parcel_generations.tenant = $1 AND parcel_generations.parcel = v.column1 AND parcel_generations.generation = v.column2 AND parcel_generations.turn = v.column3 AND parcel_generations.errand = 'order'",
);
const TROUBLES_OF: Text = Text::new(
    "SELECT parcel, generation, errand, tries, trouble FROM parcel_generations WHERE tenant = $1 AND parcel IN (",
    ") ORDER BY parcel, generation",
);

/// Errands that are due, of all chains, the one that waits longest first.
///
/// # Errors
/// The driver's.
pub async fn due(connection: &mut AnyConnection, now: Millis, most: i64) -> Result<Vec<Taken>, DbError> {
    sqlx::query(
        "SELECT tenant, parcel, generation, errand, tries, turn, doubtful_until FROM parcel_generations WHERE errand_at <= $1 ORDER BY errand_at LIMIT $2",
    )
    .bind(now)
    .bind(most)
    .fetch_all(connection)
    .await?
    .iter()
    .map(|row| {
        Ok(Taken {
            tenant: id(row, "tenant", TenantId::from_bytes)?,
            parcel: id(row, "parcel", ParcelId::from_bytes)?,
            generation: row.try_get("generation")?,
            errand: word(row, "errand")?,
            tries: row.try_get("tries")?,
            turn: row.try_get("turn")?,
            doubtful_until: row.try_get("doubtful_until")?,
        })
    })
    .collect()
}

/// Takes an errand as it was read: nobody else takes it before `until`. An order leaves doubt from here on, whatever becomes
/// of whoever takes it. Nothing when somebody was first.
///
/// # Errors
/// The driver's.
pub async fn take(
    connection: &mut AnyConnection,
    seen: &Taken,
    until: Millis,
    doubtful_until: Millis,
) -> Result<Option<Taken>, DbError> {
    let doubtful_until = match seen.errand {
        Errand::Order => Some(doubtful_until),
        Errand::Clear => seen.doubtful_until,
    };
    let taken = sqlx::query(
        "UPDATE parcel_generations SET errand_at = $1, tries = tries + 1, turn = turn + 1, doubtful_until = $2 WHERE tenant = $3 AND parcel = $4 AND generation = $5 AND turn = $6 AND errand IS NOT NULL",
    )
    .bind(until)
    .bind(doubtful_until)
    .bind(seen.tenant.bytes().to_vec())
    .bind(seen.parcel.bytes().to_vec())
    .bind(seen.generation)
    .bind(seen.turn)
    .execute(connection)
    .await?;
    Ok((taken.rows_affected() == 1).then(|| Taken {
        tries: seen.tries + 1,
        turn: seen.turn + 1,
        doubtful_until,
        ..seen.clone()
    }))
}

/// An errand came to nothing and is done again later. `uncounted` = it was not really begun; `sure` = nothing can have been
/// done at the carrier, so that it leaves no doubt. Nothing when somebody else has it by now.
///
/// # Errors
/// The driver's.
pub async fn put_off(
    connection: &mut AnyConnection,
    taken: &Taken,
    until: Millis,
    trouble: &str,
    uncounted: bool,
    sure: bool,
) -> Result<(), DbError> {
    sqlx::query(
        "UPDATE parcel_generations SET errand_at = $1, trouble = $2, tries = tries - $3, doubtful_until = CASE WHEN $4 = 1 THEN NULL ELSE doubtful_until END WHERE tenant = $5 AND parcel = $6 AND generation = $7 AND turn = $8 AND errand IS NOT NULL",
    )
    .bind(until)
    .bind(trouble.to_owned())
    .bind(i64::from(uncounted))
    .bind(i64::from(sure))
    .bind(taken.tenant.bytes().to_vec())
    .bind(taken.parcel.bytes().to_vec())
    .bind(taken.generation)
    .bind(taken.turn)
    .execute(connection)
    .await?;
    Ok(())
}

/// Orders of a chain, as they were read, that nobody can be asked for now are put off; nothing was begun.
///
/// # Errors
/// The driver's.
pub async fn put_off_orders(
    connection: &mut AnyConnection,
    tenant: TenantId,
    seen: &[&Taken],
    until: Millis,
    trouble: &str,
) -> Result<u64, DbError> {
    if seen.is_empty() {
        return Ok(0);
    }
    execute(connection, PUT_OFF, tenant, seen, |b, one| {
        b.bytes(one.parcel.bytes())
            .number(one.generation)
            .number(one.turn)
            .number(until)
            .text(trouble);
    })
    .await
}

/// What of a chain was put off for this trouble is due.
///
/// # Errors
/// The driver's.
pub async fn resume(
    connection: &mut AnyConnection,
    tenant: TenantId,
    trouble: &str,
    now: Millis,
) -> Result<(), DbError> {
    sqlx::query("UPDATE parcel_generations SET errand_at = $1 WHERE tenant = $2 AND trouble = $3 AND errand_at > $1")
        .bind(now)
        .bind(tenant.bytes().to_vec())
        .bind(trouble.to_owned())
        .execute(connection)
        .await?;
    Ok(())
}

/// An order is done, whoever did it. What is left is to look, once no answer can come any longer, for what nobody has heard
/// of: an order that was begun twice, or a carrier that made two waybills of one. False when it was done before, or something
/// else is to be done by now.
///
/// # Errors
/// The driver's.
pub async fn ordered(
    connection: &mut AnyConnection,
    tenant: TenantId,
    parcel: ParcelId,
    generation: i64,
) -> Result<bool, DbError> {
    let done = sqlx::query(
        "UPDATE parcel_generations SET errand = CASE WHEN doubtful_until IS NULL THEN NULL ELSE 'clear' END, errand_at = doubtful_until, tries = 0, turn = turn + 1, trouble = NULL WHERE tenant = $1 AND parcel = $2 AND generation = $3 AND errand = 'order'",
    )
    .bind(tenant.bytes().to_vec())
    .bind(parcel.bytes().to_vec())
    .bind(generation)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The waybill is typed: as [`ordered`], but an order that was begun at all may still come to something.
///
/// # Errors
/// The driver's.
pub async fn ordered_by_hand(
    connection: &mut AnyConnection,
    tenant: TenantId,
    parcel: &Parcel,
) -> Result<bool, DbError> {
    let done = sqlx::query(
        "UPDATE parcel_generations SET errand = CASE WHEN doubtful_until IS NULL THEN NULL ELSE 'clear' END, errand_at = doubtful_until, tries = 0, turn = turn + 1, trouble = NULL WHERE tenant = $1 AND parcel = $2 AND generation = $3 AND errand = 'order'",
    )
    .bind(tenant.bytes().to_vec())
    .bind(parcel.id.bytes().to_vec())
    .bind(parcel.generation)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Everything is cleared away; where an answer may still come it is done again then. False when somebody else has it by now.
///
/// # Errors
/// The driver's.
pub async fn cleared(connection: &mut AnyConnection, taken: &Taken, now: Millis) -> Result<bool, DbError> {
    let done = sqlx::query(
        "UPDATE parcel_generations SET errand = CASE WHEN doubtful_until > $1 THEN 'clear' ELSE NULL END, errand_at = CASE WHEN doubtful_until > $1 THEN doubtful_until ELSE NULL END, doubtful_until = CASE WHEN doubtful_until > $1 THEN doubtful_until ELSE NULL END, tries = 0, turn = turn + 1, trouble = NULL WHERE tenant = $2 AND parcel = $3 AND generation = $4 AND turn = $5 AND errand = 'clear'",
    )
    .bind(now)
    .bind(taken.tenant.bytes().to_vec())
    .bind(taken.parcel.bytes().to_vec())
    .bind(taken.generation)
    .bind(taken.turn)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// There is something to clear away now.
///
/// # Errors
/// The driver's.
pub async fn to_be_cleared(
    connection: &mut AnyConnection,
    tenant: TenantId,
    parcel: ParcelId,
    generation: i64,
    now: Millis,
) -> Result<(), DbError> {
    sqlx::query("UPDATE parcel_generations SET errand = 'clear', errand_at = $1, tries = 0, turn = turn + 1 WHERE tenant = $2 AND parcel = $3 AND generation = $4 AND (errand IS NULL OR errand = 'clear')")
        .bind(now)
        .bind(tenant.bytes().to_vec())
        .bind(parcel.bytes().to_vec())
        .bind(generation)
        .execute(connection)
        .await?;
    Ok(())
}

/// What the carrier is told of a parcel of this generation; nothing when it is none that goes anywhere.
///
/// # Errors
/// The driver's.
pub async fn consignment(
    connection: &mut AnyConnection,
    tenant: TenantId,
    parcel: ParcelId,
    generation: i64,
) -> Result<Option<Consignment>, DbError> {
    let Some(found) = super::parcel(connection, tenant, parcel).await? else {
        return Ok(None);
    };
    let goes = matches!(found.state, ParcelState::Waiting | ParcelState::Packed);
    if found.generation != generation || found.change.is_some() || !goes {
        return Ok(None);
    }
    let Some(shipment) = shipments(connection, tenant, &[found.shipment]).await?.pop() else {
        return Ok(None);
    };
    let lines = lines_of(connection, tenant, &[found.shipment]).await?;
    let goods = parcel_lines(connection, tenant, &[parcel]).await?.into_iter();
    let goods = goods.filter_map(|(_, line, quantity)| {
        let line = lines.iter().find(|one| one.line == line)?;
        Some(Goods {
            name: line.name.clone(),
            quantity,
        })
    });
    let crate::fulfilment::Address {
        recipient,
        phone,
        region,
        street,
    } = shipment.address;
    Ok(Some(Consignment {
        recipient,
        phone,
        region,
        street,
        goods: goods.collect(),
    }))
}

/// What is left to do at the carrier for a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Of which parcel.
    pub parcel: ParcelId,
    /// Of which generation.
    pub generation: i64,
    /// What.
    pub errand: Option<Errand>,
    /// How often it was begun.
    pub tries: i64,
    /// Why it came to nothing.
    pub trouble: Option<String>,
}

/// What is left to do at the carrier for parcels, by generation.
///
/// # Errors
/// The driver's.
pub async fn left(
    connection: &mut AnyConnection,
    tenant: TenantId,
    parcels: &[ParcelId],
) -> Result<Vec<Left>, DbError> {
    fetch(connection, TROUBLES_OF, "", tenant, parcels, |b, id| {
        b.bytes(id.bytes());
    })
    .await?
    .read(|row| {
        Ok(Left {
            parcel: id(row, "parcel", ParcelId::from_bytes)?,
            generation: row.try_get("generation")?,
            errand: word_or_null(row, "errand")?,
            tries: row.try_get("tries")?,
            trouble: row.try_get("trouble")?,
        })
    })
    .collect()
}
