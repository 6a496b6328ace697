//! What stock brings along.

use super::{http, rules, table};
use crate::capability::Capability;

/// The line in the list of capabilities.
pub const CAPABILITY: Capability = Capability {
    tables: |_| vec![Box::new(table::Stocks)],
    people: http::routes,
    rules: rules::RULES,
    ..Capability::NONE
};
