//! Cases: what happened in a shop, broke a rule, and waits for a person. The engine opens and closes them.

mod capability;
pub mod http;
pub mod lapse;
pub mod rows;
mod rules;
pub mod table;

pub use capability::CAPABILITY;
