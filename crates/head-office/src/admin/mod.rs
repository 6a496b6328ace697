//! What an empty head office needs first: tenants, stores, clerks, operators. Also what a person decides about a
//! device, and orders and coupons made by hand.
//!
//! Each change, its lines in the feeds and its line in the audit log commit together.

mod coupons;
mod devices;
mod error;
mod operators;
mod orders;
pub(crate) mod rows;
mod site;

use std::collections::BTreeMap;

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, SaltString},
};
use counterfoil_domain::{
    ids::{ClerkId, Place, StoreId, TenantId},
    offline::OfflineLimits,
    people::{Clerk, Role, Store, pin_is_well_formed},
    time::Millis,
};
pub use coupons::{Granted, NewGrant, code_policy, grant_coupons};
pub use devices::{Decided, LostDevice, new_epoch, new_epoch_of_damaged, readmit, revoke};
pub use error::AdminError;
pub use operators::{KnownOperator, NewOperator, add_operator, deactivate_operator, make_link_key, operators};
pub use orders::{AddedOrder, NewOrder, add_order};
pub(crate) use orders::{Candidates, first_code, free_code};
pub use site::{drop_webhook, set_webhook};
use sqlx::AnyConnection;

use crate::{
    clock::{self, Clock, Random},
    db::{Db, DbError, Trouble},
    stores::{self, enrol::audit},
    sync::feed::{self, Item, TENANT_FEED},
};

/// Who stands in the audit log for what is done on the command line.
const ACTOR: &str = "admin";
/// Longest name of anything.
const NAME_CHARACTERS: usize = 80;
/// Longest code of a tenant or a store.
const CODE_CHARACTERS: usize = 32;
/// Number of a tenant's first token key.
pub(crate) const FIRST_KEY: u32 = 1;

/// A tenant to be.
#[derive(Debug, Clone)]
pub struct NewTenant<'a> {
    /// Short code.
    pub code: &'a str,
    /// Name.
    pub name: &'a str,
    /// ISO 4217 code of its money.
    pub currency: &'a str,
}

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

/// What can be said of a new tenant without a database.
///
/// # Errors
/// [`AdminError`].
pub fn check_tenant(new: &NewTenant<'_>) -> Result<(), AdminError> {
    check_code("code", new.code)?;
    check_name("name", new.name)?;
    if new.currency.len() != 3 || !new.currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(AdminError::malformed("currency", "three capital letters, as CNY"));
    }
    Ok(())
}

/// Adds a tenant, with the key that its tokens are signed with and the key behind its coupon codes.
///
/// # Errors
/// [`AdminError`].
pub async fn add_tenant(
    db: &Db,
    clock: &dyn Clock,
    random: &dyn Random,
    new: &NewTenant<'_>,
) -> Result<TenantId, AdminError> {
    check_tenant(new)?;
    let mut lease = db.lease().await?;
    let mut transaction = lease.begin().await.map_err(AdminError::from)?;
    let tenant = insert_tenant(&mut transaction, clock.now(), random, new)
        .await
        .map_err(|error| taken(error, "tenant", new.code))?;
    transaction.commit("admin.add_tenant").await?;
    Ok(tenant)
}

/// The same within a transaction, unchecked.
pub(crate) async fn insert_tenant(
    connection: &mut AnyConnection,
    now: Millis,
    random: &dyn Random,
    new: &NewTenant<'_>,
) -> Result<TenantId, DbError> {
    let tenant = TenantId::new(now, fresh(random)?);
    rows::insert_tenant(connection, tenant, new, &fresh::<32>(random)?, now).await?;
    rows::insert_token_key(connection, tenant, FIRST_KEY, &fresh::<32>(random)?, now).await?;
    audit(connection, random, tenant, now, ACTOR, "tenant.added", new.code).await?;
    let news = BTreeMap::from([(TENANT_FEED, vec![Item::TokenKey(FIRST_KEY)])]);
    tell(connection, random, tenant, &news).await?;
    Ok(tenant)
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
    let mut transaction = lease.begin().await?;
    stores::rows::insert_store(&mut transaction, tenant, &store, &OfflineLimits::default(), now)
        .await
        .map_err(|error| taken(error, "store", new.code))?;
    audit(&mut transaction, random, tenant, now, ACTOR, "store.added", new.code).await?;
    let news = BTreeMap::from([
        (TENANT_FEED, vec![Item::Store(store.id)]),
        (store.id, vec![Item::Limits(store.id)]),
    ]);
    tell(&mut transaction, random, tenant, &news).await?;
    transaction.commit("admin.add_store").await?;
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
    let mut transaction = lease.begin().await?;
    let place = stores::rows::place(&mut transaction, tenant, store).await?;
    let clerk = Clerk {
        id: ClerkId::placed(place, now, fresh(random)?),
        store,
        name: new.name.to_owned(),
        role: new.role,
        pin_hash: hash,
        active: true,
    };
    stores::rows::insert_clerk(&mut transaction, tenant, &clerk, now)
        .await
        .map_err(|error| taken(error, "clerk", new.name))?;
    let detail = clerk.id.to_string();
    audit(&mut transaction, random, tenant, now, ACTOR, "clerk.added", &detail).await?;
    let news = BTreeMap::from([(store, vec![Item::Clerk(clerk.id)])]);
    tell(&mut transaction, random, tenant, &news).await?;
    transaction.commit("admin.add_clerk").await?;
    Ok(clerk.id)
}

/// The tenant of this code; without a code, the only one there is.
///
/// # Errors
/// [`AdminError::NotFound`] when there is none, or more than one and no code.
pub async fn find_tenant(db: &Db, code: Option<&str>) -> Result<TenantId, AdminError> {
    let mut snapshot = db.snapshot().await?;
    stores::rows::find_tenant(&mut snapshot, code).await.map_err(not_found)
}

/// The store of this code.
///
/// # Errors
/// [`AdminError::NotFound`] when there is none.
pub async fn find_store(db: &Db, tenant: TenantId, code: &str) -> Result<StoreId, AdminError> {
    let mut snapshot = db.snapshot().await?;
    stores::rows::find_store(&mut snapshot, tenant, code)
        .await
        .map_err(not_found)
}

/// The argon2id hash of a PIN.
///
/// # Errors
/// [`AdminError::Pin`] when its form is not acceptable.
pub fn hash_pin(random: &dyn Random, pin: &str) -> Result<String, AdminError> {
    if !pin_is_well_formed(pin) {
        return Err(AdminError::Pin);
    }
    let salt = SaltString::encode_b64(&fresh::<16>(random)?).map_err(|_| AdminError::Hash)?;
    let hash = Argon2::default()
        .hash_password(pin.as_bytes(), &salt)
        .map_err(|_| AdminError::Hash)?;
    Ok(hash.to_string())
}

/// `N` random bytes, or the error that everything here returns.
pub(crate) fn fresh<const N: usize>(random: &dyn Random) -> Result<[u8; N], DbError> {
    clock::bytes(random).map_err(|error| DbError::config(error.to_string()))
}

/// Appends to the feeds, with a mark of its own for this commit; to be called last before the commit.
pub(crate) async fn tell(
    connection: &mut AnyConnection,
    random: &dyn Random,
    tenant: TenantId,
    news: &BTreeMap<StoreId, Vec<Item>>,
) -> Result<(), DbError> {
    if news.is_empty() {
        return Ok(());
    }
    let mark = i64::from_be_bytes(fresh(random)?);
    feed::append(connection, tenant, news, mark).await.map(drop)
}

fn not_found(error: DbError) -> AdminError {
    match error {
        DbError::Config(message) => AdminError::NotFound(message),
        other => AdminError::Db(other),
    }
}

/// A broken constraint of an insert means that the name is taken: everything else was checked before.
fn taken(error: DbError, what: &'static str, name: &str) -> AdminError {
    if error.trouble() == Trouble::Constraint {
        return AdminError::Taken {
            what,
            name: name.to_owned(),
        };
    }
    AdminError::Db(error)
}

fn check_code(field: &'static str, code: &str) -> Result<(), AdminError> {
    let fits = !code.is_empty()
        && code.len() <= CODE_CHARACTERS
        && code
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if fits {
        return Ok(());
    }
    Err(AdminError::malformed(field, "1 to 32 letters, digits, - or _, as s-01"))
}

fn check_name(field: &'static str, name: &str) -> Result<(), AdminError> {
    let fits =
        !name.trim().is_empty() && name.chars().count() <= NAME_CHARACTERS && !name.chars().any(char::is_control);
    if fits {
        return Ok(());
    }
    Err(AdminError::malformed(field, "1 to 80 printable characters"))
}

fn check_time_zone(name: &str) -> Result<(), AdminError> {
    // A machine may have no database of time zones; then the name is taken as it is.
    let database = jiff::tz::db();
    if !name.is_empty() && (database.is_definitively_empty() || database.get(name).is_ok()) {
        return Ok(());
    }
    Err(AdminError::malformed("time-zone", "an IANA name, as Asia/Shanghai"))
}
