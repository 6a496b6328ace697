//! The shop's own site places an order that waits in a store.

use std::sync::Arc;

use serde_json::json;

use super::{
    Answer, Changes, Decide, Key, NeedKeys, Row, State,
    told::{seen, tell},
};
use crate::{
    ids::OrderId,
    outbox::Outgoing,
    pickups::{Order, OrderNumber},
    planted,
    time::Millis,
};

/// The topic of what a member is told once their order waits.
pub const READY: &str = "pickup_ready";

/// Which order is known by a number. Of each number there is one, for as long as it is remembered. Storage writes the row
/// with the order itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    /// The number people know.
    pub number: OrderNumber,
    /// The order.
    pub order: OrderId,
}

impl Row for Numbered {
    type Key = OrderNumber;
    type Version = ();
    fn key(&self) -> OrderNumber {
        self.number
    }
    fn version(&self) {}
}

/// An order is placed. The same number again with the same content is the same order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceOrder {
    /// Its number, as that of `order`.
    pub number: OrderNumber,
    /// Whether it was said until when it waits. Otherwise the day of the first question counts.
    pub dated: bool,
    /// The order as it is to be; its code is drawn when it is stored.
    pub order: Arc<Order>,
    /// Now.
    pub now: Millis,
}

impl PlaceOrder {
    /// Whether an order that is there is what is asked for, whatever has become of it since.
    fn is_same(&self, known: &Order) -> bool {
        let asked = &*self.order;
        (known.store, known.member) == (asked.store, asked.member)
            && (!self.dated || known.deadline == asked.deadline)
            && known.collector == asked.collector
            && known.lines == asked.lines
    }
}

impl Decide for PlaceOrder {
    fn keys(&self) -> Vec<Key> {
        let member = self.order.member.map(Key::Member);
        [Key::OrderNumber(self.number)].into_iter().chain(member).collect()
    }

    fn decide(&self, state: &State, _received_at: Millis) -> Result<(Answer, Changes), NeedKeys> {
        let mut changes = Changes::default();
        if let Some(known) = state.order_number(self.number)? {
            let id = known.order;
            let same = state.order(id)?.is_some_and(|known| self.is_same(known));
            let answer = if same && planted!("placed_again", false, true) {
                Answer::Placed {
                    order: id,
                    replayed: true,
                }
            } else {
                Answer::AnotherOrder
            };
            return Ok((answer, changes));
        }
        let mut order = (*self.order).clone();
        if let Some(member) = order.member {
            // They became one with somebody else meanwhile, whose order it is: it has to be asked for anew.
            if state.member(member)?.is_none() {
                return Ok((Answer::ComeBack, changes));
            }
            seen(state, member, order.store, &mut changes)?;
        }
        tell(state, &mut order, None, &mut changes)?;
        changes.order_numbers.push(Numbered {
            number: self.number,
            order: order.id,
        });
        let id = order.id;
        if order.member.is_some() {
            changes.outgoing.push(Outgoing {
                topic: READY,
                key: id.to_string(),
                source: id.to_string(),
                body: json!({ "order": id }).to_string(),
            });
        }
        changes.orders.push(order);
        Ok((
            Answer::Placed {
                order: id,
                replayed: false,
            },
            changes,
        ))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        ids::OrderId,
        pickups::{OrderLine, OrderState},
        transition::testing::{MEMBER, NOW, chain, store_of},
    };

    const FIRST: OrderId = OrderId(Uuid::from_u128(0x99));
    const SECOND: OrderId = OrderId(Uuid::from_u128(0x98));

    fn asked(id: OrderId, number: &str, quantity: i64) -> PlaceOrder {
        let order = Order {
            id,
            number: number.into(),
            code: String::new(),
            store: store_of(2),
            member: Some(MEMBER),
            collector: "Anna".into(),
            deadline: None,
            lines: vec![OrderLine {
                sku: "A".into(),
                name_zh: "甲".into(),
                name_en: "A".into(),
                quantity,
                unit_price: 100,
            }],
            state: OrderState::Ready { freeze: None },
            version: 1,
            surplus: Vec::new(),
            told: Vec::new(),
        };
        PlaceOrder {
            number: OrderNumber::new(number).unwrap(),
            dated: true,
            order: Arc::new(order),
            now: NOW,
        }
    }

    #[test]
    fn a_number_is_one_order() {
        let mut state = chain();
        for number in ["A-1", "B-1"] {
            state.order_numbers.note_missing(OrderNumber::new(number).unwrap());
        }
        let placed = |order, replayed| Answer::Placed { order, replayed };
        let (answer, changes) = asked(FIRST, "A-1", 1).decide(&state, NOW).unwrap();
        assert_eq!((answer, changes.orders.len()), (placed(FIRST, false), 1));
        // Its store hears of it, and holds the member from now on.
        assert!(changes.feed.iter().any(|(store, _)| *store == store_of(2)));
        assert_eq!(changes.members[0].recent_stores, [store_of(2), store_of(0)]);
        // And the member, once.
        assert_eq!((changes.outgoing.len(), changes.outgoing[0].topic), (1, READY));
        state.absorb(&changes);
        let nothing = Changes::default();
        let again = asked(SECOND, " A-1 ", 1).decide(&state, NOW).unwrap();
        assert_eq!(again, (placed(FIRST, true), nothing.clone()));
        let other = asked(SECOND, "A-1", 2).decide(&state, NOW).unwrap();
        assert_eq!(other, (Answer::AnotherOrder, nothing));
        let (answer, _) = asked(SECOND, "B-1", 1).decide(&state, NOW).unwrap();
        assert_eq!(answer, placed(SECOND, false));
    }

    #[test]
    fn a_member_who_became_another_meanwhile_is_asked_for_anew() {
        let mut state = chain();
        state.order_numbers.note_missing(OrderNumber::new("A-1").unwrap());
        state.members.insert(MEMBER, None);
        let answered = asked(FIRST, "A-1", 1).decide(&state, NOW).unwrap();
        assert_eq!(answered, (Answer::ComeBack, Changes::default()));
    }

    #[test]
    fn what_is_no_number_is_none() {
        let long = "x".repeat(65);
        for text in ["", "  ", "a\nb", &long] {
            assert_eq!(OrderNumber::new(text), None, "{text:?}");
        }
        for text in ["x", "订单 1", &long[1..]] {
            assert_eq!(OrderNumber::new(text).unwrap().as_str(), text);
        }
    }
}
