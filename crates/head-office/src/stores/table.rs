//! Devices within a group.

use super::rows;
use crate::{
    db::DbError,
    engine::Settled,
    engine::tables::{Loading, Place, Storing, Table},
};
use async_trait::async_trait;

/// Devices.
#[derive(Debug)]
pub struct Devices {
    settled: Settled,
}

impl Devices {
    /// `settled` = when each last had nothing left to deliver.
    pub fn new(settled: Settled) -> Self {
        Self { settled }
    }
}

#[async_trait]
impl Table for Devices {
    fn place(&self) -> Place {
        Place::Devices
    }

    async fn load(&mut self, loading: Loading<'_>) -> Result<(), DbError> {
        let Loading {
            connection,
            tenant,
            lock,
            state,
            ..
        } = loading;
        let wanted = state.devices.take_wanted();
        if !wanted.is_empty() {
            for mut device in rows::load_devices(connection, tenant, &wanted, lock).await? {
                device.settled_at = device.settled_at.max(self.settled.get(device.id));
                state.devices.found(device);
            }
        }
        Ok(())
    }

    async fn store(&mut self, storing: Storing<'_>) -> Result<(), DbError> {
        let changed = storing.state.devices.changed();
        if !changed.is_empty() {
            rows::update_devices(storing.connection, storing.tenant, &changed).await?;
        }
        Ok(())
    }
}
