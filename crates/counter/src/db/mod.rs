//! The counter's database: one writer, a few readers, and the settings that durability rests on.

mod place;
mod tx;

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use place::Made;
pub(crate) use place::{as_a_file, lock_file, make_folder};
use sqlx::{
    ConnectOptions, Connection, Sqlite, SqliteConnection, SqlitePool,
    migrate::Migrator,
    pool::PoolConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::{Mutex, MutexGuard};
pub use tx::{Crash, Faults, Tx};

pub use crate::error::Fault;
use crate::{
    error::{Error, Result},
    products,
};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/counter");

/// Older versions may lose the write-ahead log when two connections reset it at once.
const OLDEST_SQLITE: [u32; 3] = [3, 51, 3];
const READERS: u32 = 3;
/// Takes the write lock at once, so that no transaction has to be given up half way.
const BEGIN: &str = "BEGIN IMMEDIATE";
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Pages of the write-ahead log (64 MB) at which a commit folds it back itself. The one that pays for it is a clerk, so
/// [`Database::checkpoint`] is there to come first.
const AUTO_CHECKPOINT: &str = "16000";

/// Name of the database's file in the data folder.
pub const FILE_NAME: &str = "counter.sqlite";

/// Stands in the data folder while a damaged database is being salvaged.
pub(crate) const SALVAGING: &str = "salvage.begun";

/// The open database.
#[derive(Debug)]
pub struct Database {
    writer: Mutex<SqliteConnection>,
    readers: SqlitePool,
    options: SqliteConnectOptions,
    path: PathBuf,
    faults: Option<Arc<dyn Faults>>,
}

/// How to open it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Normal,
    /// As a file that can't be written is opened; for tests.
    #[cfg(test)]
    ReadOnly,
}

fn options(path: &Path, mode: Mode) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new()
        .filename(as_a_file(path))
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        .pragma("mmap_size", "0")
        .pragma("wal_autocheckpoint", AUTO_CHECKPOINT)
        .statement_cache_capacity(128)
        .disable_statement_logging();
    match mode {
        Mode::Normal => options.journal_mode(SqliteJournalMode::Wal),
        #[cfg(test)]
        Mode::ReadOnly => options.read_only(true),
    }
}

impl Database {
    /// Opens the database in the folder, makes it when there is none, and brings its schema up to date.
    ///
    /// # Errors
    /// `database_read_only`, `database_corrupt`, `database_newer`, `database_settings`, `disk_full`.
    pub async fn open(folder: &Path) -> Result<Self> {
        Self::open_with(folder, READERS, None).await
    }

    /// The one that a salvage fills, which nobody else may open.
    pub(crate) async fn open_to_salvage(folder: &Path) -> Result<Self> {
        Self::open_as(folder, Mode::Normal, READERS, None).await
    }

    /// The same with so many readers, and with faults at its commits: for tests.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub async fn open_with(folder: &Path, readers: u32, faults: Option<Arc<dyn Faults>>) -> Result<Self> {
        // What lies there is a part of it at best, and looks like a counter that was never enrolled.
        if folder.join(SALVAGING).exists() {
            let what = "a salvage was interrupted; run counterfoil-syncd --salvage again";
            return Err(Error::database(Fault::Corrupt, what));
        }
        Self::open_as(folder, Mode::Normal, readers, faults).await
    }

    pub(crate) async fn open_as(
        folder: &Path,
        mode: Mode,
        readers: u32,
        faults: Option<Arc<dyn Faults>>,
    ) -> Result<Self> {
        let mut made = Made::default();
        let (opened, opening) = Self::open_made(folder, mode, readers, faults, &mut made).await;
        if opened.is_err() {
            // While nobody else opens it: they would find nothing, and say so.
            made.take_away();
        }
        drop(opening);
        opened
    }

    async fn open_made(
        folder: &Path,
        mode: Mode,
        readers: u32,
        faults: Option<Arc<dyn Faults>>,
        made: &mut Made,
    ) -> (Result<Self>, Option<OpeningLock>) {
        if let Err(error) = made.make(folder) {
            return (Err(error), None);
        }
        // Two processes that start at once must not migrate at once.
        match OpeningLock::take(folder, made).await {
            Ok(opening) => (
                Self::open_file(folder.join(FILE_NAME), mode, readers, faults).await,
                Some(opening),
            ),
            Err(error) => (Err(error), None),
        }
    }

    async fn open_file(path: PathBuf, mode: Mode, readers: u32, faults: Option<Arc<dyn Faults>>) -> Result<Self> {
        let mut writer = SqliteConnection::connect_with(&options(&path, mode)).await?;
        let readers = match bring_up(&mut writer, faults.as_deref()).await {
            Ok(()) => connect_readers(&path, mode, readers).await,
            Err(error) => Err(error),
        };
        match readers {
            Ok(readers) => Ok(Self {
                writer: Mutex::new(writer),
                readers,
                options: options(&path, mode),
                path,
                faults,
            }),
            Err(error) => {
                // One that is only dropped may outlive whoever takes the file away.
                let _ = writer.close().await;
                Err(error)
            }
        }
    }

    /// Where its file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A connection to read with. Give it back soon: a reader held open makes the write-ahead log grow.
    pub async fn read(&self) -> Result<PoolConnection<Sqlite>> {
        Ok(self.readers.acquire().await?)
    }

    /// The writer. Take [`Writer::begin`] for anything that must happen as a whole.
    pub async fn write(&self) -> Writer<'_> {
        Writer {
            connection: self.writer.lock().await,
            options: &self.options,
            faults: self.faults.as_deref(),
        }
    }

    /// Folds back what the write-ahead log holds and nobody is reading, while the writer goes on.
    ///
    /// # Errors
    /// `disk_full` and the like.
    pub async fn checkpoint(&self) -> Result<()> {
        let mut reader = self.readers.acquire().await?;
        sqlx::query("PRAGMA wal_checkpoint(PASSIVE)")
            .fetch_all(&mut *reader)
            .await?;
        Ok(())
    }

    /// From now on the file can't grow beyond what it is, or it can again.
    ///
    /// # Errors
    /// As [`Database::open`].
    #[cfg(feature = "testing")]
    pub async fn fill_the_disk(&self, full: bool) -> Result<()> {
        let mut connection = self.writer.lock().await;
        let pages: i64 = if full {
            sqlx::query_scalar("PRAGMA page_count")
                .fetch_one(&mut *connection)
                .await?
        } else {
            i64::from(u32::MAX) - 1
        };
        let sql = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
        sqlx::query(sql).execute(&mut *connection).await?;
        Ok(())
    }

    /// Closes every connection, so that the file can be moved.
    pub async fn close(self) -> Result<()> {
        self.readers.close().await;
        Ok(self.writer.into_inner().close().await?)
    }
}

/// The one connection that writes.
#[derive(Debug)]
pub struct Writer<'a> {
    connection: MutexGuard<'a, SqliteConnection>,
    options: &'a SqliteConnectOptions,
    faults: Option<&'a dyn Faults>,
}

impl Writer<'_> {
    /// Begins a transaction that holds the write lock from its first moment.
    ///
    /// # Errors
    /// As [`Database::open`], and `busy`.
    pub async fn begin(&mut self) -> Result<Tx<'_>> {
        // A full disk makes SQLite roll back by itself; sqlx then fails to roll back once more, and from there on
        // believes that a transaction is open. Such a connection is of no more use.
        if self.connection.is_in_transaction() && !self.is_usable().await {
            *self.connection = SqliteConnection::connect_with(self.options).await?;
        }
        Ok(Tx::new(self.connection.begin_with(BEGIN).await?, self.faults))
    }

    /// A transaction that was dropped a moment ago is still being rolled back: the next one waits for it.
    async fn is_usable(&mut self) -> bool {
        match self.connection.begin_with(BEGIN).await {
            Ok(transaction) => transaction.rollback().await.is_ok(),
            Err(error) => !matches!(error, sqlx::Error::InvalidSavePointStatement),
        }
    }
}

/// Held while a process opens the database.
struct OpeningLock(#[expect(dead_code, reason = "held for its lock")] File);

impl OpeningLock {
    async fn take(folder: &Path, made: &mut Made) -> Result<Self> {
        let (path, file) = made.lock(folder)?;
        let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
        match locked {
            Ok(Ok(file)) => Ok(Self(file)),
            Ok(Err(error)) => Err(Error::file(format!("locking {}", path.display()))(error)),
            Err(error) => Err(error.into()),
        }
    }
}

/// Checks the file and brings its schema up to date.
async fn bring_up(writer: &mut SqliteConnection, faults: Option<&dyn Faults>) -> Result<()> {
    check_version(writer).await?;
    check_not_newer(writer).await?;
    check_whole(writer).await?;
    MIGRATIONS
        .run(&mut *writer)
        .await
        .map_err(|error| Error::database(Fault::of_migration(&error), error.to_string()))?;
    check_settings(writer).await?;
    if products::is_missing(writer).await? {
        let mut tx = Tx::new(writer.begin_with(BEGIN).await?, faults);
        products::complete(&mut tx).await?;
        tx.commit("counter.index_products").await?;
    }
    // A file that can't be written says so only when it is written.
    let mut probe = writer.begin_with(BEGIN).await?;
    sqlx::query("UPDATE identity SET epoch = epoch WHERE FALSE")
        .execute(&mut *probe)
        .await?;
    Ok(probe.rollback().await?)
}

async fn connect_readers(path: &Path, mode: Mode, count: u32) -> Result<SqlitePool> {
    let readers = SqlitePoolOptions::new()
        .max_connections(count)
        .min_connections(1)
        .test_before_acquire(false)
        .connect_with(options(path, mode).pragma("query_only", "ON"))
        .await?;
    let checked = match readers.acquire().await {
        Ok(mut reader) => check_settings(&mut reader).await,
        Err(error) => Err(error.into()),
    };
    if let Err(error) = checked {
        readers.close().await;
        return Err(error);
    }
    Ok(readers)
}

async fn check_version(db: &mut SqliteConnection) -> Result<()> {
    let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(db).await?;
    let mut numbers = [0u32; 3];
    for (number, word) in numbers.iter_mut().zip(version.split('.')) {
        *number = word.parse().unwrap_or(0);
    }
    if numbers < OLDEST_SQLITE {
        return Err(Error::database(Fault::Settings, format!("SQLite {version} is too old")));
    }
    Ok(())
}

async fn check_not_newer(db: &mut SqliteConnection) -> Result<()> {
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
    let marked: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *db).await?;
    let has_table: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_sqlx_migrations')")
            .fetch_one(&mut *db)
            .await?;
    let applied: i64 = if has_table {
        sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations")
            .fetch_one(db)
            .await?
    } else {
        0
    };
    let found = marked.max(applied);
    if found > known {
        return Err(Error::database(
            Fault::Newer,
            format!("the database has schema {found}, this program knows {known}"),
        ));
    }
    Ok(())
}

async fn check_whole(db: &mut SqliteConnection) -> Result<()> {
    let found: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(db).await?;
    if found != "ok" {
        return Err(Error::database(Fault::Corrupt, found));
    }
    Ok(())
}

async fn check_settings(db: &mut SqliteConnection) -> Result<()> {
    let journal_mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *db).await?;
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *db).await?;
    let foreign_keys: i64 = sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(&mut *db).await?;
    // Without support for it SQLite gives no row at all.
    let mmap_size: Option<i64> = sqlx::query_scalar("PRAGMA mmap_size").fetch_optional(&mut *db).await?;
    if journal_mode != "wal" || synchronous != 2 || foreign_keys != 1 || mmap_size.unwrap_or(0) != 0 {
        return Err(Error::database(
            Fault::Settings,
            format!(
                "journal_mode {journal_mode}, synchronous {synchronous}, foreign_keys {foreign_keys}, mmap_size {mmap_size:?}"
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
