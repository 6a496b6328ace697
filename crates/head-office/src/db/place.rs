//! Where a database is, as people name it. A file's name is taken as it stands, whatever is in it.

use std::{
    fmt::Write,
    io::ErrorKind,
    path::{Path, PathBuf},
    str::FromStr,
    sync::atomic::{AtomicU64, Ordering},
};

use sqlx::{AnyConnection, Connection, any::AnyConnectOptions};

use super::{DbError, Dialect, migrations::migrator, prepare};

/// What SQLite keeps beside a database's file while it is open.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// A place for a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file of SQLite's.
    File(PathBuf),
    /// The URL of a PostgreSQL server.
    Server(String),
}

impl Place {
    /// Reads `sqlite:FILE`, `sqlite://FILE` or `postgres://...`.
    ///
    /// # Errors
    /// [`DbError::Config`] when it is neither, or names no file.
    pub fn parse(name: &str) -> Result<Self, DbError> {
        if let Some(file) = name.strip_prefix("sqlite:") {
            let file = file.strip_prefix("//").unwrap_or(file);
            if file.is_empty() || file.contains('\0') {
                return Err(DbError::config("sqlite: must be followed by the name of a file"));
            }
            Ok(Self::File(named_before(file).unwrap_or_else(|| file.into())))
        } else if name.starts_with("postgres://") || name.starts_with("postgresql://") {
            Ok(Self::Server(name.to_owned()))
        } else {
            Err(DbError::config("a database is named sqlite:FILE or postgres://..."))
        }
    }

    /// Which engine it is.
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::File(_) => Dialect::Sqlite,
            Self::Server(_) => Dialect::Postgres,
        }
    }

    /// The file, when it is one that does not exist.
    pub fn missing(&self) -> Option<&Path> {
        match self {
            Self::File(file) if !file.is_file() => Some(file),
            _ => None,
        }
    }

    /// What the driver is told. It takes a text before `?` apart from what follows and reads `%20` as a space, so
    /// all but letters and digits is written as `%` and two digits.
    pub(super) fn url(&self) -> Result<String, DbError> {
        match self {
            Self::Server(url) => Ok(url.clone()),
            Self::File(file) => {
                // Without a folder before it SQLite would read ":memory:" and "file:..." as something else.
                let file = if file.is_relative() {
                    Path::new(".").join(file)
                } else {
                    file.clone()
                };
                let name = file
                    .to_str()
                    .ok_or_else(|| DbError::config("the name of the database's file is no text"))?;
                let mut url = "sqlite:".to_owned();
                for byte in name.bytes() {
                    if byte.is_ascii_alphanumeric() {
                        url.push(char::from(byte));
                    } else {
                        // Writing to a String does not fail.
                        let _ = write!(url, "%{byte:02X}");
                    }
                }
                url.push_str("?mode=rw");
                Ok(url)
            }
        }
    }

    /// Makes the file when there is none, its owner's alone: the log beside it takes over its mode.
    ///
    /// It is made beside its place and put there whole, so that of one that can't be made nothing is left, and two
    /// processes that begin the same database end with one.
    pub(super) async fn make(&self) -> Result<(), DbError> {
        let Self::File(file) = self else { return Ok(()) };
        let folder = match file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        if !folder.is_dir() {
            return Err(DbError::config(format!(
                "the folder {} does not exist",
                folder.display()
            )));
        }
        match std::fs::metadata(file) {
            // SQLite would make an index beside it with the same mark, and that would still be in the way once the
            // file can be written.
            Ok(found) if found.permissions().readonly() => return Err(DbError::ReadOnly(file.display().to_string())),
            Ok(_) => return Ok(()),
            Err(_) => {}
        }
        if std::fs::metadata(beside(file, "-journal")).is_err_and(|error| error.kind() == ErrorKind::InvalidFilename) {
            return Err(DbError::config("the name of the database's file is too long"));
        }
        // A link to a file that is still to be.
        let file = std::fs::read_link(file).map_or_else(|_| file.clone(), |target| folder.join(target));
        let fresh = match fresh_beside(&file) {
            Ok(fresh) => fresh,
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
                ) =>
            {
                return Err(DbError::ReadOnly(file.display().to_string()));
            }
            // SQLite says in a moment what is wrong with the place.
            Err(_) => return Ok(()),
        };
        let made = begin(&Self::File(fresh.clone())).await;
        let placed = made.and_then(|()| place(&fresh, &file).map_err(|error| DbError::Sqlx(error.into())));
        for suffix in BESIDE.into_iter().chain([""]) {
            let left = beside(&fresh, suffix);
            if let Err(error) = std::fs::remove_file(&left)
                && error.kind() != ErrorKind::NotFound
            {
                tracing::warn!(%error, file = %left.display(), "this file is left behind");
            }
        }
        placed
    }
}

/// The file that SQLite keeps beside this one.
fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// An empty file in the same folder, of a name that no other process takes, and that nobody else can read.
fn fresh_beside(file: &Path) -> std::io::Result<PathBuf> {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    loop {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let fresh = file.with_file_name(format!(".{}-{number}.new", std::process::id()));
        match options.open(&fresh) {
            Ok(_) => return Ok(fresh),
            // Of a process that was killed, and had the same id.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

async fn begin(place: &Place) -> Result<(), DbError> {
    let options = AnyConnectOptions::from_str(&place.url()?)?;
    let mut connection = AnyConnection::connect_with(&options).await?;
    let made = match prepare(&mut connection, place.dialect(), true).await {
        Ok(()) => migrator(place.dialect())
            .run(&mut connection)
            .await
            .map_err(DbError::from),
        Err(error) => Err(error.into()),
    };
    // One that is only dropped may outlive whoever takes the file away.
    let closed = connection.close().await;
    made.and_then(|()| Ok(closed?))
}

/// Puts it in its place, unless there is one already.
fn place(fresh: &Path, file: &Path) -> std::io::Result<()> {
    match std::fs::hard_link(fresh, file) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        // Not every filesystem has links.
        Err(_) if !file.exists() => std::fs::rename(fresh, file)?,
        Err(_) => {}
    }
    match file.parent() {
        // Elsewhere a folder can't be opened as a file.
        Some(folder) if cfg!(unix) && !folder.as_os_str().is_empty() => std::fs::File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// Earlier versions read `%20` in a name as a space, after they had made an empty file of the name as it stands. Where
/// that is so, the database is still the one with the space.
fn named_before(file: &str) -> Option<PathBuf> {
    let empty = |file: &Path| std::fs::metadata(file).map(|found| found.len() == 0);
    let before = decoded(file)?;
    let (now, before) = (Path::new(file), PathBuf::from(before));
    let is_it = now != before && empty(now).is_ok_and(|empty| empty) && empty(&before).is_ok_and(|empty| !empty);
    if is_it {
        tracing::warn!(
            "the database is {}: name it so, and remove the empty file {file}",
            before.display()
        );
    }
    is_it.then_some(before)
}

/// With `%20` read as a space, and so on.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            // A sign before one digit would be read too.
            digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then_some(())?;
            u8::from_str_radix(digits, 16).ok()
        });
        match (first, code) {
            (b'%', Some(code)) => {
                bytes.push(code);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> PathBuf {
        match Place::parse(name).unwrap() {
            Place::File(file) => file,
            Place::Server(url) => panic!("{url}"),
        }
    }

    #[test]
    fn a_file_is_named_as_it_stands() {
        for (name, expected) in [
            ("sqlite:a.db", "a.db"),
            ("sqlite://a.db", "a.db"),
            ("sqlite:///srv/a.db", "/srv/a.db"),
            ("sqlite:/srv/100%.db", "/srv/100%.db"),
            ("sqlite:/srv/a%20b.db", "/srv/a%20b.db"),
            ("sqlite:/srv/a?mode=ro#b.db", "/srv/a?mode=ro#b.db"),
            ("sqlite:/srv/总部 1.db", "/srv/总部 1.db"),
            ("sqlite::memory:", ":memory:"),
        ] {
            assert_eq!(file(name), PathBuf::from(expected), "{name}");
        }
        assert_eq!(
            Place::parse("postgres://u:p%40@h/d?sslmode=disable").unwrap(),
            Place::Server("postgres://u:p%40@h/d?sslmode=disable".into())
        );
        for name in ["", "a.db", "mysql://x", "sqlite:", "sqlite://", "sqlite:a\0b"] {
            assert!(matches!(Place::parse(name), Err(DbError::Config(_))), "{name}");
        }
    }

    #[test]
    fn the_driver_reads_back_what_was_named() {
        for name in [
            "a.db",
            "/srv/100%.db",
            "/srv/a%20b.db",
            "/srv/a?b#c&d+e.db",
            "/srv/总部 1.db",
        ] {
            let url = Place::File(name.into()).url().unwrap();
            let (path, rest) = url.strip_prefix("sqlite:").unwrap().split_once('?').unwrap();
            assert_eq!(rest, "mode=rw");
            assert_eq!(Path::new(".").join(decoded(path).unwrap()), Path::new(".").join(name));
        }
    }

    #[test]
    fn a_database_named_by_an_earlier_version_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let named = format!("sqlite:{}", at("a%20b.db").display());
        std::fs::write(at("a b.db"), "a database").unwrap();
        // Nothing says that this is not simply another database.
        assert_eq!(file(&named), at("a%20b.db"));
        std::fs::write(at("a%20b.db"), "").unwrap();
        assert_eq!(file(&named), at("a b.db"));
        std::fs::write(at("a%20b.db"), "another database").unwrap();
        assert_eq!(file(&named), at("a%20b.db"));
    }
}
