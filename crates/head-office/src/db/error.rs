//! What a database error means for whoever asked.

use sqlx::migrate::MigrateError;

/// What to do about a database error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing is known; do it again: deadlock, serialization, lock time-out, lost connection.
    Again,
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
    /// A stored value does not read.
    #[error("column {column} holds something unexpected")]
    Decode {
        /// Which column.
        column: &'static str,
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
            Self::RowCount { .. } => Trouble::Again,
            Self::Sqlx(error) => of_driver(error),
            Self::Migrate(_) | Self::Config(_) | Self::Decode { .. } | Self::Crashed { .. } => Trouble::Other,
        }
    }
}

fn of_driver(error: &sqlx::Error) -> Trouble {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed | sqlx::Error::PoolClosed => {
            Trouble::Again
        }
        sqlx::Error::Database(database) => {
            if database.is_unique_violation() || database.is_foreign_key_violation() || database.is_check_violation() {
                return Trouble::Constraint;
            }
            let code = database.code().unwrap_or_default();
            match code.as_ref() {
                // PostgreSQL: serialization, deadlock, lock not available, shutting down, connection failures.
                "40001" | "40P01" | "55P03" | "57P01" | "57P02" | "57P03" | "57014" => Trouble::Again,
                "53100" | "25006" => Trouble::Storage,
                code if code.len() == 5 && code.starts_with("08") => Trouble::Again,
                code if code.len() == 5 && code.starts_with("23") => Trouble::Constraint,
                // SQLite: the low byte of an extended code is the code.
                code => match code.parse::<u32>().map(|code| code & 0xff) {
                    Ok(5 | 6) => Trouble::Again,
                    Ok(8 | 10 | 13 | 14) => Trouble::Storage,
                    Ok(11 | 26) => Trouble::Corrupt,
                    Ok(19) => Trouble::Constraint,
                    _ => Trouble::Other,
                },
            }
        }
        _ => Trouble::Other,
    }
}
