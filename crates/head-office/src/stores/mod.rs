//! Tenants, stores, their people and their devices.

pub mod adding;
mod capability;
pub mod devices;
pub mod enrol;
pub mod http;
pub mod image;
pub mod listed;
pub mod rows;
pub mod table;

pub use capability::CAPABILITY;
