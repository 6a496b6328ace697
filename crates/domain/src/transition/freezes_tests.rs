//! The question before a redemption: one answer, for who asked, for as long as it holds.

use super::{
    Answer, AskFreeze, CancelFreeze, Changes, Command, DeviceStatus, Freeze, FreezeStatus, State, Subject, decide,
    testing::{NOW, PICKUP, chain, coupon, coupon_id, device, device_id, freeze, freeze_id, hold, operation_id, order},
};
use crate::{
    coupons::{CouponState, FREEZE_LASTS},
    pickups::{OrderFreeze, OrderState},
    time::{MINUTE, Millis},
    verdict::Reason,
};

const UNTIL: Millis = NOW + FREEZE_LASTS;
const COUPON: Subject = Subject::Coupon(coupon_id(1));

fn ask(state: &State, n: u128, by: u128, subject: Subject, now: Millis) -> (Answer, Changes) {
    let command = Command::Freeze(AskFreeze {
        amounts: crate::points::Amounts::default(),
        id: freeze_id(n),
        device: device_id(by),
        subject,
        presented_by: None,
        now,
    });
    decide(state, &command, now).unwrap()
}

fn give_back(state: &State, n: u128, by: u128, now: Millis) -> (Answer, Changes) {
    let command = Command::CancelFreeze(CancelFreeze {
        id: freeze_id(n),
        device: device_id(by),
        now,
    });
    decide(state, &command, now).unwrap()
}

fn frozen(n: u128, by: u128) -> OrderState {
    OrderState::Ready {
        freeze: Some(OrderFreeze {
            freeze: freeze_id(n),
            until: UNTIL,
            device: device_id(by),
        }),
    }
}

fn unasked() -> State {
    let mut state = chain();
    for n in 0..3 {
        state.freezes.insert(freeze_id(n), None);
    }
    state
}

#[test]
fn a_question_is_answered_once_and_its_answer_is_kept() {
    let state = unasked();
    for subject in [COUPON, Subject::Order(PICKUP)] {
        let (answer, changes) = ask(&state, 0, 0, subject, NOW);
        assert_eq!(answer, Answer::Granted { until: UNTIL });
        let kept = Freeze {
            amounts: crate::points::Amounts::default(),
            id: freeze_id(0),
            device: device_id(0),
            subject: Some(subject),
            asked_at: NOW,
            status: FreezeStatus::Granted { until: UNTIL },
        };
        assert_eq!(changes.freezes, [kept]);
        assert!(changes.feed.is_empty(), "it is over before it would be read");
        let mut later = state.clone();
        later.absorb(&changes);
        for (rule, by, about, now, answer) in [
            (
                "asked again",
                0,
                subject,
                NOW + MINUTE,
                Answer::Granted { until: UNTIL },
            ),
            (
                "to the last instant",
                0,
                subject,
                UNTIL - 1,
                Answer::Granted { until: UNTIL },
            ),
            ("from its end on", 0, subject, UNTIL, Answer::Cancelled),
            ("after its end", 0, subject, UNTIL + 1, Answer::Cancelled),
            ("by another device", 1, subject, NOW, Answer::AnotherQuestion),
            (
                "for another thing",
                0,
                Subject::Coupon(coupon_id(2)),
                NOW,
                Answer::AnotherQuestion,
            ),
            ("both", 1, Subject::Coupon(coupon_id(2)), NOW, Answer::AnotherQuestion),
        ] {
            assert_eq!(ask(&later, 0, by, about, now), (answer, Changes::default()), "{rule}");
        }
    }
}

#[test]
fn a_refusal_stays_one_and_holds_nothing() {
    let mut state = unasked();
    hold(&mut state, 1, 1, 1, UNTIL);
    let (answer, changes) = ask(&state, 0, 0, COUPON, NOW);
    let reasons = vec![Reason::Frozen { until: UNTIL }];
    let refused = Answer::Refused {
        reasons: reasons.clone(),
    };
    assert_eq!((&answer, changes.coupons.len()), (&refused, 0));
    assert_eq!(changes.freezes[0].status, FreezeStatus::Refused { reasons });
    state.absorb(&changes);
    coupon(&mut state, 1).state = CouponState::Available;
    assert_eq!(ask(&state, 0, 0, COUPON, UNTIL + MINUTE), (refused, Changes::default()));
    let sale = Subject::Sale(operation_id(1));
    let reasons = vec![Reason::NotACode];
    assert_eq!(ask(&state, 2, 0, sale, NOW).0, Answer::Refused { reasons });
}

#[test]
fn only_a_device_that_may_work_gets_a_freeze() {
    for status in [DeviceStatus::Frozen, DeviceStatus::Revoked] {
        let mut state = unasked();
        device(&mut state, 0).status = status;
        let barred = (Answer::DeviceBarred { status }, Changes::default());
        assert_eq!(ask(&state, 0, 0, COUPON, NOW), barred);
        // What it holds it may give back.
        hold(&mut state, 0, 0, 1, UNTIL);
        assert_eq!(give_back(&state, 0, 0, NOW).1.coupons[0].state, CouponState::Available);
    }
    let mut state = unasked();
    state.devices.insert(device_id(0), None);
    let unknown = (Answer::UnknownDevice, Changes::default());
    assert_eq!(ask(&state, 0, 0, COUPON, NOW), unknown);
    assert_eq!(give_back(&state, 0, 0, NOW), unknown);
}

#[test]
fn only_its_owner_gives_a_freeze_back_and_only_what_it_still_holds() {
    let later = NOW + MINUTE;
    // Whose word is given back by whom, who holds the coupon and the order meanwhile; whether they are free afterwards.
    for (rule, by, holder, holder_device, freed) in [
        ("its owner", 0, 0, 0, true),
        ("somebody else", 1, 0, 0, false),
        ("it lapsed, and another device holds them", 0, 1, 1, false),
        ("it lapsed, and another freeze of it holds them", 0, 1, 0, false),
        ("the same name, another's", 0, 0, 1, false),
    ] {
        for subject in [COUPON, Subject::Order(PICKUP)] {
            let mut state = unasked();
            freeze(&mut state, 0, 0, subject, FreezeStatus::Granted { until: UNTIL });
            coupon(&mut state, 1).state = CouponState::Frozen {
                freeze: freeze_id(holder),
                until: UNTIL,
                device: device_id(holder_device),
            };
            order(&mut state).state = frozen(holder, holder_device);
            let (answer, changes) = give_back(&state, 0, by, later);
            let rule = format!("{rule}: {subject:?}");
            if by != 0 {
                assert_eq!(
                    (answer, changes),
                    (Answer::AnotherQuestion, Changes::default()),
                    "{rule}"
                );
                continue;
            }
            assert_eq!(answer, Answer::Cancelled, "{rule}");
            let kept = Freeze {
                amounts: crate::points::Amounts::default(),
                id: freeze_id(0),
                device: device_id(0),
                subject: Some(subject),
                asked_at: later,
                status: FreezeStatus::Cancelled,
            };
            assert_eq!(changes.freezes, [kept], "{rule}");
            assert_eq!(
                changes.coupons.len() + changes.orders.len(),
                usize::from(freed),
                "{rule}"
            );
            assert!(
                changes
                    .coupons
                    .iter()
                    .all(|coupon| coupon.state == CouponState::Available)
            );
            let waits = OrderState::Ready { freeze: None };
            assert!(changes.orders.iter().all(|order| order.state == waits));
            assert!(
                changes
                    .entries
                    .iter()
                    .all(|line| line.source == freeze_id(0).0 && line.at == later)
            );
        }
    }
}

#[test]
fn a_freeze_that_has_ended_is_given_back_without_effect() {
    for status in [FreezeStatus::Cancelled, FreezeStatus::Refused { reasons: Vec::new() }] {
        let mut state = unasked();
        freeze(&mut state, 0, 0, COUPON, status);
        assert_eq!(give_back(&state, 0, 0, NOW), (Answer::Cancelled, Changes::default()));
    }
}

#[test]
fn a_cancel_that_overtook_its_question_closes_the_door() {
    let mut state = unasked();
    let (answer, changes) = give_back(&state, 0, 0, NOW);
    let kept = Freeze {
        amounts: crate::points::Amounts::default(),
        id: freeze_id(0),
        device: device_id(0),
        subject: None,
        asked_at: NOW,
        status: FreezeStatus::Cancelled,
    };
    assert_eq!((answer, &changes.freezes), (Answer::Cancelled, &vec![kept]));
    state.absorb(&changes);
    for (by, answer) in [(0, Answer::Cancelled), (1, Answer::AnotherQuestion)] {
        assert_eq!(ask(&state, 0, by, COUPON, NOW), (answer, Changes::default()));
    }
}
