//! What pickups bring along.

use counterfoil_domain::time::HOUR;

use super::{full, http, image, ready, rows, rules, table};
use crate::{capability::Capability, jobs::Due};

/// The line in the list of capabilities.
pub const CAPABILITY: Capability = Capability {
    tables: |_| vec![Box::new(table::Orders)],
    people: http::routes,
    due: &[Due {
        name: "pickup_codes.count",
        period: HOUR,
        sweep: |app| {
            Box::pin(async move {
                full::sweep(&app, app.clock.now()).await?;
                Ok(false)
            })
        },
    }],
    forgets: &[|connection, now, most| {
        Box::pin(async move { Ok(rows::forget_rested(connection, now, most).await? >= most.unsigned_abs()) })
    }],
    consumers: &[&ready::Ready, &ready::Tell],
    images: &[&image::Orders, &image::Policies],
    rules: rules::RULES,
    ..Capability::NONE
};
