//! The audit log: who did what, when. Lines are written by [`Deed`](crate::deed::Deed)s.

pub mod http;
