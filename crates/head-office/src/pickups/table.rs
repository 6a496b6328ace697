//! Pickup orders within a group.

use async_trait::async_trait;
use counterfoil_domain::{
    ids::OrderId,
    pickups::{Order, OrderState},
    time::DAY,
};

use super::{
    codes::{self, FromSystem},
    policies, rows,
};
use crate::{
    db::DbError,
    deed::AdminError,
    engine::tables::{Loading, Place, Storing, Table},
};

/// Pickup orders.
#[derive(Debug)]
pub struct Orders;

#[async_trait]
impl Table for Orders {
    fn place(&self) -> Place {
        Place::Orders
    }

    async fn load(&mut self, loading: Loading<'_>) -> Result<(), DbError> {
        let wanted = loading.state.order_numbers.take_wanted();
        if !wanted.is_empty() {
            // Nobody changes such a row: the order itself is held.
            for row in rows::load_numbers(loading.connection, loading.tenant, &wanted, "").await? {
                loading.state.orders.want(row.order);
                loading.state.order_numbers.found(row);
            }
        }
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
        let (changed, added) = (storing.state.orders.changed(), storing.state.orders.added());
        let (connection, tenant, now) = (storing.connection, storing.tenant, storing.now);
        if changed.is_empty() && added.is_empty() {
            return Ok(());
        }
        let policy = policies::newest(connection, tenant).await?;
        rows::update(connection, tenant, &changed).await?;
        let (mut resting, mut waiting) = (Vec::new(), Vec::new());
        for (_, order) in changed {
            match order.state {
                OrderState::Collected { .. } | OrderState::Returned | OrderState::Cancelled => resting.push(order),
                OrderState::Ready { .. } => waiting.push(order),
            }
        }
        rows::rest_codes(connection, tenant, &resting, now + policy.rest_days * DAY).await?;
        let mut draw = FromSystem(storing.random);
        let lost = rows::wake_codes(connection, tenant, &waiting).await?;
        let mut issue = async |orders: Vec<&Order>| -> Result<Vec<Order>, DbError> {
            let wanted: Vec<(OrderId, &str)> = orders.iter().map(|order| (order.id, order.number.as_str())).collect();
            let issued = codes::issue(connection, tenant, &policy, &wanted, &mut draw, now).await;
            let (codes, _) = issued.map_err(|error| match error {
                AdminError::Db(error) => error,
                other => DbError::config(other.to_string()),
            })?;
            let coded = orders.into_iter().zip(codes);
            Ok(coded.map(|(order, code)| Order { code, ..order.clone() }).collect())
        };
        // A hand-over was taken back so late that the code had its rest behind it.
        let before: Vec<(&str, OrderId)> = lost
            .iter()
            .filter(|order| order.code != order.number)
            .map(|order| (order.code.as_str(), order.id))
            .collect();
        let renamed = issue(lost.clone()).await?;
        let orders = issue(added).await?;
        if policy.is_number() {
            // The old code was its own only where it led there beside the number.
            rows::forget_numbers(connection, tenant, &before).await?;
            let codes: Vec<(&str, OrderId)> = renamed.iter().map(|order| (order.code.as_str(), order.id)).collect();
            rows::insert_numbers(connection, tenant, &codes).await?;
        }
        rows::rename(connection, tenant, &renamed.iter().collect::<Vec<_>>()).await?;
        codes::store(connection, tenant, &policy, &orders, now).await
    }
}
