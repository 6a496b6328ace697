//! What templates bring along.

use super::{http, image, rules, table};
use crate::capability::Capability;

/// The line in the list of capabilities.
pub const CAPABILITY: Capability = Capability {
    tables: |_| vec![Box::<table::Templates>::default()],
    people: http::routes,
    images: &[&image::Templates],
    rules: rules::RULES,
    ..Capability::NONE
};
