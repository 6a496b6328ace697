//! The counter's database: one writer, a few readers, and the settings that durability rests on.

mod fault;
mod tx;

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

pub use fault::Fault;
use fs4::fs_std::FileExt;
use sqlx::{
    ConnectOptions, Connection, Sqlite, SqliteConnection, SqlitePool,
    migrate::Migrator,
    pool::PoolConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::{Mutex, MutexGuard};
pub use tx::{Crash, Faults, Tx};

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
        .filename(path)
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
        make_folder(folder)?;
        let path = folder.join(FILE_NAME);
        make_file(&path)?;
        // Two processes that start at once must not migrate at once.
        let _opening = OpeningLock::take(folder).await?;

        let mut writer = SqliteConnection::connect_with(&options(&path, mode)).await?;
        check_version(&mut writer).await?;
        check_not_newer(&mut writer).await?;
        check_whole(&mut writer).await?;
        MIGRATIONS
            .run(&mut writer)
            .await
            .map_err(|error| Error::database(Fault::of_migration(&error), error.to_string()))?;
        check_settings(&mut writer).await?;
        if products::is_missing(&mut writer).await? {
            let mut tx = Tx::new(writer.begin_with(BEGIN).await?, faults.as_deref());
            products::complete(&mut tx).await?;
            tx.commit("counter.index_products").await?;
        }
        // A file that can't be written says so only when it is written.
        let mut probe = writer.begin_with(BEGIN).await?;
        sqlx::query("UPDATE identity SET epoch = epoch WHERE FALSE")
            .execute(&mut *probe)
            .await?;
        probe.rollback().await?;

        let readers = SqlitePoolOptions::new()
            .max_connections(readers)
            .min_connections(1)
            .test_before_acquire(false)
            .connect_with(options(&path, mode).pragma("query_only", "ON"))
            .await?;
        check_settings(&mut *readers.acquire().await?).await?;
        Ok(Self {
            writer: Mutex::new(writer),
            readers,
            options: options(&path, mode),
            path,
            faults,
        })
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
    async fn take(folder: &Path) -> Result<Self> {
        let path = folder.join("open.lock");
        let file = lock_file(&path)?;
        let locked = tokio::task::spawn_blocking(move || FileExt::lock_exclusive(&file).map(|()| file)).await;
        match locked {
            Ok(Ok(file)) => Ok(Self(file)),
            Ok(Err(error)) => Err(Error::file(format!("locking {}", path.display()))(error)),
            Err(error) => Err(Error::Internal(error.to_string())),
        }
    }
}

/// Opens a file for its lock only.
pub(crate) fn lock_file(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    private(&mut options);
    options.open(path).map_err(|error| read_only_or(error, path))
}

fn read_only_or(error: std::io::Error, path: &Path) -> Error {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            Error::database(Fault::ReadOnly, format!("{}: {error}", path.display()))
        }
        _ => Error::file(format!("opening {}", path.display()))(error),
    }
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600);
}
#[cfg(not(unix))]
fn private(_options: &mut OpenOptions) {}

/// Makes the data folder, for its owner only.
pub(crate) fn make_folder(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(folder).map_err(|error| read_only_or(error, folder))
}

/// SQLite's log and index take the mode of the database's file, so it is made here.
///
/// One that is marked as read-only is left alone: SQLite would make an index beside it with the same mark, and that would
/// still be in the way once the file can be written.
fn make_file(path: &Path) -> Result<()> {
    if let Ok(found) = std::fs::metadata(path) {
        return match found.permissions().readonly() {
            true => Err(Error::database(
                Fault::ReadOnly,
                format!("{} is read-only", path.display()),
            )),
            false => Ok(()),
        };
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    private(&mut options);
    options.open(path).map(drop).map_err(|error| read_only_or(error, path))
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
