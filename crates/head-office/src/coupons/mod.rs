//! Templates and coupons at head office.

pub mod codes;
pub mod days;
pub mod expiry;
pub mod http;
pub mod mine;
pub mod reminders;
pub mod rows;
pub mod table;
pub mod templates;
pub mod terms;
