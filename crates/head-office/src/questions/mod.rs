//! What a counter asks before it writes: freezes and look-ups.

pub mod guessing;
pub mod http;
pub mod members;
pub mod rows;
pub mod table;
