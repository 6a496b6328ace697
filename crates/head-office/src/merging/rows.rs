//! SQL of what moves from one member to another.

use counterfoil_domain::{
    coupons::{ONLINE_DEVICE, ONLINE_STORE},
    ids::{CouponId, MemberId, OrderId},
};

use crate::{db::DbError, deed::Deed};

/// What is the one member's ($2) becomes the other's ($3), in this order. What only one of two may have is theirs who has it.
const MOVES: &[&str] = &[
    "UPDATE coupon_days SET member = $3 FROM coupons c WHERE c.tenant = $1 AND c.member = $2 AND coupon_days.tenant = c.tenant AND coupon_days.coupon = c.id AND coupon_days.day IN (c.valid_until / 86400000, c.valid_until / 86400000 - 3)",
    "UPDATE coupons SET member = $3, version = version + 1 WHERE tenant = $1 AND member = $2",
    "INSERT INTO holdings (tenant, member, template, taken, version) SELECT tenant, $3, template, taken, 1 FROM holdings WHERE tenant = $1 AND member = $2 \
     ON CONFLICT (tenant, member, template) DO UPDATE SET taken = holdings.taken + excluded.taken, version = holdings.version + 1",
    "DELETE FROM holdings WHERE tenant = $1 AND member = $2 AND $3 <> $2",
    "UPDATE orders SET member = $3, version = version + 1 WHERE tenant = $1 AND member = $2",
    "UPDATE order_freezes SET member = $3 WHERE tenant = $1 AND member = $2 AND status = 'frozen'",
    "UPDATE exchanges SET member = $3, version = version + 1 WHERE tenant = $1 AND member = $2",
    "INSERT INTO gift_members (tenant, member, gift, taken, version) SELECT tenant, $3, gift, taken, 1 FROM gift_members WHERE tenant = $1 AND member = $2 \
     ON CONFLICT (tenant, member, gift) DO UPDATE SET taken = gift_members.taken + excluded.taken, version = gift_members.version + 1",
    "DELETE FROM gift_members WHERE tenant = $1 AND member = $2 AND $3 <> $2",
    "UPDATE shipments SET member = $3 WHERE tenant = $1 AND member = $2",
    "UPDATE addresses SET member = $3 WHERE tenant = $1 AND member = $2",
    "INSERT INTO member_messages (tenant, member, message, arrived_at, read_at) SELECT tenant, $3, message, arrived_at, read_at FROM member_messages WHERE tenant = $1 AND member = $2 \
     ON CONFLICT DO NOTHING",
    "DELETE FROM member_messages WHERE tenant = $1 AND member = $2 AND $3 <> $2",
    "DELETE FROM inboxes WHERE tenant = $1 AND member = $2 AND $3 <> $2",
    "DELETE FROM member_sessions WHERE tenant = $1 AND member = $2 AND $3 <> $2",
    "INSERT INTO point_days (tenant, day, member, ends_at, told, tries, next_try_at) SELECT d.tenant, d.day, $3, d.ends_at, d.told, d.tries, d.next_try_at FROM point_days d \
     JOIN (SELECT DISTINCT tenant, (ends_at - 259200000) / 86400000 AS day FROM ledger_lots WHERE tenant = $1 AND member = $3 AND (free > 0 OR held > 0) AND ends_at IS NOT NULL) AS l ON l.tenant = d.tenant AND l.day = d.day \
     WHERE d.tenant = $1 AND d.member = $2 ON CONFLICT DO NOTHING",
    "UPDATE accounts SET merged_into = $3, version = version + 1 WHERE tenant = $1 AND member IN (SELECT id FROM members WHERE tenant = $1 AND merged_into = $2)",
    "UPDATE members SET merged_into = $3, version = version + 1 WHERE tenant = $1 AND merged_into = $2",
];

/// Coupons and pickup orders of a member, whatever became of them: counters hold copies of both.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn things_of(deed: &mut Deed<'_>, member: MemberId) -> Result<(Vec<CouponId>, Vec<OrderId>), DbError> {
    let tenant = deed.tenant();
    let mut found: [Vec<Vec<u8>>; 2] = Default::default();
    let of = [
        "SELECT id FROM coupons WHERE tenant = $1 AND member = $2 ORDER BY id",
        "SELECT id FROM orders WHERE tenant = $1 AND member = $2 ORDER BY id",
    ];
    for (ids, sql) in found.iter_mut().zip(of) {
        *ids = sqlx::query_scalar(sql)
            .bind(tenant.bytes().to_vec())
            .bind(member.bytes().to_vec())
            .fetch_all(&mut **deed)
            .await?;
    }
    let unread = |_| DbError::Decode { column: "id" };
    let [coupons, orders] = found;
    let coupons = coupons.iter().map(|id| CouponId::from_bytes(id).map_err(unread));
    let orders = orders.iter().map(|id| OrderId::from_bytes(id).map_err(unread));
    Ok((coupons.collect::<Result<_, _>>()?, orders.collect::<Result<_, _>>()?))
}

/// Everything that a member has beside points becomes another one's.
///
/// # Errors
/// [`DbError::RowCount`] when they were merged meanwhile, and the driver's.
pub async fn move_all(deed: &mut Deed<'_>, by: uuid::Uuid, from: MemberId, into: MemberId) -> Result<(), DbError> {
    let (tenant, now) = (deed.tenant(), deed.now());
    sqlx::query(
        "INSERT INTO coupon_entries (tenant, coupon, version, what, at, store, device, actor, source) SELECT tenant, id, version + 1, 'moved', $3, $4, $5, $6, $2 FROM coupons WHERE tenant = $1 AND member = $2",
    )
    .bind(tenant.bytes().to_vec())
    .bind(from.bytes().to_vec())
    .bind(now)
    .bind(ONLINE_STORE.bytes().to_vec())
    .bind(ONLINE_DEVICE.bytes().to_vec())
    .bind(by.as_bytes().to_vec())
    .execute(&mut **deed)
    .await?;
    for statement in MOVES {
        sqlx::query(*statement)
            .bind(tenant.bytes().to_vec())
            .bind(from.bytes().to_vec())
            .bind(into.bytes().to_vec())
            .execute(&mut **deed)
            .await?;
    }
    let merged = sqlx::query(
        "UPDATE members SET merged_into = $3, recent_stores = $4, version = version + 1 WHERE tenant = $1 AND id = $2 AND merged_into IS NULL",
    )
    .bind(tenant.bytes().to_vec())
    .bind(from.bytes().to_vec())
    .bind(into.bytes().to_vec())
    .bind(Vec::<u8>::new())
    .execute(&mut **deed)
    .await?;
    if merged.rows_affected() == 1 {
        return Ok(());
    }
    Err(DbError::RowCount {
        table: "members",
        expected: 1,
        found: merged.rows_affected(),
    })
}
