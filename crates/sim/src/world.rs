//! The world: head office, its counters, what was acknowledged, and what was done to them.

use std::{
    any::{Any, TypeId},
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use anyhow::{Context, Result, bail};
use counterfoil_counter::{Counter, Parts};
use counterfoil_domain::{
    ids::{ClerkId, DeviceId, HistoryId, OperationId, StoreId},
    people::Role,
    time::{MINUTE, Millis},
};
use counterfoil_head_office::{App, capabilities, carriers::Registry, db::Db};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::{
    ambient::{Dice, Doom, OfficeClock, START, TillClock, Time, until},
    base::{self, Base, DEVICES, FILE, till_folder},
    carrier::SimCarrier,
    net::{Net, Reached, Wire},
    step::Faults,
};

/// What was told to a clerk: done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    pub till: usize,
    pub what: &'static str,
}

/// What was asked under a name: asking again is asking the same.
#[derive(Debug, Clone)]
pub struct Question {
    pub path: String,
    pub body: serde_json::Value,
    pub at: Millis,
    /// The first answer that somebody heard.
    pub heard: Option<String>,
    /// Its effect was seen to happen.
    pub happened: bool,
}

impl Question {
    pub fn new(path: String, body: serde_json::Value, at: Millis) -> Self {
        Self {
            path,
            body,
            at,
            heard: None,
            happened: false,
        }
    }
}

/// A counter.
#[derive(Debug)]
pub struct Till {
    pub folder: PathBuf,
    pub store: usize,
    pub counter: Option<Counter>,
    pub clock: Option<Arc<TillClock>>,
    pub doom: Arc<Doom>,
    pub off: Arc<AtomicI64>,
    pub boots: u64,
    pub device: DeviceId,
    pub clerk: ClerkId,
    pub manager: ClerkId,
    /// What this counter did, the latest last.
    pub done: Vec<OperationId>,
    /// Operations of the folder's last copy.
    pub copied: Option<BTreeSet<OperationId>>,
    /// It is a machine that nobody uses any more.
    pub retired: bool,
    /// It was set back, or there is a copy of it: its journal may fork.
    pub torn: bool,
    pub full: bool,
}

/// Head office.
pub struct Office {
    pub app: Arc<App>,
}

/// Things that only their own kinds of steps know, by their types.
#[derive(Debug, Default)]
pub struct Own(BTreeMap<TypeId, Box<dyn Any + Send>>);

impl Own {
    /// The one of this type; made now, if there is none.
    pub fn of<T: Any + Send + Default>(&mut self) -> &mut T {
        let thing = self.0.entry(TypeId::of::<T>()).or_insert_with(|| Box::<T>::default());
        #[expect(clippy::expect_used, reason = "it stands under its own type")]
        thing.downcast_mut().expect("a thing under its own type")
    }
}

/// Everything.
pub struct World {
    pub seed: u64,
    pub base: Arc<Base>,
    pub folder: TempDir,
    pub time: Time,
    pub net: Arc<Net>,
    /// Who takes parcels.
    pub carrier: SimCarrier,
    pub office: Option<Office>,
    pub office_doom: Arc<Doom>,
    pub office_boots: u64,
    pub office_full: bool,
    pub tills: Vec<Till>,
    pub acknowledged: BTreeMap<OperationId, Acknowledged>,
    /// Operations that a machine took with it: undelivered when its folder was set back.
    pub gone: BTreeSet<OperationId>,
    /// What a machine that was set back had delivered: if head office is set back as well, nobody has it any more.
    pub fragile: BTreeSet<OperationId>,
    pub backup: Option<Millis>,
    pub restored: u64,
    /// Restores that no new history has followed yet.
    pub unsettled: u64,
    pub history: Option<(HistoryId, u64)>,
    /// Codes of coupons, the newest last.
    pub coupons: Vec<String>,
    /// Codes of pickup orders, the newest last.
    pub orders: Vec<String>,
    /// Questions of the shop's own site and of members, by their names.
    pub asked: BTreeMap<String, Question>,
    /// Revoked devices, and what head office had of them by then.
    pub revoked: BTreeMap<DeviceId, BTreeSet<OperationId>>,
    /// What kinds of steps keep of their own.
    pub own: Own,
    pub hit: BTreeMap<&'static str, u64>,
    pub faults: Faults,
    trace: Sha256,
}

impl World {
    /// A copy of the chain, with everybody at work.
    pub async fn new(seed: u64, base: Arc<Base>, faults: Faults) -> Result<Self> {
        let folder = base::folder()?;
        copy_folder(base.folder.path(), folder.path())?;
        let time = Time::at(START + MINUTE);
        let mut world = Self {
            seed,
            folder,
            time: time.clone(),
            net: Arc::new(Net::default()),
            carrier: SimCarrier::new(time),
            office: None,
            office_doom: Arc::new(Doom::default()),
            office_boots: 0,
            office_full: false,
            tills: Vec::new(),
            acknowledged: BTreeMap::new(),
            gone: BTreeSet::new(),
            fragile: BTreeSet::new(),
            backup: None,
            restored: 0,
            unsettled: 0,
            history: None,
            coupons: base.coupons.iter().rev().cloned().collect(),
            orders: base.orders.iter().rev().cloned().collect(),
            asked: BTreeMap::new(),
            revoked: BTreeMap::new(),
            own: Own::default(),
            hit: BTreeMap::new(),
            faults,
            trace: Sha256::new(),
            base,
        };
        world.start_office().await?;
        let mut place = 0;
        for (store, count) in DEVICES.iter().enumerate() {
            for _ in 0..*count {
                world.add_till(till_folder(world.folder.path(), place), store).await?;
                place += 1;
            }
        }
        Ok(world)
    }

    /// Notes what happened: two runs of the same seed must say the same.
    pub fn trace(&mut self, line: &str) {
        self.trace.update(line.as_bytes());
        self.trace.update(b"\n");
        if std::env::var_os("COUNTERFOIL_SIM_TRACE").is_some() {
            eprintln!("{line}");
        }
    }
    pub fn digest(&self) -> [u8; 32] {
        self.trace.clone().finalize().into()
    }
    pub fn count(&mut self, what: &'static str) {
        *self.hit.entry(what).or_default() += 1;
    }

    pub fn office_file(&self) -> PathBuf {
        self.folder.path().join(FILE)
    }

    pub fn store(&self, till: usize) -> StoreId {
        self.base.stores[self.tills[till].store]
    }

    /// Starts head office, if it is down.
    pub async fn start_office(&mut self) -> Result<()> {
        if self.office.is_some() && !self.office_doom.struck() {
            return Ok(());
        }
        self.stop_office().await;
        self.office_doom.revive();
        self.office_boots += 1;
        let clock = Arc::new(OfficeClock(self.time.clone()));
        let dice = Arc::new(Dice::new(self.seed, 1_000_000 + self.office_boots));
        let url = format!("sqlite:{}", self.office_file().display());
        let faults: Arc<dyn counterfoil_head_office::db::Faults> = self.office_doom.clone();
        let db = Db::open_with(&url, clock.as_ref(), dice.as_ref(), 1, Some(faults)).await?;
        let app = App::on(db, clock, dice, false);
        app.own.put(Registry::through(Arc::new(self.carrier.clone())));
        self.net.connect(Some(Reached {
            router: capabilities::router(Arc::clone(&app), None),
            doom: Arc::clone(&self.office_doom),
        }));
        self.office = Some(Office { app });
        self.office_full = false;
        Ok(())
    }

    /// Ends head office; what was under way is gone.
    pub async fn stop_office(&mut self) {
        self.net.connect(None);
        if let Some(office) = self.office.take() {
            office.app.stopping.cancel();
            office.app.db.close().await;
        }
    }

    /// Head office, if it is up.
    pub fn app(&self) -> Option<Arc<App>> {
        let office = self.office.as_ref().filter(|_| !self.office_doom.struck())?;
        Some(Arc::clone(&office.app))
    }

    /// Adds a counter whose folder is there.
    pub async fn add_till(&mut self, folder: PathBuf, store: usize) -> Result<usize> {
        let place = self.tills.len();
        self.tills.push(Till {
            folder,
            store,
            counter: None,
            clock: None,
            doom: Arc::new(Doom::default()),
            off: Arc::new(AtomicI64::new(0)),
            boots: 0,
            device: DeviceId(uuid::Uuid::nil()),
            clerk: ClerkId(uuid::Uuid::nil()),
            manager: ClerkId(uuid::Uuid::nil()),
            done: Vec::new(),
            copied: None,
            retired: false,
            torn: false,
            full: false,
        });
        self.start_till(place).await?;
        let counter = self.tills[place].counter.clone().context("it was just started")?;
        let people = counter.clerks().await?;
        let find = |role: Role| people.iter().find(|person| person.role == role).map(|person| person.id);
        let manager = find(Role::Manager).context("a store without a manager")?;
        let device = counter.status().await?.placed.context("not enrolled")?.device;
        let till = &mut self.tills[place];
        till.manager = manager;
        till.clerk = find(Role::Clerk).unwrap_or(manager);
        till.device = device;
        Ok(place)
    }

    /// Adds a counter in a new folder, by a code for it.
    pub async fn new_till(&mut self, folder: PathBuf, store: usize, code: &str) -> Result<()> {
        let place = self.tills.len();
        let clock = Arc::new(TillClock::new(
            self.time.clone(),
            Arc::new(AtomicI64::new(0)),
            format!("{place}-0"),
        ));
        let parts = Parts {
            clock,
            random: Arc::new(Dice::new(self.seed, 1_000 * (1 + place as u64))),
            transport: Arc::new(Wire {
                net: Arc::clone(&self.net),
                till: place,
            }),
            readers: Some(1),
            faults: None,
        };
        let counter = Counter::open_with(&folder, parts).await?;
        counter.enrol(base::ADDRESS, code, &format!("till {place}")).await?;
        counter.sync_once(std::time::Duration::from_secs(1)).await?;
        counter.end().await?;
        self.add_till(folder, store).await.map(drop)
    }

    /// Cases by kind.
    pub async fn exceptions(&self) -> Result<BTreeMap<String, u64>> {
        let mut kinds = BTreeMap::new();
        let Some(app) = self.app() else { return Ok(kinds) };
        let mut snapshot = app.db.snapshot().await?;
        let rows = sqlx::query(
            "SELECT COALESCE(detail, outcome) AS kind, COUNT(*) AS many FROM operations WHERE outcome <> 'applied' GROUP BY COALESCE(detail, outcome)",
        )
        .fetch_all(&mut *snapshot)
        .await?;
        for row in &rows {
            let many: i64 = sqlx::Row::try_get(row, "many")?;
            kinds.insert(sqlx::Row::try_get(row, "kind")?, many.unsigned_abs());
        }
        Ok(kinds)
    }

    /// Closes everything.
    pub async fn end(mut self) -> Result<()> {
        for place in 0..self.tills.len() {
            self.stop_till(place).await?;
        }
        self.stop_office().await;
        Ok(())
    }

    /// Starts a counter, if it is down.
    pub async fn start_till(&mut self, place: usize) -> Result<()> {
        let (seed, time, net) = (self.seed, self.time.clone(), Arc::clone(&self.net));
        let till = &mut self.tills[place];
        if till.retired || (till.counter.is_some() && !till.doom.struck()) {
            return Ok(());
        }
        self.stop_till(place).await?;
        let till = &mut self.tills[place];
        till.doom.revive();
        till.boots += 1;
        till.full = false;
        let boot = format!("{place}-{}", till.boots);
        let clock = Arc::new(TillClock::new(time, Arc::clone(&till.off), boot));
        let party = 1_000 * (1 + place as u64) + till.boots;
        let parts = Parts {
            clock: clock.clone(),
            random: Arc::new(Dice::new(seed, party)),
            transport: Arc::new(Wire { net, till: place }),
            readers: Some(1),
            faults: Some(till.doom.clone()),
        };
        till.counter = Some(Counter::open_with(&till.folder, parts).await?);
        till.clock = Some(clock);
        Ok(())
    }

    /// Ends a counter; what goes on in the background ends with it.
    pub async fn stop_till(&mut self, place: usize) -> Result<()> {
        let till = &mut self.tills[place];
        let clock = till.clock.take();
        let Some(counter) = till.counter.take() else {
            return Ok(());
        };
        // Whoever waits for a moment would keep the files open.
        drop(clock);
        counter.end().await?;
        Ok(())
    }

    /// Lets what goes on in the background of a counter go on until it rests.
    pub async fn settle(&self, place: usize) {
        let till = &self.tills[place];
        let (Some(counter), Some(clock)) = (&till.counter, &till.clock) else {
            return;
        };
        loop {
            until(|| counter.tasks() == clock.waiting()).await;
            if !clock.wake_one() {
                return;
            }
            // Whoever was woken is counted as at work before it is looked at again.
            tokio::task::yield_now().await;
        }
    }

    /// Time goes by, for everybody.
    pub async fn pass(&mut self, ms: Millis) {
        self.time.pass(ms);
        for place in 0..self.tills.len() {
            self.settle(place).await;
        }
    }

    /// A counter that can be used.
    pub fn counter(&self, place: usize) -> Option<Counter> {
        let till = self.tills.get(place)?;
        let usable = !till.retired && !till.doom.struck();
        till.counter.clone().filter(|_| usable)
    }

    /// After an error: whether the program ended, so that it is gone.
    pub async fn bury(&mut self, place: usize) -> Result<bool> {
        if !self.tills[place].doom.struck() {
            return Ok(false);
        }
        self.stop_till(place).await?;
        Ok(true)
    }

    pub fn acknowledge(&mut self, till: usize, operation: OperationId, what: &'static str) {
        self.acknowledged.insert(operation, Acknowledged { till, what });
        self.tills[till].done.push(operation);
    }

    pub fn set_clock(&self, till: usize, off: Millis) {
        self.tills[till].off.store(off, Ordering::SeqCst);
    }
}

/// How many things most steps are about, so that several meet over the same.
pub const FEW: usize = 14;

/// The thing of this number: one of the newest few, or of all.
pub fn pick(things: &[String], number: usize) -> &str {
    let few = FEW.min(things.len());
    let place = match number < FEW {
        true => things.len() - 1 - number % few,
        false => number % things.len(),
    };
    &things[place]
}

/// Copies a folder and what is in it.
pub fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// Replaces a folder by another.
pub fn replace_folder(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        bail!("there is no copy");
    }
    std::fs::remove_dir_all(to)?;
    copy_folder(from, to)
}
