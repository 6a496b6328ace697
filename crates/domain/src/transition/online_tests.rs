//! Orders placed online: every state against every command, then thousands of random histories.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::{
    Answer, Applied, Changes, Command, Doing, ExpireCoupon, NeedKeys, State, Subject, decide, effect,
    online::{AskedOrder, End, EndOnline, FreezeOnline, Named, OnlineOrder, OnlineStatus, redemption},
};
use crate::{
    coupons::{Coupon, CouponState, HELD_BY_ORDER, ONLINE_DEVICE, ONLINE_STORE, Template},
    ids::{BatchId, CouponId, DeviceId, FreezeId, MemberId, OperationId, StoreId, TemplateId},
    operations::{Action, ExceptionKind, Outcome, RedeemCoupon, Times, VoidRedemption},
    people::Member,
    time::{DAY, MINUTE, Millis},
    transition::Swept,
    verdict::Reason,
};

const NOW: Millis = 1_795_000_000_000;
const ENDS: Millis = NOW + 30 * DAY;
const BY: Uuid = Uuid::from_u128(0xB1);

fn coupon_id(n: u128) -> CouponId {
    CouponId(Uuid::from_u128(0xC0 + n))
}
fn order_id(n: u128) -> FreezeId {
    FreezeId(Uuid::from_u128(0xF0 + n))
}
const MEMBER: MemberId = MemberId(Uuid::from_u128(0xA0));
const TEMPLATE: TemplateId = TemplateId(Uuid::from_u128(0xE0));
const SHOP: StoreId = StoreId(Uuid::from_u128(0x50));

fn state(coupons: u128) -> State {
    let template: Template = serde_json::from_value(json!({
        "id": TEMPLATE, "version": 1, "name_zh": "减", "name_en": "Off", "currency": "CNY",
        "rule": {"kind": "amount_off", "amount": 100}, "stores": null, "offline": "online_only",
        "floor_limit": 0, "worth_unbounded": 0,
    }))
    .unwrap();
    let member = Member {
        id: MEMBER,
        number: "1".into(),
        name: "王".into(),
        phone: "13800000000".into(),
        recent_stores: vec![SHOP],
    };
    let mut state = State::default();
    state.templates.insert((TEMPLATE, 1), Some(Arc::new(template)));
    state.members.insert(MEMBER, Some(member));
    for n in 0..coupons {
        let coupon = Coupon {
            id: coupon_id(n),
            code: format!("{n:018}"),
            member: Some(MEMBER),
            template: TEMPLATE,
            template_version: 1,
            batch: BatchId(Uuid::from_u128(0xBA)),
            home_store: None,
            valid_from: None,
            valid_until: Some(ENDS),
            state: CouponState::Available,
            version: 1,
            surplus: Vec::new(),
            told: Vec::new(),
        };
        state.coupons.insert(coupon.id, Some(coupon));
    }
    for n in 0..3 {
        state.online.insert(order_id(n), None);
    }
    state
}

fn asked(order: u128, coupons: &[u128], question: &str) -> Command {
    Command::FreezeOnline(FreezeOnline {
        asked: Arc::new(AskedOrder {
            id: order_id(order),
            number: format!("W-{order}"),
            question: question.into(),
            member: Some(MEMBER),
            amount: 5_000,
            deadline: NOW + 15 * MINUTE,
            coupons: coupons
                .iter()
                .map(|n| Named {
                    as_given: coupon_id(*n).to_string(),
                    coupon: Some(coupon_id(*n)),
                })
                .collect(),
            by: BY,
        }),
        now: NOW,
    })
}

fn ends(order: u128, end: End) -> Command {
    Command::EndOnline(EndOnline {
        id: order_id(order),
        number: Some(format!("W-{order}")),
        end,
        by: Some(BY),
        now: NOW + MINUTE,
    })
}

fn run(state: &mut State, command: &Command) -> (Answer, Changes) {
    let (answer, changes) = decide(state, command, NOW).unwrap();
    state.absorb(&changes);
    (answer, changes)
}

/// A counter that honours a coupon, as head office hears of it.
fn redeem(state: &mut State, coupon: u128, operation: OperationId) -> (Outcome, Changes) {
    let action = Action::RedeemCoupon(RedeemCoupon {
        coupon: coupon_id(coupon),
        template: TEMPLATE,
        template_version: 1,
        worth: 100,
        member: None,
        freeze: None,
    });
    let (outcome, changes) = effect(state, &action, &doing(operation)).unwrap();
    state.absorb(&changes);
    let applied = Applied {
        id: operation,
        device: DeviceId(Uuid::from_u128(0xD0)),
        epoch: 1,
        seq: 1,
        fingerprint: [0; 32],
        subject: Some(Subject::Coupon(coupon_id(coupon))),
        outcome,
    };
    state.operations.insert(operation, Some(applied));
    (outcome, changes)
}

fn doing(operation: OperationId) -> Doing {
    Doing {
        operation,
        device: DeviceId(Uuid::from_u128(0xD0)),
        store: SHOP,
        actor: None,
        times: Times {
            occurred_at: NOW,
            received_at: NOW,
            settled_at: None,
        },
    }
}

fn at(state: &State, coupon: u128) -> CouponState {
    state.coupons[&coupon_id(coupon)].as_ref().unwrap().state.clone()
}

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
    assert_eq!(changes.closed_cases, [operation]);
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

#[derive(Debug, Clone)]
enum Step {
    Ask {
        order: u128,
        coupons: Vec<u128>,
        question: u8,
    },
    End {
        order: u128,
        end: End,
    },
    Redeem {
        coupon: u128,
    },
    Expire {
        coupon: u128,
        late: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..3u128, prop::collection::btree_set(0..3u128, 1..=3), 0..3u8)
            .prop_map(|(order, coupons, question)| Step::Ask { order, coupons: coupons.into_iter().collect(), question }),
        4 => (0..3u128, prop::sample::select(End::ALL.to_vec())).prop_map(|(order, end)| Step::End { order, end }),
        1 => (0..3u128).prop_map(|coupon| Step::Redeem { coupon }),
        1 => (0..3u128, any::<bool>()).prop_map(|(coupon, late)| Step::Expire { coupon, late }),
    ]
}

/// What may follow a status.
fn may_follow(from: Option<OnlineStatus>, to: OnlineStatus) -> bool {
    use OnlineStatus::{Cancelled, Confirmed, Frozen, Refused, Voided};
    matches!(
        (from, to),
        (None, Frozen | Refused | Cancelled)
            | (Some(Refused), Frozen | Refused | Cancelled)
            | (Some(Frozen), Confirmed | Cancelled)
            | (Some(Confirmed), Voided)
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// Whatever arrives in whatever order, however often: a coupon has one holder, an order takes only steps that
    /// follow each other, each step leaves one line, and what is repeated changes nothing.
    #[test]
    fn any_history_has_one_effect_each(steps in prop::collection::vec(step(), 1..40)) {
        let mut state = state(3);
        let mut lines: BTreeMap<CouponId, i64> = BTreeMap::new();
        for (n, step) in steps.iter().enumerate() {
            let before = state.online.clone();
            let command = match step {
                Step::Ask { order, coupons, question } => asked(*order, coupons, &question.to_string()),
                Step::End { order, end } => ends(*order, *end),
                Step::Expire { coupon, late } => Command::ExpireCoupon(ExpireCoupon {
                    coupon: coupon_id(*coupon),
                    now: if *late { ENDS } else { NOW },
                }),
                Step::Redeem { coupon } => {
                    let operation = OperationId(Uuid::from_u128(0x1000 + n as u128));
                    let held = at(&state, *coupon).order();
                    let was_frozen = matches!(at(&state, *coupon), CouponState::Frozen { .. });
                    let (_, changes) = redeem(&mut state, *coupon, operation);
                    prop_assert_eq!(changes.taken.len(), usize::from(was_frozen && held.is_some()));
                    for entry in &changes.entries {
                        *lines.entry(entry.coupon).or_default() += 1;
                    }
                    continue;
                }
            };
            let (first, changes) = run(&mut state, &command);
            for entry in &changes.entries {
                *lines.entry(entry.coupon).or_default() += 1;
            }
            for order in &changes.online {
                let from = before[&order.id].as_ref().map(|order| order.status);
                prop_assert!(may_follow(from, order.status), "{:?} -> {:?}", from, order.status);
            }
            let settled = state.clone();
            let (again, changes) = run(&mut state, &command);
            if !matches!(first, Answer::Swept(_)) {
                prop_assert_eq!(&first, &again);
            }
            prop_assert_eq!(changes, Changes::default());
            prop_assert_eq!(&settled.coupons, &state.coupons);

            let orders: Vec<&OnlineOrder> = state.online.values().flatten().collect();
            for (id, coupon) in state.coupons.iter() {
                let coupon = coupon.as_ref().unwrap();
                prop_assert_eq!(coupon.version - 1, lines.get(id).copied().unwrap_or(0));
                if let Some(holder) = coupon.state.order() {
                    let order = state.online[&holder].as_ref().unwrap();
                    let fits = match coupon.state {
                        CouponState::Frozen { .. } => order.status == OnlineStatus::Frozen,
                        _ => order.status == OnlineStatus::Confirmed,
                    };
                    prop_assert!(fits, "{:?} {:?}", coupon, order);
                    prop_assert!(order.coupons.iter().any(|held| held.coupon == *id));
                }
            }
            for order in orders {
                for held in &order.coupons {
                    let of = state.coupons[&held.coupon].as_ref().unwrap().state.order();
                    let holds = of == Some(order.id);
                    match order.status {
                        // What it does not hold any more, a counter took.
                        OnlineStatus::Frozen => prop_assert!(holds || held.taken.is_some()),
                        OnlineStatus::Confirmed => prop_assert!(holds || held.taken.is_some()),
                        _ => prop_assert!(!holds),
                    }
                }
            }
        }
    }
}
