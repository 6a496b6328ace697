//! A page of the feeds: rows as they are now, of one snapshot of the database.

use counterfoil_domain::ids::TenantId;
use counterfoil_protocol::sync::{Cursor, PAGE_ROWS, Page};
use sqlx::AnyConnection;

use crate::{
    db::DbError,
    feed::{
        self, Head, Item, TENANT_FEED,
        images::{Gallery, Viewer},
    },
};

/// Reads the page after a cursor; tenant-wide rows come first, so that a coupon's template is there before it.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn read(
    gallery: &Gallery,
    connection: &mut AnyConnection,
    tenant: TenantId,
    viewer: Viewer,
    cursor: Cursor,
    rows: i64,
) -> Result<Page, DbError> {
    let store = viewer.store;
    let limit = rows.clamp(1, PAGE_ROWS);
    let after = Head {
        number: cursor.tenant_seq,
        mark: cursor.tenant_mark,
    };
    let shared = feed::read(connection, tenant, TENANT_FEED, after, limit).await?;
    let after = Head {
        number: cursor.store_seq,
        mark: cursor.store_mark,
    };
    let left = limit - i64::try_from(shared.items.len()).unwrap_or(limit);
    let own = if shared.more || left <= 0 {
        // The store's feed waits for the next page, unless there is nothing in it.
        let head = feed::head(connection, tenant, store).await?;
        feed::Piece {
            items: Vec::new(),
            head: after,
            more: head.number > after.number,
        }
    } else {
        feed::read(connection, tenant, store, after, left).await?
    };
    let items: Vec<Item> = shared.items.into_iter().chain(own.items).collect();
    Ok(Page {
        rows: gallery.load(connection, tenant, &items, viewer).await?,
        cursor: Cursor {
            tenant_seq: shared.head.number,
            tenant_mark: shared.head.mark,
            store_seq: own.head.number,
            store_mark: own.head.mark,
        },
        more: shared.more || own.more,
        unread: Vec::new(),
    })
}
