//! Clerks, their PINs, and who is signed in.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use argon2::{
    Argon2,
    password_hash::{PasswordHash, PasswordVerifier},
};
use counterfoil_domain::{
    ids::{ClerkId, StoreId},
    people::{Clerk, PIN_LOCK, PIN_TRIES, Role, pin_is_well_formed},
    time::{MINUTE, Millis},
};
use serde::Serialize;
use sqlx::SqliteConnection;

use crate::{
    Inner,
    db::Fault,
    error::{Error, Result},
    identity, replica, steady,
};

/// How long nobody may touch the counter before it locks.
const AUTO_LOCK: Millis = 10 * MINUTE;

/// A person at this store, for the sign-in screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// Their id.
    pub id: ClerkId,
    /// Their name.
    pub name: String,
    /// Clerk or manager.
    pub role: Role,
    /// After too many wrong PINs: until when, by this device's clock.
    pub locked_until: Option<Millis>,
}

impl Person {
    fn of(clerk: &Clerk, locked_until: Option<Millis>) -> Self {
        Self {
            id: clerk.id,
            name: clerk.name.clone(),
            role: clerk.role,
            locked_until,
        }
    }
}

/// Who is signed in. In memory only.
#[derive(Debug)]
pub(crate) struct Session {
    state: Mutex<(Option<(Person, Millis)>, Millis)>,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            state: Mutex::new((None, AUTO_LOCK)),
        }
    }
}

impl Session {
    pub(crate) fn set(&self, person: Option<Person>, monotonic: Millis) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = person.map(|person| (person, monotonic));
    }

    pub(crate) fn set_auto_lock(&self, after: Duration) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 = Millis::try_from(after.as_millis()).unwrap_or(Millis::MAX);
    }

    /// Who is signed in; `touch` counts as a sign of life.
    pub(crate) fn current(&self, monotonic: Millis, touch: bool) -> Option<Person> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let lasts = state.1;
        let (person, used) = state.0.as_mut()?;
        if monotonic.saturating_sub(*used) > lasts {
            state.0 = None;
            return None;
        }
        if touch {
            *used = monotonic;
        }
        Some(person.clone())
    }
}

/// Wrong PINs in a row, and when the lock that they brought ends, in [`steady`] time.
async fn failures(db: &mut SqliteConnection, clerk: ClerkId) -> Result<(i64, Option<Millis>)> {
    Ok(
        sqlx::query_as("SELECT failures, lock_ends FROM pin_failures WHERE clerk = ?")
            .bind(clerk.bytes().as_slice())
            .fetch_optional(db)
            .await?
            .unwrap_or((0, None)),
    )
}

/// Everybody who may work at this store.
pub(crate) async fn everybody(inner: &Inner) -> Result<Vec<Person>> {
    let db = &mut *inner.db.read().await?;
    let who = identity::load(db).await?;
    let now = steady::now(db, inner).await?;
    let mut people = Vec::new();
    for clerk in replica::clerks(db, who.store.id).await? {
        let (_, lock_ends) = failures(db, clerk.id).await?;
        people.push(Person::of(&clerk, still_locked(inner, lock_ends, now)));
    }
    Ok(people)
}

/// Until when a lock still lasts, by this device's clock.
fn still_locked(inner: &Inner, lock_ends: Option<Millis>, now: Millis) -> Option<Millis> {
    let left = lock_ends?.saturating_sub(now);
    (left > 0).then(|| inner.clock.now().saturating_add(left))
}

/// A person of this store who still works here.
pub(crate) async fn known(db: &mut SqliteConnection, id: ClerkId, store: StoreId) -> Result<Clerk> {
    replica::clerk(db, id)
        .await?
        .filter(|clerk| clerk.active && clerk.store == store)
        .ok_or(Error::NotAllowed)
}

/// Checks a PIN. Wrong ones are counted, on disk, before anybody hears that they were wrong.
async fn check_pin(inner: &Inner, id: ClerkId, pin: &str) -> Result<Clerk> {
    if !pin_is_well_formed(pin) {
        return Err(Error::PinTooShort);
    }
    // One at a time, or many guesses at once would all see the same count.
    let _turn = inner.pin_turn.lock().await;
    let mut db = inner.db.read().await?;
    let who = identity::load(&mut db).await?;
    let clerk = known(&mut db, id, who.store.id).await?;
    let (failed, lock_ends) = failures(&mut db, id).await?;
    let now = steady::now(&mut db, inner).await?;
    drop(db);
    if let Some(until) = still_locked(inner, lock_ends, now) {
        return Err(Error::PinLocked { until });
    }
    if verify(pin, clerk.pin_hash.clone()).await? {
        if failed > 0 || lock_ends.is_some() {
            note(inner, id, 0, false).await?;
        }
        return Ok(clerk);
    }
    let failed = failed.saturating_add(1);
    let left = PIN_TRIES.saturating_sub(u32::try_from(failed).unwrap_or(u32::MAX));
    if left == 0 {
        note(inner, id, 0, true).await?;
        inner.changed();
        return Err(Error::PinLocked {
            until: inner.clock.now().saturating_add(PIN_LOCK),
        });
    }
    note(inner, id, failed, false).await?;
    Err(Error::WrongPin { left })
}

async fn note(inner: &Inner, id: ClerkId, failed: i64, locked: bool) -> Result<()> {
    let mut writer = inner.db.write().await;
    let mut tx = writer.begin().await?;
    let now = steady::mark(&mut tx, inner).await?;
    sqlx::query(
        "INSERT INTO pin_failures (clerk, failures, lock_ends) VALUES (?1, ?2, ?3) \
         ON CONFLICT (clerk) DO UPDATE SET failures = ?2, lock_ends = ?3",
    )
    .bind(id.bytes().as_slice())
    .bind(failed)
    .bind(locked.then(|| now.saturating_add(PIN_LOCK)))
    .execute(&mut *tx)
    .await?;
    tx.commit("pin").await?;
    Ok(())
}

async fn verify(pin: &str, hash: String) -> Result<bool> {
    let pin = zeroize::Zeroizing::new(pin.to_owned());
    tokio::task::spawn_blocking(move || {
        let hash = PasswordHash::new(&hash)
            .map_err(|error| Error::database(Fault::Corrupt, format!("a PIN's hash: {error}")))?;
        Ok(Argon2::default().verify_password(pin.as_bytes(), &hash).is_ok())
    })
    .await
    .map_err(|error| Error::Internal(error.to_string()))?
}

/// Signs somebody in.
pub(crate) async fn sign_in(inner: &Inner, id: ClerkId, pin: &str) -> Result<Person> {
    let person = Person::of(&check_pin(inner, id, pin).await?, None);
    inner.session.set(Some(person.clone()), inner.clock.monotonic());
    inner.changed();
    Ok(person)
}

/// Checks the PIN of somebody who approves on the spot, and that they may.
pub(crate) async fn approve(inner: &Inner, id: ClerkId, pin: &str) -> Result<Clerk> {
    let approver = check_pin(inner, id, pin).await?;
    if !approver.role.may_approve() {
        return Err(Error::NotAllowed);
    }
    Ok(approver)
}
