//! What gifts bring along.

use counterfoil_domain::time::{Millis, SECOND};

use super::{http, rules, settled, sweep, table};
use crate::{
    capability::Capability,
    jobs::{Due, full},
    online::owner::Asking,
};

/// Owners asked in one piece: few, each may take seconds.
const CALLS: i64 = 16;
/// How often exchanges are looked for that nobody has paid in time.
const ASK: Millis = 30 * SECOND;

/// The line in the list of capabilities.
pub const CAPABILITY: Capability = Capability {
    tables: |_| vec![Box::new(table::Exchanges)],
    people: http::routes,
    consumers: &[&settled::SETTLED],
    due: &[Due {
        name: "exchanges.ask",
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
