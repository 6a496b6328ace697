//! Points and stored value: members' accounts, what they earned and spent, and the rule by which they earn.
//!
//! The ledger is `domain::points`, what commands do to it `domain::transition::accounts`; here are its rows, its routes,
//! and the sweep that writes down what happens to accounts by themselves.

mod capability;
pub mod image;
pub mod rows;
pub mod rules;
pub mod sweep;
pub mod table;

pub use capability::CAPABILITY;
