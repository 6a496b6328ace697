//! Pickup orders at head office.

pub mod rows;
