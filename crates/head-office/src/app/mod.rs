//! What everything at head office works with.

mod own;

use std::{collections::BTreeMap, sync::Arc};

use counterfoil_domain::ids::{DeviceId, HistoryId, StoreId, TenantId};
pub use own::Own;
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    clock::{self, Clock, Random},
    db::{Db, DbError},
    engine::{Engine, Parts, Settled, tables::Table},
    feed::watch::Watch,
    turns::Turns,
};

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
    /// Rung when there is a new job.
    pub jobs: Notify,
    /// What is done in the background; waited for before the database is closed.
    pub tasks: TaskTracker,
    /// Cancelled when the process is to stop.
    pub stopping: CancellationToken,
    /// What each capability keeps in memory for itself.
    pub own: Own,
}

impl App {
    /// On a database that is open; `tended` = it is tended beside the writer. `tables` is asked for the tables that commands
    /// read and change.
    pub fn with(
        db: Db,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        tended: bool,
        tables: impl FnOnce(&Settled) -> Vec<Box<dyn Table>>,
    ) -> Self {
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
        let tables = tables(&settled);
        Self {
            db,
            clock,
            random,
            engine: Engine::start(parts, settled, tables),
            watch,
            pushing: Turns::default(),
            jobs: Notify::new(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            own: Own::default(),
        }
    }

    /// Wakes whoever waits for news of these feeds.
    pub fn moved(&self, tenant: TenantId, heads: BTreeMap<StoreId, i64>) {
        for (store, number) in heads {
            self.watch.moved(tenant, store, number);
        }
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
