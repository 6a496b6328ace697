//! Orders placed online. Here stands what their tests begin from.

mod histories;
mod steps;

use std::sync::Arc;

use serde_json::json;
use uuid::Uuid;

use super::{
    Answer, Applied, Changes, Command, Doing, State, Subject, decide, effect,
    online::{AskedOrder, End, EndOnline, FreezeOnline, Named},
};
use crate::{
    coupons::{Coupon, CouponState, Template},
    ids::{BatchId, CouponId, DeviceId, FreezeId, MemberId, OperationId, StoreId, TemplateId},
    operations::{Action, Outcome, RedeemCoupon, Times},
    people::Member,
    time::{DAY, MINUTE, Millis},
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
            amounts: crate::points::Amounts::default(),
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
        spent: crate::transition::online::Spent::default(),
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
