//! Who hears of a change. One rule: **who was told of a row hears of every later change of it, or is told to forget.**
//!
//! A row is told to its own store, to the stores that hold its member, and to where something happens with it. A member
//! is held by a few stores; one that drops out hears of the member once more, sees that it is no longer among them, and
//! forgets member and coupons. What nobody's list says would be told is written into the row itself.

use super::{Changes, Entity, NeedKeys, State};
use crate::{
    coupons::Coupon,
    ids::{MemberId, StoreId},
    pickups::Order,
    planted,
    sales::Sale,
};

/// A row that counters hold copies of.
pub(super) trait Held {
    fn entity(&self) -> Entity;
    /// The store that always hears of it.
    fn home(&self) -> Option<StoreId>;
    /// Whose stores hear of it.
    fn member(&self) -> Option<MemberId>;
    /// Who else was told.
    fn told(&mut self) -> &mut Vec<StoreId>;
}

impl Held for Coupon {
    fn entity(&self) -> Entity {
        Entity::Coupon(self.id)
    }
    fn home(&self) -> Option<StoreId> {
        self.home_store
    }
    fn member(&self) -> Option<MemberId> {
        self.member
    }
    fn told(&mut self) -> &mut Vec<StoreId> {
        &mut self.told
    }
}

impl Held for Order {
    fn entity(&self) -> Entity {
        Entity::Order(self.id)
    }
    fn home(&self) -> Option<StoreId> {
        Some(self.store)
    }
    /// It is handed over where it waits: other stores that know its member need nothing of it.
    fn member(&self) -> Option<MemberId> {
        None
    }
    fn told(&mut self) -> &mut Vec<StoreId> {
        &mut self.told
    }
}

impl Held for Sale {
    fn entity(&self) -> Entity {
        Entity::Sale(self.id)
    }
    fn home(&self) -> Option<StoreId> {
        Some(self.store)
    }
    /// A sale is its store's, whoever bought.
    fn member(&self) -> Option<MemberId> {
        None
    }
    fn told(&mut self) -> &mut Vec<StoreId> {
        &mut self.told
    }
}

/// Tells of a row that changes, and notes in it whom nothing else would tell of the next change. `place` is the store
/// where it happens, if it happens in one.
pub(super) fn tell(
    state: &State,
    row: &mut impl Held,
    place: Option<StoreId>,
    changes: &mut Changes,
) -> Result<(), NeedKeys> {
    let mut stores: Vec<StoreId> = row.home().into_iter().collect();
    if let Some(id) = row.member() {
        if let Some(place) = place {
            seen(state, id, place, changes)?;
        }
        let known = changes.members.iter().find(|member| member.id == id);
        let member = match known {
            Some(member) => Some(member),
            None => state.member(id)?,
        };
        stores.extend(member.iter().flat_map(|member| &member.recent_stores));
    }
    if let Some(place) = place.filter(|place| !stores.contains(place))
        && !row.told().contains(&place)
    {
        row.told().push(place);
    }
    let others = row.told().iter();
    stores.extend(others.filter(|store| planted!("told_once", Some(**store) == place, true)));
    let entity = row.entity();
    for (position, store) in stores.iter().enumerate() {
        if !stores[..position].contains(store) {
            changes.feed.push((*store, entity));
        }
    }
    Ok(())
}

/// Notes that the member was seen at this store, which holds them and all their coupons from now on. The others hear of
/// it, and the store that drops out of the list forgets them by that.
pub(super) fn seen(state: &State, id: MemberId, place: StoreId, changes: &mut Changes) -> Result<(), NeedKeys> {
    if changes.members.iter().any(|member| member.id == id) {
        return Ok(());
    }
    let Some(member) = state.member(id)? else { return Ok(()) };
    let Some(recent) = member.seen_at(place) else {
        return Ok(());
    };
    let others = member.recent_stores.iter();
    changes.feed.extend(
        others
            .map(|store| (*store, Entity::Member(member.id)))
            .filter(|_| planted!("others_not_told", false, true)),
    );
    let card = planted!(
        "card_without_coupons",
        Entity::Member(member.id),
        Entity::Card(member.id)
    );
    changes.feed.push((place, card));
    let mut member = member.clone();
    member.recent_stores = recent;
    changes.members.push(member);
    Ok(())
}
