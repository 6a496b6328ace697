//! Journals, feeds, freezes: what head office and counters exchange.

pub mod feed;
pub mod http;
pub mod marks;
pub mod page;
pub mod rows;
pub mod table;
pub mod told;
pub mod watch;
