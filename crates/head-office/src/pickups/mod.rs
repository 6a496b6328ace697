//! Pickup orders at head office.

pub mod by_hand;
mod capability;
pub mod image;
pub mod rows;
mod rules;
pub mod table;

pub use capability::CAPABILITY;
