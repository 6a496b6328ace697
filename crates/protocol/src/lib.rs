//! What counter and head office say to each other: operations, sync messages, questions, problems.
//!
//! Version 1. A field may be added; a meaning never changes. Ids travel as UUID text, hashes and keys as lower-case
//! hex, times as UTC milliseconds, money as minor units.

pub mod enrolment;
pub mod operation;
pub mod problem;
pub mod questions;
pub mod signing;
pub mod sync;

/// Version of this protocol, sent with every sync request.
pub const VERSION: u32 = 1;
/// Most operations in one push.
pub const PUSH_OPERATIONS: usize = 200;
/// Most bytes in one request.
pub const REQUEST_BYTES: usize = 1024 * 1024;

/// Paths of head office's API for counters.
pub mod paths {
    /// Enrol a new device: [`crate::enrolment`].
    pub const ENROL: &str = "/v1/enrol";
    /// Push and pull: [`crate::sync`].
    pub const SYNC: &str = "/v1/sync";
    /// Ask for a freeze: [`crate::questions`].
    pub const FREEZES: &str = "/v1/freezes";
    /// Ask for rows that the local copy lacks: [`crate::questions`].
    pub const LOOKUPS: &str = "/v1/lookups";
    /// A member's statement.
    pub const STATEMENTS: &str = "/v1/statements";
}
