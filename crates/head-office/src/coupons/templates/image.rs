//! Template versions as counters are told of them.

use async_trait::async_trait;
use counterfoil_domain::ids::TenantId;
use counterfoil_protocol::sync::Image;
use sqlx::AnyConnection;

use crate::{
    coupons::rows,
    db::DbError,
    feed::{
        Item,
        images::{Found, Images, Viewer},
    },
};

/// Template versions as counters are told of them.
#[derive(Debug)]
pub struct Templates;

#[async_trait]
impl Images for Templates {
    async fn load(
        &self,
        connection: &mut AnyConnection,
        tenant: TenantId,
        items: &[Item],
        _: Viewer,
    ) -> Result<Vec<Found>, DbError> {
        let wanted: Vec<_> = items
            .iter()
            .filter_map(|item| match item {
                Item::Template(id, version) => Some((*id, *version)),
                _ => None,
            })
            .collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let templates = rows::load_templates(connection, tenant, &wanted).await?.into_iter();
        let found = templates.map(|(version, template)| {
            let item = Item::Template(template.id, template.version);
            (item, version, Image::Template(template.as_ref().clone()))
        });
        Ok(found.collect())
    }
}
