//! Who hears of a change. One rule: **who was told of a row hears of every later change of it, or is told to forget.**
//!
//! A row is told to its own store, to the stores that hold its member, and to where something happens with it. A member
//! is held by a few stores; one that drops out hears of the member once more, sees that it is no longer among them, and
//! forgets member and coupons. What nobody's list says would be told is written into the row itself.

use super::{Answer, Changes, Decide, Entity, Fact, Key, NeedKeys, Row, State};
use crate::{
    coupons::Coupon,
    ids::{MemberId, StoreId},
    people::Member,
    pickups::Order,
    planted,
    sales::Sale,
    time::Millis,
};

/// A row that counters hold copies of.
pub(crate) trait Held {
    fn entity(&self) -> Entity;
    /// The store that always hears of it.
    fn home(&self) -> Option<StoreId>;
    /// Whose stores hear of it.
    fn member(&self) -> Option<MemberId>;
    /// Who else was told; `None` = nobody: it is told to its member's stores alone.
    fn told(&mut self) -> Option<&mut Vec<StoreId>>;
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
    fn told(&mut self) -> Option<&mut Vec<StoreId>> {
        Some(&mut self.told)
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
    fn told(&mut self) -> Option<&mut Vec<StoreId>> {
        Some(&mut self.told)
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
    fn told(&mut self) -> Option<&mut Vec<StoreId>> {
        Some(&mut self.told)
    }
}

/// Tells of a row that changes, and notes in it whom nothing else would tell of the next change. `place` is the store
/// where it happens, if it happens in one.
pub(crate) fn tell(
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
    if let Some(told) = row.told() {
        if let Some(place) = place.filter(|place| !stores.contains(place) && !told.contains(place)) {
            told.push(place);
        }
        stores.extend(
            told.iter()
                .filter(|store| planted!("told_once", Some(**store) == place, true)),
        );
    }
    let entity = row.entity();
    for (position, store) in stores.iter().enumerate() {
        if !stores[..position].contains(store) {
            changes.feed.push((*store, entity));
        }
    }
    Ok(())
}

impl Row for Member {
    type Key = MemberId;
    type Version = i64;
    fn key(&self) -> MemberId {
        self.id
    }
    /// Known to storage alone: who loads a member says it.
    fn version(&self) -> i64 {
        0
    }
}

/// A store holds a member from now on: it has to hear of them and of all their coupons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Card {
    /// The store.
    pub store: StoreId,
    /// The member.
    pub member: MemberId,
}

impl Fact for Card {}

/// A member stands in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Who.
    pub member: MemberId,
    /// Where.
    pub store: StoreId,
}

impl Decide for Seen {
    fn keys(&self) -> Vec<Key> {
        vec![Key::Member(self.member)]
    }

    fn decide(&self, state: &State, _received_at: Millis) -> Result<(Answer, Changes), NeedKeys> {
        let mut changes = Changes::default();
        seen(state, self.member, self.store, &mut changes)?;
        Ok((Answer::Noted, changes))
    }
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
    if planted!("card_without_coupons", false, true) {
        let member = member.id;
        changes.cards.push(Card { store: place, member });
    } else {
        changes.feed.push((place, Entity::Member(member.id)));
    }
    let mut member = member.clone();
    member.recent_stores = recent;
    changes.members.push(member);
    Ok(())
}
