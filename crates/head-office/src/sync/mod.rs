//! Journals, feeds, freezes: what head office and counters exchange.

mod capability;
pub mod http;
pub mod page;
pub mod rows;
mod rules;
pub mod table;

pub use capability::CAPABILITY;
