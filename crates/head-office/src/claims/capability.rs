//! What claims bring along.

use super::{http, rows, rules, table};
use crate::capability::Capability;

/// The line in the list of capabilities.
pub const CAPABILITY: Capability = Capability {
    tables: |_| {
        vec![
            Box::new(table::Claims),
            Box::new(table::Offers),
            Box::new(table::Batches),
            Box::new(table::Holdings),
        ]
    },
    people: http::routes,
    forgets: &[|connection, now, _| Box::pin(rows::forget_refusals(connection, now))],
    rules: rules::RULES,
    ..Capability::NONE
};
