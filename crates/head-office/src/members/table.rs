//! Members within a group.

use std::collections::BTreeSet;

use super::{card, rows};
use crate::{
    db::DbError,
    engine::tables::{Loading, Place, Storing, Table},
};
use async_trait::async_trait;
use counterfoil_domain::transition::Card;

/// Members, and the stores that hold them from now on.
#[derive(Debug)]
pub struct Members;

#[async_trait]
impl Table for Members {
    fn place(&self) -> Place {
        Place::Members
    }

    async fn load(&mut self, loading: Loading<'_>) -> Result<(), DbError> {
        let Loading {
            connection,
            tenant,
            lock,
            state,
            ..
        } = loading;
        let wanted = state.members.take_wanted();
        if !wanted.is_empty() {
            for (version, member) in rows::load(connection, tenant, &wanted, lock).await? {
                state.members.found_at(version, member);
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
            told,
            ..
        } = storing;
        let changed = state.members.changed();
        if !changed.is_empty() {
            rows::update_stores(connection, tenant, &changed).await?;
        }
        // Each store and member once, however often they were seen there.
        let cards: BTreeSet<Card> = facts.cards.iter().copied().collect();
        for Card { store, member } in cards {
            let items = card::items(connection, tenant, member).await?;
            told.news.entry(store).or_default().extend(items);
        }
        Ok(())
    }
}
