//! The pure transition: what a command does to the rows it touches.
//!
//! Both sides run *prefetch, decide, store*: they load the rows behind a command's keys into a [`State`], call
//! [`decide`] (head office) or [`effect`] (either side), absorb the [`Changes`] so that the next command of the group
//! sees them, and store all of them in one transaction. A refusal changes nothing. A key that was not loaded is
//! asked for with [`NeedKeys`]; nothing here guesses that a row does not exist.
//!
//! Three lists say what there is: [`tables`] the rows and facts, [`Command`] what head office can be asked to do,
//! [`Action`](crate::operations::Action) what can have happened at a counter.

#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm))]

pub(crate) mod accounts;
mod attempts;
pub(crate) mod cases;
mod claims;
mod commands;
mod coupons;
#[cfg(test)]
mod effects_tests;
#[cfg(test)]
mod ends_tests;
mod exchanges;
#[cfg(test)]
mod exchanges_tests;
mod expiry;
mod freezes;
#[cfg(test)]
mod freezes_tests;
mod grants;
mod journal;
#[cfg(test)]
mod journal_tests;
pub mod online;
#[cfg(test)]
mod online_tests;
mod orders;
mod placing;
mod sales;
#[cfg(test)]
mod sales_tests;
pub(crate) mod subjects;
#[cfg(test)]
mod surplus_tests;
pub mod tables;
#[cfg(test)]
mod testing;
pub(crate) mod told;
#[cfg(test)]
mod told_tests;
mod topups;
#[cfg(test)]
mod topups_tests;
mod uses;
#[cfg(test)]
mod uses_tests;
mod voids;
#[cfg(test)]
mod words_tests;

pub use accounts::{Post, PostAnswer, Posting, Recorded, SettleAccount};
pub use attempts::FailedAttempt;
pub use cases::{Case, Closed, Excused};
pub use claims::{
    Batch, BatchStatus, Claim, ClaimCoupon, ClaimKey, Given, Holding, LimitCounts, NotClaimable, Offer, Terms, Verdict,
    judge,
};
pub use commands::{Answer, Command, Decide, decide};
pub use coupons::{CouponEntry, RedeemCoupon};
pub use exchanges::{
    AskedExchange, EndExchange, ExchangeEnd, ExchangeGift, Named, PAY_WITHIN, SHIP, hold_of, spent_on,
};
pub use expiry::{ExpireCoupon, Lapse, Swept};
pub use freezes::{AskFreeze, CancelFreeze, Freeze, FreezeStatus};
pub use grants::{Audience, Grant, Part, TakeGrant};
pub use journal::{
    Applied, Arrival, Device, DeviceStatus, Doing, Fingerprint, Position, Stored, effect, genesis, isolate,
};
pub use orders::CollectOrder;
pub use placing::{Numbered, PlaceOrder, READY};
pub use tables::{Changes, Entity, Fact, Key, NeedKeys, Row, Rows, State, Subject};
pub use told::{Card, Seen};
pub use topups::{TOP_UP_MOST, TopUp};
pub use voids::VoidRedemption;
