//! What the window works on: the open counter, head office if it is inside, and what the app as a whole looks like.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use counterfoil_counter::{Clock, Code, Counter, LinkState, Person, Place, SyncHandle, System};
use counterfoil_protocol::enrolment::QR_PREFIX;
use counterfoil_protocol::problem;
use counterfoil_scan::{Scanned, Source, classify};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::camera::Viewfinder;
use crate::first_start::Environment;
use crate::opening::apart;
use crate::picture::Read;
use crate::problem::{Problem, Result};
use crate::settings::{Inside, Kept, Locale};
use crate::single_shop::{HeadOffice, Port};
use crate::view::{AppState, Mode};
use crate::{demo, single_shop};

/// After enrolment: until the people of the store have come, without whom nobody can sign in.
const FIRST_PULL: Duration = Duration::from_secs(8);
/// How long "synchronise now" may take before the screen goes on by itself.
const SYNC_NOW: Duration = Duration::from_secs(4);

/// What is open while the data folder can be used.
#[derive(Debug)]
struct Open {
    counter: Counter,
    sync: SyncHandle,
    head_office: Option<HeadOffice>,
}

/// The app without its window.
#[derive(Debug)]
pub struct Shell {
    folder: PathBuf,
    environment: Environment,
    pub settings: Kept,
    pub viewfinder: Viewfinder,
    /// Tried again for as long as it fails: a person may put it right meanwhile.
    open: tokio::sync::Mutex<Option<Open>>,
    system: Arc<System>,
    notice: Mutex<Option<Problem>>,
    last_symbols: Mutex<Vec<Read>>,
    last_place: Mutex<Option<Place>>,
    /// Something changed that the counter doesn't know of.
    pub changed: Notify,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shell {
    pub fn new(folder: &Path, environment: Environment) -> Self {
        Self {
            folder: folder.to_owned(),
            environment,
            settings: Kept::load(folder),
            viewfinder: Viewfinder::default(),
            open: tokio::sync::Mutex::new(None),
            system: Arc::new(System::new()),
            notice: Mutex::new(None),
            last_symbols: Mutex::new(Vec::new()),
            last_place: Mutex::new(None),
            changed: Notify::new(),
        }
    }

    /// The data folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn locale(&self) -> Locale {
        self.settings.get().locale
    }

    /// Now, UTC ms.
    pub fn now(&self) -> i64 {
        self.system.now()
    }

    /// The counter; opened now if it isn't yet.
    pub async fn counter(&self) -> Result<Counter> {
        let mut open = self.open.lock().await;
        if let Some(open) = &*open {
            return Ok(open.counter.clone());
        }
        let opened = self.open_all().await?;
        let counter = opened.counter.clone();
        *open = Some(opened);
        drop(open);
        self.changed.notify_one();
        Ok(counter)
    }

    /// The counter, if it is open.
    pub async fn opened(&self) -> Option<Counter> {
        self.open.lock().await.as_ref().map(|open| open.counter.clone())
    }

    async fn open_all(&self) -> Result<Open> {
        let (folder, clock, random) = (self.folder.clone(), self.system.clone(), self.system.clone());
        let counter = apart(|| async move { Counter::open(&folder, clock, random).await }).await??;
        let enrolled = counter.status().await?.placed.is_some();
        let settings = self.settings.get();
        let mut head_office = None;
        if enrolled && settings.head_office.is_some() {
            let at = settings.port.map_or(Port::New, Port::Known);
            match HeadOffice::start(&single_shop::folder(&self.folder), at).await {
                Ok(inside) => head_office = Some(inside),
                // The desk goes on as it does when any head office is away.
                Err(problem) => self.set_notice(Some(problem)),
            }
        }
        if !enrolled && let Some(invitation) = &self.environment.invitation {
            let enrolled = counter
                .enrol(&invitation.address, &invitation.code, &device_name())
                .await;
            self.set_notice(enrolled.err().map(Problem::from));
        }
        let sync = counter.start_sync();
        Ok(Open {
            counter,
            sync,
            head_office,
        })
    }

    /// What the screens show beside their own work.
    pub async fn state(&self) -> Result<AppState> {
        let counter = self.counter().await?;
        self.state_of(&counter).await
    }

    async fn state_of(&self, counter: &Counter) -> Result<AppState> {
        let status = counter.status().await?;
        let clerk = counter.signed_in(false);
        let settings = self.settings.get();
        let mode = match settings.head_office {
            Some(Inside::SingleShop) => Mode::SingleShop,
            Some(Inside::Demo) => Mode::Demo,
            None if self.environment.hints.is_some() => Mode::Demo,
            None => Mode::Connected,
        };
        let notice = locked(&self.notice).clone();
        Ok(AppState::of(&status, clerk.as_ref(), mode, &settings, notice))
    }

    pub fn set_notice(&self, problem: Option<Problem>) {
        if let Some(problem) = &problem {
            tracing::warn!(%problem, "notice");
        }
        *locked(&self.notice) = problem;
        self.changed.notify_one();
    }

    /// The counter and who is at it; counts as a sign of life.
    pub async fn at_work(&self) -> Result<(Counter, Person)> {
        let counter = self.counter().await?;
        let clerk = counter.signed_in(true).ok_or(counterfoil_counter::Error::NotSignedIn)?;
        Ok((counter, clerk))
    }

    /// Enrols at a head office elsewhere. The address may be what an enrolment QR says, code and all.
    pub async fn connect(&self, address: &str, code: &str) -> Result<AppState> {
        let counter = self.counter().await?;
        let scanned = match classify(address, Source::Pasted) {
            Scanned::Enrolment(text) => text,
            _ => String::new(),
        };
        let both = scanned.strip_prefix(QR_PREFIX).and_then(|both| both.split_once('#'));
        let (address, code) = both.unwrap_or((address, code));
        if counter.status().await?.placed.is_none() {
            // Of a first start with head office inside that did not get to its end.
            self.settings.change(|settings| settings.head_office = None)?;
        }
        counter.enrol(address.trim(), code.trim(), &device_name()).await?;
        self.set_notice(None);
        self.first_pull(&counter).await;
        self.state_of(&counter).await
    }

    /// Head office inside this app, with a shop and its manager, or with demo data.
    pub async fn start_inside(&self, plan: single_shop::Plan<'_>) -> Result<AppState> {
        plan.check()?;
        let counter = self.counter().await?;
        self.put_inside(&counter, &plan).await?;
        self.set_notice(None);
        self.first_pull(&counter).await;
        self.state_of(&counter).await
    }

    async fn put_inside(&self, counter: &Counter, plan: &single_shop::Plan<'_>) -> Result<()> {
        let mut open = self.open.lock().await;
        let Some(open) = &mut *open else {
            return Err(Problem::internal("the counter is not open"));
        };
        if counter.status().await?.placed.is_some() {
            return Err(counterfoil_counter::Error::AlreadyEnrolled.into());
        }
        if let Some(unused) = open.head_office.take() {
            unused.stop().await;
        }
        let folder = single_shop::folder(&self.folder);
        let begun = single_shop::begin(&folder, plan, self.now()).await?;
        let inside = HeadOffice::start(&folder, Port::New).await?;
        // Before the counter is enrolled: from then on it needs to find this head office again.
        self.settings.change(|settings| {
            settings.head_office = Some(plan.inside());
            settings.port = Some(inside.port());
        })?;
        let code = inside.enrol_code(&begun).await?;
        let address = inside.address();
        open.head_office = Some(inside);
        counter.enrol(&address, &code, &device_name()).await?;
        Ok(())
    }

    async fn first_pull(&self, counter: &Counter) {
        let mut changes = counter.changes();
        let deadline = Instant::now() + FIRST_PULL;
        while !counter.clerks().await.is_ok_and(|clerks| !clerks.is_empty()) {
            match timeout_at(deadline, changes.changed()).await {
                Ok(Ok(())) => {}
                _ => return,
            }
        }
    }

    /// Tries the line at once, and waits a moment for what comes of it.
    pub async fn sync_now(&self) -> Result<AppState> {
        let counter = self.counter().await?;
        let mut changes = counter.changes();
        let before = counter.status().await?.link;
        counter.hurry();
        let deadline = Instant::now() + SYNC_NOW;
        loop {
            let status = counter.status().await?;
            let done = status.link.state == LinkState::Online && status.queue.pending == 0;
            let failed = status.link.state == LinkState::Offline && status.link != before;
            if done || failed || !matches!(timeout_at(deadline, changes.changed()).await, Ok(Ok(()))) {
                break;
            }
        }
        let state = self.state_of(&counter).await?;
        match (state.link.state, &state.link.problem) {
            (crate::view::LinkState::Offline, Some(problem)) => Err(problem.clone()),
            (crate::view::LinkState::Offline, None) => Err(Problem::new(Code::Offline, "head office can't be reached")),
            _ => Ok(state),
        }
    }

    /// What there is to try, in the demo only.
    pub async fn hints(&self) -> Result<Option<crate::view::DemoHints>> {
        let state = self.state().await?;
        let (Some(Mode::Demo), Some(store)) = (state.mode, state.store) else {
            return Ok(None);
        };
        let file = match &self.environment.hints {
            Some(file) => file.clone(),
            None => single_shop::folder(&self.folder).join(demo::FILE_NAME),
        };
        demo::hints(&file, &store.code).map(Some)
    }

    /// The demo's own sign-in, once its people have come.
    pub async fn sign_in_for_demo(&self) -> Result<()> {
        let Some(who) = &self.environment.sign_in else {
            return Ok(());
        };
        let counter = self.counter().await?;
        if counter.status().await?.placed.is_none() {
            return Ok(());
        }
        self.first_pull(&counter).await;
        let clerks = counter.clerks().await?;
        let clerk = clerks.iter().find(|clerk| clerk.name == who.name);
        let clerk = clerk
            .ok_or_else(|| Problem::new(problem::Code::NotFound, format!("nobody here is called {}", who.name)))?;
        counter.sign_in(clerk.id, &who.pin).await?;
        Ok(())
    }

    pub fn keep_symbols(&self, symbols: &[Read]) {
        *locked(&self.last_symbols) = symbols.to_vec();
    }

    /// The symbol that this text was read from a moment ago.
    pub fn symbol_of(&self, text: &str) -> Option<Read> {
        let symbols = locked(&self.last_symbols);
        symbols.iter().find(|symbol| symbol.text == text).cloned()
    }

    pub fn keep_place(&self, place: Option<Place>) {
        *locked(&self.last_place) = place;
    }

    pub fn last_place(&self) -> Option<Place> {
        *locked(&self.last_place)
    }

    /// Whether head office is in this process, so that closing the window must not end it.
    pub async fn is_head_office(&self) -> bool {
        self.open
            .lock()
            .await
            .as_ref()
            .is_some_and(|open| open.head_office.is_some())
    }

    /// Ends what runs beside the window. What was confirmed is on the disk already.
    pub async fn stop(&self) {
        self.viewfinder.close();
        let Some(open) = self.open.lock().await.take() else {
            return;
        };
        open.sync.stop().await;
        if let Some(head_office) = open.head_office {
            head_office.stop().await;
        }
    }
}

/// What people at head office call this counter.
fn device_name() -> String {
    let named = ["HOSTNAME", "COMPUTERNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok())
        .or_else(|| std::fs::read_to_string("/etc/hostname").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty());
    named.unwrap_or_else(|| "counter".to_owned())
}

#[cfg(test)]
mod tests {
    use counterfoil_counter::{Confirmation, Decision, Input};

    use super::*;
    use crate::single_shop::Plan;
    use crate::view::state::Phase;

    fn shell(folder: &Path) -> Shell {
        Shell::new(folder, Environment::default())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_demo_begins_redeems_and_goes_on_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let first = shell(folder.path());
        let state = first.state().await.unwrap();
        assert_eq!((state.phase, state.mode), (Phase::FirstStart, None));
        assert!(first.hints().await.unwrap().is_none());

        let state = first.start_inside(Plan::Demo).await.unwrap();
        assert_eq!((state.phase, state.mode), (Phase::SignIn, Some(Mode::Demo)));
        assert!(first.is_head_office().await);
        let again = first.start_inside(Plan::Demo).await.unwrap_err();
        assert_eq!(again.code, "already_enrolled");

        let hints = first.hints().await.unwrap().unwrap();
        assert_eq!(first.at_work().await.unwrap_err().code, "not_signed_in");
        let counter = first.counter().await.unwrap();
        let clerk = counter.clerks().await.unwrap().remove(0);
        let pin = &hints.clerks.iter().find(|hint| hint.name == clerk.name).unwrap().pin;
        counter.sign_in(clerk.id, pin).await.unwrap();
        assert_eq!(first.state().await.unwrap().phase, Phase::Desk);

        let code = Input::PickupCode(hints.pickups[0].clone());
        let verdict = counter.look_up(&code, None).await.unwrap();
        assert_eq!(verdict.decision, Decision::Honour, "{verdict:?}");
        let done = counter.confirm(&verdict.ticket.unwrap(), clerk.id).await.unwrap();
        assert!(matches!(done, Confirmation::Done(_)));
        assert_eq!(first.sync_now().await.unwrap().queue.delivered, 1);
        let port = first.settings.get().port;
        drop(counter);
        first.stop().await;

        let second = shell(folder.path());
        let state = second.state().await.unwrap();
        assert_eq!((state.phase, state.mode), (Phase::SignIn, Some(Mode::Demo)));
        assert_eq!(second.settings.get().port, port);
        assert_eq!(second.sync_now().await.unwrap().queue.pending, 0);
        second.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_single_shop_has_its_manager_and_a_short_pin_makes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let shell = shell(folder.path());
        let plan = |manager_pin| Plan::SingleShop {
            shop_name: "街角书店",
            manager_name: "林小满",
            manager_pin,
        };
        assert_eq!(
            shell.start_inside(plan("1234")).await.unwrap_err().code,
            "pin_too_short"
        );
        assert!(!single_shop::folder(folder.path()).exists());

        let state = shell.start_inside(plan("246810")).await.unwrap();
        assert_eq!(state.mode, Some(Mode::SingleShop));
        assert_eq!(state.store.unwrap().name_zh, "街角书店");
        let people = shell.counter().await.unwrap().clerks().await.unwrap();
        assert_eq!((people.len(), people[0].name.as_str()), (1, "林小满"));
        assert!(shell.hints().await.unwrap().is_none());
        shell.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_head_office_that_lost_its_place_is_said_and_the_desk_opens() {
        let folder = tempfile::tempdir().unwrap();
        let first = shell(folder.path());
        first.start_inside(Plan::Demo).await.unwrap();
        let port = first.settings.get().port.unwrap();
        first.stop().await;

        let taken = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
        let second = shell(folder.path());
        let state = second.state().await.unwrap();
        assert_eq!(state.phase, Phase::SignIn);
        let notice = state.notice.unwrap();
        assert!(notice.code == "unreachable" && notice.detail.contains(&port.to_string()));
        second.stop().await;
        drop(taken);

        std::fs::rename(single_shop::folder(folder.path()), folder.path().join("elsewhere")).unwrap();
        let third = shell(folder.path());
        let state = third.state().await.unwrap();
        assert_eq!(state.notice.unwrap().code, "database_corrupt");
        third.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_counter_that_cannot_be_opened_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(counterfoil_counter::db::FILE_NAME);
        let noise = "not a database, and long enough to be looked at. ".repeat(100);
        std::fs::write(&file, &noise).unwrap();
        let shell = shell(folder.path());
        assert_eq!(shell.state().await.unwrap_err().code, "database_corrupt");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), noise);
        std::fs::rename(&file, folder.path().join("aside")).unwrap();
        assert_eq!(shell.state().await.unwrap().phase, Phase::FirstStart);
        shell.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_address_that_is_none_and_nobody_there() {
        let folder = tempfile::tempdir().unwrap();
        let shell = shell(folder.path());
        assert_eq!(
            shell.connect("not an address", "X").await.unwrap_err().code,
            "address_invalid"
        );
        for (address, code) in [
            ("CFENROL:http://127.0.0.1:9#ABCDE-FGHJK", ""),
            ("]Q1CFENROL:http://127.0.0.1:9#ABCDE-FGHJK\r\n", ""),
            // On this machine there is no TLS, and none is tried where nobody says so.
            ("127.0.0.1:9", "ABCDE-FGHJK"),
            ("\u{feff}１２７．０．０．１：９", "ＡＢＣＤＥ-FGHJK"),
        ] {
            let error = shell.connect(address, code).await.unwrap_err();
            assert_eq!(error.code, "unreachable", "{address:?}");
        }
        shell.stop().await;
    }
}
