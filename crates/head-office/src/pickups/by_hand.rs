//! Pickup orders made by hand.

use std::collections::BTreeSet;

use counterfoil_domain::{
    codes::pickup_code,
    ids::{OrderId, StoreId, TenantId},
    people::Member,
    pickups::{Order, OrderLine, OrderState},
    time::{DAY, Millis},
    typed,
};
use sqlx::AnyConnection;

use super::rows;
use crate::{
    clock::{Clock, Random},
    coupons::card,
    db::{Db, DbError, Trouble},
    deed::{Actor, AdminError, Deed, check_name, fresh},
    feed::Item,
    members, stores,
};

/// The shard of this database: there is one so far.
pub(crate) const SHARD: u8 = 0;
/// Candidates of the first query; each further one doubles them.
const FIRST_CANDIDATES: usize = 4;
/// Queries before the shard counts as full: 4, 8, 16, 32, 64 candidates.
const QUERIES: u32 = 5;
/// How often an order is tried again when somebody else took its code first.
const TRIES: usize = 4;

/// An order to be.
#[derive(Debug, Clone)]
pub struct NewOrder<'a> {
    /// Where it waits.
    pub store: StoreId,
    /// The order number people know.
    pub number: &'a str,
    /// Its pickup code; made when absent.
    pub code: Option<&'a str>,
    /// What waits.
    pub lines: Vec<OrderLine>,
    /// Who may collect, in words.
    pub collector: &'a str,
    /// The number of the member whose it is.
    pub member: Option<&'a str>,
    /// How many days it waits; `None` = open.
    pub days: Option<u32>,
}

/// An order that was added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedOrder {
    /// Its id.
    pub id: OrderId,
    /// Its pickup code.
    pub code: String,
}

/// Adds a pickup order and tells its store's counters.
///
/// # Errors
/// [`AdminError`].
pub async fn add_order(
    db: &Db,
    clock: &dyn Clock,
    random: &dyn Random,
    tenant: TenantId,
    new: &NewOrder<'_>,
) -> Result<AddedOrder, AdminError> {
    check_name("number", new.number)?;
    check_name("collector", new.collector)?;
    check_lines(&new.lines)?;
    let mut tries = 0;
    loop {
        tries += 1;
        match attempt(db, clock.now(), random, tenant, new).await {
            Err(AdminError::Db(error)) if error.trouble() == Trouble::Again && tries < TRIES => {}
            done => return done,
        }
    }
}

async fn attempt(
    db: &Db,
    now: Millis,
    random: &dyn Random,
    tenant: TenantId,
    new: &NewOrder<'_>,
) -> Result<AddedOrder, AdminError> {
    let mut lease = db.lease().await?;
    let mut deed = Deed::new(lease.begin().await?, random, Actor::admin(tenant), now);
    if rows::number_exists(&mut deed, tenant, new.number).await? {
        return Err(AdminError::Taken {
            what: "order",
            name: new.number.to_owned(),
        });
    }
    let member = match new.member {
        None => None,
        Some(number) => Some(find_member(&mut deed, tenant, number).await?),
    };
    let code = match new.code {
        Some(code) => {
            let code = typed::pickup_code(code).ok_or_else(|| AdminError::malformed("code", "8 digits"))?;
            let wanted = [code.clone()];
            if !rows::taken_codes(&mut deed, tenant, &wanted).await?.is_empty() {
                return Err(AdminError::Taken {
                    what: "pickup code",
                    name: code,
                });
            }
            code
        }
        None => free_code(&mut deed, tenant, &BTreeSet::new(), &mut FromSystem(random)).await?,
    };
    let place = stores::rows::place(&mut deed, tenant, new.store).await?;
    let order = Order {
        id: OrderId::placed(place, now, fresh(random)?),
        number: new.number.to_owned(),
        code: code.clone(),
        store: new.store,
        member: member.as_ref().map(|member| member.id),
        collector: new.collector.to_owned(),
        deadline: new.days.map(|days| now + i64::from(days) * DAY),
        lines: new.lines.clone(),
        state: OrderState::Ready { freeze: None },
        version: 1,
        surplus: Vec::new(),
        told: Vec::new(),
    };
    let id = order.id;
    rows::insert(&mut deed, tenant, &[order], now).await?;
    let lock = db.dialect().lock_suffix();
    if let Some(member) = member
        && let Some((version, member)) = members::rows::load(&mut deed, tenant, &[member.id], lock).await?.pop()
    {
        card::hold(&mut deed, (version, member), new.store).await?;
    }
    deed.tell(new.store, Item::Order(id));
    deed.audit("order.added", new.number).await?;
    deed.commit("admin.attempt").await?;
    Ok(AddedOrder { id, code })
}

fn check_lines(lines: &[OrderLine]) -> Result<(), AdminError> {
    let fits = !lines.is_empty()
        && lines
            .iter()
            .all(|line| !line.sku.is_empty() && line.quantity >= 1 && line.unit_price >= 0)
        && lines
            .iter()
            .try_fold(0i64, |sum, line| {
                sum.checked_add(line.unit_price.checked_mul(line.quantity)?)
            })
            .is_some();
    if fits {
        return Ok(());
    }
    Err(AdminError::malformed(
        "lines",
        "at least one line with sku, quantity from 1 and unit_price from 0",
    ))
}

/// The member with this number.
pub(crate) async fn find_member(
    connection: &mut AnyConnection,
    tenant: TenantId,
    number: &str,
) -> Result<Member, AdminError> {
    members::rows::by_number(connection, tenant, number)
        .await?
        .ok_or_else(|| AdminError::NotFound(format!("there is no member {number}")))
}

/// Where numbers for pickup codes come from.
pub(crate) trait Candidates {
    /// The next one.
    fn next(&mut self) -> Result<u32, DbError>;
}

/// Numbers of the system's randomness.
pub(crate) struct FromSystem<'a>(pub(crate) &'a dyn Random);

impl Candidates for FromSystem<'_> {
    fn next(&mut self) -> Result<u32, DbError> {
        Ok(u32::from_be_bytes(fresh(self.0)?))
    }
}

/// The first candidate, unchecked.
pub(crate) fn first_code(candidates: &mut dyn Candidates) -> Result<String, DbError> {
    pickup_code(candidates.next()?, SHARD).ok_or(DbError::Decode { column: "code" })
}

/// A pickup code that nobody holds: candidates in doubling batches, one query a batch. The unique index decides
/// when the order is stored. `promised` are codes that this transaction is about to store itself.
pub(crate) async fn free_code(
    connection: &mut AnyConnection,
    tenant: TenantId,
    promised: &BTreeSet<String>,
    candidates: &mut (dyn Candidates + Send),
) -> Result<String, AdminError> {
    for query in 0..QUERIES {
        let mut codes = Vec::new();
        for _ in 0..FIRST_CANDIDATES << query {
            codes.extend(pickup_code(candidates.next()?, SHARD));
        }
        let taken = rows::taken_codes(connection, tenant, &codes).await?;
        if let Some(free) = codes
            .into_iter()
            .find(|code| !taken.contains(code) && !promised.contains(code))
        {
            return Ok(free);
        }
    }
    Err(AdminError::CodesFull)
}
