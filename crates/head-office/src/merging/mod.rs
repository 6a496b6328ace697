//! Two members who turn out to be one person: what the other one has becomes this one's, and their number finds this one.
//!
//! What is open moves: points and stored value with their lots, holds and debts, coupons, orders, exchanges, parcels,
//! addresses, messages. What is over stays where it was written: the other one's ledger ends with entries that say so, and
//! sales, claims and parts of grants still name them. Whoever names them later, a counter that was offline for instance,
//! means whom they are one with (`domain::transition::accounts`).

mod capability;
mod http;
mod rows;
mod rules;

pub use capability::CAPABILITY;
use std::collections::BTreeSet;

use counterfoil_domain::{
    ids::{CouponId, MemberId, OrderId, StoreId},
    people::Member,
    points::{Account, Cause, Reason},
    transition::State,
};
use counterfoil_protocol::problem::Code;

use crate::{
    coupons::{self, card},
    deed::Deed,
    feed::Item,
    http::ApiError,
    members, pickups,
    points::{rows as accounts, table::store_posted},
};

/// Stores that a member was seen in, at most.
const STORES: usize = 8;

/// Who was merged into whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merged {
    /// Who is no member of their own any more.
    pub from: MemberId,
    /// Who has everything.
    pub into: MemberId,
}

fn conflict(what: &str) -> ApiError {
    ApiError::detailed(Code::StateConflict, what)
}

async fn standing(deed: &mut Deed<'_>, number: &str) -> Result<Member, ApiError> {
    let tenant = deed.tenant();
    let found = members::rows::by_number(deed, tenant, number).await?;
    let member = found.ok_or_else(ApiError::not_found)?;
    if member.number != counterfoil_domain::typed::member_number(number) {
        return Err(conflict("this member was merged before"));
    }
    Ok(member)
}

/// Merges the member of one number into the member of another.
///
/// # Errors
/// `not_found`, `state_conflict`, `changed_meanwhile`, and the database's.
pub async fn merge(
    deed: &mut Deed<'_>,
    lock: &'static str,
    by: uuid::Uuid,
    from: &str,
    into: &str,
) -> Result<Merged, ApiError> {
    let tenant = deed.tenant();
    let (from, into) = (standing(deed, from).await?, standing(deed, into).await?);
    if from.id == into.id {
        return Err(conflict("they are one member already"));
    }
    // Held from here on: another process may merge one of them meanwhile, the other way round too.
    let both = members::rows::load_standing(deed, tenant, &[from.id, into.id], lock).await?;
    let versions = |id| {
        let found = both.iter().find(|(_, member)| member.id == id);
        found.cloned().ok_or_else(|| ApiError::new(Code::ChangedMeanwhile))
    };
    let ((_, from), (version, mut into)) = (versions(from.id)?, versions(into.id)?);
    let (coupons, orders) = rows::things_of(deed, from.id).await?;
    move_account(deed, lock, by, &from, &into).await?;
    rows::move_all(deed, by, from.id, into.id).await?;
    // Everybody who held one of them hears of both: they forget the one, and have all that is the other's.
    let mut stores = into.recent_stores.clone();
    let others = from
        .recent_stores
        .iter()
        .filter(|store| !into.recent_stores.contains(store));
    stores.extend(others);
    into.recent_stores = stores.iter().copied().take(STORES).collect();
    members::rows::update_stores(deed, tenant, &[(version, &into)]).await?;
    let all = card::with_templates(deed, tenant, into.id).await?;
    for store in &stores {
        let of_from = card::with_templates(deed, tenant, from.id).await?;
        for item in of_from.iter().chain(&all) {
            deed.tell(*store, *item);
        }
    }
    tell_of_things(deed, &stores, &coupons, &orders).await?;
    deed.audit("member.merged", &format!("{} {}", from.id, into.id)).await?;
    Ok(Merged {
        from: from.id,
        into: into.id,
    })
}

/// Who holds a copy of what has moved beside the members' stores hears of it too.
async fn tell_of_things(
    deed: &mut Deed<'_>,
    stores: &[StoreId],
    coupons: &[CouponId],
    orders: &[OrderId],
) -> Result<(), ApiError> {
    let tenant = deed.tenant();
    for coupon in coupons::rows::load(deed, tenant, coupons, "").await? {
        let told: BTreeSet<StoreId> = coupon
            .told
            .iter()
            .chain(&coupon.home_store)
            .chain(stores)
            .copied()
            .collect();
        for store in told {
            deed.tell(store, Item::Coupon(coupon.id));
        }
    }
    for order in pickups::rows::load(deed, tenant, orders, "").await? {
        let told: BTreeSet<StoreId> = order.told.iter().copied().chain([order.store]).collect();
        for store in told {
            deed.tell(store, Item::Order(order.id));
        }
    }
    Ok(())
}

async fn move_account(
    deed: &mut Deed<'_>,
    lock: &'static str,
    by: uuid::Uuid,
    from: &Member,
    into: &Member,
) -> Result<(), ApiError> {
    let (tenant, now) = (deed.tenant(), deed.now());
    let found = accounts::load(deed, tenant, &[from.id, into.id], lock).await?;
    let of = |id: MemberId| {
        let known = found.iter().find(|account| account.member == id);
        known.cloned().unwrap_or_else(|| Account::new(id))
    };
    let (mut left, mut right) = (of(from.id), of(into.id));
    let cause = Cause {
        actor: Some(by),
        note: Some(from.number.as_str().into()),
        ..Cause::own(Reason::Merged, now)
    };
    let posted = left
        .merge_into(&mut right, &cause)
        .map_err(|_| conflict("together they have more than an account may hold"))?;
    for operation in left.latest.iter().rev() {
        right.posted_by(*operation);
    }
    let versions = (left.version, right.version);
    left.version += 1;
    right.version += 1;
    let (mut changed, mut added) = (Vec::new(), Vec::new());
    for (version, account) in [(versions.0, &left), (versions.1, &right)] {
        match version {
            0 => added.push(account),
            version => changed.push((version, account)),
        }
    }
    if !changed.is_empty() {
        accounts::update(deed, tenant, &changed).await?;
    }
    if !added.is_empty() {
        accounts::insert(deed, tenant, &added).await?;
    }
    let mut state = State::default();
    state.accounts.insert(from.id, Some(left));
    state.accounts.insert(into.id, Some(right));
    store_posted(deed, tenant, &state, &posted).await?;
    Ok(())
}
