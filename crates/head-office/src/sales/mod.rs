//! Sales: what counters settled and took back, and quotes of what may be sold.

pub mod http;
pub mod quoting;
pub mod rows;
