//! What a counter asks before it writes: freezes and look-ups.

mod capability;
pub mod guessing;
pub mod http;
pub mod members;
pub mod rows;
mod rules;
pub mod table;

pub use capability::CAPABILITY;
