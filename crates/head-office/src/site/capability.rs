//! What the chain's own site brings along.

use counterfoil_domain::time::{Millis, SECOND};

use super::{Calling, notices};
use crate::{
    capability::Capability,
    jobs::{Due, full},
};

/// Sites told in one piece: few, each may take seconds.
const CALLS: i64 = 16;
/// How often sites are told what they must be told.
const TELL: Millis = 5 * SECOND;

/// The line in the list of capabilities.
pub const CAPABILITY: Capability = Capability {
    due: &[Due {
        name: "site.tell",
        period: TELL,
        sweep: |app| {
            Box::pin(async move {
                let Some(caller) = app.own.of::<Calling>().get() else {
                    return Ok(false);
                };
                let done = notices::sweep(&app, caller, app.clock.now(), CALLS).await?;
                Ok(full(&[done.told, done.failed], CALLS))
            })
        },
    }],
    ..Capability::NONE
};
