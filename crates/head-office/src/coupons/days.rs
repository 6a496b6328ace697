//! SQL of the days on which coupons fall due: first to remind the member, then to end.

use std::{collections::BTreeMap, fmt::Write};

use counterfoil_domain::{
    coupons::Coupon,
    ids::{CouponId, MemberId, TenantId},
    time::{DAY, Millis},
    words::Word,
};
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use crate::{
    db::{
        DbError,
        batch::{Text, execute, id, id_or_null},
    },
    messages::reminding::{Again, REMIND_BEFORE, day_of},
};

const INSERT: Text = Text::new(
    "INSERT INTO coupon_days (tenant, day, coupon, member, what, expires_at, status, told, tries, next_try_at) VALUES ",
    " ON CONFLICT DO NOTHING",
);

const MOVE_ON: Text = Text::new(
    "UPDATE coupon_days SET day = v.column3, what = 'expire', status = 'pending', told = 0, tries = 0, next_try_at = coupon_days.expires_at FROM (VALUES ",
    ") AS v WHERE coupon_days.tenant = $1 AND coupon_days.day = v.column1 AND coupon_days.coupon = v.column2 AND coupon_days.what = 'remind'",
);
const FAIL: Text = Text::new(
    "UPDATE coupon_days SET status = 'failed', told = v.column3, tries = v.column4, next_try_at = v.column5 FROM (VALUES ",
    ") AS v WHERE coupon_days.tenant = $1 AND coupon_days.day = v.column1 AND coupon_days.coupon = v.column2",
);

/// The first row of a coupon that was just given: the day, what is due, and from when.
fn first(expires_at: Millis, member: bool, now: Millis) -> (i64, &'static str, Millis) {
    let remind = expires_at.saturating_sub(REMIND_BEFORE);
    if member && remind > now {
        (day_of(remind), "remind", remind)
    } else {
        // There is nobody to remind, or they have just taken it.
        (day_of(expires_at), "expire", expires_at)
    }
}

/// Writes the day of each coupon that ends, in the transaction that gives it to its member. A coupon that has its
/// row already keeps it.
///
/// # Errors
/// The driver's.
pub async fn insert<'c>(
    connection: &mut AnyConnection,
    tenant: TenantId,
    coupons: impl IntoIterator<Item = &'c Coupon>,
    now: Millis,
) -> Result<(), DbError> {
    let ending: Vec<(&Coupon, Millis)> = coupons
        .into_iter()
        .filter_map(|coupon| Some((coupon, coupon.valid_until?)))
        .collect();
    if ending.is_empty() {
        return Ok(());
    }
    execute(connection, INSERT, tenant, &ending, |b, (coupon, expires_at)| {
        let (day, what, due) = first(*expires_at, coupon.member.is_some(), now);
        b.number(day)
            .bytes(coupon.id.bytes())
            .bytes_or_null(coupon.member.as_ref().map(|id| &id.bytes()[..]))
            .text(what)
            .number(*expires_at)
            .text("pending")
            .number(0)
            .number(0)
            .number(due);
    })
    .await?;
    Ok(())
}

/// Writes the last day of each printed coupon with an id in this range, in the transaction that makes them: nobody is
/// reminded, but they end like all others.
///
/// # Errors
/// The driver's.
pub async fn insert_printed(
    connection: &mut AnyConnection,
    tenant: TenantId,
    first: CouponId,
    last: CouponId,
) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO coupon_days (tenant, day, coupon, member, what, expires_at, status, told, tries, next_try_at) SELECT tenant, valid_until / $1, id, member, 'expire', valid_until, 'pending', 0, 0, valid_until FROM coupons WHERE tenant = $2 AND id >= $3 AND id <= $4 AND version > 0 AND valid_until IS NOT NULL ORDER BY id",
    )
    .bind(DAY)
    .bind(tenant.bytes().to_vec())
    .bind(first.bytes().to_vec())
    .bind(last.bytes().to_vec())
    .execute(connection)
    .await?;
    Ok(())
}

/// What falls due on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum What {
    /// The member is to be reminded.
    Remind,
    /// The coupon ends.
    Expire,
}

/// A row that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Its day.
    pub day: i64,
    /// The coupon.
    pub coupon: CouponId,
    /// Whose it is.
    pub member: Option<MemberId>,
    /// When the coupon ends.
    pub expires_at: Millis,
    /// Channels that have taken the notice.
    pub told: i64,
    /// How often it did not go through.
    pub tries: i64,
}

impl Due {
    /// Looked at again at an instant.
    pub fn at(self, at: Millis) -> Again<Self> {
        Again {
            of: self,
            told: self.told,
            tries: self.tries,
            at,
        }
    }
}

/// The next page of what is due. Of all coupons only those of this day are read, and what was left of days before.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn due(
    connection: &mut AnyConnection,
    tenant: TenantId,
    what: What,
    now: Millis,
    after: Option<(i64, CouponId)>,
    limit: i64,
) -> Result<Vec<Due>, DbError> {
    let (day, coupon) = after.map_or((i64::MIN, vec![]), |(day, coupon)| (day, coupon.bytes().to_vec()));
    sqlx::query(
        "SELECT day, coupon, member, expires_at, told, tries FROM coupon_days WHERE tenant = $1 AND day <= $2 AND (day, coupon) > ($3, $4) AND what = $5 AND next_try_at <= $6 ORDER BY day, coupon LIMIT $7",
    )
    .bind(tenant.bytes().to_vec())
    .bind(day_of(now))
    .bind(day)
    .bind(coupon)
    .bind(what.as_str().to_owned())
    .bind(now)
    .bind(limit)
    .fetch_all(connection)
    .await?
    .iter()
    .map(|row| {
        Ok(Due {
            day: row.try_get("day")?,
            coupon: id(row, "coupon", CouponId::from_bytes)?,
            member: id_or_null(row, "member", MemberId::from_bytes)?,
            expires_at: row.try_get("expires_at")?,
            told: row.try_get("told")?,
            tries: row.try_get("tries")?,
        })
    })
    .collect()
}

/// The members of these coupons were reminded, or need not be: the rows move on to the coupons' last days.
///
/// # Errors
/// The driver's.
pub async fn move_on(connection: &mut AnyConnection, tenant: TenantId, rows: &[Due]) -> Result<(), DbError> {
    if rows.is_empty() {
        return Ok(());
    }
    execute(connection, MOVE_ON, tenant, rows, |b, due| {
        b.number(due.day)
            .bytes(due.coupon.bytes())
            .number(day_of(due.expires_at));
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
            .bytes(again.of.coupon.bytes())
            .number(again.told)
            .number(again.tries)
            .number(again.at);
    })
    .await?;
    Ok(())
}

/// Nothing is left to do about these.
///
/// # Errors
/// The driver's.
pub async fn remove(connection: &mut AnyConnection, tenant: TenantId, rows: &[Due]) -> Result<u64, DbError> {
    let mut by_day: BTreeMap<i64, Vec<CouponId>> = BTreeMap::new();
    for due in rows {
        by_day.entry(due.day).or_default().push(due.coupon);
    }
    let mut removed = 0;
    for (day, coupons) in by_day {
        // A pair of columns in a list would not be found by the key on SQLite.
        let mut sql = "DELETE FROM coupon_days WHERE tenant = $1 AND day = $2 AND coupon IN (".to_owned();
        for place in 0..coupons.len() {
            // Writing to a String does not fail.
            let _ = write!(sql, "{}${}", if place > 0 { "," } else { "" }, place + 3);
        }
        sql.push(')');
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(tenant.bytes().to_vec()).bind(day);
        for coupon in coupons {
            query = query.bind(coupon.bytes().to_vec());
        }
        removed += query.execute(&mut *connection).await?.rows_affected();
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_reminded_unless_the_coupon_ends_at_once() {
        let end = 100 * DAY + 5;
        assert_eq!(first(end, true, 0), (97, "remind", 97 * DAY + 5));
        assert_eq!(first(end, true, 97 * DAY + 4), (97, "remind", 97 * DAY + 5));
        assert_eq!(first(end, true, 97 * DAY + 5), (100, "expire", end));
        assert_eq!(first(end, false, 0), (100, "expire", end));
    }
}
