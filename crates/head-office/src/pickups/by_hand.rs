//! Pickup orders made by hand.

use counterfoil_domain::{
    ids::{OrderId, StoreId, TenantId},
    people::Member,
    pickup_codes::Owner,
    pickups::{Order, OrderLine, OrderState},
    time::{DAY, Millis},
};
use sqlx::AnyConnection;

use super::{
    codes::{self, FromSystem},
    policies, rows,
};
use crate::{
    clock::{Clock, Random},
    coupons::card,
    db::{Db, Trouble},
    deed::{Actor, AdminError, Deed, check_name, fresh},
    feed::Item,
    members, stores,
};

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
    let policy = policies::newest(&mut deed, tenant).await?;
    let owner = member
        .as_ref()
        .map_or(Owner::Number(new.number), |member| Owner::Member(member.id));
    let shard = policy.shards.of(tenant, owner);
    let place = stores::rows::place(&mut deed, tenant, new.store).await?;
    let id = OrderId::sharded(place, shard, now, fresh(random)?);
    let code = match new.code {
        Some(typed) => {
            let read = policy
                .read(typed)
                .filter(|read| read.shard.is_none_or(|said| said == shard));
            let code = read
                .ok_or_else(|| AdminError::malformed("code", "a code of the chain's policy, in the order's shard"))?;
            let wanted = [code.code];
            if !rows::taken_codes(&mut deed, tenant, shard, &wanted).await?.is_empty() {
                let [name] = wanted;
                return Err(AdminError::Taken {
                    what: "pickup code",
                    name,
                });
            }
            let [code] = wanted;
            code
        }
        None => {
            let mut draw = FromSystem(random);
            let issued = codes::issue(&mut deed, tenant, &policy, &[(id, new.number)], &mut draw, now).await?;
            issued.0.into_iter().next().ok_or(AdminError::CodesFull)?
        }
    };
    let order = Order {
        id,
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
    codes::store(&mut deed, tenant, &policy, &[order], now).await?;
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
