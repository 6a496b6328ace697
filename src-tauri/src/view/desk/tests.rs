use counterfoil_counter::{Explained, Place, Title};
use counterfoil_domain::coupons::CouponState as State;
use counterfoil_domain::ids::{
    BatchId, CouponId, DeviceId, FreezeId, MemberId, OperationId, OrderId, StoreId, TemplateId,
};
use counterfoil_domain::pickups::OrderLine;
use counterfoil_domain::settlement::{Basis, Scope, Stacking};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;

const NOW: i64 = 1_760_000_000_000;

fn member() -> Member {
    Member {
        id: MemberId(Uuid::from_u128(1)),
        number: "60001288".into(),
        name: "王小明".into(),
        phone: "13800006620".into(),
        recent_stores: Vec::new(),
    }
}

fn template() -> Template {
    Template {
        id: TemplateId(Uuid::from_u128(2)),
        version: 1,
        name_zh: "八五折".into(),
        name_en: "15% off".into(),
        currency: "CNY".into(),
        rule: Kind::PercentOff {
            percent_bp: 1_500,
            threshold: None,
            max_discount: Some(5_000),
            basis: Basis::Net,
        }
        .into(),
        scope: Scope::default(),
        stacking: Stacking::default(),
        stores: None,
        offline: OfflinePolicy::FloorLimit,
        floor_limit: 0,
        worth_unbounded: 0,
    }
}

fn coupon(state: State) -> Coupon {
    Coupon {
        id: CouponId(Uuid::from_u128(3)),
        code: "100120260712345678".into(),
        member: Some(MemberId(Uuid::from_u128(1))),
        template: TemplateId(Uuid::from_u128(2)),
        template_version: 1,
        batch: BatchId(Uuid::from_u128(4)),
        home_store: None,
        valid_from: None,
        valid_until: Some(NOW + 1),
        state,
        version: 1,
        surplus: Vec::new(),
        told: Vec::new(),
    }
}

fn json_of(verdict: &counter::Verdict) -> Value {
    serde_json::to_value(Verdict::from(verdict)).unwrap()
}

fn showing(subject: counter::Thing) -> counter::Verdict {
    counter::Verdict {
        ticket: Some("t".into()),
        decision: counter::Decision::HonourOffline,
        subject,
        reasons: vec![Explained {
            reason: counterfoil_domain::verdict::Reason::Frozen { until: NOW },
            code: "frozen".into(),
            params: [("until".to_owned(), NOW.to_string())].into(),
        }],
        action: Some(counter::DeskAction::Redeem),
        shown_at: NOW,
    }
}

#[test]
fn a_coupon_is_shown_with_its_rule_and_a_masked_member() {
    let subject = counter::Thing::Coupon {
        coupon: Box::new(coupon(State::Available)),
        template: Some(Box::new(template())),
        member: Some(member()),
    };
    let shown = json_of(&showing(subject));
    assert_eq!(shown["decision"], "honourOffline");
    assert_eq!(shown["action"], "redeem");
    assert_eq!(
        shown["reasons"],
        json!([{"code": "frozen", "params": {"until": NOW.to_string()}}])
    );
    let coupon = &shown["subject"]["coupon"];
    assert_eq!(shown["subject"]["kind"], "coupon");
    assert_eq!(coupon["ruleKind"], "percent_off");
    assert_eq!(coupon["rule"]["percentBp"], 1_500);
    assert_eq!(coupon["rule"]["threshold"], Value::Null);
    assert_eq!(coupon["offline"], "floorLimit");
    assert_eq!(coupon["state"], "available");
    assert_eq!(coupon["member"]["phone"], "138****6620");
    assert!(!shown.to_string().contains("小明") && !shown.to_string().contains("13800006620"));
}

#[test]
fn the_state_is_the_one_of_now() {
    let frozen = |until| State::Frozen {
        freeze: FreezeId(Uuid::nil()),
        until,
        device: DeviceId(Uuid::nil()),
    };
    let redeemed = State::Redeemed {
        operation: OperationId(Uuid::nil()),
        at: NOW,
        store: StoreId(Uuid::nil()),
    };
    for (state, now, expected) in [
        (frozen(NOW + 1), NOW, CouponState::Frozen),
        (frozen(NOW), NOW, CouponState::Available),
        (State::Available, NOW + 1, CouponState::Expired),
        (redeemed, NOW + 1, CouponState::Redeemed),
    ] {
        assert_eq!(coupon_view(&coupon(state), None, None, now).state, expected);
    }
    // Nothing is promised of a coupon whose template isn't here.
    let bare = coupon_view(&coupon(State::Available), None, None, NOW);
    assert_eq!((bare.offline, bare.rule_kind), (Offline::OnlineOnly, None));
}

#[test]
fn an_order_keeps_its_lines_and_masks_who_collects() {
    let order = Order {
        id: OrderId(Uuid::from_u128(5)),
        number: "P-1".into(),
        code: "40718826".into(),
        store: StoreId(Uuid::nil()),
        member: None,
        collector: "王小明 13800006620".into(),
        deadline: None,
        lines: vec![OrderLine {
            sku: "A".into(),
            name_zh: "豆".into(),
            name_en: "Beans".into(),
            quantity: 2,
            unit_price: 6_800,
        }],
        state: pickups::OrderState::Ready { freeze: None },
        version: 1,
        surplus: Vec::new(),
        told: Vec::new(),
    };
    let shown = order_view(&order, None, None);
    assert_eq!(shown.collector, "王** 138****6620");
    assert_eq!((shown.state, shown.lines[0].quantity), (OrderState::Ready, 2));
    assert_eq!(mask_collector("会员本人 / the member"), "会员本人 / the member");
}

#[test]
fn a_receipt_speaks_the_language() {
    let receipt = counter::Receipt {
        op_id: OperationId(Uuid::from_u128(6)),
        place: Place { epoch: 2, seq: 7 },
        at: NOW,
        delivery: counter::Delivery::ToBeDelivered,
        title: Title {
            zh: "八五折".into(),
            en: "15% off".into(),
        },
    };
    let done = Confirmation::of(&counter::Confirmation::Done(receipt.clone()), Locale::En);
    let shown = serde_json::to_value(done).unwrap();
    assert_eq!(shown["kind"], "done");
    assert_eq!(shown["receipt"]["delivery"], "toBeDelivered");
    assert_eq!(
        (&shown["receipt"]["title"], &shown["receipt"]["seq"]),
        (&json!("15% off"), &json!(7))
    );
    assert_eq!(Receipt::of(&receipt, Locale::ZhCn).title, "八五折");
}
