//! Who waits for news of a store: long polls, woken by the commit that has some.

use std::{collections::HashMap, sync::Mutex};

use counterfoil_domain::ids::{StoreId, TenantId};
use tokio::sync::watch;

/// Wakes long polls.
#[derive(Debug, Default)]
pub struct Watch {
    heads: Mutex<HashMap<(TenantId, StoreId), watch::Sender<i64>>>,
}

impl Watch {
    /// A receiver that changes when this feed has moved on.
    pub fn subscribe(&self, tenant: TenantId, store: StoreId) -> watch::Receiver<i64> {
        let mut heads = self.heads.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // Feeds that nobody listens to any more are dropped here, where the list would grow.
        heads.retain(|key, sender| *key == (tenant, store) || sender.receiver_count() > 0);
        heads
            .entry((tenant, store))
            .or_insert_with(|| watch::Sender::new(0))
            .subscribe()
    }

    /// Tells that a feed stands at `number` now.
    pub fn moved(&self, tenant: TenantId, store: StoreId, number: i64) {
        let heads = self.heads.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(sender) = heads.get(&(tenant, store)) {
            sender.send_if_modified(|head| {
                let moved = number > *head;
                *head = number.max(*head);
                moved
            });
        }
    }

    /// The feeds somebody listens to: what another process may have moved.
    pub fn listened(&self) -> Vec<(TenantId, StoreId)> {
        let heads = self.heads.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        heads
            .iter()
            .filter(|(_, sender)| sender.receiver_count() > 0)
            .map(|(key, _)| *key)
            .collect()
    }
}
