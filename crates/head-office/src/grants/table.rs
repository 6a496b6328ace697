//! Grants within a group, and members' parts in them.

use crate::{
    claims::rows,
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
        let Loading {
            connection,
            tenant,
            state,
            ..
        } = loading;
        let wanted = state.grants.take_wanted();
        if !wanted.is_empty() {
            for grant in rows::load_grants(connection, tenant, &wanted).await? {
                state.offers.want(grant.template);
                state.batches.want(grant.batch);
                state.grants.found(grant);
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
        let Loading {
            connection,
            tenant,
            state,
            ..
        } = loading;
        let wanted = state.parts.take_wanted();
        if !wanted.is_empty() {
            for part in rows::load_parts(connection, tenant, &wanted).await? {
                state.parts.found(part);
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
