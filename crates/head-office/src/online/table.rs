//! Orders placed online within a group.

use super::{notices, rows};
use crate::{
    db::DbError,
    engine::tables::{Loading, Place, Storing, Table},
};
use async_trait::async_trait;
use counterfoil_domain::ids::{CouponId, FreezeId};

/// Orders placed online, and who must hear that a coupon of theirs was taken.
#[derive(Debug)]
pub struct Online;

#[async_trait]
impl Table for Online {
    fn place(&self) -> Place {
        Place::Online
    }

    async fn load(&mut self, loading: Loading<'_>) -> Result<(), DbError> {
        let wanted = loading.state.online.take_wanted();
        if !wanted.is_empty() {
            for row in rows::load(loading.connection, loading.tenant, &wanted, loading.lock).await? {
                for held in &row.coupons {
                    loading.state.coupons.want(held.coupon);
                }
                loading.state.online.found(row);
            }
        }
        Ok(())
    }

    async fn store(&mut self, storing: Storing<'_>) -> Result<(), DbError> {
        let Storing {
            connection,
            tenant,
            now,
            random,
            state,
            facts,
            ..
        } = storing;
        let changed = state.online.changed();
        if !changed.is_empty() {
            rows::update(connection, tenant, &changed).await?;
        }
        let added = state.online.added();
        if !added.is_empty() {
            rows::insert(connection, tenant, &added).await?;
        }
        let written = state.online.written().into_iter();
        let held: Vec<(FreezeId, CouponId)> = written
            .flat_map(|order| order.coupons.iter().map(|held| (order.id, held.coupon)))
            .collect();
        if !held.is_empty() {
            rows::insert_coupons(connection, tenant, &held).await?;
        }
        if !facts.taken.is_empty() {
            rows::mark_taken(connection, tenant, &facts.taken).await?;
            notices::taken(connection, random, tenant, &facts.taken, now).await?;
        }
        Ok(())
    }
}
