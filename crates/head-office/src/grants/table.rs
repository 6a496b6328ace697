//! Grants within a group, and members' parts in them.

use super::rows;
use crate::{
    db::DbError,
    engine::tables::{Loading, Place, Storing, Table},
};
use async_trait::async_trait;

/// Grants. Commands read them only.
#[derive(Debug)]
pub struct Grants;

#[async_trait]
impl Table for Grants {
    fn place(&self) -> Place {
        Place::Grants
    }

    async fn load(&mut self, loading: Loading<'_>) -> Result<(), DbError> {
        let wanted = loading.state.grants.take_wanted();
        if !wanted.is_empty() {
            for grant in rows::load_grants(loading.connection, loading.tenant, &wanted).await? {
                loading.state.offers.want(grant.template);
                loading.state.batches.want(grant.batch);
                loading.state.grants.found(grant);
            }
        }
        Ok(())
    }
}

/// Members' parts in grants.
#[derive(Debug)]
pub struct Parts;

#[async_trait]
impl Table for Parts {
    fn place(&self) -> Place {
        Place::Parts
    }

    async fn load(&mut self, loading: Loading<'_>) -> Result<(), DbError> {
        let wanted = loading.state.parts.take_wanted();
        if !wanted.is_empty() {
            for part in rows::load_parts(loading.connection, loading.tenant, &wanted).await? {
                loading.state.parts.found(part);
            }
        }
        Ok(())
    }

    async fn store(&mut self, storing: Storing<'_>) -> Result<(), DbError> {
        let due: Vec<_> = storing
            .state
            .parts
            .changed()
            .into_iter()
            .map(|((), part)| part)
            .collect();
        let added = storing.state.parts.added();
        rows::store_parts(storing.connection, storing.tenant, &due, &added, storing.now).await?;
        Ok(())
    }
}
