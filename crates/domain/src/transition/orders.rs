//! Handing a pickup order over.

use serde::{Deserialize, Serialize};

use super::{
    Applied, AskFreeze, Changes, Device, Doing, Freeze, Key, NeedKeys, Row, State, Subject,
    cases::open_case,
    subjects::About,
    told::tell,
    uses::{self, Heard},
};
use crate::{
    ids::{FreezeId, OperationId, OrderId, StoreId},
    operations::{ExceptionKind, OperationKind, Outcome},
    pickups::{Order, OrderFreeze, OrderState},
    planted,
    surplus::Surplus,
    time::Millis,
    verdict::{Circumstances, Reason, judge_order},
};

impl Row for Order {
    type Key = OrderId;
    type Version = i64;
    fn key(&self) -> OrderId {
        self.id
    }
    fn version(&self) -> i64 {
        self.version
    }
}

/// A pickup order was handed over, whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectOrder {
    /// Which.
    pub order: OrderId,
    /// What the goods are worth, minor units.
    pub worth: i64,
    /// Head office's word, when the line was up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<FreezeId>,
}

impl OperationKind for CollectOrder {
    fn subject(&self, _own: OperationId) -> Option<Subject> {
        Some(Subject::Order(self.order))
    }

    fn can_be_undone(&self) -> bool {
        true
    }

    fn keys(&self) -> Vec<Key> {
        vec![Key::Order(self.order)]
    }

    fn freezes(&self) -> Vec<FreezeId> {
        self.freeze.into_iter().collect()
    }

    fn worth(&self) -> i64 {
        self.worth
    }

    fn is_sound(&self) -> bool {
        self.worth >= 0 || planted!("worth_not_checked", true, false)
    }

    fn effect(&self, state: &State, doing: &Doing, changes: &mut Changes) -> Result<Option<ExceptionKind>, NeedKeys> {
        let Self {
            order: id,
            worth,
            freeze,
        } = *self;
        let subject = Some(Subject::Order(id));
        let Some(order) = state.order(id)? else {
            return Ok(open_case(changes, doing, ExceptionKind::StateConflict, subject, worth));
        };
        let received = doing.times.received_at;
        let mut order = settled(state, order, received, changes)?;
        let elsewhere = (order.store != doing.store).then_some(ExceptionKind::StateConflict);
        let place = Some(doing.store);
        let again = match &order.state {
            OrderState::Collected { .. } => ExceptionKind::DoublePickup,
            OrderState::Ready { freeze: Some(held) }
                if received < held.until && !(freeze == Some(held.freeze) && held.device == doing.device) =>
            {
                ExceptionKind::RedeemWhileFrozen
            }
            OrderState::Returned | OrderState::Cancelled => {
                // Nothing changes, but this store has to hear how the order stands: its copy says it was its own.
                write(state, order, place, Heard::Everywhere, changes)?;
                return Ok(open_case(changes, doing, ExceptionKind::StateConflict, subject, worth));
            }
            OrderState::Ready { .. } => {
                order.state = OrderState::Collected {
                    operation: doing.operation,
                    at: doing.times.occurred_at,
                    store: doing.store,
                };
                write(state, order, place, Heard::Everywhere, changes)?;
                return Ok(elsewhere.and_then(|kind| open_case(changes, doing, kind, subject, worth)));
            }
        };
        order.surplus.push(Surplus {
            operation: doing.operation,
            at: doing.times.occurred_at,
            store: doing.store,
            device: doing.device,
            actor: doing.actor,
            sale: false,
            broke: elsewhere,
        });
        write(state, order, place, Heard::Everywhere, changes)?;
        Ok(open_case(changes, doing, again, subject, worth))
    }
}

impl About for OrderId {
    fn freeze(
        &self,
        state: &State,
        asked: &AskFreeze,
        asker: &Device,
        until: Millis,
        changes: &mut Changes,
    ) -> Result<Vec<Reason>, NeedKeys> {
        let Some(order) = state.order(*self)? else {
            return Ok(vec![Reason::UnknownCode]);
        };
        let mut order = settled(state, order, asked.now, changes)?;
        let at = Circumstances {
            now: asked.now,
            store: asker.store,
            presented_by: asked.presented_by,
        };
        let reasons = judge_order(&order, at);
        if reasons.is_empty() {
            let freeze = Some(OrderFreeze {
                freeze: asked.id,
                until,
                device: asked.device,
            });
            order.state = OrderState::Ready { freeze };
            write(state, order, None, Heard::Nowhere, changes)?;
        }
        Ok(reasons)
    }

    fn release(
        &self,
        state: &State,
        freeze: &Freeze,
        owner: &Device,
        _now: Millis,
        changes: &mut Changes,
    ) -> Result<(), NeedKeys> {
        if let Some(order) = state.order(*self)?
            && matches!(order.state, OrderState::Ready { freeze: Some(held) }
                if held.freeze == freeze.id && held.device == owner.id)
        {
            let_go(state, order, None, Heard::Nowhere, changes)?;
        }
        Ok(())
    }

    fn settle(&self, state: &State, now: Millis, changes: &mut Changes) -> Result<(), NeedKeys> {
        if let Some(order) = state.order(*self)? {
            settled(state, order, now, changes)?;
        }
        Ok(())
    }

    fn undo(
        &self,
        state: &State,
        undone: &Applied,
        doing: &Doing,
        changes: &mut Changes,
    ) -> Result<(bool, i64), NeedKeys> {
        let owned = take_back(state, *self, undone.id, doing, changes)?;
        // One use too many less closes its own case.
        Ok((owned || undone.outcome != Outcome::Applied, 0))
    }
}

/// Takes back a hand-over; false when the order was not this operation's.
fn take_back(
    state: &State,
    id: OrderId,
    collected_by: OperationId,
    doing: &Doing,
    changes: &mut Changes,
) -> Result<bool, NeedKeys> {
    let Some(order) = state.order(id)? else {
        return Ok(false);
    };
    let place = Some(doing.store);
    if matches!(order.state, OrderState::Collected { operation, .. } if operation == collected_by) {
        let_go(state, order, place, Heard::Everywhere, changes)?;
        return Ok(true);
    }
    let mut left = order.clone();
    left.surplus.retain(|used| used.operation != collected_by);
    if left.surplus.len() < order.surplus.len() {
        write(state, left, place, Heard::Everywhere, changes)?;
    }
    Ok(false)
}

/// Writes one step of a pickup order and tells who holds it.
fn write(
    state: &State,
    mut order: Order,
    place: Option<StoreId>,
    heard: Heard,
    changes: &mut Changes,
) -> Result<Order, NeedKeys> {
    if heard == Heard::Everywhere {
        tell(state, &mut order, place, changes)?;
    }
    order.version = order.version.saturating_add(1);
    changes.orders.push(order.clone());
    Ok(order)
}

/// The order waits again, or it was handed over by the first of those who did so meanwhile.
fn let_go(
    state: &State,
    order: &Order,
    place: Option<StoreId>,
    heard: Heard,
    changes: &mut Changes,
) -> Result<Order, NeedKeys> {
    let mut order = order.clone();
    if order.surplus.is_empty() {
        order.state = OrderState::Ready { freeze: None };
        return write(state, order, place, heard, changes);
    }
    let first = order.surplus.remove(0);
    order.state = OrderState::Collected {
        operation: first.operation,
        at: first.at,
        store: first.store,
    };
    uses::excuse(state, &first, Subject::Order(order.id), changes)?;
    write(state, order, place.or(Some(first.store)), Heard::Everywhere, changes)
}

/// As [`uses::settled`], for a pickup order.
fn settled(state: &State, order: &Order, now: Millis, changes: &mut Changes) -> Result<Order, NeedKeys> {
    match order.collected_beside_lapsed(now) {
        Some(_) => let_go(state, order, None, Heard::Everywhere, changes),
        None => Ok(order.clone()),
    }
}
