//! What coupons bring along.

use counterfoil_domain::time::HOUR;

use super::{expiry, image, reminders, rules, table};
use crate::{
    capability::Capability,
    jobs::{Due, full},
    messages::{
        notify::Notifiers,
        reminding::{REMIND, REMINDED},
    },
};

/// Coupons marked in one piece of a sweep.
const ENDING: i64 = 4_000;

/// The line in the list of capabilities.
pub const CAPABILITY: Capability = Capability {
    tables: |_| vec![Box::new(table::Coupons), Box::new(table::Cards)],
    due: &[
        Due {
            name: "coupons.expire",
            period: HOUR,
            sweep: |app| {
                Box::pin(async move {
                    let done = expiry::sweep(&app, app.clock.now(), ENDING).await?;
                    Ok(full(&[done.expired, done.settled, done.later], ENDING))
                })
            },
        },
        Due {
            name: "coupons.remind",
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
    images: &[&image::Coupons],
    rules: rules::RULES,
    ..Capability::NONE
};
