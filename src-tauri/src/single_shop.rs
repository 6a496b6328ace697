//! Head office inside this app, on loopback: for one shop with one counter, and for the demo. Device authentication
//! is as ever; the counter beside it is enrolled with a one-time code like any other.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use counterfoil_counter::Code;
use counterfoil_domain::ids::{Place, StoreId, TenantId};
use counterfoil_domain::people::{Role, pin_is_well_formed};
use counterfoil_head_office::admin::{self, AdminError, NewClerk, NewStore, NewTenant};
use counterfoil_head_office::clock::{SystemClock, SystemRandom};
use counterfoil_head_office::db::{Db, DbError, Trouble};
use counterfoil_head_office::outside::{self, Outside};
use counterfoil_head_office::processes::Role as Does;
use counterfoil_head_office::{App, capabilities, seed, serve, stores};
use counterfoil_protocol::problem;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::demo;
use crate::opening::apart;
use crate::problem::{Problem, Result, of_file};
use crate::settings::Inside;

const FOLDER: &str = "head-office";
const DATABASE: &str = "head-office.sqlite";
const TENANT: &str = "shop";
const STORE: &str = "s-01";
const CURRENCY: &str = "CNY";
/// Where the machine doesn't name its own.
const TIME_ZONE: &str = "Asia/Shanghai";
/// Requests under way are finished first, but nobody waits long for a window to close.
const STOPPING: Duration = Duration::from_secs(3);
const FIRST_PORT: u16 = 21_000;
const PORTS: u16 = 10_000;
const TRIES: usize = 20;

/// Where to answer on loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// The counter beside it isn't enrolled yet.
    New,
    /// The counter knows it by this one.
    Known(u16),
}

/// What the head office inside is to be.
#[derive(Clone, Copy)]
pub enum Plan<'a> {
    SingleShop {
        shop_name: &'a str,
        manager_name: &'a str,
        manager_pin: &'a str,
    },
    Demo,
}

/// Which store the counter beside it belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Begun {
    tenant: TenantId,
    store: StoreId,
}

/// A head office that answers on loopback.
#[derive(Debug)]
pub struct HeadOffice {
    app: Arc<App>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl std::fmt::Debug for Plan<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::SingleShop { .. } => "SingleShop",
            Self::Demo => "Demo",
        })
    }
}

impl Plan<'_> {
    pub fn inside(&self) -> Inside {
        match self {
            Self::SingleShop { .. } => Inside::SingleShop,
            Self::Demo => Inside::Demo,
        }
    }

    /// What can be known before anything is made.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::SingleShop { manager_pin, .. } if !pin_is_well_formed(manager_pin) => {
                Err(counterfoil_counter::Error::PinTooShort.into())
            }
            _ => Ok(()),
        }
    }
}

/// Where head office's own files are.
pub fn folder(data_folder: &Path) -> PathBuf {
    data_folder.join(FOLDER)
}

fn database(folder: &Path) -> String {
    format!("sqlite:{}", folder.join(DATABASE).display())
}

fn of_database(error: DbError) -> Problem {
    let detail = format!("head office inside: {error}");
    match error.trouble() {
        Trouble::Storage => Problem::new(problem::Code::StorageUnavailable, detail),
        Trouble::Corrupt => Problem::new(Code::DatabaseCorrupt, detail),
        Trouble::Newer => Problem::new(Code::DatabaseNewer, detail),
        Trouble::Again | Trouble::Slow => Problem::new(Code::Busy, detail),
        Trouble::Constraint | Trouble::Other => Problem::internal(detail),
    }
}

fn of_admin(error: AdminError) -> Problem {
    match error {
        AdminError::Db(error) => of_database(error),
        AdminError::Pin => counterfoil_counter::Error::PinTooShort.into(),
        AdminError::NotFound(_) => Problem::new(problem::Code::NotFound, error.to_string()),
        AdminError::Malformed { .. } => Problem::new(problem::Code::Malformed, error.to_string()),
        error => Problem::internal(format!("{}: {error}", error.code())),
    }
}

/// Makes the database with the first tenant, store and people.
///
/// It is made beside its place and put there whole. What an earlier try left is kept under another name: no counter
/// ever worked with it, but deleting is for people.
pub async fn begin(folder: &Path, plan: &Plan<'_>, now: i64) -> Result<Begun> {
    let fresh = folder.with_extension("new");
    if fresh.exists() {
        fs::remove_dir_all(&fresh).map_err(of_file("clearing an unfinished head office"))?;
    }
    fs::create_dir_all(&fresh).map_err(of_file("making head office's folder"))?;
    let begun = begin_in(&fresh, plan).await;
    if begun.is_err() {
        // Nobody looks for it there; the next try would clear it.
        let _ = fs::remove_dir_all(&fresh);
    }
    let begun = begun?;
    if folder.exists() {
        let aside = folder.with_extension(format!("unused-{now}"));
        fs::rename(folder, aside).map_err(of_file("setting an unused head office aside"))?;
    }
    fs::rename(&fresh, folder).map_err(of_file("putting head office in its place"))?;
    Ok(begun)
}

async fn begin_in(folder: &Path, plan: &Plan<'_>) -> Result<Begun> {
    let url = database(folder);
    let db = apart(|| async move { Db::open(&url, &SystemClock, &SystemRandom).await })
        .await?
        .map_err(of_database)?;
    let begun = fill(&db, plan, folder).await;
    db.close().await;
    begun
}

async fn fill(db: &Db, plan: &Plan<'_>, folder: &Path) -> Result<Begun> {
    let (clock, random) = (&SystemClock, &SystemRandom);
    match plan {
        Plan::SingleShop {
            shop_name,
            manager_name,
            manager_pin,
        } => {
            let new = NewTenant {
                code: TENANT,
                name: shop_name,
                currency: CURRENCY,
            };
            let tenant = admin::add_tenant(db, clock, random, &new).await.map_err(of_admin)?;
            let zone = jiff::tz::TimeZone::system();
            let new = NewStore {
                code: STORE,
                name_zh: shop_name,
                name_en: shop_name,
                time_zone: zone.iana_name().unwrap_or(TIME_ZONE),
                place: Place::ZERO,
            };
            let store = admin::add_store(db, clock, random, tenant, &new)
                .await
                .map_err(of_admin)?;
            let new = NewClerk {
                name: manager_name,
                role: Role::Manager,
                pin: manager_pin,
            };
            admin::add_clerk(db, clock, random, tenant, store, &new)
                .await
                .map_err(of_admin)?;
            Ok(Begun { tenant, store })
        }
        Plan::Demo => {
            let seeded = seed::seed(db, clock, random, &seed::Plan::DEMO)
                .await
                .map_err(of_database)?;
            let hints = serde_json::to_vec_pretty(&seeded).map_err(Problem::internal)?;
            fs::write(folder.join(demo::FILE_NAME), hints).map_err(of_file("the demo's hints"))?;
            let tenant = admin::find_tenant(db, Some(&seeded.tenant)).await.map_err(of_admin)?;
            let first = seeded.stores.first().map_or(STORE, |store| &store.code);
            let store = admin::find_store(db, tenant, first).await.map_err(of_admin)?;
            Ok(Begun { tenant, store })
        }
    }
}

impl HeadOffice {
    /// Opens the database and answers.
    pub async fn start(folder: &Path, port: Port) -> Result<Self> {
        let listener = listen(port).await?;
        let address = listener.local_addr().map_err(of_file("a port for head office"))?;
        if !folder.join(DATABASE).is_file() {
            // A new empty one would know neither the counter nor what it delivers.
            return Err(Problem::new(
                Code::DatabaseCorrupt,
                format!("{} is missing", folder.join(DATABASE).display()),
            ));
        }
        let url = database(folder);
        let app = apart(|| async move { App::open(&url, Arc::new(SystemClock), Arc::new(SystemRandom)).await })
            .await?
            .map_err(of_database)?;
        counterfoil_head_office::jobs::start(&app);
        match Outside::new(&app, None) {
            Ok(outside) => outside::start(&app, outside),
            // Coupons end all the same wherever they are read; only marks and reminders wait for another start.
            Err(error) => tracing::warn!(%error, "nobody outside can be told"),
        }
        capabilities::start(&app, &Does::ALL);
        let served = Arc::clone(&app);
        let task = tokio::spawn(serve(served, listener, None));
        tracing::info!(%address, "head office is inside this app");
        Ok(Self { app, address, task })
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A one-time code for the counter beside it.
    pub async fn enrol_code(&self, begun: &Begun) -> Result<String> {
        stores::enrol::make_code(&self.app.db, &SystemClock, &SystemRandom, begun.tenant, begun.store)
            .await
            .map_err(of_database)
    }

    /// Finishes what is under way and closes the database.
    pub async fn stop(self) {
        self.app.stopping.cancel();
        let stop = self.task.abort_handle();
        if tokio::time::timeout(STOPPING, self.task).await.is_err() {
            stop.abort();
        }
    }
}

/// Systems give out ports from 32768 or 49152 on for connections that programs make, so one below is free the next
/// time too.
fn likely_ports() -> impl Iterator<Item = u16> {
    let mut bytes = [0; 2 * TRIES];
    if let Err(error) = getrandom::fill(&mut bytes) {
        tracing::debug!(%error, "ports are tried from the first on");
    }
    let mut next = FIRST_PORT;
    bytes
        .chunks_exact(2)
        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
        .map(move |random| {
            next += 1;
            FIRST_PORT + (random.wrapping_add(next)) % PORTS
        })
        .collect::<Vec<_>>()
        .into_iter()
}

async fn listen(port: Port) -> Result<TcpListener> {
    let at = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    match port {
        Port::Known(port) => at(port).await.map_err(|error| {
            Problem::new(
                Code::Unreachable,
                format!(
                    "head office is inside this app, and the counter knows it by port {port} of this machine, which \
                     can't be had: {error}. Close the program that took it, then start Counterfoil again"
                ),
            )
        }),
        Port::New => {
            for port in likely_ports() {
                if let Ok(listener) = at(port).await {
                    return Ok(listener);
                }
            }
            at(0).await.map_err(of_file("a port for head office"))
        }
    }
}
