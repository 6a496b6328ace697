//! Templates and coupons at head office.

mod capability;
pub mod card;
pub mod codes;
pub mod days;
pub mod expiry;
pub mod image;
pub mod reminders;
pub mod rows;
mod rules;
pub mod table;
pub mod templates;
pub mod terms;

pub use capability::CAPABILITY;
