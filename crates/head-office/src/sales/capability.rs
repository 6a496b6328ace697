//! What sales bring along.

use super::{http, image, table};
use crate::capability::Capability;

/// The line in the list of capabilities.
pub const CAPABILITY: Capability = Capability {
    tables: |_| vec![Box::new(table::Sales)],
    people: http::routes,
    images: &[&image::Sales],
    ..Capability::NONE
};
