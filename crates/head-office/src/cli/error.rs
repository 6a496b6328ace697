//! What is said when something does not work: a stable code, what happened, what to do.

use std::{fmt, process::ExitCode};

use sqlx::migrate::MigrateError;

use crate::{
    admin::AdminError,
    db::{DbError, Trouble},
};

/// Why a command ended without success.
#[derive(Debug)]
pub struct CliError {
    input: bool,
    code: &'static str,
    message: String,
}

impl CliError {
    /// Another input would have helped.
    pub fn input(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            input: true,
            code,
            message: message.into(),
        }
    }

    /// Another input would not have helped.
    pub fn failed(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            input: false,
            code,
            message: message.into(),
        }
    }

    /// Says it and ends with it.
    pub(super) fn exit(&self) -> ExitCode {
        eprintln!("{self}");
        ExitCode::from(if self.input { 2 } else { 1 })
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error [{}]: {}", self.code, self.message)
    }
}

impl std::error::Error for CliError {}

impl From<AdminError> for CliError {
    fn from(error: AdminError) -> Self {
        let input = error.is_input();
        let code = error.code();
        match error {
            AdminError::Db(error) => error.into(),
            other => Self {
                input,
                code,
                message: sentence(&other.to_string()),
            },
        }
    }
}

impl From<DbError> for CliError {
    fn from(error: DbError) -> Self {
        // What went wrong inside a migration says more than that a migration went wrong.
        let error = match error {
            DbError::Migrate(MigrateError::Execute(inner) | MigrateError::ExecuteMigration(inner, _)) => {
                DbError::Sqlx(inner)
            }
            other => other,
        };
        let detail = detail(&error);
        match error.trouble() {
            _ if matches!(error, DbError::Config(_)) => Self::input("database_settings", sentence(&detail)),
            Trouble::Newer => newer(),
            Trouble::Corrupt => Self::failed(
                "database_corrupt",
                format!(
                    "The database file is damaged or is no database ({detail}). Nothing was changed. Keep a copy of it, and start from the latest backup: counters deliver again what they still hold."
                ),
            ),
            Trouble::Storage if is_full(&error) => Self::failed(
                "disk_full",
                format!("The disk is full ({detail}). Nothing was lost. Make room and start again."),
            ),
            Trouble::Storage => Self::failed(
                "database_read_only",
                format!(
                    "The database can't be written ({detail}). Nothing was changed. Check who owns the file and its folder, and that neither is read-only."
                ),
            ),
            Trouble::Again | Trouble::Slow => Self::failed(
                "database_unreachable",
                format!(
                    "The database does not answer ({detail}). Nothing was changed. Check that it runs, its address and its port, and try again."
                ),
            ),
            Trouble::Constraint | Trouble::Other => match &error {
                DbError::Migrate(MigrateError::VersionMismatch(_) | MigrateError::Dirty(_)) => newer(),
                DbError::Sqlx(sqlx::Error::Configuration(_)) => Self::failed("database_settings", sentence(&detail)),
                DbError::Sqlx(sqlx::Error::Database(refused)) if is_login(refused.code().as_deref()) => Self::failed(
                    "database_unreachable",
                    format!(
                        "The database server refuses the connection ({detail}). Check user, password and the database's name."
                    ),
                ),
                _ => Self::failed("database", format!("The database answered with an error: {detail}.")),
            },
        }
    }
}

fn newer() -> CliError {
    CliError::failed(
        "database_newer",
        "The database was made or changed by another, newer version of Counterfoil. Nothing was changed. Install that version or a later one.",
    )
}

/// PostgreSQL: wrong password, no such user, no such database, no rights.
fn is_login(code: Option<&str>) -> bool {
    matches!(code, Some("28000" | "28P01" | "3D000" | "42501"))
}

fn is_full(error: &DbError) -> bool {
    let DbError::Sqlx(sqlx::Error::Database(database)) = error else {
        return false;
    };
    // 53100: PostgreSQL; 13: SQLite.
    matches!(database.code().as_deref(), Some("53100" | "13"))
}

/// The driver's words, without "error returned from database" around them.
fn detail(error: &DbError) -> String {
    let words = match error {
        DbError::Sqlx(sqlx::Error::Database(database)) => database.message().to_owned(),
        DbError::Sqlx(other) => other.to_string(),
        other => other.to_string(),
    };
    words.trim().trim_end_matches('.').to_owned()
}

/// With a capital letter and a full stop.
fn sentence(words: &str) -> String {
    let mut letters = words.trim().trim_end_matches('.').chars();
    match letters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), letters.as_str()),
        None => String::new(),
    }
}
