//! Coupons within a group.

use super::{card, rows};
use crate::{
    db::DbError,
    engine::tables::{Loading, Place, Storing, Table},
};
use std::collections::BTreeSet;

use async_trait::async_trait;
use counterfoil_domain::transition::Card;

/// Coupons, and the lines of their own records.
#[derive(Debug)]
pub struct Coupons;

#[async_trait]
impl Table for Coupons {
    fn place(&self) -> Place {
        Place::Coupons
    }

    async fn load(&mut self, loading: Loading<'_>) -> Result<(), DbError> {
        let wanted = loading.state.coupons.take_wanted();
        if !wanted.is_empty() {
            for row in rows::load(loading.connection, loading.tenant, &wanted, loading.lock).await? {
                if let Some(member) = row.member {
                    loading.state.members.want(member);
                }
                loading.state.coupons.found(row);
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

/// What a store that holds a member from now on has to hear.
#[derive(Debug)]
pub struct Cards;

#[async_trait]
impl Table for Cards {
    fn place(&self) -> Place {
        Place::Cards
    }

    async fn store(&mut self, storing: Storing<'_>) -> Result<(), DbError> {
        let Storing {
            connection,
            tenant,
            facts,
            told,
            ..
        } = storing;
        // Each store and member once, however often they were seen there.
        let cards: BTreeSet<Card> = facts.cards.iter().copied().collect();
        for Card { store, member } in cards {
            let items = card::items(connection, tenant, member).await?;
            told.news.entry(store).or_default().extend(items);
        }
        Ok(())
    }
}
