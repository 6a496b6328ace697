//! Sales: what counters settled and took back, and quotes of what may be sold.

mod capability;
mod described;
pub mod http;
pub mod image;
pub mod quoting;
pub mod rows;
pub mod table;

pub use capability::CAPABILITY;
