//! Pickup orders as counters are told of them.

use async_trait::async_trait;
use counterfoil_domain::{
    ids::FreezeId,
    pickups::{Order, OrderState},
};
use counterfoil_protocol::sync::Image;
use uuid::Uuid;

use super::{policies, rows};
use crate::{
    db::DbError,
    feed::{
        Item,
        images::{Found, Images, Viewer, Wanted},
    },
};

/// Pickup orders as counters are told of them.
#[derive(Debug)]
pub struct Orders;

#[async_trait]
impl Images for Orders {
    async fn load(&self, wanted: Wanted<'_>) -> Result<Vec<Found>, DbError> {
        let ids = wanted.own(|item| match item {
            Item::Order(id) => Some(*id),
            _ => None,
        });
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut orders = rows::load(wanted.connection, wanted.tenant, &ids, "").await?;
        orders.iter_mut().for_each(|order| mask(order, wanted.viewer));
        let found = |order: Order| (Item::Order(order.id), order.version, Image::Order(order));
        Ok(orders.into_iter().map(found).collect())
    }
}

/// Leaves out what is not this viewer's to know: other devices' freezes are nil.
fn mask(order: &mut Order, viewer: Viewer) {
    if let Some(used) = order.collected_beside_lapsed(viewer.now) {
        order.state = OrderState::Collected {
            operation: used.operation,
            at: used.at,
            store: used.store,
        };
    }
    order.surplus.clear();
    // Of an order that waits elsewhere a counter learns where, and nothing of what or whose it is.
    if order.store != viewer.store {
        order.lines.clear();
        order.collector.clear();
        order.member = None;
    }
    if let OrderState::Ready { freeze: Some(held) } = &mut order.state
        && held.device != viewer.device
    {
        held.freeze = FreezeId(Uuid::nil());
    }
}

/// Versions of how pickup codes are made.
#[derive(Debug)]
pub struct Policies;

#[async_trait]
impl Images for Policies {
    async fn load(&self, wanted: Wanted<'_>) -> Result<Vec<Found>, DbError> {
        let versions = wanted.own(|item| match item {
            Item::PickupPolicy(version) => Some(*version),
            _ => None,
        });
        if versions.is_empty() {
            return Ok(Vec::new());
        }
        let found = policies::load(wanted.connection, wanted.tenant, &versions).await?;
        let told = found.into_iter().map(|published| {
            let version = published.policy.version;
            (
                Item::PickupPolicy(version),
                version,
                Image::PickupPolicy(published.policy),
            )
        });
        Ok(told.collect())
    }
}
