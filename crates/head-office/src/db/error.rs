//! What a database error means for whoever asked.

use sqlx::{migrate::MigrateError, postgres::PgDatabaseError};

/// What to do about a database error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing is known; do it again: deadlock, serialization, lock time-out, lost connection.
    Again,
    /// It took longer than a statement may. Doing it again may help; what always takes too long may be to blame itself.
    Slow,
    /// The disk is full or the file is read-only: refuse writes until a person helps.
    Storage,
    /// The file is damaged: stop.
    Corrupt,
    /// A constraint refused the rows.
    Constraint,
    /// The schema is newer than the program.
    Newer,
    /// A mistake in configuration or program.
    Other,
}

/// An error of the database.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The driver's.
    #[error("database: {0}")]
    Sqlx(#[from] sqlx::Error),
    /// Of a migration.
    #[error("migration: {0}")]
    Migrate(#[from] MigrateError),
    /// Of the configuration.
    #[error("{0}")]
    Config(String),
    /// The file of the database is marked as read-only.
    #[error("{0} is read-only")]
    ReadOnly(String),
    /// A stored value does not read.
    #[error("column {column} holds something unexpected")]
    Decode {
        /// Which column.
        column: &'static str,
    },
    /// A stored row does not read.
    #[error("column {column} of {table} holds something unexpected where {key}")]
    Row {
        /// Of which table.
        table: &'static str,
        /// The columns that find the row, and what they hold.
        key: String,
        /// Which column does not read.
        column: String,
    },
    /// A conditional write changed fewer rows than it had to: somebody was first.
    #[error("{expected} rows of {table} should have changed, {found} did")]
    RowCount {
        /// Which table.
        table: &'static str,
        /// How many had to change.
        expected: u64,
        /// How many did.
        found: u64,
    },
    /// Another process has answered the question meanwhile: its effect stands, this one does not happen.
    #[error("another process has answered the question meanwhile")]
    Answered,
    /// A test ended the program here.
    #[error("the program ended at {commit}")]
    Crashed {
        /// Which commit.
        commit: &'static str,
    },
}

impl DbError {
    /// A mistake in the configuration.
    pub fn config(what: impl Into<String>) -> Self {
        Self::Config(what.into())
    }

    /// What to do about it.
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Migrate(MigrateError::VersionMissing(_)) => Trouble::Newer,
            // What went wrong inside a migration says more than that a migration went wrong.
            Self::Migrate(MigrateError::Execute(inner) | MigrateError::ExecuteMigration(inner, _)) => of_driver(inner),
            Self::RowCount { .. } | Self::Answered => Trouble::Again,
            Self::ReadOnly(_) => Trouble::Storage,
            Self::Sqlx(error) => of_driver(error),
            Self::Migrate(_) | Self::Config(_) | Self::Decode { .. } | Self::Row { .. } | Self::Crashed { .. } => {
                Trouble::Other
            }
        }
    }
}

fn of_driver(error: &sqlx::Error) -> Trouble {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed | sqlx::Error::PoolClosed => {
            Trouble::Again
        }
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            // Each engine has codes of its own, and some look like the other's.
            match database.try_downcast_ref::<PgDatabaseError>() {
                Some(_) => of_postgres(&code),
                None => code.parse().map_or(Trouble::Other, of_sqlite),
            }
        }
        _ => Trouble::Other,
    }
}

/// By SQLSTATE (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn of_postgres(code: &str) -> Trouble {
    match code {
        // Serialization, deadlock, lock not available, shutting down, closed as idle, too many connections, no memory.
        "40001" | "40P01" | "55P03" | "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "53300" | "53200" => {
            Trouble::Again
        }
        // Cancelled: by the time-out of statements or of transactions, or by a person.
        "57014" | "25P04" => Trouble::Slow,
        // Disk full, read-only, the disk failed.
        "53100" | "25006" | "58030" => Trouble::Storage,
        "XX001" | "XX002" => Trouble::Corrupt,
        code => match code.get(..2) {
            Some("08") => Trouble::Again,
            // What a value is, what a constraint says, what is too large.
            Some("22" | "23" | "54") => Trouble::Constraint,
            _ => Trouble::Other,
        },
    }
}

/// By extended result code, whose low byte is the code (<https://www.sqlite.org/rescode.html>).
fn of_sqlite(code: u32) -> Trouble {
    match code & 0xff {
        5 | 6 => Trouble::Again,
        // Interrupted.
        9 => Trouble::Slow,
        8 | 10 | 13 | 14 => Trouble::Storage,
        11 | 26 => Trouble::Corrupt,
        // Too large, a constraint, a value of another type, out of range.
        18 | 19 | 20 | 25 => Trouble::Constraint,
        _ => Trouble::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_of_the_two_engines_are_never_mixed() {
        for (code, trouble) in [
            // Read as a number, this one would be "busy" to SQLite.
            ("22021", Trouble::Constraint),
            ("22003", Trouble::Constraint),
            ("23505", Trouble::Constraint),
            ("54000", Trouble::Constraint),
            ("40P01", Trouble::Again),
            ("57014", Trouble::Slow),
            ("08006", Trouble::Again),
            ("25P03", Trouble::Again),
            ("58030", Trouble::Storage),
            ("53100", Trouble::Storage),
            ("42P01", Trouble::Other),
            ("", Trouble::Other),
        ] {
            assert_eq!(of_postgres(code), trouble, "{code}");
        }
        for (code, trouble) in [
            (5, Trouble::Again),
            (517, Trouble::Again),
            (13, Trouble::Storage),
            (2067, Trouble::Constraint),
            (18, Trouble::Constraint),
            (20, Trouble::Constraint),
            (25, Trouble::Constraint),
            (11, Trouble::Corrupt),
            (1, Trouble::Other),
        ] {
            assert_eq!(of_sqlite(code), trouble, "{code}");
        }
    }
}
