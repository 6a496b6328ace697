//! Freezes within a group.

use super::rows;
use crate::{
    db::DbError,
    engine::tables::{Loading, Place, Storing, Table},
};
use async_trait::async_trait;

/// Freezes.
#[derive(Debug)]
pub struct Freezes;

#[async_trait]
impl Table for Freezes {
    fn place(&self) -> Place {
        Place::Freezes
    }

    async fn load(&mut self, loading: Loading<'_>) -> Result<(), DbError> {
        let wanted = loading.state.freezes.take_wanted();
        if !wanted.is_empty() {
            for row in rows::load_freezes(loading.connection, loading.tenant, &wanted, loading.lock).await? {
                loading.state.freezes.found(row);
            }
        }
        Ok(())
    }

    async fn store(&mut self, storing: Storing<'_>) -> Result<(), DbError> {
        let written = storing.state.freezes.written();
        if !written.is_empty() {
            rows::store_freezes(storing.connection, storing.tenant, &written).await?;
        }
        Ok(())
    }
}
