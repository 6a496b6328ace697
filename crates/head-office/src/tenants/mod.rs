//! Tenants: chains, with the keys behind their tokens, codes and links.

pub mod rows;

use counterfoil_domain::ids::TenantId;

use crate::{
    clock::{Clock, Random},
    db::{Db, DbError},
    deed::{Actor, AdminError, Deed, check_code, check_name, fresh, not_found, taken},
    feed::{Item, TENANT_FEED},
};

/// Number of a tenant's first token key.
pub(crate) const FIRST_KEY: u32 = 1;

/// A tenant to be.
#[derive(Debug, Clone)]
pub struct NewTenant<'a> {
    /// Short code.
    pub code: &'a str,
    /// Name.
    pub name: &'a str,
    /// ISO 4217 code of its money.
    pub currency: &'a str,
}

/// What can be said of a new tenant without a database.
///
/// # Errors
/// [`AdminError`].
pub fn check_tenant(new: &NewTenant<'_>) -> Result<(), AdminError> {
    check_code("code", new.code)?;
    check_name("name", new.name)?;
    if new.currency.len() != 3 || !new.currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(AdminError::malformed("currency", "three capital letters, as CNY"));
    }
    Ok(())
}

/// Adds a tenant, with the key that its tokens are signed with and the key behind its coupon codes.
///
/// # Errors
/// [`AdminError`].
pub async fn add_tenant(
    db: &Db,
    clock: &dyn Clock,
    random: &dyn Random,
    new: &NewTenant<'_>,
) -> Result<TenantId, AdminError> {
    check_tenant(new)?;
    let mut lease = db.lease().await?;
    let now = clock.now();
    let tenant = TenantId::new(now, fresh(random)?);
    let mut deed = Deed::new(lease.begin().await?, random, Actor::admin(tenant), now);
    insert_tenant(&mut deed, new)
        .await
        .map_err(|error| taken(error, "tenant", new.code))?;
    deed.commit("admin.add_tenant").await?;
    Ok(tenant)
}

/// The same within a deed of this tenant, unchecked.
pub(crate) async fn insert_tenant(deed: &mut Deed<'_>, new: &NewTenant<'_>) -> Result<(), DbError> {
    let (tenant, now) = (deed.tenant(), deed.now());
    let (code_key, token_key) = (deed.fresh::<32>()?, deed.fresh::<32>()?);
    rows::insert_tenant(deed, tenant, new, &code_key, now).await?;
    rows::insert_token_key(deed, tenant, FIRST_KEY, &token_key, now).await?;
    deed.audit("tenant.added", new.code).await?;
    deed.tell(TENANT_FEED, Item::TokenKey(FIRST_KEY));
    Ok(())
}

/// The tenant of this code; without a code, the only one there is.
///
/// # Errors
/// [`AdminError::NotFound`] when there is none, or more than one and no code.
pub async fn find_tenant(db: &Db, code: Option<&str>) -> Result<TenantId, AdminError> {
    let mut snapshot = db.snapshot().await?;
    rows::find_tenant(&mut snapshot, code).await.map_err(not_found)
}

/// Makes the key that the shop's own site signs links with: 64 hexadecimal digits, shown once. With `again`, links
/// signed with the one before are no longer good.
///
/// # Errors
/// [`AdminError::LinkKeyExists`] when there is one and `again` is not set.
pub async fn make_link_key(
    db: &Db,
    clock: &dyn Clock,
    random: &dyn Random,
    tenant: TenantId,
    again: bool,
) -> Result<String, AdminError> {
    let key = fresh::<32>(random)?;
    let now = clock.now();
    let mut lease = db.lease().await?;
    let mut deed = Deed::new(lease.begin().await?, random, Actor::admin(tenant), now);
    if !rows::set_link_key(&mut deed, tenant, &key, again).await? {
        return Err(AdminError::LinkKeyExists);
    }
    deed.audit("tenant.link_key_made", "").await?;
    deed.commit("admin.make_link_key").await?;
    Ok(hex::encode(key))
}
