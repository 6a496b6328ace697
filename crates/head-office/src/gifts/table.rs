//! Gifts and exchanges within a group.

use async_trait::async_trait;
use counterfoil_domain::{gifts::ExchangeStatus, points::Asset, transition::spent_on};

use super::rows;
use crate::{
    db::DbError,
    engine::tables::{Loading, Place, Storing, Table},
};

/// Exchanges, what members have had of gifts, and the gifts themselves, which commands read only.
#[derive(Debug)]
pub struct Exchanges;

#[async_trait]
impl Table for Exchanges {
    fn place(&self) -> Place {
        Place::Exchanges
    }

    async fn load(&mut self, loading: Loading<'_>) -> Result<(), DbError> {
        let Loading {
            connection,
            tenant,
            lock,
            state,
            ..
        } = loading;
        let wanted = state.exchanges.take_wanted();
        if !wanted.is_empty() {
            for exchange in rows::load(connection, tenant, &wanted, lock).await? {
                state.hads.want((exchange.member, exchange.gift));
                state.accounts.want(exchange.member);
                state.members.want(exchange.member);
                state.stocks.want(exchange.stock);
                if exchange.status == ExchangeStatus::Confirmed {
                    state.spents.want((Asset::Points, spent_on(exchange.id)));
                    exchange.order.into_iter().for_each(|order| state.orders.want(order));
                }
                state.exchanges.found(exchange);
            }
        }
        let wanted = state.hads.take_wanted();
        if !wanted.is_empty() {
            for had in rows::load_hads(connection, tenant, &wanted, lock).await? {
                state.hads.found(had);
            }
        }
        let wanted = state.gifts.take_wanted();
        if !wanted.is_empty() {
            for gift in rows::load_gifts(connection, tenant, &wanted, "").await? {
                state.gifts.found(gift);
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
        let changed = state.exchanges.changed();
        if !changed.is_empty() {
            rows::update(connection, tenant, &changed).await?;
        }
        let added = state.exchanges.added();
        if !added.is_empty() {
            rows::insert(connection, tenant, &added).await?;
        }
        let changed = state.hads.changed();
        if !changed.is_empty() {
            rows::update_hads(connection, tenant, &changed).await?;
        }
        let added = state.hads.added();
        if !added.is_empty() {
            rows::insert_hads(connection, tenant, &added).await?;
        }
        Ok(())
    }
}
