//! Pickup orders at head office.

pub mod rows;
pub mod table;
