//! What exchanges do to points, stock and limits, step by step.

use std::sync::Arc;

use super::{
    Answer, AskedExchange, Changes, Decide, EndExchange, ExchangeEnd, ExchangeGift, Key, Named, NeedKeys, State,
    decide,
    testing::{MEMBER, NOW, chain, id, store_of},
};
use crate::{
    gifts::{Address, Exchange, ExchangeStatus, Gift, GiftStatus, GivenBy, NotExchangeable},
    ids::{ExchangeId, GiftId, LocationId, MemberId, OrderId, StockId, StoreId},
    pickups::OrderState,
    points::{Account, Asset, Balances, Cause, Earned, EntryKind, Reason, earning::EarningRule},
    stock::{MoveCause, MoveKind, Stock},
    time::{DAY, MINUTE, Millis},
    transition::Command,
};

const GIFT: GiftId = GiftId(id(20, 1));
const WAREHOUSE: LocationId = LocationId(id(21, 1));
const ORDER: OrderId = OrderId(id(22, 1));
const SKU: &str = "G-1";

fn gift() -> Gift {
    Gift {
        id: GIFT,
        sku: SKU.into(),
        name_zh: "杯".into(),
        name_en: "cup".into(),
        points: 2_000,
        money: 0,
        worth: 3_000,
        member_limit: 0,
        from: None,
        until: None,
        given: GivenBy::Shipped,
        location: Some(WAREHOUSE),
        status: GiftStatus::Published,
        version: 1,
    }
}

fn exchange_id(n: u128) -> ExchangeId {
    ExchangeId(id(23, n))
}

/// A chain in which whatever is asked for was looked for.
struct Chain(State);

impl Chain {
    /// The member has these points, all of which end after ten days; of the gift so many lie there.
    fn new(gift: Gift, points: i64, stock: i64) -> Self {
        let mut state = chain();
        let mut account = Account::new(MEMBER);
        if points > 0 {
            let earned = Earned {
                amount: points,
                at: NOW,
                ready_at: None,
                ends_at: Some(NOW + 10 * DAY),
            };
            let cause = Cause::own(Reason::Gift, NOW);
            account
                .points
                .earn(EntryKind::Earn, earned, cause, &mut Vec::new())
                .unwrap();
        }
        account.version = 1;
        state.accounts.insert(MEMBER, Some(account));
        for location in [WAREHOUSE, store_of(0).into()] {
            let mut row = Stock::none(location, SKU);
            let cause = MoveCause {
                kind: MoveKind::Counted,
                source: None,
                actor: None,
                note: None,
                at: NOW,
            };
            row.change(stock, cause).unwrap();
            state.stocks.insert(row.id, Some(row));
        }
        state.gifts.insert(GIFT, Some(gift));
        Self(state)
    }

    fn decide(&mut self, command: impl Decide + Into<Command>) -> (Answer, Changes) {
        let command: Command = command.into();
        for key in command.keys() {
            self.0.note_missing(key);
        }
        loop {
            match decide(&self.0, &command, NOW) {
                Ok((answer, changes)) => {
                    // What was spent is found again by what it was spent for.
                    for row in &changes.spents {
                        self.0.spents.found(row.clone());
                    }
                    self.0.absorb(&changes);
                    return (answer, changes);
                }
                Err(NeedKeys(keys)) => keys.into_iter().for_each(|key: Key| self.0.note_missing(key)),
            }
        }
    }

    fn ask(&mut self, n: u128, at: Millis) -> (Answer, Changes) {
        self.ask_with(n, at, |_| {})
    }

    fn ask_with(&mut self, n: u128, now: Millis, change: impl FnOnce(&mut AskedExchange)) -> (Answer, Changes) {
        let mut asked = AskedExchange {
            id: exchange_id(n),
            member: MEMBER,
            gift: GIFT,
            address: Named::Known(address()),
            store: Named::Known(store_of(0)),
            order: ORDER,
            stock: None,
        };
        change(&mut asked);
        let asked = Arc::new(asked);
        self.decide(ExchangeGift { asked, now })
    }

    fn end(&mut self, n: u128, end: ExchangeEnd, now: Millis) -> (Answer, Changes) {
        self.decide(EndExchange {
            id: exchange_id(n),
            end,
            rule: Some(1),
            by: None,
            now,
        })
    }

    fn points(&self, now: Millis) -> Balances {
        let account = self.0.accounts.get(&MEMBER).unwrap().as_ref().unwrap();
        account.points.balances_at(now)
    }

    fn stock(&self, location: impl Into<LocationId>) -> (i64, i64) {
        let row = self.0.stocks.get(&StockId::of(location.into(), SKU)).unwrap();
        let row = row.as_ref().unwrap();
        (row.on_hand, row.reserved)
    }

    fn taken(&self) -> i64 {
        let had = self.0.hads.get(&(MEMBER, GIFT)).copied().flatten();
        had.map_or(0, |had| had.taken)
    }
}

fn address() -> Address {
    Address {
        recipient: "王".into(),
        phone: "13800000000".into(),
        region: "浙江 杭州".into(),
        street: "1".into(),
    }
}

fn done(answer: Answer) -> Exchange {
    match answer {
        Answer::Exchanged {
            exchange,
            replayed: false,
        } => *exchange,
        other => panic!("{other:?}"),
    }
}

fn available(points: i64) -> Balances {
    Balances {
        available: points,
        ..Balances::default()
    }
}

#[test]
fn points_and_gift_go_at_once_and_who_sends_it_is_told_once() {
    let mut chain = Chain::new(gift(), 5_000, 10);
    let (answer, changes) = chain.ask(1, NOW);
    let exchange = done(answer);
    assert_eq!(exchange.status, ExchangeStatus::Confirmed);
    assert_eq!(exchange.confirmed_at, Some(NOW));
    assert_eq!((chain.points(NOW), chain.stock(WAREHOUSE)), (available(3_000), (9, 0)));
    let [sent] = &changes.outgoing[..] else {
        panic!("{changes:?}")
    };
    assert_eq!(
        (sent.topic, sent.key.clone()),
        ("ship", format!("exchange:{}", exchange.id))
    );
    let body: serde_json::Value = serde_json::from_str(&sent.body).unwrap();
    let expected = serde_json::json!({
        "kind": "exchange", "source": exchange.id, "member": MEMBER, "address": address(),
        "lines": [{ "sku": SKU, "name": "杯 cup", "quantity": 1 }],
    });
    assert_eq!(body, expected);
    let moved: Vec<_> = changes
        .moved
        .iter()
        .map(|moved| (moved.quantity, moved.after))
        .collect();
    assert_eq!(moved, [(-1, 9)]);
    // Asked again: the same, and nothing happens.
    let (again, changes) = chain.ask(1, NOW + DAY);
    let replayed = Answer::Exchanged {
        exchange: Box::new(exchange),
        replayed: true,
    };
    assert_eq!((again, changes), (replayed, Changes::default()));
    // The same name for something else.
    let other = GiftId(id(20, 2));
    assert_eq!(
        chain.ask_with(1, NOW, |asked| asked.gift = other).0,
        Answer::AnotherQuestion
    );
    let stranger = MemberId(id(24, 1));
    assert_eq!(
        chain.ask_with(1, NOW, |asked| asked.member = stranger).0,
        Answer::AnotherQuestion
    );
}

#[test]
fn what_failed_for_good_gives_points_back_and_the_gift_unless_it_is_lost() {
    for (end, status, stock) in [
        (ExchangeEnd::Returned, ExchangeStatus::Returned, (10, 0)),
        (ExchangeEnd::Lost, ExchangeStatus::Lost, (9, 0)),
    ] {
        let mut chain = Chain::new(gift(), 5_000, 10);
        chain.ask(1, NOW);
        let (answer, changes) = chain.end(1, end, NOW + MINUTE);
        assert_eq!(done(answer).status, status);
        assert!(changes.outgoing.is_empty());
        assert_eq!(chain.points(NOW + MINUTE), available(5_000));
        assert_eq!((chain.stock(WAREHOUSE), chain.taken()), (stock, 0));
        // Again: nothing.
        let (answer, changes) = chain.end(1, end, NOW + DAY);
        assert!(matches!(answer, Answer::Exchanged { replayed: true, .. }), "{answer:?}");
        assert_eq!(changes, Changes::default());
        // And nothing else after that.
        for other in ExchangeEnd::ALL.into_iter().filter(|other| *other != end) {
            let (answer, changes) = chain.end(1, other, NOW + DAY);
            assert_eq!(
                (answer, changes),
                (Answer::ExchangeEnded { status }, Changes::default())
            );
        }
    }
}

#[test]
fn points_that_ended_meanwhile_live_on_for_the_days_of_grace_or_end() {
    let rule = |days: i64| EarningRule {
        version: 1,
        time_zone: "Asia/Shanghai".into(),
        grace_days: days,
        ..serde_json::from_value(serde_json::json!({ "version": 1, "time_zone": "Asia/Shanghai" })).unwrap()
    };
    let late = NOW + 20 * DAY;
    for (days, stay) in [(0, 0), (7, 2_000)] {
        let mut chain = Chain::new(gift(), 5_000, 10);
        chain.0.earning_rules.insert(1, Some(Arc::new(rule(days))));
        chain.ask(1, NOW);
        // The other 3,000 have ended by then.
        done(chain.end(1, ExchangeEnd::Returned, late).0);
        assert_eq!(chain.points(late), available(stay), "{days}");
        assert_eq!(chain.points(late + 9 * DAY), available(0), "{days}");
        assert_eq!(chain.stock(WAREHOUSE), (10, 0));
    }
}

#[test]
fn with_money_points_and_gift_are_held_until_it_is_paid() {
    let priced = Gift { money: 990, ..gift() };
    let held = Balances {
        available: 3_000,
        held: 2_000,
        ..Balances::default()
    };
    for end in [ExchangeEnd::Paid, ExchangeEnd::Cancel] {
        let mut chain = Chain::new(priced.clone(), 5_000, 10);
        let (answer, changes) = chain.ask(1, NOW);
        let exchange = done(answer);
        assert_eq!(exchange.status, ExchangeStatus::AwaitingPayment);
        assert_eq!(exchange.ask_at, exchange.deadline.map(|at| at + MINUTE));
        assert!(changes.outgoing.is_empty() && changes.moved.is_empty());
        assert_eq!((chain.points(NOW), chain.stock(WAREHOUSE)), (held, (10, 1)));
        // Whatever time passes, what an order holds is held.
        assert_eq!(chain.points(NOW + 5 * DAY).held, 2_000);
        // Nothing was sent that could come back.
        for other in [ExchangeEnd::Returned, ExchangeEnd::Lost] {
            let status = ExchangeStatus::AwaitingPayment;
            assert_eq!(chain.end(1, other, NOW).0, Answer::ExchangeEnded { status });
        }
        let (answer, changes) = chain.end(1, end, NOW + MINUTE);
        let exchange = done(answer);
        assert_eq!((exchange.ask_at, exchange.version), (None, 2));
        let now = NOW + MINUTE;
        if end == ExchangeEnd::Paid {
            assert_eq!(exchange.status, ExchangeStatus::Confirmed);
            assert_eq!((changes.outgoing.len(), changes.moved.len()), (1, 1));
            assert_eq!((chain.points(now), chain.stock(WAREHOUSE)), (available(3_000), (9, 0)));
            assert_eq!(chain.taken(), 1);
            let status = ExchangeStatus::Confirmed;
            assert_eq!(
                chain.end(1, ExchangeEnd::Cancel, now).0,
                Answer::ExchangeEnded { status }
            );
            // What was paid comes back all the same when it fails for good.
            done(chain.end(1, ExchangeEnd::Returned, now).0);
            assert_eq!((chain.points(now), chain.stock(WAREHOUSE)), (available(5_000), (10, 0)));
        } else {
            assert_eq!(exchange.status, ExchangeStatus::Cancelled);
            assert!(changes.outgoing.is_empty() && changes.moved.is_empty());
            assert_eq!((chain.points(now), chain.stock(WAREHOUSE)), (available(5_000), (10, 0)));
            assert_eq!(chain.taken(), 0);
            let status = ExchangeStatus::Cancelled;
            assert_eq!(chain.end(1, ExchangeEnd::Paid, now).0, Answer::ExchangeEnded { status });
        }
        let (answer, changes) = chain.end(1, end, now);
        let same = if end == ExchangeEnd::Paid {
            Answer::ExchangeEnded {
                status: ExchangeStatus::Returned,
            }
        } else {
            Answer::Exchanged {
                exchange: Box::new(exchange),
                replayed: true,
            }
        };
        assert_eq!((answer, changes), (same, Changes::default()));
    }
}

#[test]
fn what_is_collected_waits_in_the_store_as_an_order_of_the_member() {
    let collected = Gift {
        given: GivenBy::Collected,
        location: None,
        ..gift()
    };
    let mut chain = Chain::new(collected, 5_000, 10);
    let (answer, changes) = chain.ask(1, NOW);
    let exchange = done(answer);
    assert!(changes.outgoing.is_empty() && exchange.address.is_none());
    let [order] = &changes.orders[..] else {
        panic!("{changes:?}")
    };
    assert_eq!(
        (order.id, order.store, order.member),
        (ORDER, store_of(0), Some(MEMBER))
    );
    assert_eq!((order.number.clone(), order.worth()), (exchange.number(), 3_000));
    assert_eq!(order.state, OrderState::Ready { freeze: None });
    assert_eq!((chain.stock(store_of(0)), chain.stock(WAREHOUSE)), ((9, 0), (10, 0)));
    // It was not sent, so it can't come back from there.
    let status = ExchangeStatus::Confirmed;
    for end in [ExchangeEnd::Returned, ExchangeEnd::Lost] {
        assert_eq!(chain.end(1, end, NOW).0, Answer::ExchangeEnded { status });
    }
    let (answer, changes) = chain.end(1, ExchangeEnd::Cancel, NOW);
    assert_eq!(done(answer).status, ExchangeStatus::Returned);
    assert_eq!(changes.orders[0].state, OrderState::Cancelled);
    assert_eq!(
        (chain.points(NOW), chain.stock(store_of(0))),
        (available(5_000), (10, 0))
    );
    let (answer, changes) = chain.end(1, ExchangeEnd::Cancel, NOW);
    assert!(matches!(answer, Answer::Exchanged { replayed: true, .. }));
    assert_eq!(changes, Changes::default());
}

#[test]
fn what_was_handed_over_is_not_called_off() {
    let collected = Gift {
        given: GivenBy::Collected,
        location: None,
        ..gift()
    };
    let mut chain = Chain::new(collected, 5_000, 10);
    chain.ask(1, NOW);
    let mut order = chain.0.orders.get(&ORDER).unwrap().clone().unwrap();
    order.state = OrderState::Collected {
        operation: super::testing::operation_id(1),
        at: NOW,
        store: store_of(0),
    };
    chain.0.orders.insert(ORDER, Some(order));
    let status = ExchangeStatus::Confirmed;
    let (answer, changes) = chain.end(1, ExchangeEnd::Cancel, NOW);
    assert_eq!(
        (answer, changes),
        (Answer::ExchangeEnded { status }, Changes::default())
    );
}

#[test]
fn every_reason_is_told_at_once_and_nothing_changes() {
    use NotExchangeable as No;
    let base = gift();
    let collected = || Gift {
        given: GivenBy::Collected,
        location: None,
        ..gift()
    };
    let at = |from: Option<Millis>, until: Option<Millis>| Gift { from, until, ..gift() };
    type Change = fn(&mut AskedExchange);
    let plain: Change = |_| {};
    let cases: Vec<(Gift, i64, i64, Change, Vec<No>)> = vec![
        (
            Gift {
                status: GiftStatus::Draft,
                ..base.clone()
            },
            5_000,
            10,
            plain,
            vec![No::UnknownGift],
        ),
        (
            Gift {
                status: GiftStatus::Ended,
                ..base.clone()
            },
            5_000,
            10,
            plain,
            vec![No::ExchangeOver { at: None }],
        ),
        (
            at(Some(NOW + 1), None),
            5_000,
            10,
            plain,
            vec![No::ExchangeNotStarted { at: NOW + 1 }],
        ),
        (at(Some(NOW), None), 5_000, 10, plain, vec![]),
        (
            at(None, Some(NOW)),
            5_000,
            10,
            plain,
            vec![No::ExchangeOver { at: Some(NOW) }],
        ),
        (at(None, Some(NOW + 1)), 5_000, 10, plain, vec![]),
        (base.clone(), 5_000, 0, plain, vec![No::OutOfStock]),
        (
            base.clone(),
            1_999,
            10,
            plain,
            vec![No::PointsShort { available: 1_999 }],
        ),
        (base.clone(), 2_000, 1, plain, vec![]),
        (
            base.clone(),
            0,
            0,
            |asked| asked.address = Named::Missing,
            vec![No::OutOfStock, No::PointsShort { available: 0 }, No::AddressMissing],
        ),
        (
            base.clone(),
            5_000,
            10,
            |asked| asked.address = Named::Unknown,
            vec![No::UnknownAddress],
        ),
        (base.clone(), 5_000, 10, |asked| asked.store = Named::Unknown, vec![]),
        (
            collected(),
            5_000,
            10,
            |asked| asked.store = Named::Missing,
            vec![No::StoreMissing],
        ),
        (
            collected(),
            5_000,
            10,
            |asked| asked.store = Named::Unknown,
            vec![No::UnknownStore],
        ),
        (
            collected(),
            5_000,
            10,
            |asked| asked.store = Named::Known(StoreId(id(3, 99))),
            vec![No::OutOfStock],
        ),
        (collected(), 5_000, 10, |asked| asked.address = Named::Missing, vec![]),
        (
            base.clone(),
            5_000,
            10,
            |asked| asked.member = MemberId(id(24, 9)),
            vec![No::UnknownMember],
        ),
        (
            base,
            5_000,
            10,
            |asked| asked.gift = GiftId(id(20, 9)),
            vec![No::UnknownGift],
        ),
    ];
    for (number, (gift, points, stock, change, expected)) in cases.into_iter().enumerate() {
        let mut chain = Chain::new(gift, points, stock);
        let (answer, changes) = chain.ask_with(1, NOW, change);
        if expected.is_empty() {
            done(answer);
        } else {
            assert_eq!(answer, Answer::NotExchanged { reasons: expected }, "case {number}");
            assert_eq!(changes, Changes::default(), "case {number}");
        }
    }
}

#[test]
fn a_limit_counts_what_a_member_has_and_not_what_came_to_nothing() {
    let limited = Gift {
        member_limit: 2,
        points: 100,
        ..gift()
    };
    let mut chain = Chain::new(limited, 5_000, 10);
    done(chain.ask(1, NOW).0);
    done(chain.ask(2, NOW).0);
    let reasons = vec![NotExchangeable::LimitReached { limit: 2 }];
    assert_eq!(chain.ask(3, NOW).0, Answer::NotExchanged { reasons });
    done(chain.end(1, ExchangeEnd::Lost, NOW).0);
    // What was refused was not kept: the same name may ask again.
    done(chain.ask(3, NOW).0);
    assert_eq!((chain.taken(), chain.points(NOW)), (2, available(4_800)));
}

#[test]
fn the_ledger_says_what_for() {
    let mut chain = Chain::new(gift(), 5_000, 10);
    let (answer, changes) = chain.ask(1, NOW);
    let exchange = done(answer);
    let [posted] = &changes.posted[..] else {
        panic!("{changes:?}")
    };
    assert_eq!((posted.asset, posted.entry.kind), (Asset::Points, EntryKind::Spend));
    assert_eq!(posted.entry.cause.reason, Reason::Exchange);
    assert_eq!(posted.entry.cause.actor, Some(MEMBER.0));
    assert_eq!(posted.entry.cause.note.as_deref(), Some(exchange.number().as_str()));
}

#[test]
fn nothing_is_known_of_an_exchange_that_nobody_asked_for() {
    let mut chain = Chain::new(gift(), 5_000, 10);
    for end in ExchangeEnd::ALL {
        assert_eq!(chain.end(1, end, NOW), (Answer::UnknownExchange, Changes::default()));
    }
}
