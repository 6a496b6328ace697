//! What fulfilment brings along.

use counterfoil_domain::time::MINUTE;

use super::{callback, consumer::Ships, errands, http, members, rules, tracking};
use crate::{
    capability::Capability,
    jobs::{Due, full},
    processes::Role,
};

/// The line in the list of capabilities.
pub const CAPABILITY: Capability = Capability {
    people: || http::routes().merge(members::routes()),
    counters: &[callback::ASIDE],
    consumers: &[&Ships],
    loops: &[(Role::Fulfilment, errands::start)],
    due: &[Due {
        name: "parcels.track",
        period: MINUTE,
        sweep: |app| {
            Box::pin(async move {
                let done = tracking::sweep(&app).await?;
                Ok(full(&[done], tracking::PIECE))
            })
        },
    }],
    rules: rules::RULES,
    ..Capability::NONE
};
