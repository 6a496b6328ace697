//! What batches bring along.

use super::{http, job};
use crate::capability::Capability;

/// The line in the list of capabilities.
pub const CAPABILITY: Capability = Capability {
    people: http::routes,
    works: &[&job::Batches],
    ..Capability::NONE
};
