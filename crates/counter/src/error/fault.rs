//! What SQLite's result codes mean to people. The one place that knows them.

use crate::codes::Code;

/// What kind of trouble the database is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The file can't be written.
    ReadOnly,
    /// The file is damaged or no database.
    Corrupt,
    /// A newer program has been here.
    Newer,
    /// SQLite does not run with the settings that durability needs.
    Settings,
    /// No room on the disk.
    DiskFull,
    /// Another process holds it for too long.
    Busy,
    /// Anything else.
    Other,
}

impl Fault {
    /// The stable code.
    pub fn code(self) -> &'static str {
        let code = match self {
            Self::ReadOnly => Code::DatabaseReadOnly,
            Self::Corrupt => Code::DatabaseCorrupt,
            Self::Newer => Code::DatabaseNewer,
            Self::Settings => Code::DatabaseSettings,
            Self::DiskFull => Code::DiskFull,
            Self::Busy => Code::Busy,
            Self::Other => Code::Internal,
        };
        code.as_str()
    }

    /// Reads it from an error of sqlx.
    pub fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => error
                .code()
                .and_then(|code| code.parse().ok())
                .map_or(Self::Other, Self::of_code),
            sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::StorageFull => Self::DiskFull,
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Self::Corrupt,
            sqlx::Error::PoolTimedOut => Self::Busy,
            sqlx::Error::Migrate(error) => Self::of_migration(error),
            _ => Self::Other,
        }
    }

    /// Reads it from an error of a migration.
    pub fn of_migration(error: &sqlx::migrate::MigrateError) -> Self {
        use sqlx::migrate::MigrateError as Migration;
        match error {
            Migration::Execute(error) | Migration::ExecuteMigration(error, _) => Self::of(error),
            Migration::VersionMissing(_) | Migration::VersionTooNew(..) => Self::Newer,
            Migration::VersionMismatch(_) | Migration::Dirty(_) => Self::Corrupt,
            _ => Self::Other,
        }
    }

    /// Reads it from SQLite's extended result code (<https://www.sqlite.org/rescode.html>).
    pub fn of_code(extended: i64) -> Self {
        // SQLITE_IOERR_SHMSIZE: the index of the write-ahead log could not grow.
        const IOERR_SHMSIZE: i64 = 4874;
        match (extended, extended & 0xff) {
            (IOERR_SHMSIZE, _) | (_, 13) => Self::DiskFull,
            (_, 5 | 6) => Self::Busy,
            // 14 CANTOPEN: the file is there (it was made before), so its log can't be made beside it.
            (_, 8 | 14) => Self::ReadOnly,
            (_, 11 | 26) => Self::Corrupt,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_apart_with_and_without_extension() {
        for (code, fault) in [
            (5, Fault::Busy),
            (517, Fault::Busy),
            (8, Fault::ReadOnly),
            (1032, Fault::ReadOnly),
            (11, Fault::Corrupt),
            (267, Fault::Corrupt),
            (26, Fault::Corrupt),
            (13, Fault::DiskFull),
            (4874, Fault::DiskFull),
            (2067, Fault::Other),
        ] {
            assert_eq!(Fault::of_code(code), fault, "{code}");
        }
    }
}
