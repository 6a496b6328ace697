//! Tenants: chains, with the keys behind their tokens, codes and links.

pub mod rows;

use std::collections::BTreeMap;

use counterfoil_domain::{ids::TenantId, time::Millis};
use sqlx::AnyConnection;

use crate::{
    audit::note,
    clock::{Clock, Random},
    db::{Db, DbError},
    deed::{ACTOR, AdminError, check_code, check_name, fresh, not_found, taken, tell},
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
    let mut transaction = lease.begin().await.map_err(AdminError::from)?;
    let tenant = insert_tenant(&mut transaction, clock.now(), random, new)
        .await
        .map_err(|error| taken(error, "tenant", new.code))?;
    transaction.commit("admin.add_tenant").await?;
    Ok(tenant)
}

/// The same within a transaction, unchecked.
pub(crate) async fn insert_tenant(
    connection: &mut AnyConnection,
    now: Millis,
    random: &dyn Random,
    new: &NewTenant<'_>,
) -> Result<TenantId, DbError> {
    let tenant = TenantId::new(now, fresh(random)?);
    rows::insert_tenant(connection, tenant, new, &fresh::<32>(random)?, now).await?;
    rows::insert_token_key(connection, tenant, FIRST_KEY, &fresh::<32>(random)?, now).await?;
    note(connection, random, tenant, now, ACTOR, "tenant.added", new.code).await?;
    let news = BTreeMap::from([(TENANT_FEED, vec![Item::TokenKey(FIRST_KEY)])]);
    tell(connection, random, tenant, &news).await?;
    Ok(tenant)
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
    let mut transaction = lease.begin().await?;
    if !rows::set_link_key(&mut transaction, tenant, &key, again).await? {
        return Err(AdminError::LinkKeyExists);
    }
    note(&mut transaction, random, tenant, now, ACTOR, "tenant.link_key_made", "").await?;
    transaction.commit("admin.make_link_key").await?;
    Ok(hex::encode(key))
}
