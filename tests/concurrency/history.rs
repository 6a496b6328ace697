//! What was asked and answered, and when.

use std::collections::BTreeMap;

/// What was done to a coupon.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// A counter asks for a freeze.
    Freeze(String),
    /// It gives it back.
    Unfreeze(String),
    /// It redeems with it: freeze, operation.
    Redeem(String, String),
    /// It undoes an operation.
    Undo(String),
    /// An order placed online asks for the coupon.
    Hold(String),
    /// It was paid.
    Confirm(String),
    /// It came to nothing.
    Cancel(String),
    /// It was paid and refunded.
    Refund(String),
    /// Somebody looks.
    Look,
}

/// A deed that was asked for, perhaps several times, and its answer.
#[derive(Debug, Clone)]
pub struct Done {
    /// Of which coupon.
    pub coupon: usize,
    /// What.
    pub deed: Deed,
    /// The answer, in one word.
    pub answer: String,
    /// When it was first asked, µs.
    pub asked: u64,
    /// When it was first answered.
    pub answered: u64,
}

/// Where a device's journal stood, as a pull told.
#[derive(Debug, Clone)]
pub struct Stood {
    /// Which device.
    pub device: String,
    /// Last sequence number that has its effect.
    pub seq: i64,
    /// When it was asked, µs.
    pub asked: u64,
    /// When it was answered.
    pub answered: u64,
}

/// When an operation was first sent, and when its outcome was first told.
#[derive(Debug, Clone)]
pub struct Pushed {
    /// Which device.
    pub device: String,
    /// Its place.
    pub seq: i64,
    /// When it was sent, µs.
    pub sent: u64,
    /// When it was answered; never, if it never was.
    pub answered: u64,
}

/// Everything that happened.
#[derive(Debug, Default)]
pub struct History {
    /// About coupons.
    pub done: Vec<Done>,
    /// About journals, read.
    pub stood: Vec<Stood>,
    /// About journals, written: by operation.
    pub pushed: BTreeMap<String, Pushed>,
    /// Every outcome that was told of an operation.
    pub outcomes: BTreeMap<String, Vec<String>>,
    /// Every answer that a named question got.
    pub named: BTreeMap<String, Vec<String>>,
    /// Claims that were answered: who, and the coupon, if it was given.
    pub claims: BTreeMap<String, (usize, Option<String>)>,
}
