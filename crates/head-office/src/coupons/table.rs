//! Coupons within a group.

use super::rows;
use crate::{
    db::DbError,
    engine::tables::{Loading, Place, Storing, Table},
};
use async_trait::async_trait;

/// Coupons, and the lines of their own records.
#[derive(Debug)]
pub struct Coupons;

#[async_trait]
impl Table for Coupons {
    fn place(&self) -> Place {
        Place::Coupons
    }

    async fn load(&mut self, loading: Loading<'_>) -> Result<(), DbError> {
        let Loading {
            connection,
            tenant,
            lock,
            state,
            ..
        } = loading;
        let wanted = state.coupons.take_wanted();
        if !wanted.is_empty() {
            for row in rows::load(connection, tenant, &wanted, lock).await? {
                if let Some(member) = row.member {
                    state.members.want(member);
                }
                state.coupons.found(row);
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
        let changed = state.coupons.changed();
        if !changed.is_empty() {
            rows::update(connection, tenant, &changed).await?;
        }
        if !facts.entries.is_empty() {
            rows::insert_entries(connection, tenant, &facts.entries).await?;
        }
        Ok(())
    }
}
