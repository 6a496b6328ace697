//! Sales: what counters settled and took back, and quotes of what may be sold.

mod described;
pub mod http;
pub mod quoting;
pub mod rows;
pub mod table;
