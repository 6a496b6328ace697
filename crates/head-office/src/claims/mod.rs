//! How a coupon comes to its member: claims by the member, grants by the chain.

pub mod http;
pub mod rows;
pub mod table;
