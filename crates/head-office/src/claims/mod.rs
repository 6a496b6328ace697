//! How a coupon comes to its member: claims by the member, grants by the chain.

pub mod admission;
mod capability;
pub mod http;
pub mod rows;
mod rules;
pub mod table;

pub use capability::CAPABILITY;
