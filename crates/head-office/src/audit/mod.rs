//! The audit log: what people of head office did, in the order in which they did it. Lines are only ever added, by
//! [`crate::stores::enrol::audit`].

pub mod http;

use counterfoil_domain::{
    ids::{OperationId, TenantId},
    time::Millis,
};

use crate::{
    clock::{self, Random},
    db::DbError,
};

/// Adds a line to the audit log; `detail` must hold no secret.
///
/// # Errors
/// The database's.
pub async fn note(
    connection: &mut sqlx::AnyConnection,
    random: &dyn Random,
    tenant: TenantId,
    now: Millis,
    actor: &str,
    action: &str,
    detail: &str,
) -> Result<(), DbError> {
    let random = clock::bytes(random).map_err(|error| DbError::config(error.to_string()))?;
    let id = OperationId::new(now, random);
    sqlx::query("INSERT INTO audit (tenant, id, at, actor, action, detail) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(tenant.bytes().to_vec())
        .bind(id.bytes().to_vec())
        .bind(now)
        .bind(actor.to_owned())
        .bind(action.to_owned())
        .bind(detail.to_owned())
        .execute(connection)
        .await?;
    Ok(())
}
