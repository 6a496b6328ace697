//! How many claims of a chain are under way at a time. When everybody claims at once, those beyond that are told so before
//! anything is asked of the database: the engine's queue stays short, and counters don't stand behind claims in it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use counterfoil_domain::ids::TenantId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::ApiError;

/// What the engine takes as one group: more would only wait for the next.
const MOST: usize = 512;

/// The room for claims.
#[derive(Debug)]
pub struct Admission {
    most: usize,
    tenants: Mutex<HashMap<TenantId, Arc<Semaphore>>>,
}

impl Default for Admission {
    fn default() -> Self {
        Self::of(MOST)
    }
}

impl Admission {
    /// Room for so many claims of each chain.
    pub fn of(most: usize) -> Self {
        Self {
            most,
            tenants: Mutex::default(),
        }
    }

    /// Room for one claim, for as long as this is kept. Nobody waits for it.
    ///
    /// # Errors
    /// `busy` when there is none: the claim is not decided, and may be asked again with the same key.
    pub(super) fn admit(&self, tenant: TenantId) -> Result<OwnedSemaphorePermit, ApiError> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let room = tenants
            .entry(tenant)
            .or_insert_with(|| Arc::new(Semaphore::new(self.most)));
        Arc::clone(room).try_acquire_owned().map_err(|_| ApiError::busy(1))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn each_chain_has_room_of_its_own_which_comes_back() {
        let [one, two] = [1, 2].map(|n| TenantId(Uuid::from_u128(n)));
        let admission = Admission::of(2);
        let first = admission.admit(one).unwrap();
        let _second = admission.admit(one).unwrap();
        assert!(admission.admit(one).is_err());
        assert!(admission.admit(two).is_ok());
        drop(first);
        assert!(admission.admit(one).is_ok());
    }
}
