//! Messages that commands of the engine leave behind.

use async_trait::async_trait;

use super::rows;
use crate::{
    db::DbError,
    engine::tables::{Place, Storing, Table},
};

/// The outbox. No command reads it.
#[derive(Debug)]
pub struct Outbox;

#[async_trait]
impl Table for Outbox {
    fn place(&self) -> Place {
        Place::Outbox
    }

    async fn store(&mut self, storing: Storing<'_>) -> Result<(), DbError> {
        let messages = &storing.facts.outgoing;
        if !messages.is_empty() {
            rows::insert(
                storing.connection,
                storing.tenant,
                storing.random,
                storing.now,
                messages,
            )
            .await?;
            storing.told.sent = true;
        }
        Ok(())
    }
}
