//! What a fact does, and which rule it breaks: redemptions, hand-overs and what undoes them.

use uuid::Uuid;

use super::{
    Applied, Case, Changes, Closed, Doing, FreezeStatus, State, Subject, effect,
    online::Taken,
    testing::{
        MEMBER, NOW, PICKUP, basket, chain, collect, coupon, coupon_id, device_id, doing, freeze, freeze_id, hold,
        operation_id, order, redeem, store_of, void,
    },
};
use crate::{
    coupons::{CouponState, HELD_BY_ORDER, ONLINE_DEVICE},
    ids::{FreezeId, MemberId, OperationId, OrderId},
    operations::{Action, ExceptionKind, FailedAttempt, Outcome, RedeemCoupon},
    pickups::{OrderFreeze, OrderState},
    sales::{Sale, Till},
    surplus::Surplus,
    time::{DAY, MINUTE, Millis},
};

type Broke = Option<ExceptionKind>;
use ExceptionKind::{DoublePickup, DoubleRedeem, Late, RedeemWhileFrozen, StateConflict};

const UNTIL: Millis = NOW + 2 * MINUTE;
const STRANGER: MemberId = MemberId(Uuid::from_u128(0x56));

/// What it broke, and what it changed. One case for each exception, none besides.
fn does(state: &State, action: &Action, doing: &Doing) -> (Broke, Changes) {
    let (outcome, changes) = effect(state, action, doing).unwrap();
    let broke = match outcome {
        Outcome::Applied => None,
        Outcome::AppliedWithException { exception } => Some(exception),
        Outcome::Quarantined { .. } => panic!("a fact is never refused"),
    };
    let cases: Vec<_> = changes
        .cases
        .iter()
        .map(|case| (case.operation, case.kind, case.store))
        .collect();
    let expected: Vec<_> = broke.iter().map(|kind| (doing.operation, *kind, doing.store)).collect();
    assert_eq!(cases, expected);
    (broke, changes)
}

/// Device `n`, heard of then.
fn heard(n: u128, received_at: Millis) -> Doing {
    let mut doing = doing(n, operation_id(n));
    doing.times.received_at = received_at;
    doing
}

fn used_by(doing: &Doing) -> CouponState {
    CouponState::Redeemed {
        operation: doing.operation,
        at: doing.times.occurred_at,
        store: doing.store,
    }
}

fn one_too_many(doing: &Doing, broke: Broke) -> Surplus {
    Surplus {
        operation: doing.operation,
        at: doing.times.occurred_at,
        store: doing.store,
        device: doing.device,
        actor: doing.actor,
        sale: false,
        broke,
    }
}

#[test]
fn a_freeze_counts_for_who_took_it_and_until_it_lapses() {
    let mut state = chain();
    let held = hold(&mut state, 0, 0, 1, UNTIL);
    let before = coupon(&mut state, 1).state.clone();
    let other = Some(freeze_id(9));
    for (device, word, received, broke) in [
        (0, Some(held), NOW, None),
        (0, Some(held), UNTIL, None),
        (0, Some(held), UNTIL + DAY, None),
        (0, None, NOW, Some(RedeemWhileFrozen)),
        (0, other, NOW, Some(RedeemWhileFrozen)),
        (1, Some(held), NOW, Some(RedeemWhileFrozen)),
        (2, None, UNTIL - 1, Some(RedeemWhileFrozen)),
        (2, None, UNTIL, None),
        (2, None, UNTIL + 1, None),
        (2, other, UNTIL, None),
    ] {
        let doing = heard(device, received);
        let (found, changes) = does(&state, &redeem(1, word), &doing);
        assert_eq!(found, broke, "device {device}, {word:?}, {received}");
        let after = &changes.coupons[0];
        if broke.is_none() {
            assert_eq!((&after.state, &after.surplus), (&used_by(&doing), &Vec::new()));
        } else {
            // The freeze stays; its owner's use counts whenever it comes.
            assert_eq!(
                (&after.state, &after.surplus),
                (&before, &vec![one_too_many(&doing, None)])
            );
        }
        assert_eq!((changes.coupons.len(), after.version, changes.taken.len()), (1, 2, 0));
    }
}

#[test]
fn the_owner_of_a_freeze_is_never_late() {
    let mut state = chain();
    let held = hold(&mut state, 0, 0, 1, UNTIL);
    coupon(&mut state, 1).valid_until = Some(NOW - DAY);
    assert_eq!(does(&state, &redeem(1, Some(held)), &heard(0, NOW)).0, None);
    // Over another's freeze it is one too many now, and late should it ever count.
    let doing = heard(2, NOW);
    let (broke, changes) = does(&state, &redeem(1, None), &doing);
    assert_eq!(broke, Some(RedeemWhileFrozen));
    assert_eq!(changes.coupons[0].surplus, [one_too_many(&doing, Some(Late))]);
}

#[test]
fn late_is_before_the_first_instant_and_from_the_last_on() {
    for (from, until, broke) in [
        (None, None, None),
        (None, Some(NOW + 1), None),
        (None, Some(NOW), Some(Late)),
        (None, Some(NOW - 1), Some(Late)),
        (Some(NOW - 1), None, None),
        (Some(NOW), None, None),
        (Some(NOW + 1), None, Some(Late)),
        (Some(NOW), Some(NOW + 1), None),
        (Some(NOW - 2), Some(NOW - 1), Some(Late)),
        (Some(NOW + 1), Some(NOW + 2), Some(Late)),
    ] {
        let mut state = chain();
        let rule = coupon(&mut state, 1);
        (rule.valid_from, rule.valid_until) = (from, until);
        let doing = heard(0, NOW);
        let (found, changes) = does(&state, &redeem(1, None), &doing);
        assert_eq!(found, broke, "{from:?} {until:?}");
        assert_eq!(
            changes.coupons[0].state,
            used_by(&doing),
            "the goods are gone all the same"
        );
        // Marked as expired or not, the instant decides.
        coupon(&mut state, 1).state = CouponState::Expired;
        assert_eq!(does(&state, &redeem(1, None), &doing).0, broke, "{from:?} {until:?}");
    }
}

#[test]
fn who_had_head_office_s_word_for_this_is_not_late() {
    let about = Subject::Coupon(coupon_id(1));
    let granted = || FreezeStatus::Granted { until: NOW - MINUTE };
    let refused = FreezeStatus::Refused { reasons: Vec::new() };
    for (rule, by, subject, status, broke) in [
        ("its own word", 0, about, granted(), None),
        ("another device's", 1, about, granted(), Some(Late)),
        (
            "for another coupon",
            0,
            Subject::Coupon(coupon_id(2)),
            granted(),
            Some(Late),
        ),
        ("for an order", 0, Subject::Order(PICKUP), granted(), Some(Late)),
        ("a refusal", 0, about, refused, Some(Late)),
        ("given back", 0, about, FreezeStatus::Cancelled, Some(Late)),
    ] {
        let mut state = chain();
        coupon(&mut state, 1).valid_until = Some(NOW - DAY);
        let word = freeze(&mut state, 0, by, subject, status);
        assert_eq!(does(&state, &redeem(1, Some(word)), &heard(0, NOW)).0, broke, "{rule}");
        assert_eq!(does(&state, &redeem(1, None), &heard(0, NOW)).0, Some(Late), "no word");
    }
    let mut state = chain();
    coupon(&mut state, 1).valid_until = Some(NOW - DAY);
    let forecast = does(&state, &redeem(1, Some(freeze_id(0))), &heard(0, NOW)).0;
    assert_eq!(forecast, None, "a counter holds no freezes and believes itself");
    state.freezes.insert(freeze_id(0), None);
    let unheard = does(&state, &redeem(1, Some(freeze_id(0))), &heard(0, NOW)).0;
    assert_eq!(unheard, Some(Late), "head office never said so");
}

#[test]
fn a_member_s_coupon_is_presented_by_its_member() {
    let by = |number: u128, presenter| match redeem(number, None) {
        Action::RedeemCoupon(RedeemCoupon {
            coupon,
            template,
            template_version,
            worth,
            freeze,
            ..
        }) => Action::RedeemCoupon(RedeemCoupon {
            coupon,
            template,
            template_version,
            worth,
            member: presenter,
            freeze,
        }),
        other => other,
    };
    for (number, presenter, ends, broke) in [
        (0, None, None, None),
        (0, Some(MEMBER), None, None),
        (0, Some(STRANGER), None, Some(StateConflict)),
        (0, Some(STRANGER), Some(NOW), Some(Late)),
        (1, Some(STRANGER), None, None),
    ] {
        let mut state = chain();
        coupon(&mut state, number).valid_until = ends;
        let found = does(&state, &by(number, presenter), &heard(0, NOW)).0;
        assert_eq!(found, broke, "coupon {number} by {presenter:?}");
    }
}

#[test]
fn the_first_use_counts_and_the_second_has_the_case() {
    let mut state = chain();
    let first = heard(0, NOW);
    coupon(&mut state, 1).state = used_by(&first);
    for (ends, broke) in [(None, None), (Some(NOW), Some(Late))] {
        coupon(&mut state, 1).valid_until = ends;
        let second = heard(2, NOW);
        let (found, changes) = does(&state, &redeem(1, None), &second);
        assert_eq!(found, Some(DoubleRedeem));
        let after = &changes.coupons[0];
        assert_eq!(
            (&after.state, &after.surplus),
            (&used_by(&first), &vec![one_too_many(&second, broke)])
        );
        let case = Case {
            operation: second.operation,
            kind: DoubleRedeem,
            store: store_of(2),
            subject: Some(Subject::Coupon(coupon_id(1))),
            loss: 100,
        };
        assert_eq!(changes.cases, [case]);
    }
}

#[test]
fn what_head_office_never_heard_of_is_a_case_and_changes_no_row() {
    let mut state = chain();
    state.coupons.insert(coupon_id(1), None);
    state.orders.insert(PICKUP, None);
    for (action, subject, loss) in [
        (redeem(1, None), Subject::Coupon(coupon_id(1)), 100),
        (collect(None), Subject::Order(PICKUP), 300),
    ] {
        let (broke, changes) = does(&state, &action, &heard(0, NOW));
        assert_eq!(broke, Some(StateConflict));
        assert_eq!((changes.cases[0].subject, changes.cases[0].loss), (Some(subject), loss));
        assert!(changes.coupons.is_empty() && changes.orders.is_empty() && changes.feed.is_empty());
    }
    let attempt = Action::FailedAttempt(FailedAttempt { digest: String::new() });
    assert_eq!(does(&state, &attempt, &heard(0, NOW)), (None, Changes::default()));
}

#[test]
fn an_order_placed_online_hears_which_of_its_coupons_was_taken() {
    let mut state = chain();
    let until = HELD_BY_ORDER;
    let device = ONLINE_DEVICE;
    let freeze = freeze_id(5);
    coupon(&mut state, 1).state = CouponState::Frozen { freeze, until, device };
    let doing = heard(0, NOW);
    let (broke, changes) = does(&state, &redeem(1, Some(freeze)), &doing);
    assert_eq!(broke, Some(RedeemWhileFrozen));
    let taken = Taken {
        order: freeze,
        coupon: coupon_id(1),
        operation: doing.operation,
        store: doing.store,
        at: NOW,
    };
    assert_eq!(changes.taken, [taken]);
}

fn handed_over(doing: &Doing) -> OrderState {
    OrderState::Collected {
        operation: doing.operation,
        at: doing.times.occurred_at,
        store: doing.store,
    }
}

#[test]
fn an_order_s_freeze_counts_for_who_took_it_and_until_it_lapses() {
    let mut state = chain();
    let freeze = Some(OrderFreeze {
        freeze: freeze_id(0),
        until: UNTIL,
        device: device_id(0),
    });
    order(&mut state).state = OrderState::Ready { freeze };
    let (own, other): (Option<FreezeId>, _) = (Some(freeze_id(0)), Some(freeze_id(9)));
    for (device, word, received, broke) in [
        (0, own, NOW, None),
        (0, own, UNTIL, None),
        (0, None, NOW, Some(RedeemWhileFrozen)),
        (0, other, NOW, Some(RedeemWhileFrozen)),
        (1, own, NOW, Some(RedeemWhileFrozen)),
        (1, None, NOW, Some(RedeemWhileFrozen)),
        (1, None, UNTIL - 1, Some(RedeemWhileFrozen)),
        (1, None, UNTIL, None),
        (1, own, UNTIL + 1, None),
    ] {
        let doing = heard(device, received);
        let (found, changes) = does(&state, &collect(word), &doing);
        assert_eq!(found, broke, "device {device}, {word:?}, {received}");
        let after = &changes.orders[0];
        if broke.is_none() {
            assert_eq!((&after.state, &after.surplus), (&handed_over(&doing), &Vec::new()));
        } else {
            let before = state.orders[&PICKUP].as_ref().map(|order| &order.state);
            assert_eq!(
                (Some(&after.state), &after.surplus),
                (before, &vec![one_too_many(&doing, None)])
            );
        }
    }
}

#[test]
fn an_order_is_handed_over_once_and_where_it_waits() {
    let first = doing(1, operation_id(7));
    let elsewhere = Some(StateConflict);
    let ready = OrderState::Ready { freeze: None };
    for (before, device, broke, surplus) in [
        (ready.clone(), 0, None, None),
        (ready, 2, elsewhere, None),
        (handed_over(&first), 0, Some(DoublePickup), Some(None)),
        (handed_over(&first), 2, Some(DoublePickup), Some(elsewhere)),
        (OrderState::Returned, 0, Some(StateConflict), None),
        (OrderState::Cancelled, 2, Some(StateConflict), None),
    ] {
        let mut state = chain();
        order(&mut state).state = before.clone();
        let doing = heard(device, NOW);
        let (found, changes) = does(&state, &collect(None), &doing);
        assert_eq!(found, broke, "{before:?} by {device}");
        let after = &changes.orders[0];
        let expected: Vec<_> = surplus.iter().map(|broke| one_too_many(&doing, *broke)).collect();
        assert_eq!(after.surplus, expected);
        let stays = !matches!(before, OrderState::Ready { .. });
        assert_eq!(after.state, if stays { before } else { handed_over(&doing) });
        assert!(
            changes.feed.iter().any(|(store, _)| *store == doing.store),
            "who did it hears of it"
        );
        assert!(changes.cases.iter().all(|case| case.loss == 300));
    }
}

fn known(state: &mut State, n: u128, device: u128, subject: Option<Subject>, outcome: Outcome) -> OperationId {
    let applied = Applied {
        id: operation_id(n),
        device: device_id(device),
        epoch: 1,
        seq: 1,
        fingerprint: [0; 32],
        subject,
        outcome,
    };
    state.operations.insert(applied.id, Some(applied));
    operation_id(n)
}

/// Operation 1 of device 0 used it, operation 2 of device 2 was one too many, operation 3 of device 0 once had it and
/// has it no more, and so has operation 4, which has a case.
fn used_twice(subject: Subject) -> State {
    let mut state = chain();
    let exception = |exception| Outcome::AppliedWithException { exception };
    known(&mut state, 1, 0, Some(subject), Outcome::Applied);
    known(&mut state, 2, 2, Some(subject), exception(DoubleRedeem));
    known(&mut state, 3, 0, Some(subject), Outcome::Applied);
    known(&mut state, 4, 0, Some(subject), exception(Late));
    let (first, second) = (doing(0, operation_id(1)), doing(2, operation_id(2)));
    coupon(&mut state, 1).state = used_by(&first);
    coupon(&mut state, 1).surplus = vec![one_too_many(&second, None)];
    order(&mut state).state = handed_over(&first);
    order(&mut state).surplus = vec![one_too_many(&second, None)];
    state
}

#[test]
fn a_void_takes_back_what_its_operation_did_and_no_more() {
    for subject in [Subject::Coupon(coupon_id(1)), Subject::Order(PICKUP)] {
        let state = used_twice(subject);
        // Who undoes what: the rule, the cases closed, and who has it afterwards if anything changed.
        for (device, target, broke, closed, after) in [
            (0, 1, None, vec![operation_id(2)], Some((operation_id(2), 0))),
            (1, 1, Some(StateConflict), vec![], None),
            (2, 2, None, vec![operation_id(2)], Some((operation_id(1), 0))),
            (0, 2, Some(StateConflict), vec![], None),
            (0, 3, Some(StateConflict), vec![], None),
            (0, 4, None, vec![operation_id(4)], None),
        ] {
            let doing = doing(device, operation_id(50));
            let (found, changes) = does(&state, &void(operation_id(target)), &doing);
            let rule = format!("device {device} undoes operation {target} of {subject:?}");
            assert_eq!(found, broke, "{rule}");
            let closed: Vec<_> = closed.into_iter().map(Closed::all).collect();
            assert_eq!(changes.closed_cases, closed, "{rule}");
            assert!(
                changes
                    .cases
                    .iter()
                    .all(|case| (case.subject, case.loss) == (Some(subject), 0))
            );
            let coupons = changes.coupons.last().map(|coupon| match coupon.state {
                CouponState::Redeemed { operation, .. } => (operation, coupon.surplus.len()),
                _ => panic!("{rule}: {coupon:?}"),
            });
            let orders = changes.orders.last().map(|order| match order.state {
                OrderState::Collected { operation, .. } => (operation, order.surplus.len()),
                _ => panic!("{rule}: {order:?}"),
            });
            assert_eq!(coupons.or(orders), after, "{rule}");
        }
        let mut alone = state.clone();
        coupon(&mut alone, 1).surplus.clear();
        order(&mut alone).surplus.clear();
        let (broke, changes) = does(&alone, &void(operation_id(1)), &doing(0, operation_id(50)));
        assert_eq!((broke, changes.closed_cases), (None, vec![]));
        assert!(
            changes
                .coupons
                .iter()
                .all(|coupon| coupon.state == CouponState::Available)
        );
        assert!(
            changes
                .orders
                .iter()
                .all(|order| order.state == OrderState::Ready { freeze: None })
        );
        assert_eq!(changes.coupons.len() + changes.orders.len(), 1);
    }
}

#[test]
fn a_void_of_what_is_not_there_is_a_case() {
    let mut state = used_twice(Subject::Coupon(coupon_id(1)));
    state.operations.insert(operation_id(9), None);
    known(&mut state, 5, 0, None, Outcome::Applied);
    let gone = known(&mut state, 6, 0, Some(Subject::Coupon(coupon_id(7))), Outcome::Applied);
    let sent = known(
        &mut state,
        7,
        0,
        Some(Subject::Order(OrderId(Uuid::nil()))),
        Outcome::Applied,
    );
    state.coupons.insert(coupon_id(7), None);
    state.orders.insert(OrderId(Uuid::nil()), None);
    for target in [operation_id(9), operation_id(5), gone, sent] {
        let (broke, changes) = does(&state, &void(target), &doing(0, operation_id(50)));
        assert_eq!(broke, Some(StateConflict), "{target}");
        assert!(changes.coupons.is_empty() && changes.orders.is_empty() && changes.closed_cases.is_empty());
        assert_eq!(changes.cases[0].loss, 0);
    }
}

#[test]
fn a_return_is_not_undone() {
    let mut state = chain();
    let till = Till {
        store: store_of(0),
        device: device_id(0),
        at: NOW,
    };
    let sold = known(&mut state, 1, 0, Some(Subject::Sale(operation_id(1))), Outcome::Applied);
    let back = known(&mut state, 2, 0, Some(Subject::Sale(sold)), Outcome::Applied);
    state.sales.insert(sold, Sale::of(sold, till, &basket(&[])));
    let (broke, changes) = does(&state, &void(back), &doing(0, operation_id(50)));
    assert_eq!((broke, changes.sales), (Some(StateConflict), vec![]));
    let (broke, changes) = does(&state, &void(sold), &doing(0, operation_id(50)));
    assert_eq!((broke, changes.sales[0].voided_by), (None, Some(operation_id(50))));
}
