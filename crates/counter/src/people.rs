//! Clerks and their PINs.

use argon2::{
    Argon2,
    password_hash::{self, PasswordVerifier, phc::PasswordHash},
};
use counterfoil_domain::{
    ids::{ClerkId, StoreId},
    people::{Clerk, PIN_LOCK, PIN_TRIES, pin_is_well_formed},
    time::Millis,
};
use sqlx::SqliteConnection;

pub use crate::session::Person;
use crate::{
    db::Fault,
    error::{Error, Result},
    identity,
    inner::Inner,
    replica, steady,
};

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
    let now = steady::now(db, &*inner.clock).await?;
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
    let now = steady::now(&mut db, &*inner.clock).await?;
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
    let now = steady::mark(&mut tx, &*inner.clock).await?;
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
        match Argon2::default().verify_password(pin.as_bytes(), &hash) {
            Ok(()) => Ok(true),
            Err(password_hash::Error::PasswordInvalid) => Ok(false),
            // Nothing was found out about the PIN, so it counts for no wrong one.
            Err(error) => Err(Error::Internal(format!("checking a PIN: {error}"))),
        }
    })
    .await?
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with another program, of the work that head office asks for.
    const STORED: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$BQwcjWFzRAI1Q16PDj55S/QQaZZqb6L7ldKisiD2HVI";

    #[tokio::test]
    async fn a_pin_is_checked_with_the_work_that_its_stored_hash_names() {
        assert!(verify("482913", STORED.to_owned()).await.unwrap());
        assert!(!verify("482914", STORED.to_owned()).await.unwrap());
        let other_work = STORED.replace("t=2", "t=3");
        assert!(!verify("482913", other_work).await.unwrap());
    }

    #[tokio::test]
    async fn a_hash_that_cannot_be_checked_is_no_wrong_pin() {
        for damaged in ["", "482913", &STORED.replace("argon2id", "scrypt")] {
            assert!(verify("482913", damaged.to_owned()).await.is_err(), "{damaged}");
        }
    }
}
