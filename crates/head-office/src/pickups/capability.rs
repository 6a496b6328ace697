//! What pickups bring along.

use super::{image, rules, table};
use crate::capability::Capability;

/// The line in the list of capabilities.
pub const CAPABILITY: Capability = Capability {
    tables: |_| vec![Box::new(table::Orders)],
    images: &[&image::Orders],
    rules: rules::RULES,
    ..Capability::NONE
};
