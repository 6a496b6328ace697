//! Members as counters are told of them.

use async_trait::async_trait;
use counterfoil_domain::people::{Member, mask_phone};
use counterfoil_protocol::sync::Image;

use super::rows;
use crate::{
    db::DbError,
    feed::{
        Item,
        images::{Found, Images, Wanted},
    },
};

/// Members as counters are told of them.
#[derive(Debug)]
pub struct Members;

#[async_trait]
impl Images for Members {
    async fn load(&self, wanted: Wanted<'_>) -> Result<Vec<Found>, DbError> {
        let ids = wanted.own(|item| match item {
            Item::Member(id) => Some(*id),
            _ => None,
        });
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut members = rows::load(wanted.connection, wanted.tenant, &ids, "").await?;
        for (_, member) in &mut members {
            // A counter that held a member before forgets them by that.
            if !member.recent_stores.contains(&wanted.viewer.store) {
                member.phone = mask_phone(&member.phone);
                member.recent_stores.clear();
            }
        }
        let found = |(version, member): (i64, Member)| (Item::Member(member.id), version, Image::Member(member));
        Ok(members.into_iter().map(found).collect())
    }
}
