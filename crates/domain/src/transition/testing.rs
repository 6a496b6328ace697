//! The rows that the tests of the rules begin from: a small chain, and what its counters do.

use std::sync::Arc;

use uuid::Uuid;

use super::{Arrival, Device, DeviceStatus, Doing, Freeze, FreezeStatus, State, Subject, genesis};
use crate::{
    coupons::{Coupon, CouponState, OfflinePolicy, Template},
    ids::{BatchId, CouponId, DeviceId, FreezeId, MemberId, OperationId, OrderId, StoreId, TemplateId},
    operations::{Action, CollectOrder, RedeemCoupon, Times, VoidRedemption},
    people::Member,
    pickups::{Order, OrderState},
    sales::{SaleLine, Settlement, UsedCoupon},
    settlement::{Kind, Scope, Stacking},
    time::Millis,
};

pub(super) const NOW: Millis = 1_795_000_000_000;
pub(super) const COUPONS: u128 = 3;
pub(super) const DEVICES: u128 = 4;

pub(super) const fn id(kind: u128, n: u128) -> Uuid {
    Uuid::from_u128((kind << 64) | n)
}
pub(super) const fn coupon_id(n: u128) -> CouponId {
    CouponId(id(1, n))
}
pub(super) const fn device_id(n: u128) -> DeviceId {
    DeviceId(id(2, n))
}
/// Two devices a store, the way a shop has them.
pub(super) fn store_of(device: u128) -> StoreId {
    StoreId(id(3, device / 2))
}
pub(super) const fn freeze_id(n: u128) -> FreezeId {
    FreezeId(id(6, n))
}
pub(super) const fn operation_id(n: u128) -> OperationId {
    OperationId(id(9, n))
}
pub(super) const PICKUP: OrderId = OrderId(Uuid::from_u128(0x77));
pub(super) const MEMBER: MemberId = MemberId(Uuid::from_u128(0x55));
pub(super) const TEMPLATE: TemplateId = TemplateId(id(4, 0));

/// Coupon 0 is a member's, coupon 1 is a printed one of the first store, coupon 2 a printed one of none.
pub(super) fn chain() -> State {
    let mut state = State::default();
    for n in 0..DEVICES {
        let device = Device {
            id: device_id(n),
            store: store_of(n),
            status: DeviceStatus::Active,
            epoch: 1,
            last_seq: 0,
            last_hash: genesis(),
            settled_at: None,
            version: 1,
        };
        state.devices.insert(device.id, Some(device));
    }
    for n in 0..COUPONS {
        let coupon = Coupon {
            id: coupon_id(n),
            code: n.to_string(),
            member: (n == 0).then_some(MEMBER),
            template: TEMPLATE,
            template_version: 1,
            batch: BatchId(id(5, 0)),
            home_store: (n == 1).then(|| store_of(0)),
            valid_from: None,
            valid_until: None,
            state: CouponState::Available,
            version: 1,
            surplus: Vec::new(),
            told: Vec::new(),
        };
        state.coupons.insert(coupon.id, Some(coupon));
    }
    let rule = Template {
        id: TEMPLATE,
        version: 1,
        name_zh: "减".into(),
        name_en: "off".into(),
        currency: "CNY".into(),
        rule: Kind::AmountOff { amount: 100 }.into(),
        scope: Scope::default(),
        stacking: Stacking::default(),
        stores: None,
        offline: OfflinePolicy::HomeStore,
        floor_limit: 0,
        worth_unbounded: 0,
    };
    state.templates.insert((TEMPLATE, 1), Some(Arc::new(rule)));
    let member = Member {
        id: MEMBER,
        number: "1".into(),
        name: "m".into(),
        phone: "1".into(),
        recent_stores: vec![store_of(0)],
    };
    state.members.insert(MEMBER, Some(member));
    let order = Order {
        id: PICKUP,
        number: "1".into(),
        code: "1".into(),
        store: store_of(0),
        member: None,
        collector: "c".into(),
        deadline: None,
        lines: Vec::new(),
        state: OrderState::Ready { freeze: None },
        version: 1,
        surplus: Vec::new(),
        told: Vec::new(),
    };
    state.orders.insert(PICKUP, Some(order));
    state
}

pub(super) fn device(state: &mut State, n: u128) -> &mut Device {
    state.devices.get_mut(&device_id(n)).unwrap().as_mut().unwrap()
}

pub(super) fn coupon(state: &mut State, n: u128) -> &mut Coupon {
    state.coupons.get_mut(&coupon_id(n)).unwrap().as_mut().unwrap()
}

pub(super) fn order(state: &mut State) -> &mut Order {
    state.orders.get_mut(&PICKUP).unwrap().as_mut().unwrap()
}

/// A freeze that head office knows of, asked for by this device.
pub(super) fn freeze(state: &mut State, n: u128, by: u128, subject: Subject, status: FreezeStatus) -> FreezeId {
    let known = Freeze {
        amounts: crate::points::Amounts::default(),
        id: freeze_id(n),
        device: device_id(by),
        subject: Some(subject),
        asked_at: NOW,
        status,
    };
    state.freezes.insert(known.id, Some(known));
    freeze_id(n)
}

/// A freeze that was granted until then and still holds the coupon.
pub(super) fn hold(state: &mut State, n: u128, by: u128, held: u128, until: Millis) -> FreezeId {
    let subject = Subject::Coupon(coupon_id(held));
    let id = freeze(state, n, by, subject, FreezeStatus::Granted { until });
    coupon(state, held).state = CouponState::Frozen {
        freeze: id,
        until,
        device: device_id(by),
    };
    id
}

pub(super) fn redeem(coupon: u128, freeze: Option<FreezeId>) -> Action {
    Action::RedeemCoupon(RedeemCoupon {
        coupon: coupon_id(coupon),
        template: TEMPLATE,
        template_version: 1,
        worth: 100,
        member: None,
        freeze,
    })
}

pub(super) fn collect(freeze: Option<FreezeId>) -> Action {
    Action::CollectOrder(CollectOrder {
        order: PICKUP,
        worth: 300,
        freeze,
    })
}

/// One line that costs 1000, of which each coupon takes 100.
pub(super) fn basket(coupons: &[(u128, Option<FreezeId>)]) -> Settlement {
    let line = SaleLine {
        sku: "1".into(),
        name_zh: "茶".into(),
        name_en: "tea".into(),
        category: None,
        merchant: None,
        unit_price: 1_000,
        quantity: 1,
    };
    let used = coupons.iter().map(|(coupon, freeze)| UsedCoupon {
        coupon: coupon_id(*coupon),
        template: TEMPLATE,
        template_version: 1,
        discount: 100,
        shares: vec![100],
        freeze: *freeze,
    });
    Settlement {
        account: crate::points::AccountUse::default(),
        currency: "CNY".into(),
        lines: vec![line],
        coupons: used.collect(),
        member: None,
        payable: 1_000 - 100 * i64::try_from(coupons.len()).unwrap(),
        tender: "cash".into(),
        receipt: "1".into(),
    }
}

pub(super) fn void(target: OperationId) -> Action {
    Action::VoidRedemption(VoidRedemption {
        target,
        reason: String::new(),
        approved_by: crate::ids::ClerkId(id(7, 0)),
    })
}

/// This device does it now, by a good clock.
pub(super) fn doing(device: u128, operation: OperationId) -> Doing {
    Doing {
        operation,
        device: device_id(device),
        store: store_of(device),
        actor: None,
        times: Times {
            occurred_at: NOW,
            received_at: NOW,
            settled_at: None,
        },
    }
}

/// Different for every operation that [`arrival`] makes.
pub(super) fn fingerprint(epoch: i64, seq: i64) -> [u8; 32] {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&epoch.to_be_bytes());
    bytes[8..16].copy_from_slice(&seq.to_be_bytes());
    bytes
}

/// The operation of device 0 at this place, which names the one before it.
pub(super) fn arrival(epoch: i64, seq: i64, action: Action) -> Arrival {
    let place = epoch * 100 + seq;
    Arrival {
        id: operation_id(u128::try_from(place).unwrap_or_default()),
        device: device_id(0),
        epoch,
        seq,
        prev_hash: fingerprint(epoch, seq - 1),
        fingerprint: fingerprint(epoch, seq),
        actor: None,
        occurred_at: NOW,
        action: Some(action),
        body: Arc::from(&b"{}"[..]),
    }
}
