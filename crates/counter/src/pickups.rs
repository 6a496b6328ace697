//! What this counter knows of how the chain's pickup codes are made.

use counterfoil_domain::pickup_codes::PickupPolicy;
use sqlx::SqliteConnection;

use crate::{
    copies::{Copied, Whose},
    error::Result,
    inner::Counter,
    replica,
};

impl Copied for PickupPolicy {
    const ENTITY: &'static str = "pickup_policy";
    const WHOSE: Whose = Whose::Chain;
    fn id(&self) -> Vec<u8> {
        self.version.to_be_bytes().to_vec()
    }
}

/// The versions that are here, the newest first.
async fn policies(db: &mut SqliteConnection) -> Result<Vec<PickupPolicy>> {
    let mut policies: Vec<PickupPolicy> = replica::all(db).await?;
    policies.sort_by_key(|policy| std::cmp::Reverse(policy.version));
    Ok(policies)
}

impl Counter {
    /// How the chain's pickup codes are made, the newest version first; none where the chain set nothing.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn pickup_policies(&self) -> Result<Vec<PickupPolicy>> {
        policies(&mut *self.0.db.read().await?).await
    }
}
