//! Everything head office says to the world outside, and what it does by itself at its time.

use std::sync::Arc;

use crate::{
    app::App,
    capabilities,
    messages::notify::{Inbox, Mail, Notifier, Notifiers, ToSite},
    online::owner::{Asking, OrderOwner, SiteOwner},
    site::{Caller, Calling, SiteError},
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

/// Does by itself what is due at its time, until `app.stopping` is cancelled.
pub fn start(app: &Arc<App>, outside: Outside) {
    let Outside {
        caller,
        owner,
        notifiers,
    } = outside;
    if app.own.of::<Calling>().set(caller).is_err() {
        // Somebody else has begun it.
        return;
    }
    // Set once, with the caller.
    let _ = app.own.of::<Asking>().set(owner);
    let _ = app.own.of::<Notifiers>().set(notifiers);
    capabilities::begin(app);
}
