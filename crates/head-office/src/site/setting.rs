//! Where a chain's own site is told and asked.

use counterfoil_domain::ids::TenantId;

use super::rows;
use crate::{
    clock::{Clock, Random},
    db::Db,
    deed::{Actor, AdminError, Deed, fresh},
};

/// What the key of a site's signatures begins with, so that a leaked one can be recognised.
const PREFIX: &str = "cfw_";

/// Sets the address, with a new key; the key is told only here.
///
/// # Errors
/// [`AdminError`] when the address is none that is called.
pub async fn set_webhook(
    db: &Db,
    clock: &dyn Clock,
    random: &dyn Random,
    tenant: TenantId,
    url: &str,
) -> Result<String, AdminError> {
    let url = super::address(url).map_err(|what| AdminError::malformed("url", what))?;
    let secret = format!("{PREFIX}{}", hex::encode(fresh::<32>(random)?));
    let now = clock.now();
    let mut lease = db.lease().await?;
    let mut deed = Deed::new(lease.begin().await?, random, Actor::admin(tenant), now);
    rows::set_webhook(&mut deed, tenant, url.as_str(), secret.as_bytes(), now).await?;
    // The address may hold a secret: the audit log has only its host.
    let host = url.host_str().unwrap_or_default();
    deed.audit("webhook.set", host).await?;
    deed.commit("admin.set_webhook").await?;
    Ok(secret)
}

/// Forgets the address: nobody is told or asked any more.
///
/// # Errors
/// The database's.
pub async fn drop_webhook(db: &Db, clock: &dyn Clock, random: &dyn Random, tenant: TenantId) -> Result<(), AdminError> {
    let now = clock.now();
    let mut lease = db.lease().await?;
    let mut deed = Deed::new(lease.begin().await?, random, Actor::admin(tenant), now);
    rows::drop_webhook(&mut deed, tenant).await?;
    deed.audit("webhook.dropped", "").await?;
    deed.commit("admin.drop_webhook").await?;
    Ok(())
}
