//! How a deed sends a message.

use super::{Outgoing, rows};
use crate::{db::DbError, deed::Deed};

impl Deed<'_> {
    /// Sends a message: it commits with the rest of the deed, and is handed over from then on. False when there is one of
    /// this topic and source already; then this one is not sent. Who sends several does so in the order of their keys: each
    /// holds the last message of its key.
    ///
    /// # Errors
    /// The driver's; [`DbError::RowCount`] when another process sends one of the same key in this very moment.
    pub async fn send(&mut self, message: &Outgoing) -> Result<bool, DbError> {
        let (tenant, now, random) = (self.tenant(), self.now(), self.random());
        if rows::is_there(self, tenant, message.topic, &message.source).await? {
            return Ok(false);
        }
        rows::insert(self, tenant, random, now, std::slice::from_ref(message)).await?;
        self.sends();
        Ok(true)
    }
}
