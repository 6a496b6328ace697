//! What grants bring along.

use super::{http, job, rules, table};
use crate::capability::Capability;

/// The line in the list of capabilities.
pub const CAPABILITY: Capability = Capability {
    tables: |_| vec![Box::new(table::Grants), Box::new(table::Parts)],
    people: http::routes,
    works: &[&job::Grants],
    rules: rules::RULES,
    ..Capability::NONE
};
