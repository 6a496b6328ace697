//! Members at head office, and how they sign in.

mod capability;
pub mod http;
pub mod image;
pub mod listed;
pub mod rows;
pub mod sessions;
pub mod table;

pub use capability::CAPABILITY;
