//! Head office's copy of the journals within a group.

use super::rows;
use crate::{
    db::DbError,
    engine::tables::{Loading, Place, Storing, Table},
};
use async_trait::async_trait;

/// Operations, and those of second branches.
#[derive(Debug)]
pub struct Operations;

#[async_trait]
impl Table for Operations {
    fn place(&self) -> Place {
        Place::Operations
    }

    async fn load(&mut self, loading: Loading<'_>) -> Result<(), DbError> {
        let Loading {
            connection,
            tenant,
            state,
            ..
        } = loading;
        let mut found = Vec::new();
        let places = state.positions.take_wanted();
        if !places.is_empty() {
            found.extend(rows::load_positions(connection, tenant, &places).await?);
        }
        let ids = state.operations.take_wanted();
        if !ids.is_empty() {
            found.extend(rows::load(connection, tenant, &ids).await?);
        }
        for applied in found {
            if let Some(subject) = applied.subject {
                state.want(subject.key());
            }
            state.positions.found(applied.position());
            state.operations.found(applied);
        }
        Ok(())
    }

    async fn store(&mut self, storing: Storing<'_>) -> Result<(), DbError> {
        let Storing {
            connection,
            tenant,
            now,
            facts,
            ..
        } = storing;
        if !facts.stored.is_empty() {
            rows::insert(connection, tenant, &facts.stored, now).await?;
        }
        if !facts.branches.is_empty() {
            rows::insert_branches(connection, tenant, &facts.branches, now).await?;
        }
        Ok(())
    }
}
