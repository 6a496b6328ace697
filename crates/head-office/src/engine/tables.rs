//! What the engine asks of a table, and the order of all tables.

use std::collections::BTreeMap;

use async_trait::async_trait;
use counterfoil_domain::{
    coupons::Coupon,
    ids::{CouponId, StoreId, TenantId},
    time::Millis,
    transition::{Changes, State},
};
use sqlx::AnyConnection;

use crate::{clock::Random, db::DbError, feed::Item};

/// The tables, in the order in which everybody loads, locks and stores them. Within a table rows are locked in the order
/// of their keys; so nobody waits for somebody who waits for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Devices,
    Operations,
    Claims,
    Grants,
    Offers,
    Batches,
    Holdings,
    Parts,
    Sales,
    Online,
    Exchanges,
    Coupons,
    Orders,
    Accounts,
    Stock,
    Freezes,
    Members,
    Cards,
    Templates,
    Exceptions,
    Outbox,
}

/// What a table loads with.
#[derive(Debug)]
pub struct Loading<'g> {
    /// Within the group's transaction.
    pub connection: &'g mut AnyConnection,
    /// Whose rows.
    pub tenant: TenantId,
    /// What holds the rows until the transaction ends.
    pub lock: &'static str,
    /// Head office's clock.
    pub now: Millis,
    /// What is wanted, and where what is found goes.
    pub state: &'g mut State,
}

/// What a table stores with.
#[derive(Debug)]
pub struct Storing<'g> {
    /// Within the group's transaction.
    pub connection: &'g mut AnyConnection,
    /// Whose rows.
    pub tenant: TenantId,
    /// Head office's clock.
    pub now: Millis,
    /// Randomness.
    pub random: &'g dyn Random,
    /// The rows as they are now, which of them changed, and the versions they were loaded at.
    pub state: &'g State,
    /// What else is to be stored.
    pub facts: &'g Changes,
    /// What storing it led to.
    pub told: &'g mut Told,
}

/// What storing a group led to.
#[derive(Debug, Default)]
pub struct Told {
    /// Rows that stores hear of, beside those that the commands named.
    pub news: BTreeMap<StoreId, Vec<Item>>,
    /// Coupons that were given to members, with their codes.
    pub given: BTreeMap<CouponId, Coupon>,
    /// Whether there are messages to hand over.
    pub sent: bool,
}

/// A table, or a few that always go together.
#[async_trait]
pub trait Table: Send + Sync {
    /// Where it stands among the others.
    fn place(&self) -> Place;

    /// Loads what is wanted of it, and locks it. What that is sure to need besides is wanted of tables that come later.
    ///
    /// # Errors
    /// The driver's, and [`DbError::Decode`].
    async fn load(&mut self, _: Loading<'_>) -> Result<(), DbError> {
        Ok(())
    }

    /// Stores what changed, by conditional statements whose row counts are checked.
    ///
    /// # Errors
    /// The driver's, and [`DbError::RowCount`] when somebody else was first.
    async fn store(&mut self, _: Storing<'_>) -> Result<(), DbError> {
        Ok(())
    }
}
