//! Members that a counter asks for: by what they say or show, with their coupons.
//!
//! Who shows their token stands there, so their store holds them from then on, as after a redemption. A number or a
//! phone number proves nobody's presence: it is answered, with the phone number masked, and nothing is remembered until
//! something is redeemed for that member there.

use std::collections::BTreeMap;

use counterfoil_domain::{
    ids::{MemberId, StoreId, TenantId},
    people::mask_phone,
};
use counterfoil_protocol::sync::{Image, Row};
use sqlx::AnyConnection;

use crate::{
    App, clock, coupons,
    db::DbError,
    members,
    sync::feed::{self, Item},
};

/// Coupons that a member's card shows at most, those that may be used first.
const COUPONS: i64 = 200;

/// What a counter needs for a member's card: the member, the templates, the coupons.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn card(connection: &mut AnyConnection, tenant: TenantId, member: MemberId) -> Result<Vec<Item>, DbError> {
    let coupons = coupons::rows::of_member(connection, tenant, member, COUPONS).await?;
    let mut items = vec![Item::Member(member)];
    for coupon in &coupons {
        let template = Item::Template(coupon.template, coupon.template_version);
        if !items.contains(&template) {
            items.push(template);
        }
    }
    items.extend(coupons.iter().map(|coupon| Item::Coupon(coupon.id)));
    Ok(items)
}

/// A member showed their token at this store: it holds them, and what they can use, from now on.
///
/// # Errors
/// The driver's.
pub async fn seen(app: &App, tenant: TenantId, member: MemberId, store: StoreId) -> Result<(), DbError> {
    let mut snapshot = app.db.snapshot().await?;
    let known = members::rows::load(&mut snapshot, tenant, &[member]).await?.pop();
    drop(snapshot);
    // Seen here before, as nearly everybody: nothing to write.
    if known.is_none_or(|(_, member)| member.seen_at(store).is_none()) {
        return Ok(());
    }
    let mut lease = app.db.lease().await?;
    let mut transaction = lease.begin().await?;
    let known = members::rows::load(&mut transaction, tenant, &[member]).await?.pop();
    let Some((_, member)) = known else { return Ok(()) };
    let Some(recent_stores) = member.seen_at(store) else {
        return Ok(());
    };
    let items = card(&mut transaction, tenant, member.id).await?;
    let member = counterfoil_domain::people::Member {
        recent_stores,
        ..member
    };
    members::rows::update_stores(&mut transaction, tenant, &[member]).await?;
    // Templates are in the feed of every store.
    let items = items
        .into_iter()
        .filter(|item| !matches!(item, Item::Template(..)))
        .collect();
    let mark = clock::bytes(app.random.as_ref()).map_err(|error| DbError::config(error.to_string()))?;
    let news = BTreeMap::from([(store, items)]);
    let heads = feed::append(&mut transaction, tenant, &news, i64::from_be_bytes(mark)).await?;
    transaction.commit().await?;
    drop(lease);
    for (store, number) in heads {
        app.watch.moved(tenant, store, number);
    }
    Ok(())
}

/// Of a member whom this store does not hold, a counter learns no phone number.
pub fn mask_strangers(rows: &mut [Row], store: StoreId) {
    for row in rows {
        if let Image::Member(member) = &mut row.image
            && !member.recent_stores.contains(&store)
        {
            member.phone = mask_phone(&member.phone);
            member.recent_stores.clear();
        }
    }
}
