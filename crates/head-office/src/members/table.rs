//! Members within a group.

use super::rows;
use crate::{
    db::DbError,
    engine::tables::{Loading, Place, Storing, Table},
};
use async_trait::async_trait;

/// Members.
#[derive(Debug)]
pub struct Members;

#[async_trait]
impl Table for Members {
    fn place(&self) -> Place {
        Place::Members
    }

    async fn load(&mut self, loading: Loading<'_>) -> Result<(), DbError> {
        let wanted = loading.state.members.take_wanted();
        if !wanted.is_empty() {
            for (version, member) in
                rows::load_standing(loading.connection, loading.tenant, &wanted, loading.lock).await?
            {
                loading.state.members.found_at(version, member);
            }
        }
        Ok(())
    }

    async fn store(&mut self, storing: Storing<'_>) -> Result<(), DbError> {
        let Storing {
            connection,
            tenant,
            state,
            ..
        } = storing;
        let changed = state.members.changed();
        if !changed.is_empty() {
            rows::update_stores(connection, tenant, &changed).await?;
        }
        Ok(())
    }
}
