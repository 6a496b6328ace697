//! Template versions as counters are told of them.

use async_trait::async_trait;
use counterfoil_protocol::sync::Image;

use crate::{
    coupons::rows,
    db::DbError,
    feed::{
        Item,
        images::{Found, Images, Wanted},
    },
};

/// Template versions as counters are told of them.
#[derive(Debug)]
pub struct Templates;

#[async_trait]
impl Images for Templates {
    async fn load(&self, wanted: Wanted<'_>) -> Result<Vec<Found>, DbError> {
        let ids = wanted.own(|item| match item {
            Item::Template(id, version) => Some((*id, *version)),
            _ => None,
        });
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let templates = rows::load_templates(wanted.connection, wanted.tenant, &ids)
            .await?
            .into_iter();
        let found = templates.map(|(version, template)| {
            let item = Item::Template(template.id, template.version);
            (item, version, Image::Template(template.as_ref().clone()))
        });
        Ok(found.collect())
    }
}
