//! Pickup orders within a group.

use super::rows;
use crate::{
    db::DbError,
    engine::tables::{Loading, Place, Storing, Table},
};
use async_trait::async_trait;

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
        }
        Ok(())
    }
}
