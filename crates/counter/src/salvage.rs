//! After a damaged database file: keep it, take what can be read of the journal into a fresh one, read the rest from
//! head office again.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
};

use counterfoil_domain::{operations::OperationKind as _, time::Millis};
use counterfoil_protocol::operation::{fingerprint, open};
use serde::Serialize;
use sqlx::{
    Column, ConnectOptions, Connection, Row, SqliteConnection, ValueRef,
    sqlite::{SqliteConnectOptions, SqliteRow},
};

use crate::{
    db::{Database, FILE_NAME, Fault, SALVAGING, as_a_file},
    error::{Error, Result},
    identity::{self, Identity},
    journal,
    overlay::{self, Here},
    replica,
    sync::DrainLock,
};

/// What could be saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Salvaged {
    /// Where the damaged file is kept.
    pub kept: PathBuf,
    /// Operations taken over.
    pub operations: u64,
    /// Those of them that still wait for delivery.
    pub pending: u64,
    /// Places of the journal that could not be read, as far as they show.
    pub lost: u64,
    /// The newest part of the journal could not be read: how many operations were in it does not show.
    pub end_unreadable: bool,
}

/// What was read of a damaged journal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Read {
    operations: u64,
    pending: u64,
    lost: u64,
    end_unreadable: bool,
}

/// After so many unreadable places in a row, where the end is not known, there is none: more than the rows under two
/// pages of the tree's middle.
const UNREADABLE_IN_A_ROW: u64 = 10_000;

/// In the order in which they go: the database last, so that its absence says that all of them have gone.
const SUFFIXES: [&str; 3] = ["-wal", "-shm", ""];

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn rename(from: &Path, to: &Path, suffix: &str) -> Result<()> {
    let (from, to) = (with_suffix(from, suffix), with_suffix(to, suffix));
    if from.exists() {
        std::fs::rename(&from, &to).map_err(Error::file(format!("renaming {}", from.display())))?;
    }
    Ok(())
}

/// What was begun in the database's place, and holds nothing that the kept file does not.
fn remove_begun(path: &Path) -> Result<()> {
    for suffix in SUFFIXES {
        let path = with_suffix(path, suffix);
        if path.exists() {
            std::fs::remove_file(&path).map_err(Error::file(format!("removing {}", path.display())))?;
        }
    }
    Ok(())
}

/// What stands between the name of the database and the moment at which it was put aside.
const KEPT: &str = ".corrupt-";

/// The note that a salvage has begun. While it stands, nobody opens what lies in the database's place, and another
/// salvage completes this one.
struct Note(PathBuf);

impl Note {
    /// Takes over the note of a salvage that was interrupted, or writes one. With it comes where the damaged file is kept.
    fn take(folder: &Path, now: Millis) -> Result<(Self, PathBuf)> {
        let note = Self(folder.join(SALVAGING));
        // One that a power cut left empty or torn was followed by nothing. What lies in the
        // database's place is removed where a kept file stands, so this must name such a file and no other.
        let begun = std::fs::read_to_string(&note.0).unwrap_or_default();
        let at = begun.strip_prefix(FILE_NAME).and_then(|rest| rest.strip_prefix(KEPT));
        if at.is_some_and(|at| at.parse::<Millis>().is_ok()) {
            return Ok((note, folder.join(begun)));
        }
        let name = format!("{FILE_NAME}{KEPT}{now}");
        if let Err(error) = note.write(&name) {
            // Nothing has begun, and the database may be whole.
            let _ = std::fs::remove_file(&note.0);
            return Err(Error::file(format!("writing {}", note.0.display()))(error));
        }
        Ok((note, folder.join(name)))
    }

    fn write(&self, name: &str) -> std::io::Result<()> {
        let mut file = File::create(&self.0)?;
        file.write_all(name.as_bytes())?;
        file.sync_all()?;
        self.sync_folder()
    }

    /// Else a power cut might bring it back, and another salvage would remove what was done since.
    fn remove(self) -> Result<()> {
        std::fs::remove_file(&self.0)
            .and_then(|()| self.sync_folder())
            .map_err(Error::file(format!("removing {}", self.0.display())))
    }

    fn sync_folder(&self) -> std::io::Result<()> {
        match self.0.parent() {
            // Elsewhere a folder can't be opened as a file.
            Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
            _ => Ok(()),
        }
    }
}

/// Puts a fresh database in the place of a damaged one, with every operation that can still be read. No other process
/// may have it open. `now` names the file that is kept. One that was interrupted is completed.
///
/// # Errors
/// `not_enrolled` when there is no database; `data_dir_locked`; `database_corrupt` when not even the counter's identity can be read: then everything stays as
/// it was, and the counter must be enrolled anew in another folder.
pub async fn salvage(folder: &Path, now: Millis) -> Result<Salvaged> {
    let path = folder.join(FILE_NAME);
    if !path.exists() && !folder.join(SALVAGING).exists() {
        return Err(Error::NotEnrolled);
    }
    let _lock = DrainLock::try_take(folder)?.ok_or(Error::DataDirLocked)?;
    let (note, kept) = Note::take(folder, now)?;
    if kept.exists() {
        remove_begun(&path)?;
    } else {
        for suffix in SUFFIXES {
            rename(&path, &kept, suffix)?;
        }
    }
    match copy(&kept, folder).await {
        Ok(read) => {
            note.remove()?;
            Ok(Salvaged {
                kept,
                operations: read.operations,
                pending: read.pending,
                lost: read.lost,
                end_unreadable: read.end_unreadable,
            })
        }
        Err(error) => {
            remove_begun(&path)?;
            // The file first: while it is away, its log is too.
            for suffix in SUFFIXES.into_iter().rev() {
                rename(&kept, &path, suffix)?;
            }
            note.remove()?;
            Err(error)
        }
    }
}

async fn copy(kept: &Path, folder: &Path) -> Result<Read> {
    let options = SqliteConnectOptions::new()
        .filename(as_a_file(kept))
        .disable_statement_logging();
    let mut old = SqliteConnection::connect_with(&options).await?;
    let identity = sqlx::query("SELECT * FROM identity")
        .fetch_one(&mut old)
        .await
        .map_err(|error| Error::database(Fault::Corrupt, format!("the counter's identity can't be read: {error}")))?;

    let fresh = Database::open_to_salvage(folder).await?;
    let mut writer = fresh.write().await;
    let mut tx = writer.begin().await?;
    insert(&mut tx, "identity", &identity).await?;
    let who = identity::load(&mut tx).await?;
    identity::begin_resync(&mut tx, who.history_id).await?;
    let who = identity::load(&mut tx).await?;
    let mut read = copy_journal(&mut old, &mut tx).await?;
    rebuild(&mut tx, &who).await?;
    let (pending, gaps): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT COUNT(*) FROM journal WHERE state = 'pending'), \
         (SELECT COALESCE(SUM(n), 0) FROM (SELECT MAX(seq) - MIN(seq) + 1 - COUNT(*) AS n FROM journal GROUP BY epoch))",
    )
    .fetch_one(&mut *tx)
    .await?;
    read.pending = u64::try_from(pending).unwrap_or(0);
    read.lost = read.lost.max(u64::try_from(gaps).unwrap_or(0));
    tx.commit("salvage").await?;
    drop(writer);
    fresh.close().await?;
    let _ = old.close().await;
    Ok(read)
}

/// What the journal's own texts say of the rows that operations are about, and of the limits they use up.
async fn rebuild(db: &mut SqliteConnection, who: &Identity) -> Result<()> {
    // A file of an older schema did not say it.
    sqlx::query(
        "UPDATE journal SET alone_count = 1, alone_worth = worth \
         WHERE confirmed = 0 AND alone_count = 0 AND kind IN ('redeem_coupon', 'collect_order')",
    )
    .execute(&mut *db)
    .await?;
    let places: Vec<(i64, i64, String, bool)> =
        sqlx::query_as("SELECT epoch, seq, body, state = 'pending' FROM journal ORDER BY epoch, seq")
            .fetch_all(&mut *db)
            .await?;
    for (epoch, seq, body, pending) in places {
        let Ok((_, arrival)) = open(0, &body) else { continue };
        let Some(action) = arrival.action else { continue };
        if let Some(made) = action.makes(arrival.id).filter(|_| pending) {
            // What head office knows comes with the next pages.
            replica::begin(db, made, who.generation).await?;
        }
        for subject in journal::about(db, arrival.id, &action).await? {
            sqlx::query("INSERT OR IGNORE INTO subjects (entity, id, epoch, seq) VALUES (?, ?, ?, ?)")
                .bind(subject.word())
                .bind(subject.bytes().to_vec())
                .bind(epoch)
                .bind(seq)
                .execute(&mut *db)
                .await?;
        }
    }
    sqlx::query(
        "INSERT INTO touches (entity, id, epoch, seq) SELECT s.entity, s.id, s.epoch, s.seq FROM subjects s \
         JOIN journal j ON j.epoch = s.epoch AND j.seq = s.seq WHERE j.state = 'pending'",
    )
    .execute(&mut *db)
    .await?;
    overlay::renew_all(db, Here::of(who)).await
}

/// Copies row by row, stepping over what can't be read.
async fn copy_journal(old: &mut SqliteConnection, new: &mut SqliteConnection) -> Result<Read> {
    // `None` when the newest page can't be read: then the end is where nothing more is found, or nothing more reads.
    let last: Option<i64> = sqlx::query_scalar("SELECT COALESCE(MAX(rowid), 0) FROM journal")
        .fetch_one(&mut *old)
        .await
        .ok();
    let (mut read, mut next, mut unreadable) = (Read::default(), 1i64, 0u64);
    while last.is_none_or(|last| next <= last) {
        // From the place itself on, not from the one before: that may lie on an unreadable page.
        match sqlx::query("SELECT rowid AS place, * FROM journal WHERE rowid >= ? ORDER BY rowid LIMIT 1")
            .bind(next)
            .fetch_optional(&mut *old)
            .await
        {
            Ok(Some(row)) => {
                read.lost += unreadable;
                unreadable = 0;
                next = row.try_get::<i64, _>("place").unwrap_or(next).saturating_add(1);
                if is_whole(&row) {
                    insert(new, "journal", &row).await?;
                    read.operations += 1;
                } else {
                    read.lost += 1;
                }
            }
            Ok(None) => break,
            Err(_) => {
                next += 1;
                unreadable += 1;
                if last.is_none() && unreadable >= UNREADABLE_IN_A_ROW {
                    // Most of these places never were: they don't count as lost.
                    read.end_unreadable = true;
                    return Ok(read);
                }
            }
        }
    }
    read.lost += unreadable;
    read.end_unreadable = last.is_none();
    Ok(read)
}

fn is_whole(row: &SqliteRow) -> bool {
    let body: Result<&str, _> = row.try_get("body");
    let hash: Result<&[u8], _> = row.try_get("fingerprint");
    matches!((body, hash), (Ok(body), Ok(hash)) if fingerprint(body.as_bytes()).as_slice() == hash)
}

/// Writes a row with whatever columns it has; names and types come from this program's own schema.
async fn insert(db: &mut SqliteConnection, table: &'static str, row: &SqliteRow) -> Result<()> {
    let columns: Vec<usize> = (0..row.columns().len())
        .filter(|&i| row.column(i).name() != "place")
        .collect();
    let mut query = sqlx::QueryBuilder::<sqlx::Sqlite>::new(format!("INSERT INTO {table} ("));
    let mut names = query.separated(", ");
    for &i in &columns {
        names.push(row.column(i).name().to_owned());
    }
    query.push(") VALUES (");
    let mut values = query.separated(", ");
    for &i in &columns {
        let raw = row.try_get_raw(i)?;
        let kind = sqlx::TypeInfo::name(&*raw.type_info()).to_owned();
        match (raw.is_null(), kind.as_str()) {
            (true, _) => values.push_bind(None::<i64>),
            (false, "TEXT") => values.push_bind(row.try_get::<String, _>(i)?),
            (false, "BLOB") => values.push_bind(row.try_get::<Vec<u8>, _>(i)?),
            (false, _) => values.push_bind(row.try_get::<i64, _>(i)?),
        };
    }
    query.push(")");
    query.build().execute(db).await?;
    Ok(())
}
