//! What others call of baskets.

use counterfoil_domain::ids::ClerkId;

use super::{Basket, Opened, Quote, Settled, Tender};
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

    /// Opens the payment of what the ticket showed: head office is asked to hold every coupon, and of the member's account
    /// the points and so much of the stored value, together or not at all. Without an answer it says what goes by the
    /// offline rules. Opened again, with another `balance` or after [`Payment::renew_after`](crate::Payment), it asks anew
    /// for what has changed.
    ///
    /// # Errors
    /// `ticket_stale`, `basket_invalid`, `device_revoked`, `device_frozen`.
    pub async fn open_payment(&self, ticket: &str, balance: i64) -> Result<Opened> {
        super::open(&self.0, ticket, balance).await
    }

    /// Closes the payment again: what was held is given back, in the background. Of what was settled nothing is held.
    ///
    /// # Errors
    /// `not_enrolled`, and those of the database.
    pub async fn close_payment(&self, ticket: &str) -> Result<()> {
        super::close(&self.0, ticket).await
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
