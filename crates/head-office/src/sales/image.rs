//! Sales as counters are told of them.

use async_trait::async_trait;
use counterfoil_domain::sales::Sale;
use counterfoil_protocol::sync::Image;

use super::rows;
use crate::{
    db::DbError,
    feed::{
        Item,
        images::{Found, Images, Wanted},
    },
};

/// Sales as counters are told of them.
#[derive(Debug)]
pub struct Sales;

#[async_trait]
impl Images for Sales {
    async fn load(&self, wanted: Wanted<'_>) -> Result<Vec<Found>, DbError> {
        let ids = wanted.own(|item| match item {
            Item::Sale(id) => Some(*id),
            _ => None,
        });
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let sales = rows::load(wanted.connection, wanted.tenant, &ids, "").await?;
        let found = |sale: Sale| (Item::Sale(sale.id), sale.version, Image::Sale(sale));
        Ok(sales.into_iter().map(found).collect())
    }
}
