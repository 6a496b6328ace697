//! Head office: the centre that issues coupons and pickup orders and to which every shop delivers its operations.
//!
//! `counterfoil-hq serve` runs it as a server; the desktop app's single-shop mode runs it inside its own process.

pub mod admin;
pub mod audit;
pub mod batches;
pub mod capabilities;
pub mod claims;
pub mod cli;
pub mod clock;
pub mod coupons;
pub mod db;
pub mod engine;
pub mod exceptions;
pub mod grants;
pub mod http;
pub mod jobs;
pub mod members;
pub mod messages;
pub mod online;
pub mod outside;
pub mod pickups;
pub mod products;
pub mod questions;
pub mod retry;
pub mod sales;
pub mod seed;
pub mod site;
pub mod stores;
pub mod sync;
#[cfg(feature = "testing")]
pub mod testing;
pub mod turns;
pub mod verify;

use std::{net::IpAddr, num::NonZeroU32, sync::Arc};

use counterfoil_domain::{
    coupons::Template,
    ids::{DeviceId, HistoryId, MemberId, TemplateId, TenantId},
    transition::{Device, DeviceStatus},
};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{
    net::TcpListener,
    sync::{Notify, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    clock::{Clock, Random},
    db::{Db, DbError},
    engine::{Engine, Parts, Settled},
    http::connections::{self, Limits},
    sync::watch::Watch,
    turns::Turns,
};

/// Devices whose public keys are kept in memory.
const DEVICES: u64 = 100_000;
/// Tenants whose grants to everybody are kept in memory.
const TENANTS: u64 = 10_000;
/// Template versions kept in memory for people who look at coupons.
const TEMPLATES: u64 = 10_000;
/// Requests of devices that are not known yet, at once: fewer than there are readers.
const STRANGERS: usize = 3;
/// Answers that are written while they are sent, at once.
const STREAMS: usize = 64;
/// Claims of one member in a minute.
const CLAIMS: NonZeroU32 = NonZeroU32::new(120).unwrap();
/// Tries to enrol from one address in a minute.
const ENROL_TRIES: NonZeroU32 = NonZeroU32::new(20).unwrap();

/// Everything the routes need.
#[derive(Debug)]
pub struct App {
    /// The database.
    pub db: Arc<Db>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// The one writer of operations and freezes.
    pub engine: Engine,
    /// Who waits for news.
    pub watch: Arc<Watch>,
    /// Which devices are pushing: at most one push of each at a time.
    pub pushing: Turns<DeviceId>,
    /// What is known about devices.
    pub devices: moka::sync::Cache<(TenantId, DeviceId), http::KnownDevice>,
    /// Room for requests of devices that are not known yet: each costs a read before anything is proven.
    pub strangers: Semaphore,
    /// What is known about operators' and members' tokens.
    pub tokens: http::caller::Tokens,
    /// Questions that are being decided.
    pub in_flight: Arc<http::idempotency::InFlight>,
    /// Room for quotes.
    pub quoting: sales::quoting::Quoting,
    /// Template versions that were read; a published one never changes.
    pub templates: moka::sync::Cache<(TenantId, TemplateId, i64), Arc<Template>>,
    /// Tries to enrol.
    pub enrol_limit: DefaultKeyedRateLimiter<IpAddr>,
    /// Grants to everybody.
    pub open_grants: grants::Open,
    /// Room for answers that are written while they are sent.
    pub streams: Arc<Semaphore>,
    /// How often a member may claim.
    pub claim_limit: DefaultKeyedRateLimiter<MemberId>,
    /// Rung when there is a new job.
    pub jobs: Notify,
    /// What is done in the background; waited for before the database is closed.
    pub tasks: TaskTracker,
    /// Who is told and asked; set once what is due at its time is done here.
    pub outside: std::sync::OnceLock<outside::Outside>,
    /// Turns of devices that ask for something typed.
    pub guessing: questions::guessing::Turns,
    /// Cancelled when the process is to stop.
    pub stopping: CancellationToken,
}

impl App {
    /// Opens the database and starts the engine.
    ///
    /// # Errors
    /// As [`Db::open`].
    pub async fn open(url: &str, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Result<Arc<Self>, DbError> {
        let db = Db::open(url, clock.as_ref(), random.as_ref()).await?;
        Ok(Self::on(db, clock, random, true))
    }

    /// On a database that is open; `tended` = it is tended beside the writer.
    pub fn on(db: Db, clock: Arc<dyn Clock>, random: Arc<dyn Random>, tended: bool) -> Arc<Self> {
        let db = Arc::new(db);
        let watch = Arc::new(Watch::default());
        let parts = Parts {
            db: Arc::clone(&db),
            clock: Arc::clone(&clock),
            random: Arc::clone(&random),
            watch: Arc::clone(&watch),
            tended,
        };
        let settled = Settled::default();
        let tables = capabilities::tables(&settled);
        let engine = Engine::start(parts, settled, tables);
        Arc::new(Self {
            db,
            clock,
            random,
            engine,
            watch,
            pushing: Turns::default(),
            devices: moka::sync::Cache::new(DEVICES),
            strangers: Semaphore::new(STRANGERS),
            tokens: http::caller::Tokens::default(),
            in_flight: Arc::default(),
            quoting: sales::quoting::Quoting::default(),
            templates: moka::sync::Cache::new(TEMPLATES),
            enrol_limit: RateLimiter::keyed(Quota::per_minute(ENROL_TRIES)),
            open_grants: moka::sync::Cache::new(TENANTS),
            streams: Arc::new(Semaphore::new(STREAMS)),
            claim_limit: RateLimiter::keyed(Quota::per_minute(CLAIMS)),
            jobs: Notify::new(),
            tasks: TaskTracker::new(),
            outside: std::sync::OnceLock::new(),
            guessing: questions::guessing::Turns::default(),
            stopping: CancellationToken::new(),
        })
    }

    /// Begins a new history of this chain, unless somebody else already has: this database was restored from a backup, and what
    /// counters know of it may not have happened here.
    ///
    /// # Errors
    /// The database's.
    pub async fn begin_history(&self, tenant: TenantId, old: HistoryId) -> Result<(), DbError> {
        let now = self.clock.now();
        let random = clock::bytes(self.random.as_ref()).map_err(|error| DbError::config(error.to_string()))?;
        let mut lease = self.db.lease().await?;
        let mut transaction = lease.begin().await?;
        let new = HistoryId::new(now, random).bytes().to_vec();
        // A chain in the history that the database began with has no row yet.
        sqlx::query(
            "INSERT INTO histories (tenant, history_id, began_at) SELECT $1, $2, $3 FROM history WHERE history_id = $4 ON CONFLICT (tenant) DO NOTHING",
        )
        .bind(tenant.bytes().to_vec())
        .bind(new.clone())
        .bind(now)
        .bind(old.bytes().to_vec())
        .execute(&mut *transaction)
        .await?;
        sqlx::query("UPDATE histories SET history_id = $1, began_at = $2 WHERE tenant = $3 AND history_id = $4")
            .bind(new)
            .bind(now)
            .bind(tenant.bytes().to_vec())
            .bind(old.bytes().to_vec())
            .execute(&mut *transaction)
            .await?;
        transaction.commit("begin_history").await?;
        Ok(())
    }
}

impl App {
    /// Freezes a device until a person has decided; one that changed meanwhile is left to its next request.
    ///
    /// # Errors
    /// The database's.
    pub async fn freeze_device(&self, tenant: TenantId, device: &Device) -> Result<(), DbError> {
        let frozen = Device {
            status: DeviceStatus::Frozen,
            version: device.version + 1,
            ..device.clone()
        };
        let mut lease = self.db.lease().await?;
        let mut transaction = lease.begin().await?;
        match stores::rows::update_devices(&mut transaction, tenant, &[(device.version, &frozen)]).await {
            Ok(()) => transaction.commit("freeze_device").await,
            Err(DbError::RowCount { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Answers requests on `listener` until `app.stopping` is cancelled; requests under way are finished.
pub async fn serve(app: Arc<App>, listener: TcpListener, metrics: Option<PrometheusHandle>) {
    serve_within(app, listener, metrics, Limits::default()).await;
}

/// The same, with other limits on connections than the usual ones.
pub async fn serve_within(app: Arc<App>, listener: TcpListener, metrics: Option<PrometheusHandle>, limits: Limits) {
    let watcher = tokio::spawn(sync::http::watch_other_processes(Arc::clone(&app)));
    let router = http::router(Arc::clone(&app), metrics);
    connections::serve(listener, router, limits, app.stopping.clone()).await;
    watcher.abort();
    app.tasks.close();
    app.tasks.wait().await;
    app.db.close().await;
}
