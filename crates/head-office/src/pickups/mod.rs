//! Pickup orders at head office.

pub mod by_hand;
mod capability;
pub mod codes;
pub mod full;
mod http;
pub mod image;
pub mod policies;
pub mod ready;
pub mod rows;
mod rules;
pub mod table;

pub use capability::CAPABILITY;
