//! Coupons as their members and operators see them.

mod capability;
pub mod http;
pub mod mine;

pub use capability::CAPABILITY;
