//! Products as counters are told of them.

use async_trait::async_trait;
use counterfoil_protocol::sync::Image;

use super::rows;
use crate::{
    db::DbError,
    feed::{
        Item,
        images::{Found, Images, Wanted},
    },
};

/// Products as counters are told of them.
#[derive(Debug)]
pub struct Products;

#[async_trait]
impl Images for Products {
    async fn load(&self, wanted: Wanted<'_>) -> Result<Vec<Found>, DbError> {
        let ids = wanted.own(|item| match item {
            Item::Product(id) => Some(*id),
            _ => None,
        });
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let products = rows::load(wanted.connection, wanted.tenant, &ids).await?.into_iter();
        let found = products.map(|(id, product)| (Item::Product(id), product.version, Image::Product(product)));
        Ok(found.collect())
    }
}
