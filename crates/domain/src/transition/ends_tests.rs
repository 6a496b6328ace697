//! How an order placed online ends: what its row says then, and coupons that somebody else has meanwhile.

use super::{
    Answer, Changes, Command, State, decide,
    online::{AskedOrder, End, EndOnline, FreezeOnline, Named, OnlineOrder, OnlineStatus, redemption},
    testing::{NOW, chain, coupon, coupon_id, device_id, freeze_id, id, operation_id, store_of},
};
use crate::{
    coupons::CouponState,
    ids::{FreezeId, OperationId},
    time::{DAY, MINUTE},
};

const ORDER: FreezeId = freeze_id(0);
const LATER: i64 = NOW + MINUTE;

fn ask(state: &mut State, question: &str) -> Changes {
    let asked = AskedOrder {
        amounts: crate::points::Amounts::default(),
        id: ORDER,
        number: "1".into(),
        question: question.into(),
        member: None,
        amount: 1_000,
        deadline: NOW + DAY,
        coupons: vec![Named {
            as_given: "1".into(),
            coupon: Some(coupon_id(1)),
        }],
        by: id(8, 0),
    };
    let command = Command::FreezeOnline(FreezeOnline {
        asked: asked.into(),
        now: NOW,
    });
    take(state, &command).1
}

fn end(state: &mut State, end: End) -> (OnlineOrder, Changes) {
    let command = Command::EndOnline(EndOnline {
        spent: crate::transition::online::Spent::default(),
        id: ORDER,
        number: None,
        end,
        by: Some(id(8, 1)),
        now: LATER,
    });
    match take(state, &command) {
        (Answer::Order(order), changes) => (*order, changes),
        other => panic!("{other:?}"),
    }
}

fn take(state: &mut State, command: &Command) -> (Answer, Changes) {
    let (answer, changes) = decide(state, command, NOW).unwrap();
    state.absorb(&changes);
    (answer, changes)
}

fn unasked() -> State {
    let mut state = chain();
    state.online.insert(ORDER, None);
    state
}

fn used_by(operation: OperationId) -> CouponState {
    CouponState::Redeemed {
        operation,
        at: NOW,
        store: store_of(0),
    }
}

#[test]
fn every_step_grows_the_order_and_says_when_it_ended_and_by_whom() {
    let by = Some((LATER, Some(id(8, 1))));
    let mut state = unasked();
    let held = ask(&mut state, "q").online[0].clone();
    assert_eq!(
        (held.version, held.ended, held.ask_at),
        (1, None, Some(NOW + DAY + MINUTE))
    );
    let mut paid = state.clone();
    for (ends, status, version) in [
        (End::Confirm, OnlineStatus::Confirmed, 2),
        (End::Void, OnlineStatus::Voided, 3),
    ] {
        let ended = OnlineOrder {
            status,
            ended: by,
            ask_at: None,
            version,
            ..held.clone()
        };
        let (order, changes) = end(&mut paid, ends);
        assert_eq!((&order, &changes.online), (&ended, &vec![ended.clone()]));
        // Once more it is the same answer, and changes nothing.
        assert_eq!(end(&mut paid, ends), (ended, Changes::default()));
    }
    let (order, _) = end(&mut state, End::Cancel);
    assert_eq!((order.version, order.ended, order.ask_at), (2, by, None));
}

#[test]
fn a_refused_order_grows_when_it_is_asked_anew_and_forgets_why_when_it_ends() {
    let mut state = unasked();
    coupon(&mut state, 1).state = used_by(operation_id(1));
    for (question, version) in [("q", 1), ("r", 2), ("s", 3)] {
        let refused = &ask(&mut state, question).online[0];
        assert_eq!((refused.status, refused.version), (OnlineStatus::Refused, version));
        assert_eq!((refused.refusals.len(), refused.ask_at), (1, None));
    }
    let (order, changes) = end(&mut state, End::Cancel);
    assert_eq!(
        (order.status, order.version, order.refusals.len()),
        (OnlineStatus::Cancelled, 4, 0)
    );
    assert!(changes.coupons.is_empty());
}

#[test]
fn the_end_of_an_order_leaves_a_coupon_to_who_has_it() {
    let mine = redemption(ORDER);
    let by_device = CouponState::Frozen {
        freeze: freeze_id(5),
        until: NOW + DAY,
        device: device_id(0),
    };
    let by_namesake = CouponState::Frozen {
        freeze: ORDER,
        until: NOW + DAY,
        device: device_id(0),
    };
    for (state_now, ends, uses, waits) in [
        // It was paid: what nobody has is used, whether or not its time is up.
        (None, End::Confirm, true, false),
        (Some(CouponState::Available), End::Confirm, true, false),
        (Some(CouponState::Expired), End::Confirm, true, false),
        // What somebody else has stays theirs, and the order's use waits behind it.
        (Some(used_by(operation_id(1))), End::Confirm, false, true),
        (Some(by_device.clone()), End::Confirm, false, true),
        (Some(by_namesake.clone()), End::Confirm, false, true),
        // It came to nothing: only what it holds is let go of.
        (Some(CouponState::Available), End::Cancel, false, false),
        (Some(CouponState::Expired), End::Cancel, false, false),
        (Some(used_by(operation_id(1))), End::Cancel, false, false),
        (Some(by_device), End::Cancel, false, false),
        (Some(by_namesake), End::Cancel, false, false),
    ] {
        let mut state = unasked();
        ask(&mut state, "q");
        if let Some(state_now) = &state_now {
            coupon(&mut state, 1).state = state_now.clone();
        }
        let before = coupon(&mut state, 1).clone();
        let (_, changes) = end(&mut state, ends);
        let after = coupon(&mut state, 1).clone();
        let rule = format!("{ends:?} over {state_now:?}");
        if uses {
            assert_eq!(after.state.order(), Some(ORDER), "{rule}");
            assert!(
                matches!(after.state, CouponState::Redeemed { operation, .. } if operation == mine),
                "{rule}"
            );
            assert!(after.surplus.is_empty(), "{rule}");
        } else if waits {
            assert_eq!(after.state, before.state, "{rule}");
            let behind: Vec<_> = after.surplus.iter().map(|used| (used.operation, used.at)).collect();
            assert_eq!(behind, [(mine, LATER)], "{rule}");
        } else {
            assert_eq!((after, changes.coupons), (before, vec![]), "{rule}");
        }
    }
    let mut state = unasked();
    ask(&mut state, "q");
    end(&mut state, End::Cancel);
    assert_eq!(
        coupon(&mut state, 1).state,
        CouponState::Available,
        "what it holds is let go of"
    );
}
