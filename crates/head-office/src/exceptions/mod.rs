//! Cases: what happened in a shop, broke a rule, and waits for a person. The engine opens and closes them.

pub mod http;
pub mod lapse;
pub mod rows;
pub mod table;
