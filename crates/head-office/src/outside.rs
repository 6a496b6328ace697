//! Everything head office says to the world outside, and what it does by itself at its time.

use std::sync::Arc;

use counterfoil_domain::time::{HOUR, MINUTE, Millis, SECOND};

use crate::{
    App,
    coupons::{expiry, reminders},
    exceptions::lapse,
    jobs::every,
    messages::notify::{Inbox, Mail, Notifier, ToSite},
    online::{
        self,
        owner::{OrderOwner, SiteOwner},
    },
    site::{Caller, SiteError, notices},
};

/// Who is told and asked.
#[derive(Debug, Clone)]
pub struct Outside {
    /// Calls sites.
    pub caller: Caller,
    /// Knows what became of payments.
    pub owner: Arc<dyn OrderOwner>,
    /// Ways to tell members.
    pub notifiers: Vec<Arc<dyn Notifier>>,
}

impl Outside {
    /// With the sites of the tenants, and with mail where there is a server for it.
    ///
    /// # Errors
    /// When TLS can't be set up.
    pub fn new(app: &App, mail: Option<Mail>) -> Result<Self, SiteError> {
        let caller = Caller::new(Arc::clone(&app.clock))?;
        let mut notifiers: Vec<Arc<dyn Notifier>> = vec![
            Arc::new(Inbox(Arc::clone(&app.db))),
            Arc::new(ToSite::new(Arc::clone(&app.db), caller.clone())),
        ];
        if let Some(mail) = mail {
            notifiers.push(Arc::new(mail));
        }
        Ok(Self {
            owner: Arc::new(SiteOwner::new(Arc::clone(&app.db), caller.clone())),
            caller,
            notifiers,
        })
    }
}

/// Coupons marked in one piece of a sweep.
const ENDING: i64 = 4_000;
/// Members reminded in one piece.
const REMINDED: i64 = 500;
/// Sites told, and owners asked, in one piece: few, each may take seconds.
const CALLS: i64 = 16;

/// How often coupons whose time is up are marked.
const EXPIRE: Millis = HOUR;
/// How often freezes are looked for that lapsed over a use.
const LAPSE: Millis = MINUTE;
/// Of these, coupons and orders of a chain at once: each group of the engine takes them all.
const LAPSED: i64 = 200;
/// How often the day's reminders are looked for, and those that did not go through.
const REMIND: Millis = 10 * MINUTE;
/// How often sites are told what they must be told.
const TELL: Millis = 5 * SECOND;
/// How often orders are looked for whose deadline has passed.
const ASK: Millis = 30 * SECOND;

/// Whether a piece of so many was full, so that there may be more.
fn full(done: &[u64], piece: i64) -> bool {
    i64::try_from(done.iter().sum::<u64>()).is_ok_and(|done| done >= piece)
}

/// Does by itself what is due at its time, until `app.stopping` is cancelled.
pub fn start(app: &Arc<App>, outside: Outside) {
    if app.outside.set(outside).is_err() {
        // Somebody else has begun it.
        return;
    }
    every(app, "coupons.expire", EXPIRE, |app| {
        Box::pin(async move {
            let done = expiry::sweep(&app, app.clock.now(), ENDING).await?;
            Ok(full(&[done.expired, done.settled, done.later], ENDING))
        })
    });
    every(app, "exceptions.lapse", LAPSE, |app| {
        Box::pin(async move {
            let done = lapse::sweep(&app, app.clock.now(), LAPSED).await?;
            Ok(full(&[done], LAPSED))
        })
    });
    every(app, "coupons.remind", REMIND, |app| {
        Box::pin(async move {
            let Some(outside) = app.outside.get() else {
                return Ok(false);
            };
            let done = reminders::sweep(&app, &outside.notifiers, app.clock.now(), REMINDED).await?;
            Ok(full(&[done.sent, done.skipped, done.failed], REMINDED))
        })
    });
    every(app, "site.tell", TELL, |app| {
        Box::pin(async move {
            let Some(outside) = app.outside.get() else {
                return Ok(false);
            };
            let done = notices::sweep(&app, &outside.caller, app.clock.now(), CALLS).await?;
            Ok(full(&[done.told, done.failed], CALLS))
        })
    });
    every(app, "orders.ask", ASK, |app| {
        Box::pin(async move {
            let Some(outside) = app.outside.get() else {
                return Ok(false);
            };
            let done = online::sweep::sweep(&app, &outside.owner, app.clock.now(), CALLS).await?;
            Ok(full(&[done.confirmed, done.cancelled, done.unknown], CALLS))
        })
    });
}
