//! What a store that holds a member holds of them.

use counterfoil_domain::{
    ids::{MemberId, StoreId, TenantId},
    people::Member,
};
use sqlx::AnyConnection;

use crate::{coupons, db::DbError, deed::Deed, feed::Item, members};

/// Coupons that a member's card shows at most, those that may be used first.
const COUPONS: i64 = 200;

/// The member, their account and their coupons.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn items(connection: &mut AnyConnection, tenant: TenantId, member: MemberId) -> Result<Vec<Item>, DbError> {
    let coupons = coupons::rows::of_member(connection, tenant, member, COUPONS).await?;
    let mut items = vec![Item::Member(member), Item::Account(member)];
    items.extend(coupons.iter().map(|coupon| Item::Coupon(coupon.id)));
    Ok(items)
}

/// The same with the templates of the coupons, which go before them: for who asks and may hold none of it.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn with_templates(
    connection: &mut AnyConnection,
    tenant: TenantId,
    member: MemberId,
) -> Result<Vec<Item>, DbError> {
    let coupons = coupons::rows::of_member(connection, tenant, member, COUPONS).await?;
    let mut items = vec![Item::Member(member), Item::Account(member)];
    for coupon in &coupons {
        let template = Item::Template(coupon.template, coupon.template_version);
        if !items.contains(&template) {
            items.push(template);
        }
    }
    items.extend(coupons.iter().map(|coupon| Item::Coupon(coupon.id)));
    Ok(items)
}

/// Lets a store hold a member who was loaded and locked in this transaction: it hears of them and their coupons, the
/// others hear of it, and the one that drops out of their list forgets them by that.
///
/// # Errors
/// The driver's, and [`DbError::RowCount`] when the member changed meanwhile.
pub async fn hold(deed: &mut Deed<'_>, (version, member): (i64, Member), store: StoreId) -> Result<(), DbError> {
    let Some(recent_stores) = member.seen_at(store) else {
        return Ok(());
    };
    for other in &member.recent_stores {
        deed.tell(*other, Item::Member(member.id));
    }
    let tenant = deed.tenant();
    for item in items(deed, tenant, member.id).await? {
        deed.tell(store, item);
    }
    let held = Member {
        recent_stores,
        ..member
    };
    members::rows::update_stores(deed, tenant, &[(version, &held)]).await
}
