//! What products bring along.

use super::{http, image};
use crate::capability::Capability;

/// The line in the list of capabilities.
pub const CAPABILITY: Capability = Capability {
    people: http::routes,
    images: &[&image::Products],
    ..Capability::NONE
};
