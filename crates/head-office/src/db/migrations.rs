//! The migrations, as each engine runs them.

use sqlx::{AssertSqlSafe, SqlSafeStr, migrate::Migrator};

use super::Dialect;

static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/head-office");

/// What a line begins with that only PostgreSQL runs; to SQLite it is a comment.
const ON_POSTGRES: &str = "-- PostgreSQL: ";

/// The migrations for this engine. Their checksums are those of the files, so both engines know the same ones.
pub(super) fn migrator(dialect: Dialect) -> Migrator {
    let mut migrations: Vec<_> = MIGRATOR.iter().cloned().collect();
    if dialect == Dialect::Postgres {
        for migration in &mut migrations {
            let sql = migration.sql.as_str().replace(ON_POSTGRES, "");
            migration.sql = AssertSqlSafe(sql).into_sql_str();
        }
    }
    Migrator::with_migrations(migrations)
}
