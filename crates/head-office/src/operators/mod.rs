//! People of head office: the token of each is shown once.

pub mod rows;

use counterfoil_domain::{
    ids::{OperatorId, TenantId},
    people::OperatorRole,
    time::Millis,
};
use sha2::{Digest, Sha256};

use crate::{
    clock::{Clock, Random},
    db::Db,
    deed::{Actor, AdminError, Deed, check_name, fresh, taken},
    http::caller::OPERATOR_TOKEN,
};

/// An operator to be.
#[derive(Debug, Clone)]
pub struct NewOperator<'a> {
    /// Name.
    pub name: &'a str,
    /// What they may do.
    pub role: OperatorRole,
}

/// An operator as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownOperator {
    /// Their id, as it stands in the audit log.
    pub id: OperatorId,
    /// Name.
    pub name: String,
    /// What they may do.
    pub role: OperatorRole,
    /// Whether their token still works.
    pub active: bool,
    /// When they were added.
    pub created_at: Millis,
}

/// Adds an operator; the token is known to nobody but who gets this answer.
///
/// # Errors
/// [`AdminError`].
pub async fn add_operator(
    db: &Db,
    clock: &dyn Clock,
    random: &dyn Random,
    tenant: TenantId,
    new: &NewOperator<'_>,
) -> Result<(OperatorId, String), AdminError> {
    check_name("name", new.name)?;
    let now = clock.now();
    let id = OperatorId::new(now, fresh(random)?);
    let token = format!("{OPERATOR_TOKEN}{}", hex::encode(fresh::<32>(random)?));
    let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
    let mut lease = db.lease().await?;
    let mut deed = Deed::new(lease.begin().await?, random, Actor::admin(tenant), now);
    rows::insert_operator(&mut deed, tenant, id, new, &hash, now)
        .await
        .map_err(|error| taken(error, "operator", new.name))?;
    let detail = id.to_string();
    deed.audit("operator.added", &detail).await?;
    deed.commit("admin.add_operator").await?;
    Ok((id, token))
}

/// A tenant's operators, by name.
///
/// # Errors
/// The database's.
pub async fn operators(db: &Db, tenant: TenantId) -> Result<Vec<KnownOperator>, AdminError> {
    let mut snapshot = db.snapshot().await?;
    Ok(rows::operators(&mut snapshot, tenant).await?)
}

/// Takes an operator's token away; a running head office notices within seconds.
///
/// # Errors
/// [`AdminError::NotFound`] when nobody active has this name.
pub async fn deactivate_operator(
    db: &Db,
    clock: &dyn Clock,
    random: &dyn Random,
    tenant: TenantId,
    name: &str,
) -> Result<OperatorId, AdminError> {
    let mut lease = db.lease().await?;
    let mut deed = Deed::new(lease.begin().await?, random, Actor::admin(tenant), clock.now());
    let id = rows::deactivate_operator(&mut deed, tenant, name)
        .await?
        .ok_or_else(|| AdminError::NotFound(format!("there is no active operator {name}")))?;
    let detail = id.to_string();
    deed.audit("operator.deactivated", &detail).await?;
    deed.commit("admin.deactivate_operator").await?;
    Ok(id)
}
