//! Stock within a group, and its movements.

use async_trait::async_trait;

use super::rows;
use crate::{
    db::DbError,
    engine::tables::{Loading, Place, Storing, Table},
};

/// Stock.
#[derive(Debug)]
pub struct Stocks;

#[async_trait]
impl Table for Stocks {
    fn place(&self) -> Place {
        Place::Stock
    }

    async fn load(&mut self, loading: Loading<'_>) -> Result<(), DbError> {
        let wanted = loading.state.stocks.take_wanted();
        if !wanted.is_empty() {
            for stock in rows::load(loading.connection, loading.tenant, &wanted, loading.lock).await? {
                loading.state.stocks.found(stock);
            }
        }
        Ok(())
    }

    async fn store(&mut self, storing: Storing<'_>) -> Result<(), DbError> {
        let Storing {
            connection,
            tenant,
            state,
            facts,
            ..
        } = storing;
        let changed = state.stocks.changed();
        if !changed.is_empty() {
            rows::update(connection, tenant, &changed).await?;
        }
        let added = state.stocks.added();
        if !added.is_empty() {
            rows::insert(connection, tenant, &added).await?;
        }
        if !facts.moved.is_empty() {
            rows::insert_moves(connection, tenant, &facts.moved).await?;
        }
        Ok(())
    }
}
