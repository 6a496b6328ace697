//! What points bring along.

use axum::{http::Method, routing::post};
use counterfoil_domain::time::{MINUTE, Millis};
use counterfoil_protocol::paths;

use super::{http, image, reminders, sweep, table};
use crate::{
    capability::Capability,
    http::{Allowed, Aside},
    jobs::{Due, full},
    messages::{
        notify::Notifiers,
        reminding::{REMIND, REMINDED},
    },
};

/// Accounts brought up to date in one piece of a sweep.
const SETTLED: i64 = 4_000;
/// How often that is done. Nothing waits for it: wherever an account is read, its time is looked at.
const SETTLE: Millis = 5 * MINUTE;

/// The line in the list of capabilities.
pub const CAPABILITY: Capability = Capability {
    tables: |_| vec![Box::<table::Accounts>::default()],
    people: http::routes,
    counters: &[Aside {
        method: Method::POST,
        path: paths::STATEMENTS,
        allowed: Allowed::Devices { active: true },
        answer: || post(http::statement_to_counter),
    }],
    due: &[
        Due {
            name: "points.settle",
            period: SETTLE,
            sweep: |app| {
                Box::pin(async move {
                    let done = sweep::sweep(&app, app.clock.now(), SETTLED).await?;
                    Ok(full(&[done], SETTLED))
                })
            },
        },
        Due {
            name: "points.remind",
            period: REMIND,
            sweep: |app| {
                Box::pin(async move {
                    let Some(notifiers) = app.own.of::<Notifiers>().get() else {
                        return Ok(false);
                    };
                    let done = reminders::sweep(&app, notifiers, app.clock.now(), REMINDED).await?;
                    Ok(full(&[done.sent, done.skipped, done.failed], REMINDED))
                })
            },
        },
    ],
    images: &[&image::Accounts, &image::Rules],
    rules: super::rules::RULES,
    ..Capability::NONE
};
