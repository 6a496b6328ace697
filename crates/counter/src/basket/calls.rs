//! What others call of baskets.

use counterfoil_domain::ids::ClerkId;

use super::{Basket, Quote, Settled, Tender};
use crate::{error::Result, inner::Counter};

impl Counter {
    /// What does this cost, with which coupons, and why not with the others? Changes nothing. Its ticket settles
    /// exactly what was shown.
    ///
    /// # Errors
    /// `product_unknown`, `basket_invalid`, `too_many_combinations`, and those of [`Counter::look_up`].
    pub async fn quote(&self, basket: &Basket) -> Result<Quote> {
        super::quote(&self.0, basket).await
    }

    /// Settles exactly what the ticket showed. When this says done, it is on the disk, as one operation. Settling the
    /// same ticket again gives the same receipt.
    ///
    /// # Errors
    /// `ticket_stale`, `receipt_missing`, `not_allowed`, `device_revoked`, `device_frozen`, `disk_full`; then nothing
    /// was written.
    pub async fn settle(&self, ticket: &str, tender: &Tender, clerk: ClerkId) -> Result<Settled> {
        super::settle(&self.0, ticket, tender, clerk).await
    }
}
