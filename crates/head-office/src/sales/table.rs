//! Sales within a group.

use super::rows;
use crate::{
    db::DbError,
    engine::tables::{Loading, Place, Storing, Table},
};
use async_trait::async_trait;

/// Sales.
#[derive(Debug)]
pub struct Sales;

#[async_trait]
impl Table for Sales {
    fn place(&self) -> Place {
        Place::Sales
    }

    async fn load(&mut self, loading: Loading<'_>) -> Result<(), DbError> {
        let wanted = loading.state.sales.take_wanted();
        if !wanted.is_empty() {
            for row in rows::load(loading.connection, loading.tenant, &wanted, loading.lock).await? {
                for sold in &row.coupons {
                    loading.state.coupons.want(sold.used.coupon);
                }
                loading.state.sales.found(row);
            }
        }
        Ok(())
    }

    async fn store(&mut self, storing: Storing<'_>) -> Result<(), DbError> {
        let changed = storing.state.sales.changed();
        if !changed.is_empty() {
            rows::update(storing.connection, storing.tenant, &changed).await?;
        }
        let added = storing.state.sales.added();
        if !added.is_empty() {
            rows::insert(storing.connection, storing.tenant, &added).await?;
        }
        Ok(())
    }
}
