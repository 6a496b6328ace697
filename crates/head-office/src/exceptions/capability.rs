//! What exceptions bring along.

use counterfoil_domain::time::MINUTE;

use super::{http, lapse, rules, table};
use crate::{
    capability::Capability,
    jobs::{Due, full},
};

/// Coupons and orders of a chain, looked at at once: each group of the engine takes them all.
const LAPSED: i64 = 200;

/// The line in the list of capabilities.
pub const CAPABILITY: Capability = Capability {
    tables: |_| vec![Box::new(table::Exceptions)],
    people: http::routes,
    due: &[Due {
        name: "exceptions.lapse",
        period: MINUTE,
        sweep: |app| {
            Box::pin(async move {
                let done = lapse::sweep(&app, app.clock.now(), LAPSED).await?;
                Ok(full(&[done], LAPSED))
            })
        },
    }],
    rules: rules::RULES,
    ..Capability::NONE
};
