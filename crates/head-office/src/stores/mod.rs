//! Tenants, stores, their people and their devices.

pub mod enrol;
pub mod http;
pub mod listed;
pub mod rows;
pub mod table;
