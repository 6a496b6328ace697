//! Where a chain's own site is told and asked.

use counterfoil_domain::ids::TenantId;

use super::rows;
use crate::{
    audit::note,
    clock::{Clock, Random},
    db::Db,
    deed::{ACTOR, AdminError, fresh},
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
    let mut transaction = lease.begin().await?;
    rows::set_webhook(&mut transaction, tenant, url.as_str(), secret.as_bytes(), now).await?;
    // The address may hold a secret: the audit log has only its host.
    let host = url.host_str().unwrap_or_default();
    note(&mut transaction, random, tenant, now, ACTOR, "webhook.set", host).await?;
    transaction.commit("admin.set_webhook").await?;
    Ok(secret)
}

/// Forgets the address: nobody is told or asked any more.
///
/// # Errors
/// The database's.
pub async fn drop_webhook(db: &Db, clock: &dyn Clock, random: &dyn Random, tenant: TenantId) -> Result<(), AdminError> {
    let now = clock.now();
    let mut lease = db.lease().await?;
    let mut transaction = lease.begin().await?;
    rows::drop_webhook(&mut transaction, tenant).await?;
    note(&mut transaction, random, tenant, now, ACTOR, "webhook.dropped", "").await?;
    transaction.commit("admin.drop_webhook").await?;
    Ok(())
}
