//! Thousands of random histories.

use std::collections::BTreeMap;

use proptest::prelude::*;
use uuid::Uuid;

use super::{
    super::{
        Answer, Changes, Command, ExpireCoupon,
        online::{End, OnlineOrder, OnlineStatus},
    },
    ENDS, NOW, asked, at, coupon_id, ends, redeem, run, state,
};
use crate::{
    coupons::CouponState,
    ids::{CouponId, OperationId},
};

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
