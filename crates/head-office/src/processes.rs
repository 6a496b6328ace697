//! Which processes work on this database, and what each of them does.

use std::{sync::Arc, time::Duration};

use counterfoil_domain::{
    time::{MINUTE, Millis, SECOND},
    words::Word,
};
use sqlx::{AnyConnection, Row};

use crate::{app::App, clock, db::DbError};

/// How often a process says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long after it last said so it counts as alive.
const ALIVE: Millis = 15 * SECOND;
/// How long one that is silent is remembered.
const REMEMBERED: Millis = 10 * MINUTE;

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, strum::IntoStaticStr, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Role {
    /// Answers people and counters.
    Api,
    /// Ships what was exchanged or bought.
    Fulfilment,
    /// Does what is due at some time, and everything else.
    Jobs,
}

impl Role {
    /// All of them: what a process does that is alone.
    pub const ALL: [Self; 3] = [Self::Api, Self::Fulfilment, Self::Jobs];
}

/// Says again and again that this process lives, until `app.stopping` is cancelled; then that it does no more.
pub fn start(app: &Arc<App>, roles: &[Role]) {
    let words: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
    let (app, roles) = (Arc::clone(app), words.join(","));
    app.tasks.clone().spawn(async move {
        let id: [u8; 16] = match clock::bytes(app.random.as_ref()) {
            Ok(id) => id,
            Err(error) => return tracing::error!(%error, "nobody hears that this process lives"),
        };
        let started_at = app.clock.now();
        loop {
            if let Err(error) = beat(&app, &id, &roles, started_at).await {
                tracing::warn!(%error, "this process could not say that it lives");
            }
            let waited = app.stopping.run_until_cancelled(app.clock.sleep(HEARTBEAT));
            if waited.await.is_none() {
                break;
            }
        }
        if let Err(error) = leave(&app, &id).await {
            tracing::warn!(%error, "this process could not say that it ends");
        }
    });
}

/// Whether a process lives that has this role.
///
/// # Errors
/// The driver's.
pub async fn lives(connection: &mut AnyConnection, role: Role, now: Millis) -> Result<bool, DbError> {
    let rows = sqlx::query("SELECT roles FROM processes WHERE heartbeat_at > $1")
        .bind(now - ALIVE)
        .fetch_all(connection)
        .await?;
    for row in rows {
        let roles: String = row.try_get("roles")?;
        if roles.split(',').any(|word| word == role.as_str()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Says that a process lives, and forgets those that have not said so for long.
///
/// # Errors
/// The database's.
pub async fn beat(app: &App, id: &[u8; 16], roles: &str, started_at: Millis) -> Result<(), DbError> {
    let now = app.clock.now();
    let mut lease = app.db.lease().await?;
    let mut transaction = lease.begin().await?;
    sqlx::query("INSERT INTO processes (id, roles, version, started_at, heartbeat_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO UPDATE SET heartbeat_at = excluded.heartbeat_at")
        .bind(id.to_vec())
        .bind(roles.to_owned())
        .bind(env!("CARGO_PKG_VERSION"))
        .bind(started_at)
        .bind(now)
        .execute(&mut *transaction)
        .await?;
    sqlx::query("DELETE FROM processes WHERE heartbeat_at <= $1")
        .bind(now - REMEMBERED)
        .execute(&mut *transaction)
        .await?;
    transaction.commit("processes.beat").await
}

async fn leave(app: &App, id: &[u8; 16]) -> Result<(), DbError> {
    let mut lease = app.db.lease().await?;
    let mut transaction = lease.begin().await?;
    sqlx::query("DELETE FROM processes WHERE id = $1")
        .bind(id.to_vec())
        .execute(&mut *transaction)
        .await?;
    transaction.commit("processes.leave").await
}
