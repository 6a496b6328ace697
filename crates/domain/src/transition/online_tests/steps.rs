//! Every state against every command, and what the coupons come to.

use std::{collections::BTreeMap, sync::Arc};

use uuid::Uuid;

use super::{
    super::{
        Answer, Changes, Command, ExpireCoupon, NeedKeys, State, decide, effect,
        online::{End, EndOnline, FreezeOnline, Named, OnlineStatus, redemption},
    },
    BY, ENDS, NOW, SHOP, asked, at, coupon_id, doing, ends, order_id, redeem, run, state,
};
use crate::{
    coupons::{CouponState, HELD_BY_ORDER, ONLINE_DEVICE, ONLINE_STORE},
    ids::{DeviceId, MemberId, OperationId},
    operations::{Action, ExceptionKind, Outcome, VoidRedemption},
    time::{MINUTE, Millis},
    transition::{Closed, Swept},
    verdict::Reason,
};

fn status(answer: &Answer) -> Result<OnlineStatus, &'static str> {
    match answer {
        Answer::Order(order) => Ok(order.status),
        Answer::OrderTaken => Err("taken"),
        Answer::OrderEnded { .. } => Err("ended"),
        Answer::UnknownOrder => Err("unknown"),
        other => panic!("{other:?}"),
    }
}

/// Brings order 0 with coupon 0 into a state; `None` = nobody has asked yet.
fn bring(to: Option<OnlineStatus>) -> State {
    let mut state = state(2);
    let steps = match to {
        None => vec![],
        Some(OnlineStatus::Frozen) => vec![asked(0, &[0], "q")],
        Some(OnlineStatus::Refused) => vec![asked(1, &[0], "other"), asked(0, &[0], "q"), ends(1, End::Cancel)],
        Some(OnlineStatus::Confirmed) => vec![asked(0, &[0], "q"), ends(0, End::Confirm)],
        Some(OnlineStatus::Cancelled) => vec![asked(0, &[0], "q"), ends(0, End::Cancel)],
        Some(OnlineStatus::Voided) => vec![asked(0, &[0], "q"), ends(0, End::Confirm), ends(0, End::Void)],
    };
    for step in steps {
        run(&mut state, &step);
    }
    let reached = state.online[&order_id(0)].as_ref().map(|order| order.status);
    assert_eq!(reached, to);
    state
}

#[test]
fn every_state_meets_every_command() {
    use OnlineStatus::{Cancelled, Confirmed, Frozen, Refused, Voided};
    type Expected = Result<OnlineStatus, &'static str>;
    // Asked again in the same words, asked anew in the same words, asked for something else, the same question with
    // other words; confirm, cancel, void.
    let table: [(Option<OnlineStatus>, [Expected; 7]); 6] = [
        (
            None,
            [
                Ok(Frozen),
                Ok(Frozen),
                Ok(Frozen),
                Ok(Frozen),
                Err("unknown"),
                Ok(Cancelled),
                Err("unknown"),
            ],
        ),
        (
            Some(Frozen),
            [
                Ok(Frozen),
                Ok(Frozen),
                Err("taken"),
                Err("taken"),
                Ok(Confirmed),
                Ok(Cancelled),
                Err("ended"),
            ],
        ),
        (
            Some(Refused),
            [
                Ok(Refused),
                Ok(Frozen),
                Ok(Frozen),
                Ok(Refused),
                Err("ended"),
                Ok(Cancelled),
                Err("ended"),
            ],
        ),
        (
            Some(Confirmed),
            [
                Ok(Confirmed),
                Ok(Confirmed),
                Err("taken"),
                Err("taken"),
                Ok(Confirmed),
                Err("ended"),
                Ok(Voided),
            ],
        ),
        (
            Some(Cancelled),
            [
                Ok(Cancelled),
                Ok(Cancelled),
                Ok(Cancelled),
                Ok(Cancelled),
                Err("ended"),
                Ok(Cancelled),
                Err("ended"),
            ],
        ),
        (
            Some(Voided),
            [
                Ok(Voided),
                Ok(Voided),
                Err("taken"),
                Err("taken"),
                Err("ended"),
                Err("ended"),
                Ok(Voided),
            ],
        ),
    ];
    let commands = [
        asked(0, &[0], "q"),
        asked(0, &[0], "anew"),
        asked(0, &[1], "anew"),
        asked(0, &[1], "q"),
        ends(0, End::Confirm),
        ends(0, End::Cancel),
        ends(0, End::Void),
    ];
    for (from, expected) in table {
        for (command, expected) in commands.iter().zip(expected) {
            let mut before = bring(from);
            let unchanged = before.clone();
            let (answer, changes) = run(&mut before, command);
            assert_eq!(status(&answer), expected, "{from:?} {command:?}");
            let moved = expected.is_ok_and(|to| Some(to) != from);
            assert_eq!(
                changes != Changes::default(),
                moved,
                "{from:?} {command:?}: {changes:?}"
            );
            if !moved {
                assert_eq!(before.coupons, unchanged.coupons);
                assert_eq!(before.online, unchanged.online);
            }
            // Doing it once more has no second effect.
            let (again, changes) = run(&mut before, command);
            assert_eq!(changes, Changes::default(), "{from:?} {command:?}");
            assert_eq!(status(&again), expected, "{from:?} {command:?}");
        }
    }
}

#[test]
fn the_coupons_follow_the_order_and_their_record_says_so() {
    let mut state = state(2);
    let (answer, changes) = run(&mut state, &asked(0, &[1, 0], "q"));
    let Answer::Order(order) = answer else { panic!() };
    assert_eq!(order.ask_at, Some(NOW + 16 * MINUTE));
    assert_eq!(
        order.coupons.iter().map(|held| held.coupon).collect::<Vec<_>>(),
        [coupon_id(0), coupon_id(1)]
    );
    assert_eq!(
        at(&state, 0),
        CouponState::Frozen {
            freeze: order_id(0),
            until: HELD_BY_ORDER,
            device: ONLINE_DEVICE
        }
    );
    for entry in &changes.entries {
        assert_eq!(
            (entry.what, entry.store, entry.source),
            ("frozen", ONLINE_STORE, order_id(0).0)
        );
        assert_eq!(entry.actor.map(|id| id.0), Some(BY));
    }
    // Where the member was seen, the counters must know.
    assert_eq!(changes.feed.len(), 2);

    let (_, changes) = run(&mut state, &ends(0, End::Confirm));
    assert_eq!(
        at(&state, 0),
        CouponState::Redeemed {
            operation: redemption(order_id(0)),
            at: NOW + MINUTE,
            store: ONLINE_STORE
        }
    );
    assert!(changes.entries.iter().all(|entry| entry.what == "redeemed"));
    let (_, changes) = run(&mut state, &ends(0, End::Void));
    assert!(changes.entries.iter().all(|entry| entry.what == "voided"));
    assert_eq!(at(&state, 0), CouponState::Available);
    assert_eq!(at(&state, 1), CouponState::Available);
}

#[test]
fn one_bad_coupon_refuses_all_and_names_every_reason() {
    let mut state = state(3);
    run(&mut state, &asked(1, &[1], "q"));
    if let Some(Some(coupon)) = state.coupons.get_mut(&coupon_id(2)) {
        coupon.valid_until = Some(NOW);
        coupon.member = Some(MemberId(Uuid::from_u128(9)));
    }
    let Command::FreezeOnline(FreezeOnline { asked: order, now }) = asked(0, &[0, 1, 2], "q") else {
        panic!()
    };
    let mut order = (*order).clone();
    order.coupons.push(Named {
        as_given: "000000000000000000".into(),
        coupon: None,
    });
    let (answer, changes) = run(
        &mut state,
        &Command::FreezeOnline(FreezeOnline {
            asked: Arc::new(order),
            now,
        }),
    );
    let Answer::Order(order) = answer else { panic!() };
    assert_eq!(order.status, OnlineStatus::Refused);
    let told: BTreeMap<String, Vec<Reason>> = order
        .refusals
        .into_iter()
        .map(|refusal| (refusal.coupon, refusal.reasons))
        .collect();
    let expected = BTreeMap::from([
        (coupon_id(1).to_string(), vec![Reason::HeldByOrder]),
        (
            coupon_id(2).to_string(),
            vec![Reason::NotOwner, Reason::Expired { at: Some(NOW) }],
        ),
        ("000000000000000000".to_owned(), vec![Reason::UnknownCode]),
    ]);
    assert_eq!(told, expected);
    assert!(changes.coupons.is_empty() && changes.entries.is_empty());
    assert_eq!(at(&state, 0), CouponState::Available);
}

#[test]
fn a_counter_that_honours_a_held_coupon_leaves_word_for_the_order() {
    let mut state = state(2);
    run(&mut state, &asked(0, &[0, 1], "q"));
    let operation = OperationId(Uuid::from_u128(1));
    let (outcome, changes) = redeem(&mut state, 0, operation);
    assert_eq!(
        outcome,
        Outcome::AppliedWithException {
            exception: ExceptionKind::RedeemWhileFrozen
        }
    );
    assert_eq!(changes.taken.len(), 1);
    assert_eq!(
        (changes.taken[0].order, changes.taken[0].operation),
        (order_id(0), operation)
    );

    assert_eq!(at(&state, 0).order(), Some(order_id(0)), "the hold stays");

    // The order uses what it holds: the counter's use is the one too many, and has the case.
    let (answer, changes) = run(&mut state, &ends(0, End::Confirm));
    let Answer::Order(order) = answer else { panic!() };
    assert_eq!(order.coupons[0].taken, Some((operation, NOW)));
    assert_eq!(order.coupons[1].taken, None);
    assert_eq!(changes.coupons.len(), 2);
    assert!(changes.closed_cases.is_empty());
    assert_eq!(at(&state, 0).order(), Some(order_id(0)));
    // A refund leaves the counter's use as the only one: its case is closed.
    let (_, changes) = run(&mut state, &ends(0, End::Void));
    assert!(matches!(at(&state, 0), CouponState::Redeemed { store: SHOP, .. }));
    assert_eq!(changes.closed_cases, [Closed::all(operation)]);
    assert_eq!(at(&state, 1), CouponState::Available);
}

#[test]
fn a_coupon_that_a_counter_gave_back_is_used_by_the_order_that_was_paid_with_it() {
    let mut state = state(1);
    run(&mut state, &asked(0, &[0], "q"));
    let operation = OperationId(Uuid::from_u128(1));
    redeem(&mut state, 0, operation);
    let void = Action::VoidRedemption(VoidRedemption {
        target: operation,
        reason: "wrong".into(),
        approved_by: crate::ids::ClerkId(Uuid::from_u128(2)),
    });
    let (_, changes) = effect(&state, &void, &doing(OperationId(Uuid::from_u128(3)))).unwrap();
    state.absorb(&changes);
    assert_eq!(at(&state, 0).order(), Some(order_id(0)), "the hold stays");
    run(&mut state, &ends(0, End::Confirm));
    assert_eq!(at(&state, 0).order(), Some(order_id(0)));
}

#[test]
fn a_cancel_after_the_coupon_s_time_leaves_it_expired() {
    let mut state = state(1);
    run(&mut state, &asked(0, &[0], "q"));
    let late = Command::EndOnline(EndOnline {
        spent: crate::transition::online::Spent::default(),
        id: order_id(0),
        number: None,
        end: End::Cancel,
        by: None,
        now: ENDS,
    });
    run(&mut state, &late);
    assert_eq!(at(&state, 0), CouponState::Expired);
}

#[test]
fn the_sweep_marks_what_has_ended_and_leaves_the_rest() {
    let expire = |state: &mut State, n: u128, now: Millis| {
        let command = Command::ExpireCoupon(ExpireCoupon {
            coupon: coupon_id(n),
            now,
        });
        match run(state, &command).0 {
            Answer::Swept(swept) => swept,
            other => panic!("{other:?}"),
        }
    };
    let mut state = state(4);
    run(&mut state, &asked(0, &[1], "q"));
    run(&mut state, &asked(1, &[2], "q"));
    run(&mut state, &ends(1, End::Confirm));
    if let Some(Some(coupon)) = state.coupons.get_mut(&coupon_id(3)) {
        coupon.state = CouponState::Frozen {
            freeze: order_id(2),
            until: ENDS + MINUTE,
            device: DeviceId(Uuid::from_u128(0xD0)),
        };
    }
    for n in [0, 1, 3] {
        assert_eq!(expire(&mut state, n, ENDS - 1), Swept::Later(ENDS));
    }
    assert_eq!(expire(&mut state, 0, ENDS), Swept::Expired);
    assert_eq!(at(&state, 0), CouponState::Expired);
    assert_eq!(expire(&mut state, 0, ENDS), Swept::Settled);
    assert_eq!(expire(&mut state, 1, ENDS), Swept::Settled);
    assert_eq!(expire(&mut state, 2, ENDS), Swept::Settled);
    assert_eq!(expire(&mut state, 3, ENDS), Swept::Later(ENDS + MINUTE));
    assert_eq!(expire(&mut state, 3, ENDS + MINUTE), Swept::Expired);
    let gone = Command::ExpireCoupon(ExpireCoupon {
        coupon: coupon_id(9),
        now: ENDS,
    });
    assert!(matches!(decide(&state, &gone, ENDS), Err(NeedKeys(_))));
}
