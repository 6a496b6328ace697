//! Templates and coupons at head office.

pub mod rows;
pub mod templates;
