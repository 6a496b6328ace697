//! What wallet brings along.

use super::http;
use crate::capability::Capability;

/// The line in the list of capabilities.
pub const CAPABILITY: Capability = Capability {
    people: http::routes,
    ..Capability::NONE
};
