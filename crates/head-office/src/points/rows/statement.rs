//! SQL of what people look at: statements, and what the chain owes.

use std::collections::BTreeMap;

use counterfoil_domain::{
    ids::{MemberId, StoreId, TenantId},
    points::{Asset, Balances, EntryKind, Reason, Source},
    time::Millis,
    words::Word,
};
use sqlx::{AnyConnection, Row};

use super::source;
use crate::db::{
    DbError,
    batch::{id_or_null, word},
};

/// A share of an entry as a statement shows it.
#[derive(Debug, Clone, Copy)]
pub struct LineShare {
    /// The lot.
    pub lot: i64,
    /// Change of what is free.
    pub free: i64,
    /// Change of what is pinned.
    pub held: i64,
    /// How much went back since.
    pub given_back: i64,
}

/// An entry as a statement shows it.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its number.
    pub number: i64,
    /// What it did.
    pub kind: EntryKind,
    /// Why.
    pub reason: Reason,
    /// From what.
    pub source: Option<Source>,
    /// In the words of who caused it.
    pub note: Option<String>,
    /// When.
    pub at: Millis,
    /// In which store.
    pub store: Option<StoreId>,
    /// Change of what there is less what is owed.
    pub amount: i64,
    /// Change of what is owed.
    pub owed: i64,
    /// The balances after it.
    pub after: Balances,
    /// From when the lot that it made may be spent.
    pub ready_at: Option<Millis>,
    /// It took a hold that is still there.
    pub is_open: bool,
    /// What it changed of which lots.
    pub shares: Vec<LineShare>,
}

/// Entries of a ledger below `before`, newest first.
///
/// # Errors
/// As [`load`].
pub async fn statement(
    connection: &mut AnyConnection,
    tenant: TenantId,
    (member, asset): (MemberId, Asset),
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Line>, DbError> {
    let rows = sqlx::query(
        "SELECT e.entry AS entry, e.kind AS kind, e.reason AS reason, e.source_of AS source_of, e.source AS source, e.note AS note, e.at AS at, e.store AS store, e.amount AS amount, e.owed AS owed, e.available AS available, e.held AS held, e.pending AS pending, e.debt AS debt, l.ready_at AS ready_at, h.hold AS open_hold \
         FROM ledger_entries e LEFT JOIN ledger_lots l ON l.tenant = e.tenant AND l.member = e.member AND l.asset = e.asset AND l.lot = e.entry \
         LEFT JOIN ledger_holds h ON e.kind = 'hold' AND h.tenant = e.tenant AND h.member = e.member AND h.asset = e.asset AND h.hold = e.hold \
         WHERE e.tenant = $1 AND e.member = $2 AND e.asset = $3 AND e.entry < $4 ORDER BY e.entry DESC LIMIT $5",
    )
    .bind(tenant.bytes().to_vec())
    .bind(member.bytes().to_vec())
    .bind(asset.as_str())
    .bind(before.unwrap_or(i64::MAX))
    .bind(limit)
    .fetch_all(&mut *connection)
    .await?;
    let mut lines = rows
        .iter()
        .map(|row| {
            Ok(Line {
                number: row.try_get("entry")?,
                kind: word(row, "kind")?,
                reason: word(row, "reason")?,
                source: source(row, "source_of", "source")?,
                note: row.try_get("note")?,
                at: row.try_get("at")?,
                store: id_or_null(row, "store", StoreId::from_bytes)?,
                amount: row.try_get("amount")?,
                owed: row.try_get("owed")?,
                after: Balances {
                    available: row.try_get("available")?,
                    held: row.try_get("held")?,
                    pending: row.try_get("pending")?,
                    debt: row.try_get("debt")?,
                },
                ready_at: row.try_get("ready_at")?,
                is_open: row.try_get::<Option<Vec<u8>>, _>("open_hold")?.is_some(),
                shares: Vec::new(),
            })
        })
        .collect::<Result<Vec<Line>, DbError>>()?;
    let (Some(last), Some(first)) = (lines.first(), lines.last()) else {
        return Ok(lines);
    };
    let shares = sqlx::query(
        "SELECT entry, lot, free, held, given_back FROM ledger_shares WHERE tenant = $1 AND member = $2 AND asset = $3 AND entry >= $4 AND entry <= $5 ORDER BY entry, lot",
    )
    .bind(tenant.bytes().to_vec())
    .bind(member.bytes().to_vec())
    .bind(asset.as_str())
    .bind(first.number)
    .bind(last.number)
    .fetch_all(connection)
    .await?;
    for row in &shares {
        let entry: i64 = row.try_get("entry")?;
        let share = LineShare {
            lot: row.try_get("lot")?,
            free: row.try_get("free")?,
            held: row.try_get("held")?,
            given_back: row.try_get("given_back")?,
        };
        if let Some(line) = lines.iter_mut().find(|line| line.number == entry) {
            line.shares.push(share);
        }
    }
    Ok(lines)
}

/// Open lots of all members that end at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenLots {
    /// Of which asset.
    pub asset: Asset,
    /// The first instant at which they are over; `None` = they do not end.
    pub ends_at: Option<Millis>,
    /// What may be spent of them.
    pub available: i64,
    /// What is held of them.
    pub held: i64,
    /// What may not be spent yet.
    pub pending: i64,
}

/// What members have now, by the instant at which it ends: each open lot is read once.
///
/// # Errors
/// The driver's.
pub async fn open_lots(
    connection: &mut AnyConnection,
    tenant: TenantId,
    now: Millis,
) -> Result<Vec<OpenLots>, DbError> {
    sqlx::query(
        "SELECT asset, ends_at, CAST(SUM(CASE WHEN ready_at > $2 THEN 0 ELSE free END) AS BIGINT) AS available, CAST(SUM(held) AS BIGINT) AS held, CAST(SUM(CASE WHEN ready_at > $2 THEN free ELSE 0 END) AS BIGINT) AS pending \
         FROM ledger_lots WHERE tenant = $1 AND (free > 0 OR held > 0) AND (ends_at IS NULL OR ends_at > $2 OR held > 0) GROUP BY asset, ends_at",
    )
    .bind(tenant.bytes().to_vec())
    .bind(now)
    .fetch_all(connection)
    .await?
    .iter()
    .map(|row| {
        let ends_at: Option<Millis> = row.try_get("ends_at")?;
        // Of what is over only what is held lives on.
        let is_over = ends_at.is_some_and(|at| at <= now);
        let open = |amount: i64| if is_over { 0 } else { amount };
        Ok(OpenLots {
            asset: word(row, "asset")?,
            ends_at,
            available: open(row.try_get("available")?),
            held: row.try_get("held")?,
            pending: open(row.try_get("pending")?),
        })
    })
    .collect()
}

/// What members owe the chain, of each asset.
///
/// # Errors
/// The driver's.
pub async fn debts(connection: &mut AnyConnection, tenant: TenantId) -> Result<BTreeMap<Asset, i64>, DbError> {
    let (points, balance): (i64, i64) = sqlx::query_as(
        "SELECT CAST(COALESCE(SUM(points_debt), 0) AS BIGINT), CAST(COALESCE(SUM(balance_debt), 0) AS BIGINT) FROM accounts WHERE tenant = $1",
    )
    .bind(tenant.bytes().to_vec())
    .fetch_one(connection)
    .await?;
    Ok(BTreeMap::from([(Asset::Points, points), (Asset::Balance, balance)]))
}
