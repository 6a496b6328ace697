//! What online brings along.

use counterfoil_domain::time::{Millis, SECOND};

use super::{http, owner::Asking, rules, sweep, table};
use crate::{
    capability::Capability,
    jobs::{Due, full},
};

/// Owners asked in one piece: few, each may take seconds.
const CALLS: i64 = 16;
/// How often orders are looked for whose deadline has passed.
const ASK: Millis = 30 * SECOND;

/// The line in the list of capabilities.
pub const CAPABILITY: Capability = Capability {
    tables: |_| vec![Box::new(table::Online)],
    people: http::routes,
    due: &[Due {
        name: "orders.ask",
        period: ASK,
        sweep: |app| {
            Box::pin(async move {
                let Some(owner) = app.own.of::<Asking>().get() else {
                    return Ok(false);
                };
                let done = sweep::sweep(&app, owner, app.clock.now(), CALLS).await?;
                Ok(full(&[done.confirmed, done.cancelled, done.unknown], CALLS))
            })
        },
    }],
    rules: rules::RULES,
    ..Capability::NONE
};
