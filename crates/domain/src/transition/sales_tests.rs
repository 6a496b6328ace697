//! What comes back of a sale: goods and coupons, once, and only what was sold.

use super::{
    Applied, Changes, Closed, Excused, State, Subject, effect,
    testing::{NOW, basket, chain, coupon, coupon_id, device_id, doing, id, operation_id, store_of, void},
};
use crate::{
    coupons::CouponState,
    ids::{ClerkId, CouponId, OperationId},
    operations::{Action, ExceptionKind, Outcome},
    sales::{Return, ReturnLine, ReturnPolicy, Sale, Till},
    surplus::Surplus,
};

const SOLD: OperationId = operation_id(1);
/// The sale's case for the coupons that somebody else had used.
const TOO_MANY: Closed = Closed {
    operation: SOLD,
    kind: Some(ExceptionKind::DoubleRedeem),
};
const BACK: OperationId = operation_id(2);
const OTHER: OperationId = operation_id(3);
const CONFLICT: Outcome = Outcome::AppliedWithException {
    exception: ExceptionKind::StateConflict,
};

fn used_by(operation: OperationId) -> CouponState {
    CouponState::Redeemed {
        operation,
        at: NOW,
        store: store_of(0),
    }
}

/// Device 0 sold one line of 1000 for 800, with coupons 1 and 2, which are the sale's.
fn sold(outcome: Outcome) -> State {
    let mut state = chain();
    let till = Till {
        store: store_of(0),
        device: device_id(0),
        at: NOW,
    };
    let sale = Sale::of(SOLD, till, &basket(&[(1, None), (2, None)]));
    state.sales.insert(SOLD, sale);
    let applied = Applied {
        id: SOLD,
        device: device_id(0),
        epoch: 1,
        seq: 1,
        fingerprint: [0; 32],
        subject: Some(Subject::Sale(SOLD)),
        outcome,
    };
    state.operations.insert(SOLD, Some(applied));
    coupon(&mut state, 1).state = used_by(SOLD);
    coupon(&mut state, 2).state = used_by(SOLD);
    state
}

fn sale(state: &mut State) -> &mut Sale {
    state.sales.get_mut(&SOLD).unwrap().as_mut().unwrap()
}

/// Coupon 1 is somebody else's, and the sale's use of it one too many.
fn taken_before(state: &mut State) {
    let surplus = Surplus {
        operation: SOLD,
        at: NOW,
        store: store_of(0),
        device: device_id(0),
        actor: None,
        sale: true,
        broke: None,
    };
    coupon(state, 1).state = used_by(OTHER);
    coupon(state, 1).surplus = vec![surplus];
    sale(state).coupons[0].exception = Some(ExceptionKind::DoubleRedeem);
}

fn back(quantity: i64, refund: i64, coupons: &[u128]) -> Action {
    Action::ReturnSale(Return {
        member: None,
        to_balance: 0,
        target: SOLD,
        lines: vec![ReturnLine {
            line: 0,
            quantity,
            refund,
        }],
        policy: ReturnPolicy::Keep,
        coupons: coupons.iter().map(|n| coupon_id(*n)).collect(),
        approved_by: ClerkId(id(7, 0)),
        reason: String::new(),
    })
}

fn does(state: &State, action: &Action) -> (Outcome, Changes) {
    let (outcome, changes) = effect(state, action, &doing(0, BACK)).unwrap();
    assert_eq!(changes.cases.len(), usize::from(outcome != Outcome::Applied));
    assert!(
        changes
            .cases
            .iter()
            .all(|case| case.subject == Some(Subject::Sale(SOLD)))
    );
    (outcome, changes)
}

/// The coupons that are free after it.
fn freed(changes: &Changes) -> Vec<CouponId> {
    let free = changes
        .coupons
        .iter()
        .filter(|coupon| coupon.state == CouponState::Available);
    free.map(|coupon| coupon.id).collect()
}

#[test]
fn goods_and_coupons_come_back_once() {
    type Before = fn(&mut State);
    let whole: Before = |_| {};
    for (rule, before, action, outcome, loss, gone) in [
        ("goods alone", whole, back(1, 800, &[]), Outcome::Applied, 0, vec![]),
        (
            "goods and a coupon",
            whole,
            back(1, 800, &[2]),
            Outcome::Applied,
            0,
            vec![2],
        ),
        (
            "and both",
            whole,
            back(1, 800, &[2, 1]),
            Outcome::Applied,
            0,
            vec![2, 1],
        ),
        (
            "more money than was paid",
            whole,
            back(1, 850, &[1]),
            CONFLICT,
            50,
            vec![1],
        ),
        (
            "more units than were sold",
            whole,
            back(2, 800, &[1]),
            CONFLICT,
            0,
            vec![1],
        ),
        (
            "a coupon of another sale",
            |it| coupon(it, 0).state = used_by(SOLD),
            back(1, 800, &[0]),
            CONFLICT,
            0,
            vec![],
        ),
        ("one of each", whole, back(1, 800, &[0, 1]), CONFLICT, 0, vec![1]),
        (
            "one that went back before",
            |it| {
                sale(it).coupons[0].given_back = true;
                coupon(it, 1).state = CouponState::Available;
            },
            back(1, 800, &[1]),
            CONFLICT,
            0,
            vec![],
        ),
        (
            "one that went back before and is the sale's all the same",
            |it| {
                sale(it).coupons[0].given_back = true;
            },
            back(1, 800, &[1]),
            CONFLICT,
            0,
            vec![1],
        ),
        (
            "one that somebody else has, nobody knows why",
            |it| {
                coupon(it, 1).state = used_by(OTHER);
            },
            back(1, 800, &[1]),
            CONFLICT,
            0,
            vec![],
        ),
        (
            "one that was late",
            |it| {
                sale(it).coupons[0].exception = Some(ExceptionKind::Late);
            },
            back(1, 800, &[1]),
            Outcome::Applied,
            0,
            vec![1],
        ),
        (
            "one that was somebody else's from the first",
            taken_before,
            back(1, 800, &[1]),
            Outcome::Applied,
            0,
            vec![],
        ),
        (
            "of a sale that was undone",
            |it| {
                sale(it).voided_by = Some(OTHER);
            },
            back(1, 800, &[1]),
            CONFLICT,
            800,
            vec![],
        ),
    ] {
        let mut state = sold(Outcome::Applied);
        before(&mut state);
        let (found, changes) = does(&state, &action);
        assert_eq!(found, outcome, "{rule}");
        assert!(
            changes.cases.iter().all(|case| case.loss == loss),
            "{rule}: {:?}",
            changes.cases
        );
        let expected: Vec<_> = gone.iter().map(|n| coupon_id(*n)).collect();
        assert_eq!(freed(&changes), expected, "{rule}");
        // Whoever took it back hears how the sale stands, whatever came of it.
        assert_eq!((changes.sales.len(), changes.sales[0].version), (1, 2), "{rule}");
        assert!(changes.feed.iter().any(|(store, _)| *store == store_of(0)), "{rule}");
        for held in &changes.sales[0].coupons {
            let before = sale(&mut state).coupons.iter().find(|sold| sold.used == held.used);
            let before = before.is_some_and(|sold| sold.given_back);
            let asked = matches!(&action, Action::ReturnSale(back) if back.coupons.contains(&held.used.coupon));
            let undone = changes.sales[0].voided_by.is_some();
            assert_eq!(held.given_back, before || (asked && !undone), "{rule}");
        }
    }
}

#[test]
fn what_was_never_sold_here_is_a_loss() {
    let mut state = sold(Outcome::Applied);
    state.sales.insert(SOLD, None);
    let (outcome, changes) = does(&state, &back(1, 800, &[1]));
    assert_eq!((outcome, changes.cases[0].loss), (CONFLICT, 800));
    assert!(changes.sales.is_empty() && changes.coupons.is_empty());
    let (outcome, changes) = does(&state, &void(SOLD));
    assert_eq!((outcome, changes.cases[0].loss), (CONFLICT, 0));
    assert!(changes.sales.is_empty() && changes.coupons.is_empty());
}

#[test]
fn a_coupon_too_many_closes_the_sale_s_case_when_it_comes_back() {
    let mut state = sold(CONFLICT);
    taken_before(&mut state);
    let (_, changes) = does(&state, &back(1, 800, &[1]));
    assert_eq!((&changes.closed_cases, &changes.excused), (&vec![TOO_MANY], &vec![]));
    assert!(changes.coupons[0].surplus.is_empty());
    // The other coupon broke another rule, which has a case of its own.
    sale(&mut state).coupons[1].exception = Some(ExceptionKind::Late);
    let (_, changes) = does(&state, &back(1, 800, &[1]));
    assert_eq!((&changes.closed_cases, &changes.excused), (&vec![TOO_MANY], &vec![]));
    // It broke the same: the case stays, for less.
    sale(&mut state).coupons[1].exception = Some(ExceptionKind::DoubleRedeem);
    let (_, changes) = does(&state, &back(1, 800, &[1]));
    assert_eq!(
        (&changes.closed_cases, &changes.excused),
        (
            &vec![],
            &vec![Excused {
                operation: SOLD,
                kind: ExceptionKind::DoubleRedeem,
                loss: 100
            }]
        )
    );
    // It went back before: what it broke is no more.
    sale(&mut state).coupons[1].given_back = true;
    let (_, changes) = does(&state, &back(1, 800, &[1]));
    assert_eq!((&changes.closed_cases, &changes.excused), (&vec![TOO_MANY], &vec![]));
}

#[test]
fn a_sale_is_undone_once_and_whole() {
    type Before = fn(&mut State);
    let whole: Before = |_| {};
    let late = Outcome::AppliedWithException {
        exception: ExceptionKind::Late,
    };
    for (rule, before, was, outcome, loss, gone) in [
        (
            "as it was sold",
            whole,
            Outcome::Applied,
            Outcome::Applied,
            0,
            vec![1, 2],
        ),
        (
            "a coupon went back before",
            |it| {
                sale(it).coupons[0].given_back = true;
                coupon(it, 1).state = CouponState::Available;
            },
            Outcome::Applied,
            Outcome::Applied,
            0,
            vec![2],
        ),
        (
            "a coupon that somebody else has",
            |it| {
                coupon(it, 1).state = used_by(OTHER);
            },
            Outcome::Applied,
            CONFLICT,
            0,
            vec![2],
        ),
        (
            "the same, of a sale that has a case",
            |it| {
                coupon(it, 1).state = used_by(OTHER);
            },
            late,
            Outcome::Applied,
            0,
            vec![2],
        ),
        (
            "goods went back before",
            |it| {
                sale(it).lines[0].returned = 1;
                sale(it).lines[0].paid_back = 300;
            },
            Outcome::Applied,
            CONFLICT,
            300,
            vec![1, 2],
        ),
    ] {
        let mut state = sold(was);
        before(&mut state);
        let (found, changes) = does(&state, &void(SOLD));
        assert_eq!(found, outcome, "{rule}");
        assert!(changes.cases.iter().all(|case| case.loss == loss), "{rule}");
        let expected: Vec<_> = gone.iter().map(|n| coupon_id(*n)).collect();
        assert_eq!(freed(&changes), expected, "{rule}");
        let undone = &changes.sales[0];
        assert_eq!(
            (undone.voided_by, undone.version, changes.sales.len()),
            (Some(BACK), 2, 1),
            "{rule}"
        );
        state.absorb(&changes);
        let (found, changes) = does(&state, &void(SOLD));
        assert_eq!(
            (found, changes.sales, changes.coupons),
            (CONFLICT, vec![], vec![]),
            "{rule}: again"
        );
    }
}

#[test]
fn a_sale_has_a_case_for_each_rule_that_it_broke() {
    let mut state = chain();
    coupon(&mut state, 1).valid_until = Some(NOW);
    coupon(&mut state, 2).state = used_by(OTHER);
    let mut third = coupon(&mut state, 2).clone();
    third.id = coupon_id(3);
    state.coupons.insert(third.id, Some(third));
    let action = Action::SettleSale(basket(&[(1, None), (2, None), (3, None)]));
    let (outcome, changes) = effect(&state, &action, &doing(0, SOLD)).unwrap();
    let exception = ExceptionKind::Late;
    assert_eq!(outcome, Outcome::AppliedWithException { exception }, "the first");
    let cases = changes.cases.iter().map(|case| (case.kind, case.loss));
    assert_eq!(
        cases.collect::<Vec<_>>(),
        [(ExceptionKind::DoubleRedeem, 200), (ExceptionKind::Late, 100)]
    );
    assert!(
        changes
            .cases
            .iter()
            .all(|case| case.subject == Some(Subject::Sale(SOLD)))
    );
    state.absorb(&changes);
    let applied = Applied {
        id: SOLD,
        device: device_id(0),
        epoch: 1,
        seq: 1,
        fingerprint: [0; 32],
        subject: Some(Subject::Sale(SOLD)),
        outcome,
    };
    state.operations.insert(SOLD, Some(applied));
    let (outcome, changes) = effect(&state, &void(SOLD), &doing(0, BACK)).unwrap();
    assert_eq!(
        (outcome, changes.closed_cases),
        (Outcome::Applied, vec![Closed::all(SOLD)])
    );
}
