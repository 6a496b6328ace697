//! What templates bring along.

use counterfoil_domain::time::HOUR;

use super::{ending, http, image, rules, table};
use crate::{
    capability::Capability,
    jobs::{Due, full},
};

/// Versions marked in one piece of a sweep.
const ENDING: i64 = 500;

/// The line in the list of capabilities.
pub const CAPABILITY: Capability = Capability {
    tables: |_| vec![Box::<table::Templates>::default()],
    people: http::routes,
    due: &[Due {
        name: "templates.end",
        period: HOUR,
        sweep: |app| {
            Box::pin(async move {
                let ended = ending::sweep(&app, app.clock.now(), ENDING).await?;
                Ok(full(&[ended], ENDING))
            })
        },
    }],
    images: &[&image::Templates],
    rules: rules::RULES,
    ..Capability::NONE
};
