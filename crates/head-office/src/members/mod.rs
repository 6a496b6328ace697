//! Members at head office.

pub mod rows;
