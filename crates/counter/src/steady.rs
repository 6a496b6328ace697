//! Time that only moves forward and that nobody at the desk can set: what locks and limits are counted by.
//!
//! While the machine runs it is the machine's own count of time since boot. Over a restart it goes on from where it was
//! last written down, by as much as can be proven: by the time the new boot has lasted, or by what head office's clock
//! has moved on meanwhile. A lock may thus last longer than it says, never shorter.

use counterfoil_domain::time::Millis;
use sqlx::SqliteConnection;

use crate::{ambient::Clock, error::Result};

/// A mark: so much time had gone by at that moment.
#[derive(Debug, Clone, sqlx::FromRow)]
struct Mark {
    total: Millis,
    boot_id: String,
    awake: Millis,
    server_time: Millis,
}

fn since(mark: &Mark, boot_id: &str, awake: Millis, server_time: Millis) -> Millis {
    let gone_by = if mark.boot_id == boot_id {
        awake.saturating_sub(mark.awake)
    } else {
        awake.max(server_time.saturating_sub(mark.server_time))
    };
    mark.total.saturating_add(gone_by.max(0))
}

async fn server_time(db: &mut SqliteConnection) -> Result<Millis> {
    Ok(sqlx::query_scalar("SELECT server_time FROM identity")
        .fetch_optional(db)
        .await?
        .unwrap_or(0))
}

/// How much time has gone by.
pub async fn now(db: &mut SqliteConnection, clock: &dyn Clock) -> Result<Millis> {
    let mark: Option<Mark> = sqlx::query_as("SELECT total, boot_id, awake, server_time FROM steady")
        .fetch_optional(&mut *db)
        .await?;
    let Some(mark) = mark else { return Ok(0) };
    let heard = server_time(db).await?;
    Ok(since(&mark, &clock.boot_id(), clock.awake_or_asleep(), heard))
}

/// The same, written down: for whoever writes down what is counted by it.
pub async fn mark(db: &mut SqliteConnection, clock: &dyn Clock) -> Result<Millis> {
    let total = now(db, clock).await?;
    let heard = server_time(db).await?;
    sqlx::query(
        "INSERT INTO steady (one, total, boot_id, awake, server_time) VALUES (1, ?1, ?2, ?3, ?4) \
         ON CONFLICT (one) DO UPDATE SET total = ?1, boot_id = ?2, awake = ?3, server_time = ?4",
    )
    .bind(total)
    .bind(clock.boot_id())
    .bind(clock.awake_or_asleep())
    .bind(heard)
    .execute(db)
    .await?;
    Ok(total)
}

#[cfg(test)]
mod tests {
    use counterfoil_domain::time::{HOUR, MINUTE};

    use super::*;

    #[test]
    fn it_goes_on_by_what_can_be_proven_and_never_back() {
        let mark = Mark {
            total: 1_000,
            boot_id: "one".into(),
            awake: 5 * MINUTE,
            server_time: 7 * HOUR,
        };
        for (boot_id, awake, server_time, gone_by) in [
            ("one", 6 * MINUTE, 7 * HOUR, MINUTE),
            // Head office's clock has no say while the machine runs.
            ("one", 6 * MINUTE, 9 * HOUR, MINUTE),
            ("one", 4 * MINUTE, 7 * HOUR, 0),
            ("two", 2 * MINUTE, 7 * HOUR, 2 * MINUTE),
            ("two", 2 * MINUTE, 9 * HOUR, 2 * HOUR),
            ("two", 0, 6 * HOUR, 0),
        ] {
            let now = since(&mark, boot_id, awake, server_time);
            assert_eq!(now, 1_000 + gone_by, "{boot_id} {awake} {server_time}");
        }
    }
}
