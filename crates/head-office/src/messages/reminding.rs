//! Tells members what falls due on a day, by every channel; what did not go through is tried again later.

use std::sync::Arc;

use counterfoil_domain::{
    ids::TenantId,
    time::{DAY, HOUR, MINUTE, Millis},
    words::Word,
};

use super::notify::{Notice, Notifier};
use crate::{clock::Random, retry};

/// How long before its end a member is reminded of something.
pub const REMIND_BEFORE: Millis = 3 * DAY;
/// Members reminded in one piece of a sweep.
pub const REMINDED: i64 = 500;
/// How often the day's reminders are looked for, and those that did not go through.
pub const REMIND: Millis = 10 * MINUTE;
/// First wait after a failure.
const FIRST: Millis = 5 * MINUTE;
/// Longest wait.
const MOST: Millis = 6 * HOUR;
/// After so many failures somebody should look.
const ALERT_AFTER: i64 = 5;

/// The day that an instant is in: UTC, counted from 1970.
pub fn day_of(at: Millis) -> i64 {
    at.div_euclid(DAY)
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Members were told by every channel.
    pub sent: u64,
    /// Some channel did not take it: tried again later.
    pub failed: u64,
    /// Nobody needs to be reminded: it was used, or has ended.
    pub skipped: u64,
}

/// Somebody is to be reminded.
#[derive(Debug)]
pub struct Reminder<D> {
    /// Of what.
    pub of: D,
    /// What they are told.
    pub notice: Notice,
    /// Channels that have taken it.
    pub told: i64,
    /// How often it did not go through.
    pub tries: i64,
    /// From then on it helps nobody.
    pub ends_at: Millis,
}

/// A reminder that did not go through.
#[derive(Debug)]
pub struct Again<D> {
    /// Of what.
    pub of: D,
    /// Channels that have taken it by now.
    pub told: i64,
    /// How often it did not go through.
    pub tries: i64,
    /// When it is tried again.
    pub at: Millis,
}

/// Tells all of them; those that every channel has taken, and the others.
pub async fn remind<D>(
    notifiers: &[Arc<dyn Notifier>],
    tenant: TenantId,
    mut reminders: Vec<Reminder<D>>,
    now: Millis,
    random: &dyn Random,
) -> (Vec<D>, Vec<Again<D>>) {
    let mut all = 0;
    for notifier in notifiers {
        let channel = notifier.channel();
        all |= channel.bit();
        let mut untold: Vec<&mut Reminder<D>> = reminders
            .iter_mut()
            .filter(|one| one.told & channel.bit() == 0)
            .collect();
        let notices: Vec<Notice> = untold.iter().map(|one| one.notice.clone()).collect();
        if notices.is_empty() {
            continue;
        }
        let told = notifier.tell(tenant, &notices).await;
        for (one, told) in untold.iter_mut().zip(told) {
            match told {
                Ok(()) => one.told |= channel.bit(),
                Err(error) => {
                    tracing::warn!(%error, channel = channel.as_str(), tries = one.tries + 1, "a reminder was not sent");
                    metrics::counter!("counterfoil_not_told_total", "channel" => channel.as_str()).increment(1);
                }
            }
        }
    }
    let (mut sent, mut again) = (Vec::new(), Vec::new());
    for one in reminders {
        if one.told & all == all {
            sent.push(one.of);
            continue;
        }
        let wait = retry::after(one.tries, FIRST, MOST, random);
        let tries = one.tries + 1;
        if tries >= ALERT_AFTER {
            metrics::counter!("counterfoil_alerts_total", "what" => "reminder_not_sent").increment(1);
        }
        again.push(Again {
            of: one.of,
            told: one.told,
            tries,
            at: now.saturating_add(wait).min(one.ends_at),
        });
    }
    (sent, again)
}
