//! What merging brings along.

use super::{http, rules};
use crate::capability::Capability;

/// The line in the list of capabilities.
pub const CAPABILITY: Capability = Capability {
    people: http::routes,
    rules: rules::RULES,
    ..Capability::NONE
};
