//! Members that a counter asks for: by what they say or show, with their coupons.
//!
//! Who shows their token stands there, so their store holds them from then on, as after a redemption. A number or a
//! phone number proves nobody's presence: it is answered, with the phone number masked, and nothing is remembered until
//! something is redeemed for that member there.

use counterfoil_domain::{
    ids::{MemberId, StoreId, TenantId},
    transition::{Command, Seen},
};

use crate::{App, http::ApiError, members};

/// A member showed their token at this store: it holds them, and what they can use, from now on.
///
/// # Errors
/// The database's and the engine's.
pub async fn seen(app: &App, tenant: TenantId, member: MemberId, store: StoreId) -> Result<(), ApiError> {
    let mut snapshot = app.db.snapshot().await?;
    let known = members::rows::load(&mut snapshot, tenant, &[member], "").await?.pop();
    drop(snapshot);
    // Seen here before, as nearly everybody: nothing to write.
    if known.is_none_or(|(_, member)| member.seen_at(store).is_none()) {
        return Ok(());
    }
    app.engine
        .submit(tenant, vec![Command::Seen(Seen { member, store })])
        .await?;
    Ok(())
}
