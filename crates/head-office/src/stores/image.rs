//! Stores, their limits, their clerks, and the keys of tokens, as counters are told of them.

use async_trait::async_trait;
use counterfoil_protocol::sync::{Image, StoreLimits};

use super::rows;
use crate::{
    db::DbError,
    feed::{
        Item,
        images::{Found, Images, Wanted},
    },
};

/// Stores, their limits, their clerks, and the keys of tokens, as counters are told of them.
#[derive(Debug)]
pub struct Stores;

#[async_trait]
impl Images for Stores {
    async fn load(&self, wanted: Wanted<'_>) -> Result<Vec<Found>, DbError> {
        let mut found = Vec::new();
        let ids = wanted.own(|item| match item {
            Item::Store(id) | Item::Limits(id) => Some(*id),
            _ => None,
        });
        if !ids.is_empty() {
            for row in rows::load_stores(wanted.connection, wanted.tenant, &ids).await? {
                let (id, limits) = (row.store.id, row.limits);
                found.push((
                    Item::Limits(id),
                    row.version,
                    Image::Limits(StoreLimits { store: id, limits }),
                ));
                found.push((Item::Store(id), row.version, Image::Store(row.store)));
            }
        }
        let keys = wanted.own(|item| match item {
            Item::TokenKey(id) => Some(*id),
            _ => None,
        });
        if !keys.is_empty() {
            for (version, key) in rows::load_token_keys(wanted.connection, wanted.tenant, &keys).await? {
                found.push((Item::TokenKey(key.key_id), version, Image::TokenKey(key)));
            }
        }
        let clerks = wanted.own(|item| match item {
            Item::Clerk(id) => Some(*id),
            _ => None,
        });
        if !clerks.is_empty() {
            for (version, clerk) in rows::load_clerks(wanted.connection, wanted.tenant, &clerks).await? {
                found.push((Item::Clerk(clerk.id), version, Image::Clerk(clerk)));
            }
        }
        Ok(found)
    }
}
