//! Adding stores and clerks.

use argon2::{Argon2, password_hash::PasswordHasher};
use counterfoil_domain::{
    ids::{ClerkId, Place, StoreId, TenantId},
    offline::OfflineLimits,
    people::{Clerk, Role, Store, pin_is_well_formed},
};

use super::rows;
use crate::{
    clock::{Clock, Random},
    db::Db,
    deed::{Actor, AdminError, Deed, check_code, check_name, fresh, not_found, taken},
    feed::{Item, TENANT_FEED},
};

/// A store to be.
#[derive(Debug, Clone)]
pub struct NewStore<'a> {
    /// Short code.
    pub code: &'a str,
    /// Chinese name.
    pub name_zh: &'a str,
    /// English name.
    pub name_en: &'a str,
    /// IANA time zone.
    pub time_zone: &'a str,
    /// Its place, in the ids of what happens there.
    pub place: Place,
}

/// A clerk to be.
#[derive(Debug, Clone)]
pub struct NewClerk<'a> {
    /// Name as shown on the sign-in screen.
    pub name: &'a str,
    /// Clerk or manager.
    pub role: Role,
    /// The PIN; only its hash is kept.
    pub pin: &'a str,
}

/// Adds a store with the default limits.
///
/// # Errors
/// [`AdminError`].
pub async fn add_store(
    db: &Db,
    clock: &dyn Clock,
    random: &dyn Random,
    tenant: TenantId,
    new: &NewStore<'_>,
) -> Result<StoreId, AdminError> {
    check_code("code", new.code)?;
    check_name("name-zh", new.name_zh)?;
    check_name("name-en", new.name_en)?;
    check_time_zone(new.time_zone)?;
    let now = clock.now();
    let store = Store {
        id: StoreId::placed(new.place, now, fresh(random)?),
        code: new.code.to_owned(),
        name_zh: new.name_zh.to_owned(),
        name_en: new.name_en.to_owned(),
        time_zone: new.time_zone.to_owned(),
    };
    let mut lease = db.lease().await?;
    let mut deed = Deed::new(lease.begin().await?, random, Actor::admin(tenant), now);
    rows::insert_store(&mut deed, tenant, &store, &OfflineLimits::default(), now)
        .await
        .map_err(|error| taken(error, "store", new.code))?;
    deed.audit("store.added", new.code).await?;
    deed.tell(TENANT_FEED, Item::Store(store.id));
    deed.tell(store.id, Item::Limits(store.id));
    deed.commit("admin.add_store").await?;
    Ok(store.id)
}

/// Adds a clerk or a manager.
///
/// # Errors
/// [`AdminError`].
pub async fn add_clerk(
    db: &Db,
    clock: &dyn Clock,
    random: &dyn Random,
    tenant: TenantId,
    store: StoreId,
    new: &NewClerk<'_>,
) -> Result<ClerkId, AdminError> {
    check_name("name", new.name)?;
    let now = clock.now();
    let hash = hash_pin(random, new.pin)?;
    let mut lease = db.lease().await?;
    let mut deed = Deed::new(lease.begin().await?, random, Actor::admin(tenant), now);
    let place = rows::place(&mut deed, tenant, store).await?;
    let clerk = Clerk {
        id: ClerkId::placed(place, now, fresh(random)?),
        store,
        name: new.name.to_owned(),
        role: new.role,
        pin_hash: hash,
        active: true,
    };
    rows::insert_clerk(&mut deed, tenant, &clerk, now)
        .await
        .map_err(|error| taken(error, "clerk", new.name))?;
    let detail = clerk.id.to_string();
    deed.audit("clerk.added", &detail).await?;
    deed.tell(store, Item::Clerk(clerk.id));
    deed.commit("admin.add_clerk").await?;
    Ok(clerk.id)
}

/// The store of this code.
///
/// # Errors
/// [`AdminError::NotFound`] when there is none.
pub async fn find_store(db: &Db, tenant: TenantId, code: &str) -> Result<StoreId, AdminError> {
    let mut snapshot = db.snapshot().await?;
    rows::find_store(&mut snapshot, tenant, code).await.map_err(not_found)
}

/// The argon2id hash of a PIN.
///
/// # Errors
/// [`AdminError::Pin`] when its form is not acceptable.
pub fn hash_pin(random: &dyn Random, pin: &str) -> Result<String, AdminError> {
    if !pin_is_well_formed(pin) {
        return Err(AdminError::Pin);
    }
    let hash = Argon2::default()
        .hash_password_with_salt(pin.as_bytes(), &fresh::<16>(random)?)
        .map_err(|_| AdminError::Hash)?;
    Ok(hash.to_string())
}

fn check_time_zone(name: &str) -> Result<(), AdminError> {
    // A machine may have no database of time zones; then the name is taken as it is.
    let database = jiff::tz::db();
    if !name.is_empty() && (database.is_definitively_empty() || database.get(name).is_ok()) {
        return Ok(());
    }
    Err(AdminError::malformed("time-zone", "an IANA name, as Asia/Shanghai"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::NoRandomness;

    #[derive(Debug)]
    struct Sevens;

    impl Random for Sevens {
        fn fill(&self, buffer: &mut [u8]) -> Result<(), NoRandomness> {
            buffer.fill(7);
            Ok(())
        }
    }

    #[test]
    fn a_pin_is_hashed_as_it_always_was() {
        // Databases hold such text, and older counters must be able to read it.
        assert_eq!(
            hash_pin(&Sevens, "482913").unwrap(),
            "$argon2id$v=19$m=19456,t=2,p=1$BwcHBwcHBwcHBwcHBwcHBw$oSZAG46nS6L4wvRxGE/yqFAFh1A08XCLDTb+Ed4S/NE"
        );
    }
}
