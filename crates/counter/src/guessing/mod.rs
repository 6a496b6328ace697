//! Somebody tries codes until one fits: counted, refused past a limit, told to head office.
//!
//! Counted are well-formed codes that nobody knew, each once a day, by who was signed in and for the device. Time is
//! [`crate::steady`]'s, so neither a restart nor the device's clock ends a block; a manager does. Signed tokens are not
//! counted and go on: they can't be guessed.

use counterfoil_domain::{
    ids::ClerkId,
    operations::{Action, FailedAttempt},
    time::{DAY, MINUTE, Millis},
    verdict::Reason,
};
use counterfoil_protocol::operation::Evidence;
use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::SqliteConnection;

use crate::{
    error::Result,
    honour::act,
    identity::Identity,
    inner::Inner,
    journal::{self, Draft, Title},
    people::{self, Person},
    steady,
};

/// Unknown codes of one clerk within [`CLERK_WINDOW`].
pub const CLERK_LIMIT: i64 = 5;
/// How long a clerk's unknown codes count against the clerk.
pub const CLERK_WINDOW: Millis = 15 * MINUTE;
/// Unknown codes of the device within [`DEVICE_WINDOW`].
pub const DEVICE_LIMIT: i64 = 20;
/// How long unknown codes count against the device.
pub const DEVICE_WINDOW: Millis = DAY;

/// Whose typed codes are refused at the moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockedClerk {
    /// Who.
    pub clerk: ClerkId,
    /// Until when, by this device's clock.
    pub until: Millis,
}

/// What was guessed at this device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Guessing {
    /// Unknown codes of the last day.
    pub device_today: i64,
    /// At so many typed codes are refused.
    pub device_limit: i64,
    /// Typed codes are refused to everybody.
    pub blocked: bool,
    /// And to these in any case.
    pub clerks: Vec<BlockedClerk>,
}

/// The n-th last of these codes counts until then: with it gone there is room again.
async fn full_until(
    db: &mut SqliteConnection,
    clerk: Option<ClerkId>,
    now: Millis,
    limit: i64,
    window: Millis,
) -> Result<Option<Millis>> {
    let at: Option<Millis> = sqlx::query_scalar(
        "SELECT at FROM guesses WHERE lifted_by IS NULL AND at > ?1 AND (?2 IS NULL OR clerk = ?2) \
         ORDER BY at DESC LIMIT 1 OFFSET ?3",
    )
    .bind(now.saturating_sub(window))
    .bind(clerk.map(|id| id.bytes().to_vec()))
    .bind(limit - 1)
    .fetch_optional(db)
    .await?;
    Ok(at.map(|at| at.saturating_add(window)))
}

/// Why a typed code of this clerk is not looked up now, if so. Times are by the device's clock, for people.
pub async fn against(db: &mut SqliteConnection, inner: &Inner, clerk: Option<ClerkId>) -> Result<Option<Reason>> {
    let now = steady::now(db, &*inner.clock).await?;
    let wall = |until: Millis| inner.clock.now().saturating_add(until.saturating_sub(now));
    if let Some(until) = full_until(db, None, now, DEVICE_LIMIT, DEVICE_WINDOW).await? {
        return Ok(Some(Reason::GuessingLimited {
            device: true,
            until: wall(until),
        }));
    }
    let Some(clerk) = clerk else { return Ok(None) };
    let until = full_until(db, Some(clerk), now, CLERK_LIMIT, CLERK_WINDOW).await?;
    Ok(until.map(|until| Reason::GuessingLimited {
        device: false,
        until: wall(until),
    }))
}

/// Notes a code that nobody knew, and journals it: on the disk before anybody hears that it is unknown. The same code
/// again is a misprint, not another guess.
pub async fn note(inner: &Inner, who: &Identity, clerk: Option<&Person>, code: &str) -> Result<()> {
    let digest = hex::encode(Sha256::digest(code.as_bytes()));
    let mut writer = inner.db.write().await;
    let mut tx = writer.begin().await?;
    let now = steady::mark(&mut tx, &*inner.clock).await?;
    sqlx::query("DELETE FROM guesses WHERE at <= ?")
        .bind(now.saturating_sub(DEVICE_WINDOW))
        .execute(&mut *tx)
        .await?;
    let noted = sqlx::query(
        "INSERT INTO guesses (at, clerk, digest) SELECT ?1, ?2, ?3 WHERE NOT EXISTS \
         (SELECT 1 FROM guesses WHERE digest = ?3 AND clerk IS ?2 AND lifted_by IS NULL)",
    )
    .bind(now)
    .bind(clerk.map(|clerk| clerk.id.bytes().to_vec()))
    .bind(&digest)
    .execute(&mut *tx)
    .await?
    .rows_affected();
    if noted == 0 {
        return tx.rollback().await;
    }
    let draft = Draft {
        action: Action::FailedAttempt(FailedAttempt { digest }),
        clerk: clerk.map(|clerk| clerk.id),
        clerk_name: clerk.map(|clerk| clerk.name.clone()).unwrap_or_default(),
        title: Title {
            zh: "未知编码".into(),
            en: "Unknown code".into(),
        },
        member: None,
        evidence: Evidence::Code,
        confirmed: false,
        alone: journal::Alone::default(),
    };
    let wall = inner.clock.now();
    act(inner, tx, who, wall, draft, "guess").await?;
    Ok(())
}

/// What was guessed at this device lately.
pub async fn guessing(db: &mut SqliteConnection, inner: &Inner) -> Result<Guessing> {
    let now = steady::now(db, &*inner.clock).await?;
    let device_today: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM guesses WHERE lifted_by IS NULL AND at > ?")
        .bind(now.saturating_sub(DEVICE_WINDOW))
        .fetch_one(&mut *db)
        .await?;
    let busy: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT clerk FROM guesses WHERE lifted_by IS NULL AND at > ? AND clerk IS NOT NULL \
         GROUP BY clerk HAVING COUNT(*) >= ?",
    )
    .bind(now.saturating_sub(CLERK_WINDOW))
    .bind(CLERK_LIMIT)
    .fetch_all(&mut *db)
    .await?;
    let mut clerks = Vec::with_capacity(busy.len());
    for bytes in busy {
        let clerk = ClerkId::from_bytes(&bytes)?;
        if let Some(until) = full_until(db, Some(clerk), now, CLERK_LIMIT, CLERK_WINDOW).await? {
            clerks.push(BlockedClerk {
                clerk,
                until: inner.clock.now().saturating_add(until.saturating_sub(now)),
            });
        }
    }
    Ok(Guessing {
        device_today,
        device_limit: DEVICE_LIMIT,
        blocked: device_today >= DEVICE_LIMIT,
        clerks,
    })
}

/// A manager lets pass what was guessed, by one clerk or at the whole device, and ends the PIN locks of the same.
pub async fn lift(inner: &Inner, clerk: Option<ClerkId>, manager: ClerkId, pin: &str) -> Result<()> {
    let manager = people::approve(inner, manager, pin).await?;
    let mut writer = inner.db.write().await;
    let mut tx = writer.begin().await?;
    let clerk = clerk.map(|id| id.bytes().to_vec());
    sqlx::query("UPDATE guesses SET lifted_by = ?1 WHERE lifted_by IS NULL AND (?2 IS NULL OR clerk = ?2)")
        .bind(manager.id.bytes().as_slice())
        .bind(&clerk)
        .execute(&mut *tx)
        .await?;
    sqlx::query("DELETE FROM pin_failures WHERE ?1 IS NULL OR clerk = ?1")
        .bind(&clerk)
        .execute(&mut *tx)
        .await?;
    tx.commit("lift").await?;
    drop(writer);
    inner.changed();
    Ok(())
}

#[cfg(test)]
mod tests;
