//! A member's coupons by state, in pages by key.

use counterfoil_domain::{
    coupons::{Coupon, Standing},
    ids::{CouponId, MemberId, TenantId},
    time::Millis,
};
use sqlx::AnyConnection;

use crate::{coupons::rows, db::DbError};

// The member's own rows are found first, by the index on (tenant, member), and only then put into order: asked for in
// the order of ids and with a limit, a planner may walk along the ids of the whole tenant instead. As the domain's
// `Coupon::standing`, time is taken into account: nobody waits for a sweeper.
const SQL: &str = "WITH own AS MATERIALIZED (
    SELECT id, code, member, template, template_version, batch, home_store, valid_from, valid_until, state, holder, held_at, held_where, version, surplus, told,
        CASE WHEN state = 'redeemed' THEN 'redeemed'
            WHEN state = 'frozen' AND held_at > $3 THEN 'frozen'
            WHEN state = 'frozen' AND surplus IS NOT NULL THEN 'redeemed'
            WHEN state = 'expired' OR valid_until <= $3 THEN 'expired'
            ELSE 'available' END AS standing
    FROM coupons WHERE tenant = $1 AND member = $2)
SELECT id, code, member, template, template_version, batch, home_store, valid_from, valid_until, state, holder, held_at, held_where, version, surplus, told
FROM own WHERE id > $4 AND (CAST($5 AS TEXT) = '' OR standing = $5) ORDER BY id LIMIT $6";

/// The word of a standing in queries and answers.
pub fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Available => "available",
        Standing::Frozen => "frozen",
        Standing::Redeemed => "redeemed",
        Standing::Expired => "expired",
    }
}

/// The next page of a member's coupons that stand so now; of all states without one.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn page(
    connection: &mut AnyConnection,
    tenant: TenantId,
    member: MemberId,
    standing: Option<Standing>,
    now: Millis,
    after: Option<CouponId>,
    limit: i64,
) -> Result<Vec<Coupon>, DbError> {
    sqlx::query(SQL)
        .bind(tenant.bytes().to_vec())
        .bind(member.bytes().to_vec())
        .bind(now)
        .bind(after.map_or(Vec::new(), |id| id.bytes().to_vec()))
        .bind(standing.map_or("", word).to_owned())
        .bind(limit)
        .fetch_all(connection)
        .await?
        .iter()
        .map(rows::read)
        .collect()
}
