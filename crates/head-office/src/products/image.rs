//! Products as counters are told of them.

use async_trait::async_trait;
use counterfoil_domain::ids::TenantId;
use counterfoil_protocol::sync::Image;
use sqlx::AnyConnection;

use super::rows;
use crate::{
    db::DbError,
    feed::{
        Item,
        images::{Found, Images, Viewer},
    },
};

/// Products as counters are told of them.
#[derive(Debug)]
pub struct Products;

#[async_trait]
impl Images for Products {
    async fn load(
        &self,
        connection: &mut AnyConnection,
        tenant: TenantId,
        items: &[Item],
        _: Viewer,
    ) -> Result<Vec<Found>, DbError> {
        let ids: Vec<_> = items
            .iter()
            .filter_map(|item| match item {
                Item::Product(id) => Some(*id),
                _ => None,
            })
            .collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let products = rows::load(connection, tenant, &ids).await?.into_iter();
        let found = products.map(|(id, product)| (Item::Product(id), product.version, Image::Product(product)));
        Ok(found.collect())
    }
}
