//! What is seen of rows is what the transition makes of them, whatever lies over them and however they are computed.

mod accounts;
mod stored;

use std::collections::{BTreeMap, BTreeSet};

use counterfoil_domain::{
    coupons::CouponState,
    ids::{CouponId, OperationId},
    operations::{Action, CollectOrder, ExceptionKind, OperationKind, Outcome, RedeemCoupon, Times, VoidRedemption},
    pickups::OrderState,
    sales::{Return, ReturnLine, ReturnPolicy, Sale, SaleLine, Settlement, UsedCoupon},
    transition::{Applied, Doing, NeedKeys, State, Subject, effect, genesis},
};
use proptest::prelude::*;

use super::lay::{Laid, Seen, lay_over};
use crate::{
    copies::Ground,
    journal::Place,
    testing::{NOW, bytes, clerk_id, coupon, coupon_id, device, member_id, order, order_id, store_id, template_id},
};

const COUPONS: u8 = 4;
const ORDERS: u8 = 2;

/// Something that happens here; numbers name coupons, orders, or operations that went before.
#[derive(Debug, Clone)]
enum Deed {
    Redeem(u8),
    Collect(u8),
    Settle(Vec<u8>),
    Void(u8),
    Return(u8, u8),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        3 => (0..COUPONS).prop_map(Deed::Redeem),
        1 => (0..ORDERS).prop_map(Deed::Collect),
        4 => prop::collection::btree_set(0..COUPONS, 0..=3).prop_map(|coupons| Deed::Settle(coupons.into_iter().collect())),
        4 => any::<u8>().prop_map(Deed::Void),
        3 => (any::<u8>(), any::<u8>()).prop_map(|(sale, coupons)| Deed::Return(sale, coupons)),
    ]
}

fn redemption(coupon: CouponId) -> Action {
    Action::RedeemCoupon(RedeemCoupon {
        coupon,
        template: template_id(1),
        template_version: 1,
        worth: 2_000,
        member: None,
        freeze: None,
    })
}

/// 5 x 20.00, and 20.00 off for each coupon.
fn settlement(coupons: &[CouponId]) -> Settlement {
    let discount = 2_000 * i64::try_from(coupons.len()).unwrap();
    Settlement {
        account: counterfoil_domain::points::AccountUse::default(),
        currency: "CNY".into(),
        lines: vec![SaleLine {
            sku: "P2".into(),
            name_zh: "商品2".into(),
            name_en: "Product 2".into(),
            category: None,
            merchant: None,
            unit_price: 2_000,
            quantity: 5,
        }],
        coupons: coupons
            .iter()
            .map(|coupon| UsedCoupon {
                coupon: *coupon,
                template: template_id(1),
                template_version: 1,
                discount: 2_000,
                shares: vec![2_000],
                freeze: None,
            })
            .collect(),
        member: Some(member_id(1)),
        payable: 10_000 - discount,
        tender: "cash".into(),
        receipt: "R-1".into(),
    }
}

/// One unit comes back.
fn goods_back(target: OperationId, coupons: Vec<CouponId>) -> Action {
    Action::ReturnSale(Return {
        member: None,
        to_balance: 0,
        target,
        lines: vec![ReturnLine {
            line: 0,
            quantity: 1,
            refund: 1_000,
        }],
        policy: ReturnPolicy::Keep,
        coupons,
        approved_by: clerk_id(2),
        reason: "too small".into(),
    })
}

fn void_of(target: OperationId) -> Action {
    Action::VoidRedemption(VoidRedemption {
        target,
        reason: "wrong one".into(),
        approved_by: clerk_id(2),
    })
}

fn nth<T>(items: &[T], n: u8) -> Option<&T> {
    (!items.is_empty()).then(|| &items[usize::from(n) % items.len()])
}

/// What the deed is, after those that went before.
fn action(deed: &Deed, before: &[(OperationId, Action)]) -> Option<Action> {
    let ids = |coupons: &[u8]| coupons.iter().map(|n| coupon_id(*n)).collect::<Vec<_>>();
    Some(match deed {
        Deed::Redeem(n) => redemption(coupon_id(*n)),
        Deed::Collect(n) => Action::CollectOrder(CollectOrder {
            order: order_id(*n),
            worth: 1_000,
            freeze: None,
        }),
        Deed::Settle(coupons) => Action::SettleSale(settlement(&ids(coupons))),
        Deed::Void(n) => {
            let undone: BTreeSet<OperationId> = before.iter().filter_map(|(_, action)| action.undoes()).collect();
            let candidates: Vec<OperationId> = before
                .iter()
                .filter(|(id, action)| can_be_undone(action) && !undone.contains(id))
                .map(|(id, _)| *id)
                .collect();
            void_of(*nth(&candidates, *n)?)
        }
        Deed::Return(n, which) => {
            let sales: Vec<(OperationId, Vec<CouponId>)> = before
                .iter()
                .filter_map(|(id, action)| match action {
                    Action::SettleSale(settled) => {
                        Some((*id, settled.coupons.iter().map(|used| used.coupon).collect()))
                    }
                    _ => None,
                })
                .collect();
            let (sale, coupons) = nth(&sales, *n)?.clone();
            let some = coupons
                .into_iter()
                .enumerate()
                .filter(|(place, _)| which & (1 << place) != 0);
            goods_back(sale, some.map(|(_, id)| id).collect())
        }
    })
}

fn can_be_undone(action: &Action) -> bool {
    matches!(
        action,
        Action::RedeemCoupon { .. } | Action::CollectOrder { .. } | Action::SettleSale { .. }
    )
}

fn over(id: OperationId, action: &Action, before: &[Laid]) -> Vec<Subject> {
    match action.undoes() {
        None => action.touches(id),
        Some(target) => {
            let undone = before.iter().find(|laid| laid.doing.operation == target);
            undone.map(|laid| laid.over.clone()).unwrap_or_default()
        }
    }
}

fn operation(n: usize) -> OperationId {
    OperationId::new(NOW, bytes(20, u8::try_from(n).unwrap()))
}

fn doing(operation: OperationId) -> Doing {
    Doing {
        operation,
        device: device(1),
        store: store_id(1),
        actor: Some(clerk_id(1)),
        times: Times {
            occurred_at: NOW,
            received_at: NOW,
            settled_at: None,
        },
    }
}

/// These deeds as operations that nobody has heard of yet.
fn laid(deeds: &[Deed]) -> Vec<Laid> {
    let mut done: Vec<(OperationId, Action)> = Vec::new();
    let mut laid: Vec<Laid> = Vec::new();
    for deed in deeds {
        let Some(action) = action(deed, &done) else { continue };
        let id = operation(done.len());
        let over = over(id, &action, &laid);
        laid.push(Laid {
            place: Place {
                epoch: 1,
                seq: i64::try_from(done.len()).unwrap() + 1,
            },
            doing: doing(id),
            action: action.clone(),
            over,
            outcome: None,
        });
        done.push((id, action));
    }
    laid
}

/// Head office's rows: everything is here, some of it used elsewhere. Of a sale there is no row yet.
fn bases(used: u8, laid: &[Laid]) -> BTreeMap<Subject, Ground> {
    let elsewhere = OperationId::new(NOW, bytes(21, 0));
    let coupons = (0..COUPONS).map(|n| {
        let mut row = coupon(n, 1);
        if used & (1 << n) != 0 {
            row.state = CouponState::Redeemed {
                operation: elsewhere,
                at: NOW,
                store: store_id(2),
            };
        }
        (Subject::Coupon(row.id), Ground::Coupon(Some(row)))
    });
    let orders = (0..ORDERS).map(|n| {
        let mut row = order(n);
        if used & (16 << n) != 0 {
            row.state = OrderState::Collected {
                operation: elsewhere,
                at: NOW,
                store: store_id(2),
            };
        }
        (Subject::Order(row.id), Ground::Order(Some(row)))
    });
    let sales = laid
        .iter()
        .flat_map(|laid| &laid.over)
        .filter_map(|subject| match subject {
            Subject::Sale(_) => Some((*subject, Ground::Sale(None))),
            _ => None,
        });
    coupons.chain(orders).chain(sales).collect()
}

/// Every operation done to all rows at once, by the transition and nothing else.
fn by_the_transition(rows: &BTreeMap<Subject, Ground>, laid: &[Laid]) -> Seen {
    let mut state = State::default();
    for (subject, row) in rows {
        row.clone().put(*subject, &mut state);
    }
    let mut conflicts = BTreeSet::new();
    for laid in laid {
        let id = laid.doing.operation;
        let (outcome, changes) = loop {
            match effect(&state, &laid.action, &laid.doing) {
                Ok(done) => break done,
                Err(NeedKeys(keys)) => keys.into_iter().for_each(|key| state.note_missing(key)),
            }
        };
        state.absorb(&changes);
        if outcome != Outcome::Applied {
            conflicts.insert(laid.place);
        }
        state.operations.insert(
            id,
            Some(Applied {
                id,
                device: laid.doing.device,
                epoch: laid.place.epoch,
                seq: laid.place.seq,
                fingerprint: genesis(),
                subject: laid.action.subject(id),
                outcome,
            }),
        );
    }
    Seen {
        rows: rows
            .keys()
            .map(|subject| (*subject, Ground::take(*subject, &state).unwrap()))
            .collect(),
        conflicts,
    }
}

/// The rows that operations link, group by group.
fn groups(rows: &BTreeMap<Subject, Ground>, laid: &[Laid]) -> Vec<BTreeSet<Subject>> {
    let mut groups: Vec<BTreeSet<Subject>> = rows.keys().map(|subject| BTreeSet::from([*subject])).collect();
    for laid in laid {
        let (touched, mut others): (Vec<_>, Vec<_>) = groups
            .into_iter()
            .partition(|group| laid.over.iter().any(|subject| group.contains(subject)));
        if !touched.is_empty() {
            others.push(touched.into_iter().flatten().collect());
        }
        groups = others;
    }
    groups
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]
    #[test]
    fn group_by_group_it_is_what_the_transition_makes_of_all_rows(
        deeds in prop::collection::vec(deed(), 0..14),
        used in any::<u8>(),
    ) {
        let laid = laid(&deeds);
        let rows = bases(used, &laid);
        let all = by_the_transition(&rows, &laid);
        let mut seen = Seen::default();
        for group in groups(&rows, &laid) {
            let theirs = |subject: &Subject| group.contains(subject);
            let rows = rows.iter().filter(|(subject, _)| theirs(subject)).map(|(key, row)| (*key, row.clone()));
            let laid: Vec<Laid> = laid.iter().filter(|laid| laid.over.iter().any(theirs)).cloned().collect();
            let mut part = lay_over(rows.collect(), &laid, &[], &[]).unwrap();
            seen.rows.append(&mut part.rows);
            seen.conflicts.append(&mut part.conflicts);
        }
        prop_assert_eq!(seen, all);
    }
}

fn state_of(seen: &Seen, n: u8) -> CouponState {
    match &seen.rows[&Subject::Coupon(coupon_id(n))] {
        Ground::Coupon(Some(row)) => row.state.clone(),
        other => panic!("{other:?}"),
    }
}

fn sale_of(seen: &Seen, id: OperationId) -> Sale {
    match &seen.rows[&Subject::Sale(id)] {
        Ground::Sale(Some(row)) => row.clone(),
        other => panic!("{other:?}"),
    }
}

fn redeemed_by(operation: OperationId) -> CouponState {
    CouponState::Redeemed {
        operation,
        at: NOW,
        store: store_id(1),
    }
}

#[test]
fn rows_that_show_an_operation_stay_and_its_other_rows_get_it() {
    let laid = laid(&[Deed::Settle(vec![0, 1])]);
    let sale = operation(0);
    let bare = bases(0, &laid);
    let plain = lay_over(bare.clone(), &laid, &[], &[]).unwrap();
    let row_of = |subject| plain.rows[&subject].clone();
    // The rows of one page may come in any order, and in several pages.
    for shown in [
        vec![Subject::Coupon(coupon_id(0))],
        vec![Subject::Sale(sale)],
        vec![Subject::Coupon(coupon_id(1)), Subject::Sale(sale)],
        laid[0].over.clone(),
    ] {
        let mut rows = bare.clone();
        for subject in &shown {
            rows.insert(*subject, row_of(*subject));
        }
        let seen = lay_over(rows, &laid, &[], &[]).unwrap();
        assert_eq!(seen, plain, "{shown:?}");
        assert_eq!(state_of(&seen, 0), redeemed_by(sale));
        assert!(seen.conflicts.is_empty());
    }
}

#[test]
fn a_sale_that_is_undone_at_head_office_already_is_undone_once_more_on_what_does_not_show_it() {
    let laid = laid(&[Deed::Settle(vec![0]), Deed::Void(0)]);
    let sale = operation(0);
    let plain = lay_over(bases(0, &laid), &laid, &[], &[]).unwrap();
    assert_eq!(sale_of(&plain, sale).voided_by, Some(operation(1)));
    let mut rows = bases(0, &laid);
    rows.insert(Subject::Sale(sale), plain.rows[&Subject::Sale(sale)].clone());
    let Some(Ground::Coupon(Some(row))) = rows.get_mut(&Subject::Coupon(coupon_id(0))) else {
        panic!("no coupon");
    };
    row.state = redeemed_by(sale);
    let seen = lay_over(rows, &laid, &[], &[]).unwrap();
    assert_eq!(state_of(&seen, 0), CouponState::Available);
    assert_eq!(sale_of(&seen, sale).voided_by, Some(operation(1)));
}

#[test]
fn of_rows_that_are_not_here_nothing_is_foretold() {
    let laid = laid(&[Deed::Settle(vec![0, 1]), Deed::Return(0, 3)]);
    let sale = operation(0);
    // Both coupons were known by their tokens alone.
    let mut rows = bases(0, &laid);
    rows.remove(&Subject::Coupon(coupon_id(0)));
    rows.remove(&Subject::Coupon(coupon_id(1)));
    let seen = lay_over(rows, &laid, &[], &[]).unwrap();
    assert!(seen.conflicts.is_empty(), "{:?}", seen.conflicts);
    let row = sale_of(&seen, sale);
    assert!(
        row.coupons
            .iter()
            .all(|sold| sold.exception.is_none() && sold.given_back)
    );
    assert_eq!(row.paid_back(), 1_000);
    // One of them; the other is used up elsewhere, which is known.
    let laid = self::laid(&[Deed::Settle(vec![0, 1])]);
    let mut rows = bases(2, &laid);
    rows.remove(&Subject::Coupon(coupon_id(0)));
    let seen = lay_over(rows, &laid, &[], &[]).unwrap();
    assert_eq!(seen.conflicts, BTreeSet::from([laid[0].place]));
    let exceptions: Vec<_> = sale_of(&seen, sale).coupons.iter().map(|sold| sold.exception).collect();
    assert_eq!(exceptions, [None, Some(ExceptionKind::DoubleRedeem)]);
}

#[test]
fn what_is_in_quarantine_has_no_effect_and_a_known_outcome_is_no_forecast() {
    let mut laid = laid(&[Deed::Settle(vec![0])]);
    laid[0].outcome = Some(Outcome::Quarantined {
        reason: counterfoil_domain::operations::QuarantineReason::HandlerFailed,
    });
    let bare = bases(0, &laid);
    assert_eq!(lay_over(bare.clone(), &laid, &[], &[]).unwrap().rows, bare);
    laid[0].outcome = Some(Outcome::AppliedWithException {
        exception: ExceptionKind::DoubleRedeem,
    });
    let seen = lay_over(bases(1, &laid), &laid, &[], &[]).unwrap();
    assert!(seen.conflicts.is_empty());
}
