//! Pickup orders within a group.

use std::collections::BTreeSet;

use super::{by_hand, rows};
use crate::deed::AdminError;
use crate::{
    db::DbError,
    engine::tables::{Loading, Place, Storing, Table},
};
use async_trait::async_trait;
use counterfoil_domain::{
    pickups::{Order, OrderState},
    time::{DAY, Millis},
};

/// How long the code of an order that was called off rests.
pub(crate) const CODE_RESTS: Millis = 30 * DAY;

/// Pickup orders.
#[derive(Debug)]
pub struct Orders;

#[async_trait]
impl Table for Orders {
    fn place(&self) -> Place {
        Place::Orders
    }

    async fn load(&mut self, loading: Loading<'_>) -> Result<(), DbError> {
        let wanted = loading.state.orders.take_wanted();
        if !wanted.is_empty() {
            for row in rows::load(loading.connection, loading.tenant, &wanted, loading.lock).await? {
                if let Some(member) = row.member {
                    loading.state.members.want(member);
                }
                loading.state.orders.found(row);
            }
        }
        Ok(())
    }

    async fn store(&mut self, storing: Storing<'_>) -> Result<(), DbError> {
        let changed = storing.state.orders.changed();
        if !changed.is_empty() {
            rows::update(storing.connection, storing.tenant, &changed).await?;
            let orders = changed.iter().map(|(_, order)| *order);
            let rest: Vec<&Order> = orders.filter(|order| order.state == OrderState::Cancelled).collect();
            if !rest.is_empty() {
                rows::rest_codes(storing.connection, storing.tenant, &rest, storing.now + CODE_RESTS).await?;
            }
        }
        let added = storing.state.orders.added();
        if !added.is_empty() {
            let mut codes = BTreeSet::new();
            let mut orders = Vec::with_capacity(added.len());
            for order in added {
                let mut draw = by_hand::FromSystem(storing.random);
                let code = by_hand::free_code(storing.connection, storing.tenant, &codes, &mut draw).await;
                let code = code.map_err(|error| match error {
                    AdminError::Db(error) => error,
                    other => DbError::config(other.to_string()),
                })?;
                codes.insert(code.clone());
                orders.push(Order { code, ..order.clone() });
            }
            rows::insert(storing.connection, storing.tenant, &orders, storing.now).await?;
        }
        Ok(())
    }
}
