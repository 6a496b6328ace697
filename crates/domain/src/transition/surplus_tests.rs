//! The first of the uses that were too many takes the place of the one that goes away: what the rows, the coupon's own
//! record and the cases say then.

use super::{
    Answer, Case, Changes, Closed, Command, CouponEntry, Entity, Excused, Lapse, State, Subject, Swept, decide,
    online::{End, EndOnline, Held, OnlineOrder, OnlineStatus, redemption},
    testing::{
        NOW, PICKUP, basket, chain, coupon, coupon_id, device_id, freeze_id, hold, id, operation_id, order, store_of,
    },
};
use crate::{
    coupons::{CouponState, ONLINE_STORE},
    ids::{ClerkId, OperationId, StoreId},
    operations::ExceptionKind,
    pickups::{OrderFreeze, OrderState},
    sales::{Sale, Till},
    surplus::Surplus,
    time::{DAY, MINUTE, Millis},
};

const UNTIL: Millis = NOW + 2 * MINUTE;
const CLERK: ClerkId = ClerkId(id(7, 1));

/// A use by device 2, in the second store.
fn one_too_many(operation: u128, sale: bool, broke: Option<ExceptionKind>) -> Surplus {
    Surplus {
        operation: operation_id(operation),
        at: NOW,
        store: store_of(2),
        device: device_id(2),
        actor: Some(CLERK),
        sale,
        broke,
    }
}

fn decided(state: &State, command: &Command) -> (Answer, Changes) {
    decide(state, command, NOW).unwrap()
}

fn stores(changes: &Changes, entity: Entity) -> Vec<StoreId> {
    let told = changes.feed.iter().filter(|(_, what)| *what == entity);
    told.map(|(store, _)| *store).collect()
}

#[test]
fn a_coupon_goes_to_who_used_it_when_the_freeze_lapses_and_its_record_says_how() {
    for (broke, closed) in [(None, vec![operation_id(1)]), (Some(ExceptionKind::Late), vec![])] {
        let mut state = chain();
        let held = hold(&mut state, 0, 0, 1, UNTIL);
        coupon(&mut state, 1).surplus = vec![one_too_many(1, false, broke), one_too_many(2, false, None)];
        let look = |now| {
            Command::Lapse(Lapse {
                subject: Subject::Coupon(coupon_id(1)),
                now,
            })
        };
        assert_eq!(decided(&state, &look(UNTIL - 1)).1, Changes::default());
        let (_, changes) = decided(&state, &look(UNTIL));
        let used = CouponState::Redeemed {
            operation: operation_id(1),
            at: NOW,
            store: store_of(2),
        };
        let after = changes.coupons.last().unwrap();
        assert_eq!((&after.state, after.version), (&used, 3));
        assert_eq!(after.surplus, [one_too_many(2, false, None)], "the next one waits");
        let line = |version, what, at, store, device, actor, source| CouponEntry {
            coupon: coupon_id(1),
            version,
            what,
            at,
            store,
            device,
            actor,
            source,
        };
        let unfrozen = line(2, "unfrozen", UNTIL, ONLINE_STORE, device_id(0), None, held.0);
        let source = operation_id(1).0;
        let redeemed = line(3, "redeemed", NOW, store_of(2), device_id(2), Some(CLERK), source);
        assert_eq!(changes.entries, [unfrozen, redeemed]);
        let closed: Vec<_> = closed.into_iter().map(Closed::all).collect();
        assert_eq!(changes.closed_cases, closed);
        assert_eq!(after.told, [store_of(2)]);
        let told = stores(&changes, Entity::Coupon(coupon_id(1)));
        assert_eq!(
            told,
            [store_of(0), store_of(0), store_of(2)],
            "nobody hears where nothing happened"
        );
    }
}

#[test]
fn an_order_goes_to_who_handed_it_over_when_the_freeze_lapses() {
    let mut state = chain();
    let freeze = Some(OrderFreeze {
        freeze: freeze_id(0),
        until: UNTIL,
        device: device_id(0),
    });
    order(&mut state).state = OrderState::Ready { freeze };
    order(&mut state).surplus = vec![one_too_many(1, false, None)];
    let look = |now| {
        Command::Lapse(Lapse {
            subject: Subject::Order(PICKUP),
            now,
        })
    };
    assert_eq!(decided(&state, &look(UNTIL - 1)).1, Changes::default());
    let (_, changes) = decided(&state, &look(UNTIL));
    let collected = OrderState::Collected {
        operation: operation_id(1),
        at: NOW,
        store: store_of(2),
    };
    let after = &changes.orders[0];
    assert_eq!((&after.state, after.version, after.surplus.len()), (&collected, 2, 0));
    assert_eq!(
        (changes.orders.len(), &changes.closed_cases),
        (1, &vec![Closed::all(operation_id(1))])
    );
    assert_eq!(stores(&changes, Entity::Order(PICKUP)), [store_of(0), store_of(2)]);
}

#[test]
fn nothing_lapses_over_a_sale() {
    let subject = Subject::Sale(operation_id(1));
    let looked = decided(&State::default(), &Command::Lapse(Lapse { subject, now: NOW }));
    assert_eq!(looked, (Answer::Swept(Swept::Settled), Changes::default()));
}

const SOLD: OperationId = operation_id(5);
/// The sale's case for the coupons that somebody else had used.
const TOO_MANY: Closed = Closed {
    operation: SOLD,
    kind: Some(ExceptionKind::DoubleRedeem),
};

/// An order placed online was paid with coupons 1 and 2, which device 2 sold besides.
fn paid_and_sold(broke: Option<ExceptionKind>) -> State {
    let mut state = chain();
    let till = Till {
        store: store_of(2),
        device: device_id(2),
        at: NOW,
    };
    let mut sale = Sale::of(SOLD, till, &basket(&[(1, None), (2, None)])).unwrap();
    for n in [1, 2] {
        sale.coupons[n - 1].exception = Some(ExceptionKind::DoubleRedeem);
        let paid = coupon(&mut state, n as u128);
        paid.state = CouponState::Redeemed {
            operation: redemption(freeze_id(0)),
            at: NOW,
            store: ONLINE_STORE,
        };
        paid.surplus = vec![one_too_many(5, true, broke)];
    }
    state.sales.insert(SOLD, Some(sale));
    let paid = OnlineOrder {
        amounts: crate::points::Amounts::default(),
        id: freeze_id(0),
        number: "1".into(),
        status: OnlineStatus::Confirmed,
        question: "q".into(),
        member: None,
        amount: 1_000,
        deadline: NOW + DAY,
        asked_at: NOW,
        asked_by: id(8, 0),
        coupons: [1, 2]
            .map(|n| Held {
                coupon: coupon_id(n),
                taken: None,
            })
            .to_vec(),
        refusals: Vec::new(),
        ended: Some((NOW, None)),
        ask_at: None,
        asks: 0,
        version: 2,
    };
    state.online.insert(paid.id, Some(paid));
    state
}

fn refund(state: &State) -> Changes {
    let command = Command::EndOnline(EndOnline {
        spent: crate::transition::online::Spent::default(),
        id: freeze_id(0),
        number: None,
        end: End::Void,
        by: None,
        now: NOW,
    });
    decided(state, &command).1
}

#[test]
fn a_sale_s_case_shrinks_coupon_by_coupon_and_closes_with_the_last() {
    let changes = refund(&paid_and_sold(None));
    assert_eq!(
        (&changes.excused, &changes.closed_cases),
        (
            &vec![Excused {
                operation: SOLD,
                kind: ExceptionKind::DoubleRedeem,
                loss: 100
            }],
            &vec![TOO_MANY]
        )
    );
    let steps: Vec<_> = changes.sales.iter().map(|sale| sale.version).collect();
    assert_eq!(steps, [2, 3], "the second step knows of the first");
    assert!(changes.sales[1].coupons.iter().all(|sold| sold.exception.is_none()));
    assert_eq!(changes.sales[0].coupons[1].exception, Some(ExceptionKind::DoubleRedeem));
    assert_eq!(stores(&changes, Entity::Sale(SOLD)), [store_of(2), store_of(2)]);
}

#[test]
fn what_the_coupons_of_a_sale_broke_besides_is_a_case_of_its_own_once_they_count() {
    let changes = refund(&paid_and_sold(Some(ExceptionKind::Late)));
    assert_eq!(changes.excused.len(), 1);
    assert_eq!(changes.closed_cases, [TOO_MANY]);
    let late = Case {
        operation: SOLD,
        kind: ExceptionKind::Late,
        store: store_of(2),
        subject: Some(Subject::Sale(SOLD)),
        loss: 100,
    };
    assert_eq!(changes.more_cases, [late.clone(), late], "one loss a coupon");
    let broke: Vec<_> = changes.sales[1].coupons.iter().map(|sold| sold.exception).collect();
    assert_eq!(broke, [Some(ExceptionKind::Late); 2]);
}

#[test]
fn a_sale_that_is_not_known_has_no_case_to_close() {
    let mut state = paid_and_sold(None);
    state.sales.insert(SOLD, None);
    let changes = refund(&state);
    assert!(changes.sales.is_empty() && changes.closed_cases.is_empty() && changes.excused.is_empty());
    assert_eq!(changes.coupons.len(), 4, "its uses count all the same");
    let mut state = paid_and_sold(None);
    if let Some(Some(sale)) = state.sales.get_mut(&SOLD) {
        sale.coupons.remove(0);
    }
    let changes = refund(&state);
    assert_eq!((changes.sales.len(), changes.closed_cases), (1, vec![TOO_MANY]));
}
