//! The audit log: what people of head office did, in the order in which they did it. Lines are only ever added, by
//! [`crate::stores::enrol::audit`].

pub mod http;
