//! Templates and coupons at head office.

pub mod codes;
pub mod rows;
pub mod templates;
