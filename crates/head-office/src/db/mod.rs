//! Head office's database: SQLite or PostgreSQL behind one set of statements.
//!
//! One writer connection a process, leased in turn; a few readers. What differs between the two engines is here and
//! nowhere else.

pub mod batch;
mod error;
pub mod found;
mod migrations;
mod people;
mod place;
pub mod rule;
#[cfg(test)]
#[cfg(feature = "testing")]
mod statements_tests;
pub mod subjects;
mod text;
pub mod told;
mod tx;
pub mod upgrade;

use std::{str::FromStr, sync::Arc, time::Duration};

use counterfoil_domain::ids::{HistoryId, TenantId};
pub use error::{DbError, Trouble};
pub use people::{People, Waiting};
pub use place::Place;
use sqlx::{
    Any, AnyConnection, AnyPool, AssertSqlSafe, Connection, Transaction,
    any::{AnyConnectOptions, AnyPoolOptions},
};
use tokio::sync::{Mutex, MutexGuard};
pub use tx::{Crash, Faults, Tx};

use crate::{
    broker::{Broker, InProcess},
    clock::{Clock, Random},
};

/// Which engine is behind the URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite, in a file.
    Sqlite,
    /// PostgreSQL 14 or newer.
    Postgres,
}

impl Dialect {
    /// Which engine a connection is to.
    pub fn of(connection: &AnyConnection) -> Self {
        if connection.backend_name() == "SQLite" {
            Self::Sqlite
        } else {
            Self::Postgres
        }
    }
    /// Ends a `SELECT` of rows that are about to be changed.
    pub fn lock_suffix(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR NO KEY UPDATE",
        }
    }
    fn begin_write(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN",
        }
    }
    fn begin_snapshot(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN",
            Self::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        }
    }
}

/// Connections that read.
const READERS: u32 = 8;

/// Oldest SQLite without the WAL-reset corruption bug.
const SQLITE_AT_LEAST: (u32, u32, u32) = (3, 51, 3);
const POSTGRES_AT_LEAST: i64 = 140_000;

/// Pages of the write-ahead log (64 MB) at which a commit folds it back itself. [`Db::tend`] does so beside the writer long
/// before.
const AUTO_CHECKPOINT: &str = "16000";
/// Folds the write-ahead log back as far as nobody reads it.
const FOLD_BACK: &str = "PRAGMA wal_checkpoint(PASSIVE)";

/// The statements are few and long: planning one anew each time costs more than running it. A database that is spread
/// over nodes needs the values before it can plan: where the URL, the role or the database says otherwise, that holds.
const GENERIC_PLANS: &str = "SELECT set_config(name, 'force_generic_plan', false) FROM pg_settings \
     WHERE name = 'plan_cache_mode' AND source NOT IN ('client', 'database', 'user', 'database user')";

/// The open database.
#[derive(Debug)]
pub struct Db {
    dialect: Dialect,
    options: AnyConnectOptions,
    writer: Mutex<Option<AnyConnection>>,
    /// Whose turn it is among those whom nobody waits for.
    behind: Mutex<()>,
    people: People,
    readers: AnyPool,
    faults: Option<Arc<dyn Faults>>,
    broker: Arc<dyn Broker>,
    /// Pages the file may have, 0 = any: for tests of a full disk.
    #[cfg(feature = "testing")]
    room: std::sync::atomic::AtomicI64,
}

/// The writer connection, for as long as it is held.
#[derive(Debug)]
pub struct Lease<'a> {
    slot: MutexGuard<'a, Option<AnyConnection>>,
    db: &'a Db,
    _behind: Option<MutexGuard<'a, ()>>,
}

impl Db {
    /// Opens the database, brings its schema up to date and asserts its settings.
    ///
    /// `name` is `sqlite:FILE` (made when missing) or `postgres://...`; of a database that can't be opened nothing is
    /// left behind.
    ///
    /// # Errors
    /// [`DbError`] when the name is neither, the engine is too old, the schema is newer than this program, or the
    /// database can't be opened.
    pub async fn open(name: &str, clock: &dyn Clock, random: &dyn Random) -> Result<Self, DbError> {
        Self::open_with(name, clock, random, READERS, None).await
    }

    /// The same with so many readers, and with faults at its commits: for tests.
    ///
    /// # Errors
    /// As [`Db::open`].
    pub async fn open_with(
        name: &str,
        clock: &dyn Clock,
        random: &dyn Random,
        readers: u32,
        faults: Option<Arc<dyn Faults>>,
    ) -> Result<Self, DbError> {
        sqlx::any::install_default_drivers();
        let place = Place::parse(name)?;
        let dialect = place.dialect();
        let options = AnyConnectOptions::from_str(&place.url()?)?;
        place.make().await?;
        let readers = AnyPoolOptions::new()
            .max_connections(readers)
            .acquire_timeout(Duration::from_secs(10))
            // A ping before each read costs as much as the read; a connection that broke is "busy, try again".
            .test_before_acquire(false)
            .after_connect(move |connection, _| Box::pin(async move { prepare(connection, dialect, false).await }))
            .connect_lazy_with(options.clone());
        let db = Self {
            dialect,
            options,
            writer: Mutex::new(None),
            behind: Mutex::new(()),
            people: People::default(),
            #[cfg(feature = "testing")]
            room: std::sync::atomic::AtomicI64::new(0),
            readers,
            faults,
            broker: Arc::new(InProcess::default()),
        };
        if let Err(error) = db.begin(clock, random).await {
            // A connection that is only dropped may leave its log behind.
            db.close().await;
            return Err(error);
        }
        Ok(db)
    }

    async fn begin(&self, clock: &dyn Clock, random: &dyn Random) -> Result<(), DbError> {
        let mut lease = self.lease().await?;
        if lease.migrate(clock, random).await? {
            let mut transaction = lease.begin().await?;
            upgrade::complete(&mut transaction).await?;
            transaction.commit("db.upgrade").await?;
        }
        Ok(())
    }

    /// Wakes who hands over the messages that are committed here.
    pub fn broker(&self) -> &dyn Broker {
        self.broker.as_ref()
    }

    /// Which engine it is.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Waits for the writer connection; connects anew if the last one broke.
    ///
    /// # Errors
    /// [`DbError`] when there is no connection to be had.
    pub async fn lease(&self) -> Result<Lease<'_>, DbError> {
        let waiting = self.people.waiting();
        let mut slot = self.writer.lock().await;
        drop(waiting);
        if slot.is_none() {
            *slot = Some(self.connect_writer().await?);
        }
        #[cfg(feature = "testing")]
        if let Some(connection) = slot.as_mut() {
            self.limit(connection).await?;
        }
        Ok(Lease {
            slot,
            db: self,
            _behind: None,
        })
    }

    /// As [`Db::lease`], for work in the background: it waits until nobody else does, though not for long, and of all that
    /// asks like this one at a time stands in the line.
    ///
    /// # Errors
    /// As [`Db::lease`].
    pub async fn lease_behind(&self) -> Result<Lease<'_>, DbError> {
        let turn = self.behind.lock().await;
        self.people.gone().await;
        let lease = self.lease().await?;
        Ok(Lease {
            _behind: Some(turn),
            ..lease
        })
    }

    /// Those who wait for something to be written.
    pub fn people(&self) -> &People {
        &self.people
    }

    async fn connect_writer(&self) -> Result<AnyConnection, DbError> {
        let mut connection = AnyConnection::connect_with(&self.options).await?;
        if let Err(error) = prepare(&mut connection, self.dialect, true).await {
            let _ = connection.close().await;
            return Err(error.into());
        }
        Ok(connection)
    }

    /// From now on the file can't grow beyond what it is, or it can again. SQLite only.
    ///
    /// # Errors
    /// [`DbError`] when no connection is free in time.
    #[cfg(feature = "testing")]
    pub async fn fill_the_disk(&self, full: bool) -> Result<(), DbError> {
        let pages: i64 = if full {
            let mut reader = self.readers.acquire().await?;
            sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut *reader).await?
        } else {
            i64::from(u32::MAX) - 1
        };
        self.room.store(pages, std::sync::atomic::Ordering::SeqCst);
        Ok(())
    }

    #[cfg(feature = "testing")]
    async fn limit(&self, connection: &mut AnyConnection) -> Result<(), DbError> {
        let pages = self.room.load(std::sync::atomic::Ordering::SeqCst);
        if pages > 0 && self.dialect == Dialect::Sqlite {
            let sql = AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
            sqlx::query(sql).execute(connection).await?;
        }
        Ok(())
    }

    /// A transaction that sees one state of the database throughout, and only reads.
    ///
    /// # Errors
    /// [`DbError`] when no connection is free in time.
    pub async fn snapshot(&self) -> Result<Transaction<'static, Any>, DbError> {
        Ok(self.readers.begin_with(self.dialect.begin_snapshot()).await?)
    }

    /// A connection of its own, for whoever reads all there is: it is no reader that others wait for, its statements may
    /// take their time, and what they sort lies on the disk.
    ///
    /// # Errors
    /// [`DbError`] when it can't be opened.
    pub async fn apart(&self) -> Result<AnyConnection, DbError> {
        let mut connection = AnyConnection::connect_with(&self.options).await?;
        prepare(&mut connection, self.dialect, false).await?;
        let own = match self.dialect {
            Dialect::Sqlite => "PRAGMA temp_store = FILE",
            Dialect::Postgres => {
                // Plans made for small tables would read large ones over and over.
                analyze_grown(&mut connection).await?;
                "SET statement_timeout = 0; SET work_mem = '64MB'"
            }
        };
        sqlx::raw_sql(own).execute(&mut connection).await?;
        Ok(connection)
    }

    /// As [`Db::snapshot`], on this connection.
    ///
    /// # Errors
    /// The driver's.
    pub async fn snapshot_on<'c>(&self, connection: &'c mut AnyConnection) -> Result<Transaction<'c, Any>, DbError> {
        Ok(connection.begin_with(self.dialect.begin_snapshot()).await?)
    }

    /// Connections for a single read that needs no snapshot.
    pub fn reader(&self) -> &AnyPool {
        &self.readers
    }

    /// Which history this chain is in.
    ///
    /// # Errors
    /// [`DbError`] of the query.
    pub async fn history_of(&self, tenant: TenantId) -> Result<HistoryId, DbError> {
        let mut snapshot = self.snapshot().await?;
        history_of(&mut snapshot, tenant).await
    }

    /// Which history this database began with.
    ///
    /// # Errors
    /// [`DbError`] of the query.
    pub async fn history(&self) -> Result<HistoryId, DbError> {
        let mut snapshot = self.snapshot().await?;
        history(&mut snapshot).await
    }

    /// What keeps the writer fast and need not wait for it, done beside it. SQLite: folds back what the write-ahead log
    /// holds and nobody is reading. PostgreSQL: looks anew at tables with more than twice the rows it knows of. Its
    /// own housekeeping comes by once a minute, and until then plans made for an empty table read all of a large one.
    ///
    /// # Errors
    /// [`DbError`] when no connection is free in time, or the disk is full.
    pub async fn tend(&self) -> Result<(), DbError> {
        let mut reader = match self.readers.acquire().await {
            Err(sqlx::Error::PoolClosed) => return Ok(()),
            reader => reader?,
        };
        match self.dialect {
            Dialect::Sqlite => {
                sqlx::raw_sql(FOLD_BACK).execute(&mut *reader).await?;
                // Whoever waits for the writer keeps no reader from others.
                drop(reader);
                // The little that was written meanwhile, while nobody writes: the log then begins anew, and never grows to
                // where a commit has to fold it back while people wait. It stands in line as they do: behind them it would come
                // too late whenever there are many.
                let mut lease = self.lease().await?;
                if let Some(writer) = lease.slot.as_mut() {
                    sqlx::raw_sql(FOLD_BACK).execute(writer).await?;
                }
            }
            Dialect::Postgres => analyze_grown(&mut reader).await?,
        }
        Ok(())
    }

    /// Closes every connection; SQLite folds its write-ahead log back.
    pub async fn close(&self) {
        self.readers.close().await;
        if let Some(connection) = self.writer.lock().await.take() {
            let _ = connection.close().await;
        }
    }
}

/// Reads the id of the history that a chain is in, on a connection.
///
/// # Errors
/// [`DbError`] of the query.
pub async fn history_of(connection: &mut AnyConnection, tenant: TenantId) -> Result<HistoryId, DbError> {
    let row = sqlx::query(
        "SELECT COALESCE(t.history_id, h.history_id) AS history_id FROM history h LEFT JOIN histories t ON t.tenant = $1",
    )
    .bind(tenant.bytes().to_vec())
    .fetch_one(connection)
    .await?;
    batch::id(&row, "history_id", HistoryId::from_bytes)
}

/// Reads the id of the history that the database began with, on a connection.
///
/// # Errors
/// [`DbError`] of the query.
pub async fn history(connection: &mut AnyConnection) -> Result<HistoryId, DbError> {
    let row = sqlx::query("SELECT history_id FROM history")
        .fetch_one(connection)
        .await?;
    batch::id(&row, "history_id", HistoryId::from_bytes)
}

impl Lease<'_> {
    /// Begins a transaction that writes; dropped without a commit it is rolled back.
    ///
    /// # Errors
    /// [`DbError`] when the connection broke or another process holds SQLite's lock for too long.
    pub async fn begin(&mut self) -> Result<Tx<'_>, DbError> {
        let sql = self.db.dialect.begin_write();
        // A full disk makes SQLite roll back by itself; sqlx then fails to roll back once more, and from there on believes
        // that a transaction is open. Such a connection is of no more use, whoever left it behind.
        if self.slot.as_ref().is_some_and(AnyConnection::is_in_transaction) && !self.is_usable().await {
            *self.slot = Some(self.db.connect_writer().await?);
        }
        match self.slot.as_mut() {
            Some(connection) => {
                let inner = connection.begin_with(sql).await?;
                Ok(Tx::new(inner, self.db.faults.as_deref(), self.db.broker.as_ref()))
            }
            None => Err(DbError::config("the connection is gone")),
        }
    }

    /// A transaction that was dropped a moment ago is still being rolled back: the next one waits for it.
    async fn is_usable(&mut self) -> bool {
        let sql = self.db.dialect.begin_write();
        match self.slot.as_mut() {
            Some(connection) => match connection.begin_with(sql).await {
                Ok(transaction) => transaction.rollback().await.is_ok(),
                Err(error) => !matches!(error, sqlx::Error::InvalidSavePointStatement),
            },
            None => true,
        }
    }

    /// Gives the connection up: the next lease connects anew. Called when an error left its state unknown.
    pub fn discard(&mut self) {
        *self.slot = None;
    }

    /// Brings the schema up to date; whether there are rows whose columns are still to be computed.
    async fn migrate(&mut self, clock: &dyn Clock, random: &dyn Random) -> Result<bool, DbError> {
        let Some(connection) = self.slot.as_mut() else {
            return Err(DbError::config("the connection is gone"));
        };
        migrations::migrator(self.db.dialect).run(&mut *connection).await?;
        let mut fresh = [0u8; 10];
        random.fill(&mut fresh).map_err(|e| DbError::config(e.to_string()))?;
        sqlx::query(
            "INSERT INTO history (singleton, history_id, began_at) VALUES (1, $1, $2) ON CONFLICT (singleton) DO NOTHING",
        )
        .bind(HistoryId::new(clock.now(), fresh).bytes().to_vec())
        .bind(clock.now())
        .execute(&mut *connection)
        .await?;
        let mut key = [0u8; 32];
        random.fill(&mut key).map_err(|e| DbError::config(e.to_string()))?;
        sqlx::query("INSERT INTO mark_keys (singleton, mark_key) VALUES (1, $1) ON CONFLICT (singleton) DO NOTHING")
            .bind(key.to_vec())
            .execute(&mut *connection)
            .await?;
        upgrade::is_needed(connection).await
    }
}

/// PostgreSQL looks anew at tables with more than twice the rows it knows of.
async fn analyze_grown(connection: &mut AnyConnection) -> Result<(), DbError> {
    let grown: Vec<String> = sqlx::query_scalar("SELECT CAST(quote_ident(c.relname) AS TEXT) FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid WHERE s.schemaname = current_schema() AND s.n_live_tup > 500 AND s.n_live_tup > 2 * c.reltuples")
        .fetch_all(&mut *connection)
        .await?;
    for table in grown {
        let sql = format!("ANALYZE {table}");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn prepare(connection: &mut AnyConnection, dialect: Dialect, writer: bool) -> Result<(), sqlx::Error> {
    let refuse = |what: String| sqlx::Error::Configuration(what.into());
    match dialect {
        Dialect::Sqlite => {
            let version: String = sqlx::query_scalar("SELECT sqlite_version()")
                .fetch_one(&mut *connection)
                .await?;
            let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
            let mut part = || parts.next().unwrap_or(0);
            if (part(), part(), part()) < SQLITE_AT_LEAST {
                return Err(refuse(format!("SQLite {version} is older than 3.51.3")));
            }
            // Enough for the pages that a busy hour touches. More costs more: SQLite walks the whole cache at a commit.
            let cache = if writer { -64 * 1024 } else { -32 * 1024 };
            for (name, value) in [
                ("busy_timeout", "10000"),
                ("journal_mode", "WAL"),
                ("synchronous", "FULL"),
                ("foreign_keys", "ON"),
                ("mmap_size", "0"),
                ("temp_store", "MEMORY"),
                ("wal_autocheckpoint", AUTO_CHECKPOINT),
            ] {
                let sql = format!("PRAGMA {name} = {value}");
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await?;
            }
            sqlx::raw_sql(AssertSqlSafe(format!("PRAGMA cache_size = {cache}")))
                .execute(&mut *connection)
                .await?;
            for (name, wanted) in [("journal_mode", "wal"), ("synchronous", "2"), ("foreign_keys", "1")] {
                let sql = format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}");
                let found: String = sqlx::query_scalar(AssertSqlSafe(sql))
                    .fetch_one(&mut *connection)
                    .await?;
                if found != wanted {
                    return Err(refuse(format!("SQLite has {name} = {found}, needed is {wanted}")));
                }
            }
        }
        Dialect::Postgres => {
            let version: String = sqlx::query_scalar("SELECT current_setting('server_version_num')")
                .fetch_one(&mut *connection)
                .await?;
            if version.parse::<i64>().unwrap_or(0) < POSTGRES_AT_LEAST {
                return Err(refuse(format!("PostgreSQL {version} is older than 14")));
            }
            for sql in [
                "SET lock_timeout = '5s'",
                "SET idle_in_transaction_session_timeout = '30s'",
                "SET statement_timeout = '60s'",
                "SET tcp_user_timeout = '15s'",
                "SET synchronous_commit = on",
                GENERIC_PLANS,
                "SET jit = off",
            ] {
                sqlx::raw_sql(sql).execute(&mut *connection).await?;
            }
            if writer {
                // The writer reaches every row by its whole key, whatever PostgreSQL believes of a table that has just
                // begun to grow: no plan that reads a table, and rows looked at are what costs, not pages.
                for sql in [
                    "SET enable_seqscan = off",
                    "SET enable_hashjoin = off",
                    "SET enable_mergejoin = off",
                    "SET cpu_tuple_cost = 1",
                    "SET random_page_cost = 0.1",
                    "SET seq_page_cost = 0.1",
                ] {
                    sqlx::raw_sql(sql).execute(&mut *connection).await?;
                }
            }
        }
    }
    Ok(())
}
