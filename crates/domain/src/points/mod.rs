//! The points ledger: what a member has of each [`Asset`], where each point came from and where it went.
//!
//! A [`Ledger`] is a few open lots, the holds that pin parts of them, and a debt. Whatever changes it leaves [`Entry`]s
//! behind, each with its shares of lots and the balances after it; folded from the first one they give the ledger again.
//! Nothing here knows members, stores or databases: those stand in [`transition::accounts`](crate::transition::accounts).

mod account;
pub mod earning;
mod ledger;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use account::{
    Account, AccountUse, Amounts, EarnedPoints, Earning, PaidBalance, Posted, SoldAccount, SoldBalance, SoldPoints,
    UsedPoints,
};
pub use ledger::{Earned, Hold, Ledger, LedgerError, Lot, MOST, Pin, Spent, SpentShare};

use crate::{
    ids::{FreezeId, StoreId},
    time::Millis,
};

/// What is counted.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Asset {
    /// Points.
    Points,
    /// Stored value, minor units of the chain's currency.
    Balance,
}

/// What an entry does to the ledger.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum EntryKind {
    /// A lot was earned.
    Earn,
    /// Spent at once.
    Spend,
    /// What was left of a lot came to its end.
    Expire,
    /// Pinned for somebody who may spend it.
    Hold,
    /// Spent out of a hold.
    Capture,
    /// A hold, or what a capture left of it, was let go of.
    Release,
    /// What was earned was taken back, or what was spent given back.
    Return,
    /// Moved by hand, by a merge, or to settle a debt.
    Adjust,
}

/// Why, in the words of the business.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    /// Something was bought.
    Purchase,
    /// A review was written.
    Review,
    /// Given by the chain.
    Gift,
    /// Money was paid in.
    TopUp,
    /// Set right by people of head office.
    Adjustment,
    /// Brought along from an earlier system.
    Opening,
    /// Exchanged for a gift.
    Exchange,
    /// Goods came back, or a review was deleted.
    Returned,
    /// A sale or an order was undone as a whole.
    Voided,
    /// An order came to nothing.
    Cancelled,
    /// A counter's hold lapsed.
    Lapsed,
    /// Its time was up.
    Ended,
    /// It settled a debt once it became available.
    DebtSettled,
    /// Two members became one.
    Merged,
    /// A shipment failed for good.
    NotShipped,
}

/// What kind of thing points came from or went to.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Origin {
    /// A sale at a counter.
    Sale,
    /// Goods that came back: what was earned with them is taken back.
    Return,
    /// Goods that came back: what was spent on them is given back.
    Refund,
    /// An order placed online.
    Order,
    /// A line of one.
    OrderLine,
    /// A review.
    Review,
    /// A gift of the chain.
    Gift,
    /// Money paid in.
    TopUp,
    /// An adjustment by hand.
    Adjustment,
    /// A line of an opening balance.
    Opening,
    /// A gift that points were exchanged for.
    Exchange,
    /// A hold.
    Hold,
    /// A merge of two members.
    Merge,
}

/// The thing that an entry came from: for one of them there is at most one entry of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Source {
    /// What kind of thing.
    pub of: Origin,
    /// Which.
    pub id: Uuid,
}

/// Why an entry is made, when, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Why.
    pub reason: Reason,
    /// From what; `None` = from the ledger itself: an end, a lapse.
    pub source: Option<Source>,
    /// When it takes effect, by head office's clock.
    pub at: Millis,
    /// In which store, if in one.
    pub store: Option<StoreId>,
    /// The clerk, operator or member; `None` = the program itself.
    pub actor: Option<Uuid>,
    /// In the words of who caused it: an order's number, a reason given.
    pub note: Option<Arc<str>>,
}

impl Cause {
    /// Of the ledger itself.
    pub fn own(reason: Reason, at: Millis) -> Self {
        Self {
            reason,
            source: None,
            at,
            store: None,
            actor: None,
            note: None,
        }
    }
}

/// What a ledger comes to. `available + held + pending` is all there is; while there is a debt nothing is available.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balances {
    /// May be spent.
    pub available: i64,
    /// Pinned by holds.
    pub held: i64,
    /// Earned, and not to be spent yet.
    pub pending: i64,
    /// Owed: taken back after it was spent.
    pub debt: i64,
}

impl Balances {
    /// All there is; the debt is not taken off.
    pub fn total(&self) -> i64 {
        self.available + self.held + self.pending
    }
}

/// What an entry changed of a lot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// The lot, by the number of the entry that made it.
    pub lot: i64,
    /// Change of what is free.
    pub free: i64,
    /// Change of what is pinned.
    pub held: i64,
}

/// One line of the ledger. None is ever changed or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number within the ledger, gapless from 1.
    pub number: i64,
    /// What it does.
    pub kind: EntryKind,
    /// Why.
    pub cause: Cause,
    /// Change of what there is, less the change of the debt.
    pub amount: i64,
    /// Change of the debt.
    pub debt: i64,
    /// The lot that it made, as it was then.
    pub lot: Option<Lot>,
    /// The hold that it took, spent or let go of.
    pub hold: Option<FreezeId>,
    /// What it changed of which lots.
    pub shares: Vec<Share>,
    /// The balances after it.
    pub after: Balances,
}
