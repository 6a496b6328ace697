//! The rows behind items, as counters are told of them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use counterfoil_domain::{
    ids::{DeviceId, StoreId, TenantId},
    time::Millis,
};
use counterfoil_protocol::sync::{Image, Row};
use sqlx::AnyConnection;

use super::Item;
use crate::db::DbError;

/// Who looks, and when.
#[derive(Debug, Clone, Copy)]
pub struct Viewer {
    /// The store that holds the copy.
    pub store: StoreId,
    /// Its device.
    pub device: DeviceId,
    /// Head office's clock.
    pub now: Millis,
}

/// An item, the version of its row, and the row as a counter may see it.
pub type Found = (Item, i64, Image);

/// Rows that are looked for.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// Within which transaction.
    pub connection: &'a mut AnyConnection,
    /// Whose rows.
    pub tenant: TenantId,
    /// The items whose rows they are, of every kind.
    pub items: &'a [Item],
    /// Who looks.
    pub viewer: Viewer,
}

impl Wanted<'_> {
    /// Those of the items that are one's own.
    pub fn own<T>(&self, own: impl Fn(&Item) -> Option<T>) -> Vec<T> {
        self.items.iter().filter_map(own).collect()
    }
}

/// What loads the rows behind some kinds of items.
#[async_trait]
pub trait Images: Send + Sync + std::fmt::Debug {
    /// The rows of those of the items that are its own, with one statement a table, without what is not this viewer's to
    /// know.
    ///
    /// # Errors
    /// The driver's, and [`DbError::Decode`].
    async fn load(&self, wanted: Wanted<'_>) -> Result<Vec<Found>, DbError>;
}

/// All there are.
#[derive(Debug, Default, Clone)]
pub struct Gallery(pub Vec<&'static dyn Images>);

impl Gallery {
    /// Loads the rows behind items as this viewer may see them. What no longer exists is left out.
    ///
    /// # Errors
    /// The driver's, and [`DbError::Decode`].
    pub async fn load(
        &self,
        connection: &mut AnyConnection,
        tenant: TenantId,
        items: &[Item],
        viewer: Viewer,
    ) -> Result<Vec<Row>, DbError> {
        let mut found: BTreeMap<Item, Row> = BTreeMap::new();
        for images in &self.0 {
            let wanted = Wanted {
                connection: &mut *connection,
                tenant,
                items,
                viewer,
            };
            for (item, version, image) in images.load(wanted).await? {
                found.insert(item, Row { version, image });
            }
        }
        Ok(items.iter().filter_map(|item| found.remove(item)).collect())
    }
}
