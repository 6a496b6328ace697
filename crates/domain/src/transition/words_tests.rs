//! The rows that a command is sure to read.

use std::sync::Arc;

use uuid::Uuid;

use super::{
    Answer, Arrival, AskFreeze, CancelFreeze, Claim, ClaimCoupon, ClaimKey, Command, Decide, ExpireCoupon, Key, Lapse,
    NeedKeys, Seen, State, Subject, TakeGrant, decide,
    online::{AskedOrder, End, EndOnline, FreezeOnline, Named},
    testing::{
        MEMBER, NOW, PICKUP, TEMPLATE, arrival, basket, collect, coupon_id, device_id, freeze_id, id, operation_id,
        redeem, store_of, void,
    },
};
use crate::{
    ids::{ClerkId, GrantId},
    operations::Action,
    sales::{Return, ReturnLine, ReturnPolicy},
};

const GRANT: GrantId = GrantId(Uuid::from_u128(0x66));
const NAME: ClaimKey = ClaimKey([1; 16]);

fn returned() -> Return {
    Return {
        member: None,
        to_balance: 0,
        target: operation_id(1),
        lines: vec![ReturnLine {
            line: 0,
            quantity: 1,
            refund: 900,
        }],
        policy: ReturnPolicy::Keep,
        coupons: vec![coupon_id(0)],
        approved_by: ClerkId(id(7, 0)),
        reason: String::new(),
    }
}

fn asked() -> Arc<AskedOrder> {
    let named = |coupon| Named {
        as_given: String::new(),
        coupon,
    };
    Arc::new(AskedOrder {
        amounts: crate::points::Amounts::default(),
        id: freeze_id(0),
        number: "1".into(),
        question: "q".into(),
        member: None,
        amount: 1_000,
        deadline: NOW,
        coupons: vec![named(Some(coupon_id(0))), named(None), named(Some(coupon_id(1)))],
        by: id(8, 0),
    })
}

#[test]
fn a_command_names_the_rows_it_is_sure_to_read() {
    let (device, coupon, freeze) = (Key::Device(device_id(0)), Key::Coupon, Key::Freeze);
    let mut sold = basket(&[(0, Some(freeze_id(0))), (1, None)]);
    sold.member = Some(MEMBER);
    let unread = Arrival {
        action: None,
        ..arrival(1, 1, redeem(0, None))
    };
    let operation = |action| Command::Operation(arrival(1, 1, action));
    let subject = Subject::Order(PICKUP);
    for (command, keys) in [
        (
            operation(redeem(0, Some(freeze_id(0)))),
            vec![device, coupon(coupon_id(0)), freeze(freeze_id(0))],
        ),
        (
            operation(collect(Some(freeze_id(0)))),
            vec![device, Key::Order(PICKUP), freeze(freeze_id(0))],
        ),
        (
            operation(void(operation_id(1))),
            vec![device, Key::Operation(operation_id(1))],
        ),
        (
            operation(Action::SettleSale(sold)),
            vec![
                device,
                coupon(coupon_id(0)),
                coupon(coupon_id(1)),
                Key::Member(MEMBER),
                freeze(freeze_id(0)),
            ],
        ),
        (
            operation(Action::ReturnSale(returned())),
            vec![device, Key::Sale(operation_id(1)), coupon(coupon_id(0))],
        ),
        (Command::Operation(unread), vec![device]),
        (
            Command::Freeze(AskFreeze {
                amounts: crate::points::Amounts::default(),
                id: freeze_id(0),
                device: device_id(0),
                subject: Subject::Coupon(coupon_id(0)),
                presented_by: None,
                now: NOW,
            }),
            vec![device, freeze(freeze_id(0)), coupon(coupon_id(0))],
        ),
        (
            Command::CancelFreeze(CancelFreeze {
                id: freeze_id(0),
                device: device_id(0),
                now: NOW,
            }),
            vec![device, freeze(freeze_id(0))],
        ),
        (
            Command::Claim(ClaimCoupon {
                member: MEMBER,
                template: TEMPLATE,
                key: NAME,
            }),
            vec![
                Key::Offer(TEMPLATE),
                Key::Holding((MEMBER, TEMPLATE)),
                Key::Member(MEMBER),
            ],
        ),
        (
            Command::TakeGrant(TakeGrant {
                grant: GRANT,
                member: MEMBER,
            }),
            vec![Key::Grant(GRANT), Key::Part((GRANT, MEMBER)), Key::Member(MEMBER)],
        ),
        (
            Command::FreezeOnline(FreezeOnline {
                asked: asked(),
                now: NOW,
            }),
            vec![Key::Online(freeze_id(0)), coupon(coupon_id(0)), coupon(coupon_id(1))],
        ),
        (
            Command::EndOnline(EndOnline {
                spent: crate::transition::online::Spent::default(),
                id: freeze_id(0),
                number: None,
                end: End::Confirm,
                by: None,
                now: NOW,
            }),
            vec![Key::Online(freeze_id(0))],
        ),
        (
            Command::ExpireCoupon(ExpireCoupon {
                coupon: coupon_id(0),
                now: NOW,
            }),
            vec![coupon(coupon_id(0))],
        ),
        (Command::Lapse(Lapse { subject, now: NOW }), vec![Key::Order(PICKUP)]),
        (
            Command::Seen(Seen {
                member: MEMBER,
                store: store_of(0),
            }),
            vec![Key::Member(MEMBER)],
        ),
    ] {
        assert_eq!(command.keys(), keys, "{command:?}");
    }
    assert_eq!(Subject::Sale(operation_id(1)).key(), Key::Sale(operation_id(1)));
}

/// From no rows at all, whoever loads what a command asks for comes to an answer, and is never asked twice.
#[test]
fn what_a_command_asks_for_is_all_it_needs() {
    let operation = |action| Command::Operation(arrival(1, 1, action));
    let now = NOW;
    for command in [
        operation(redeem(0, Some(freeze_id(0)))),
        Command::Freeze(AskFreeze {
            amounts: crate::points::Amounts::default(),
            id: freeze_id(0),
            device: device_id(0),
            subject: Subject::Coupon(coupon_id(0)),
            presented_by: None,
            now,
        }),
        Command::Claim(ClaimCoupon {
            member: MEMBER,
            template: TEMPLATE,
            key: NAME,
        }),
        Command::TakeGrant(TakeGrant {
            grant: GRANT,
            member: MEMBER,
        }),
        Command::FreezeOnline(FreezeOnline { asked: asked(), now }),
        Command::EndOnline(EndOnline {
            spent: crate::transition::online::Spent::default(),
            id: freeze_id(0),
            number: None,
            end: End::Void,
            by: None,
            now,
        }),
        Command::ExpireCoupon(ExpireCoupon {
            coupon: coupon_id(0),
            now,
        }),
        Command::Lapse(Lapse {
            subject: Subject::Order(PICKUP),
            now,
        }),
        Command::Seen(Seen {
            member: MEMBER,
            store: store_of(0),
        }),
    ] {
        let mut state = State::default();
        let mut seen = Vec::new();
        while let Err(NeedKeys(keys)) = decide(&state, &command, now) {
            assert!(!keys.is_empty());
            for key in keys {
                assert!(!seen.contains(&key), "{key:?} was asked for twice by {command:?}");
                seen.push(key);
                state.note_missing(key);
            }
        }
        assert!(!seen.is_empty(), "{command:?} guessed");
    }
}

#[test]
fn noting_that_a_row_is_missing_leaves_the_one_that_is_there() {
    let mut state = State::default();
    let known = Claim {
        member: MEMBER,
        key: NAME,
        template: TEMPLATE,
        ended: Ok(coupon_id(0)),
    };
    state.claims.insert((MEMBER, NAME), Some(known));
    state.note_missing(Key::Claim((MEMBER, NAME)));
    let claim = Command::Claim(ClaimCoupon {
        member: MEMBER,
        template: TEMPLATE,
        key: NAME,
    });
    let given = Answer::Given {
        coupon: coupon_id(0),
        replayed: true,
    };
    assert_eq!(decide(&state, &claim, NOW).map(|it| it.0), Ok(given));
}
