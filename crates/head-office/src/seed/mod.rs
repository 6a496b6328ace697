//! Demo and load data. The same seed gives the same rows, so doing it twice adds nothing twice, and asking for more
//! adds the rest. Secrets (keys, salts) are random all the same.

mod accounts;
mod filling;
mod making;
mod numbers;
mod products;
mod seeded;
mod shown;
mod templates;
mod words;

use counterfoil_domain::{ids::TenantId, people::Store, time::Millis};
use filling::CHUNK;
use numbers::Ids;
pub use seeded::{Added, Seeded, SeededClerk, SeededCoupon, SeededMember, SeededProduct, SeededStore};
use templates::NewTemplate;

use crate::{
    clock::{Clock, Random},
    db::{Db, DbError},
};

/// Code of the tenant that demo data belongs to.
pub const TENANT: &str = "demo";
/// Largest seed: five digits of members' and orders' numbers.
pub const LARGEST_SEED: u64 = 99_999;
/// Most stores.
pub const MOST_STORES: u64 = 10_000;
/// Most members of a seed: seven digits of their number.
pub const MOST_MEMBERS: u64 = 9_999_999;
/// Most coupons of a seed.
pub const MOST_COUPONS: u64 = 50_000_000;
/// Most pickup orders: half of the shard's codes.
pub const MOST_PICKUPS: u64 = 500_000;

/// How much there is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Which data.
    pub seed: u64,
    /// Stores, from `s-01`.
    pub stores: u64,
    /// Members, spread over the stores.
    pub members: u64,
    /// Coupons, spread over stores, members and templates.
    pub coupons: u64,
    /// Pickup orders, spread over the stores.
    pub pickups: u64,
}

impl Plan {
    /// Enough to look around.
    pub const DEMO: Self = Self {
        seed: 1,
        stores: 3,
        members: 60,
        coupons: 240,
        pickups: 40,
    };

    /// Whether there may be so much.
    ///
    /// # Errors
    /// [`DbError::Config`] when it is too much.
    pub fn check(&self) -> Result<(), DbError> {
        for (what, value, least, most) in [
            ("--seed", self.seed, 0, LARGEST_SEED),
            ("--stores", self.stores, 1, MOST_STORES),
            ("--members", self.members, 0, MOST_MEMBERS),
            ("--coupons", self.coupons, 0, MOST_COUPONS),
            ("--pickups", self.pickups, 0, MOST_PICKUPS),
        ] {
            if !(least..=most).contains(&value) {
                return Err(DbError::config(format!("{what} must be {least} to {most}")));
            }
        }
        Ok(())
    }
}

/// What the parts of a seed share while it works.
struct Work<'a> {
    db: &'a Db,
    random: &'a dyn Random,
    now: Millis,
    plan: Plan,
    tenant: TenantId,
    currency: String,
    code_key: [u8; 32],
    stores: Vec<Store>,
    templates: Vec<NewTemplate>,
    ids: Ids,
    added: Added,
}

/// Makes the data; what is there already stays as it is.
///
/// # Errors
/// The database's, and [`DbError::Config`] when the plan is too large.
pub async fn seed(db: &Db, clock: &dyn Clock, random: &dyn Random, plan: &Plan) -> Result<Seeded, DbError> {
    plan.check()?;
    let mut work = Work::begin(db, clock, random, *plan).await?;
    work.clerks().await?;
    work.templates().await?;
    work.products().await?;
    for from in (0..plan.members).step_by(CHUNK as usize) {
        work.members(from).await?;
    }
    work.accounts().await?;
    for from in (0..plan.coupons).step_by(CHUNK as usize) {
        work.coupons(from).await?;
    }
    for from in (0..plan.pickups).step_by(CHUNK as usize) {
        work.pickups(from).await?;
    }
    work.show().await
}
