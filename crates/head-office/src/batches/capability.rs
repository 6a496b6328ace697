//! What batches bring along.

use super::{http, job, rules};
use crate::capability::Capability;

/// The line in the list of capabilities.
pub const CAPABILITY: Capability = Capability {
    people: http::routes,
    works: &[&job::Batches],
    rules: rules::RULES,
    ..Capability::NONE
};
