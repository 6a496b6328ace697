//! SQL of the days on which members are reminded of points that end.

use counterfoil_domain::{
    ids::{MemberId, TenantId},
    points::Asset,
    time::{DAY, Millis},
};
use sqlx::{AnyConnection, Row};

use super::rows::LotNow;
use crate::{
    db::{
        DbError,
        batch::{Text, execute, fetch, id},
    },
    messages::reminding::{Again, REMIND_BEFORE, day_of},
};

const INSERT: Text = Text::new(
    "INSERT INTO point_days (tenant, day, member, ends_at, told, tries, next_try_at) VALUES ",
    " ON CONFLICT DO NOTHING",
);
const REMOVE: Text = Text::new(
    "DELETE FROM point_days WHERE tenant = $1 AND (day, member, ends_at) IN (VALUES ",
    ")",
);
const FAIL: Text = Text::new(
    "UPDATE point_days SET told = v.column4, tries = v.column5, next_try_at = v.column6 FROM (VALUES ",
    ") AS v WHERE point_days.tenant = $1 AND point_days.day = v.column1 AND point_days.member = v.column2 AND point_days.ends_at = v.column3",
);
const ENDING: Text = Text::new(
    "SELECT member, ends_at, CAST(SUM(free + held) AS BIGINT) AS left_over FROM ledger_lots WHERE tenant = $1 AND (free > 0 OR held > 0) AND asset = 'points' AND ends_at IS NOT NULL AND member IN (",
    ") GROUP BY member, ends_at",
);

/// A row that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Its day.
    pub day: i64,
    /// Whose points.
    pub member: MemberId,
    /// When they end.
    pub ends_at: Millis,
    /// Channels that have taken the notice.
    pub told: i64,
    /// How often it did not go through.
    pub tries: i64,
}

/// Writes the day of each new lot of points that ends, in the transaction that makes it. Nobody is reminded of what is given
/// shortly before its end.
///
/// # Errors
/// The driver's.
pub async fn insert(connection: &mut AnyConnection, tenant: TenantId, lots: &[LotNow]) -> Result<(), DbError> {
    let mut days: Vec<(i64, MemberId, Millis)> = lots
        .iter()
        .filter(|lot| lot.asset == Asset::Points)
        .filter_map(|now| {
            let lot = now.made?;
            let ends_at = lot.ends_at?;
            let remind = ends_at.saturating_sub(REMIND_BEFORE);
            (remind > lot.earned_at).then_some((day_of(remind), now.member, ends_at))
        })
        .collect();
    days.sort_unstable();
    days.dedup();
    if days.is_empty() {
        return Ok(());
    }
    execute(connection, INSERT, tenant, &days, |b, (day, member, ends_at)| {
        b.number(*day)
            .bytes(member.bytes())
            .number(*ends_at)
            .number(0)
            .number(0)
            .number(ends_at.saturating_sub(REMIND_BEFORE));
    })
    .await?;
    Ok(())
}

/// The next page of what is due: only the rows of this day are read, and what was left of days before.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn due(
    connection: &mut AnyConnection,
    tenant: TenantId,
    now: Millis,
    after: Option<Due>,
    limit: i64,
) -> Result<Vec<Due>, DbError> {
    let (day, member, ends_at) = after.map_or((i64::MIN, vec![], 0), |due| {
        (due.day, due.member.bytes().to_vec(), due.ends_at)
    });
    sqlx::query(
        "SELECT day, member, ends_at, told, tries FROM point_days WHERE tenant = $1 AND day <= $2 AND (day, member, ends_at) > ($3, $4, $5) AND next_try_at <= $6 ORDER BY day, member, ends_at LIMIT $7",
    )
    .bind(tenant.bytes().to_vec())
    .bind(day_of(now))
    .bind(day)
    .bind(member)
    .bind(ends_at)
    .bind(now)
    .bind(limit)
    .fetch_all(connection)
    .await?
    .iter()
    .map(|row| {
        Ok(Due {
            day: row.try_get("day")?,
            member: id(row, "member", MemberId::from_bytes)?,
            ends_at: row.try_get("ends_at")?,
            told: row.try_get("told")?,
            tries: row.try_get("tries")?,
        })
    })
    .collect()
}

/// What is left of members' points, by when it ends.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn ending(
    connection: &mut AnyConnection,
    tenant: TenantId,
    members: &[MemberId],
) -> Result<Vec<((MemberId, Millis), i64)>, DbError> {
    fetch(connection, ENDING, "", tenant, members, |b, member| {
        b.bytes(member.bytes());
    })
    .await?
    .read(|row| {
        let member = id(row, "member", MemberId::from_bytes)?;
        Ok(((member, row.try_get("ends_at")?), row.try_get("left_over")?))
    })
    .collect()
}

/// Nothing is left to do about these.
///
/// # Errors
/// The driver's.
pub async fn remove(connection: &mut AnyConnection, tenant: TenantId, rows: &[Due]) -> Result<(), DbError> {
    if rows.is_empty() {
        return Ok(());
    }
    execute(connection, REMOVE, tenant, rows, |b, due| {
        b.number(due.day).bytes(due.member.bytes()).number(due.ends_at);
    })
    .await?;
    Ok(())
}

/// These did not go through: what was told so far is kept, and the rest is tried again.
///
/// # Errors
/// The driver's.
pub async fn try_again(connection: &mut AnyConnection, tenant: TenantId, rows: &[Again<Due>]) -> Result<(), DbError> {
    if rows.is_empty() {
        return Ok(());
    }
    execute(connection, FAIL, tenant, rows, |b, again| {
        b.number(again.of.day)
            .bytes(again.of.member.bytes())
            .number(again.of.ends_at)
            .number(again.told)
            .number(again.tries)
            .number(again.at);
    })
    .await?;
    Ok(())
}

/// What a notice of a day is known by: the same whenever it is tried.
pub(super) fn instant(due: &Due) -> Millis {
    due.day.saturating_mul(DAY)
}
