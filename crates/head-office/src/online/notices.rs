//! What an order's owner must be told.

use std::collections::BTreeMap;

use counterfoil_domain::{
    ids::{FreezeId, TenantId},
    time::Millis,
    transition::online::Taken,
};
use serde_json::json;
use sqlx::AnyConnection;

use super::rows;
use crate::{clock::Random, db::DbError, site};

/// A counter honoured coupons that orders hold: their owner must be told.
///
/// # Errors
/// The driver's.
pub(super) async fn taken(
    connection: &mut AnyConnection,
    random: &dyn Random,
    tenant: TenantId,
    taken: &[Taken],
    now: Millis,
) -> Result<(), DbError> {
    if !site::rows::has_webhook(connection, tenant).await? {
        return Ok(());
    }
    let ids: Vec<FreezeId> = taken.iter().map(|taken| taken.order).collect();
    let numbers: BTreeMap<FreezeId, String> = rows::load(connection, tenant, &ids, "")
        .await?
        .into_iter()
        .map(|order| (order.id, order.number))
        .collect();
    for one in taken {
        let id = site::notices::fresh(random, now)?;
        let body = json!({
            "kind": "coupon_taken",
            "id": id,
            "order": numbers.get(&one.order),
            "order_freeze": one.order,
            "coupon": one.coupon,
            "operation": one.operation,
            "store": one.store,
            "at": one.at,
        });
        site::notices::put(connection, tenant, id, "coupon_taken", &body, now).await?;
    }
    Ok(())
}
