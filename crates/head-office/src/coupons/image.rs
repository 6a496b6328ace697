//! Coupons as counters are told of them.

use async_trait::async_trait;
use counterfoil_domain::{
    coupons::{Coupon, CouponState},
    ids::FreezeId,
};
use counterfoil_protocol::sync::Image;
use uuid::Uuid;

use super::rows;
use crate::{
    db::DbError,
    feed::{
        Item,
        images::{Found, Images, Viewer, Wanted},
    },
};

/// Coupons as counters are told of them.
#[derive(Debug)]
pub struct Coupons;

#[async_trait]
impl Images for Coupons {
    async fn load(&self, wanted: Wanted<'_>) -> Result<Vec<Found>, DbError> {
        let ids = wanted.own(|item| match item {
            Item::Coupon(id) => Some(*id),
            _ => None,
        });
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut coupons = rows::load(wanted.connection, wanted.tenant, &ids, "").await?;
        coupons.iter_mut().for_each(|coupon| mask(coupon, wanted.viewer));
        let found = |coupon: Coupon| (Item::Coupon(coupon.id), coupon.version, Image::Coupon(coupon));
        Ok(coupons.into_iter().map(found).collect())
    }
}

/// Leaves out what is not this viewer's to know. Whoever knows the id of a freeze could name it, so each device sees its
/// own only; the others are nil, which older counters read as well.
fn mask(coupon: &mut Coupon, viewer: Viewer) {
    if let Some(used) = coupon.used_beside_lapsed(viewer.now) {
        coupon.state = CouponState::Redeemed {
            operation: used.operation,
            at: used.at,
            store: used.store,
        };
    }
    coupon.surplus.clear();
    if let CouponState::Frozen { freeze, device, .. } = &mut coupon.state
        && *device != viewer.device
    {
        *freeze = FreezeId(Uuid::nil());
    }
}
