//! Members at head office, and how they sign in.

pub mod card;
pub mod http;
pub mod listed;
pub mod rows;
pub mod sessions;
pub mod table;
