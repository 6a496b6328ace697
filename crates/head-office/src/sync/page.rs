//! A page of the feeds: rows as they are now, of one snapshot of the database.

use std::collections::BTreeMap;

use counterfoil_domain::{
    coupons::CouponState,
    ids::{ClerkId, CouponId, DeviceId, FreezeId, MemberId, OperationId, OrderId, StoreId, TemplateId, TenantId},
    offline::OfflineLimits,
    people::mask_phone,
    pickups::OrderState,
    time::Millis,
};
use counterfoil_protocol::sync::{Cursor, Image, PAGE_ROWS, Page, Row};
use sqlx::AnyConnection;
use uuid::Uuid;

use super::feed::{self, Head, Item, TENANT_FEED};
use crate::{coupons, db::DbError, members, pickups, products, sales, stores};

/// Reads the page after a cursor; tenant-wide rows come first, so that a coupon's template is there before it.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn read(
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
        rows: images(connection, tenant, &items, viewer).await?,
        cursor: Cursor {
            tenant_seq: shared.head.number,
            tenant_mark: shared.head.mark,
            store_seq: own.head.number,
            store_mark: own.head.mark,
        },
        more: shared.more || own.more,
    })
}

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

/// Loads the rows behind items as this viewer may see them, with one statement a table. What no longer exists is left
/// out.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn images(
    connection: &mut AnyConnection,
    tenant: TenantId,
    items: &[Item],
    viewer: Viewer,
) -> Result<Vec<Row>, DbError> {
    let mut wanted = Wanted::default();
    for item in items {
        wanted.add(*item);
    }
    let mut found: BTreeMap<Item, Row> = BTreeMap::new();
    let mut put = |item: Item, version: i64, image: Image| {
        found.insert(item, Row { version, image });
    };
    if !wanted.stores.is_empty() || !wanted.limits.is_empty() {
        let ids: Vec<StoreId> = wanted.stores.iter().chain(&wanted.limits).copied().collect();
        for row in stores::rows::load_stores(connection, tenant, &ids).await? {
            let (id, limits): (StoreId, OfflineLimits) = (row.store.id, row.limits);
            put(Item::Limits(id), row.version, Image::Limits { store: id, limits });
            put(Item::Store(id), row.version, Image::Store(row.store));
        }
    }
    if !wanted.keys.is_empty() {
        for (version, key) in stores::rows::load_token_keys(connection, tenant, &wanted.keys).await? {
            put(Item::TokenKey(key.key_id), version, Image::TokenKey(key));
        }
    }
    if !wanted.clerks.is_empty() {
        for (version, clerk) in stores::rows::load_clerks(connection, tenant, &wanted.clerks).await? {
            put(Item::Clerk(clerk.id), version, Image::Clerk(clerk));
        }
    }
    if !wanted.templates.is_empty() {
        for (version, template) in coupons::rows::load_templates(connection, tenant, &wanted.templates).await? {
            let item = Item::Template(template.id, template.version);
            put(item, version, Image::Template(template.as_ref().clone()));
        }
    }
    if !wanted.members.is_empty() {
        for (version, member) in members::rows::load(connection, tenant, &wanted.members, "").await? {
            put(Item::Member(member.id), version, Image::Member(member));
        }
    }
    if !wanted.coupons.is_empty() {
        for coupon in coupons::rows::load(connection, tenant, &wanted.coupons, "").await? {
            put(Item::Coupon(coupon.id), coupon.version, Image::Coupon(coupon));
        }
    }
    if !wanted.orders.is_empty() {
        for order in pickups::rows::load(connection, tenant, &wanted.orders, "").await? {
            put(Item::Order(order.id), order.version, Image::Order(order));
        }
    }
    if !wanted.sales.is_empty() {
        for sale in sales::rows::load(connection, tenant, &wanted.sales, "").await? {
            put(Item::Sale(sale.id), sale.version, Image::Sale(sale));
        }
    }
    if !wanted.products.is_empty() {
        for (id, product) in products::rows::load(connection, tenant, &wanted.products).await? {
            put(Item::Product(id), product.version, Image::Product(product));
        }
    }
    let mut rows: Vec<Row> = items.iter().filter_map(|item| found.remove(item)).collect();
    for row in &mut rows {
        mask(&mut row.image, viewer);
    }
    Ok(rows)
}

/// Leaves out what is not this viewer's to know. Whoever knows the id of a freeze could name it, so each device sees its
/// own only; the others are nil, which older counters read as well. Of a member whom this store does not hold, no phone
/// number and no stores: a counter that held them before forgets them by that.
fn mask(image: &mut Image, viewer: Viewer) {
    match image {
        Image::Coupon(coupon) => {
            if let Some(used) = coupon.used_beside_lapsed(viewer.now) {
                coupon.state = CouponState::Redeemed {
                    operation: used.operation,
                    at: used.at,
                    store: used.store,
                };
            }
            coupon.surplus.clear();
            if let CouponState::Frozen { freeze, device, .. } = &mut coupon.state
                && *device != viewer.device
            {
                *freeze = FreezeId(Uuid::nil());
            }
        }
        Image::Order(order) => {
            if let Some(used) = order.collected_beside_lapsed(viewer.now) {
                order.state = OrderState::Collected {
                    operation: used.operation,
                    at: used.at,
                    store: used.store,
                };
            }
            order.surplus.clear();
            // Of an order that waits elsewhere a counter learns where, and nothing of what or whose it is.
            if order.store != viewer.store {
                order.lines.clear();
                order.collector.clear();
                order.member = None;
            }
            if let OrderState::Ready { freeze: Some(held) } = &mut order.state
                && held.device != viewer.device
            {
                held.freeze = FreezeId(Uuid::nil());
            }
        }
        Image::Member(member) if !member.recent_stores.contains(&viewer.store) => {
            member.phone = mask_phone(&member.phone);
            member.recent_stores.clear();
        }
        _ => {}
    }
}

#[derive(Default)]
struct Wanted {
    stores: Vec<StoreId>,
    limits: Vec<StoreId>,
    clerks: Vec<ClerkId>,
    members: Vec<MemberId>,
    templates: Vec<(TemplateId, i64)>,
    coupons: Vec<CouponId>,
    orders: Vec<OrderId>,
    keys: Vec<u32>,
    sales: Vec<OperationId>,
    products: Vec<Uuid>,
}

impl Wanted {
    fn add(&mut self, item: Item) {
        match item {
            Item::Store(id) => self.stores.push(id),
            Item::Limits(id) => self.limits.push(id),
            Item::Clerk(id) => self.clerks.push(id),
            Item::Member(id) => self.members.push(id),
            Item::Template(id, version) => self.templates.push((id, version)),
            Item::Coupon(id) => self.coupons.push(id),
            Item::Order(id) => self.orders.push(id),
            Item::TokenKey(id) => self.keys.push(id),
            Item::Sale(id) => self.sales.push(id),
            Item::Product(id) => self.products.push(id),
        }
    }
}
