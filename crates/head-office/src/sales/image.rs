//! Sales as counters are told of them.

use async_trait::async_trait;
use counterfoil_domain::{ids::TenantId, sales::Sale};
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

/// Sales as counters are told of them.
#[derive(Debug)]
pub struct Sales;

#[async_trait]
impl Images for Sales {
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
                Item::Sale(id) => Some(*id),
                _ => None,
            })
            .collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let sales = rows::load(connection, tenant, &ids, "").await?;
        let found = |sale: Sale| (Item::Sale(sale.id), sale.version, Image::Sale(sale));
        Ok(sales.into_iter().map(found).collect())
    }
}
