//! Returns: money back never exceeds what was paid, by whatever steps.

use proptest::prelude::*;
use uuid::Uuid;

use super::super::{
    Basis, Coupon, Kind, Policy, Scope, Stacking, Status,
    returns::{Method, Preview, ReturnError, Units, preview},
};
use crate::{
    ids::{ClerkId, CouponId, DeviceId, OperationId, StoreId, TemplateId},
    operations::ExceptionKind,
    points::{SoldPoints, UsedPoints},
    sales::{Return, Sale, SaleLine, Settlement, Till, UsedCoupon},
};

fn coupon_id(n: u128) -> CouponId {
    CouponId(Uuid::from_u128(n))
}

/// A sale of these prices and quantities, with one coupon that took these shares.
fn sale(lines: &[(i64, i64)], shares: Option<&[i64]>) -> Sale {
    let lines: Vec<SaleLine> = lines
        .iter()
        .enumerate()
        .map(|(place, &(unit_price, quantity))| SaleLine {
            sku: place.to_string(),
            name_zh: String::new(),
            name_en: String::new(),
            category: None,
            merchant: None,
            unit_price,
            quantity,
        })
        .collect();
    let list: i64 = lines.iter().map(|line| line.list().unwrap()).sum();
    let coupons: Vec<UsedCoupon> = shares
        .into_iter()
        .map(|shares| UsedCoupon {
            coupon: coupon_id(1),
            template: TemplateId(Uuid::nil()),
            template_version: 1,
            discount: shares.iter().sum(),
            shares: shares.to_vec(),
            freeze: None,
        })
        .collect();
    let settled = Settlement {
        account: crate::points::AccountUse::default(),
        currency: "CNY".into(),
        lines,
        payable: list - coupons.iter().map(|used| used.discount).sum::<i64>(),
        coupons,
        member: None,
        tender: String::new(),
        receipt: String::new(),
    };
    let till = Till {
        store: StoreId(Uuid::nil()),
        device: DeviceId(Uuid::nil()),
        at: 0,
    };
    Sale::of(OperationId(Uuid::nil()), till, &settled).unwrap()
}

fn take(sale: &mut Sale, preview: &Preview, method: Method<'_>) {
    let back = Return {
        member: None,
        to_balance: 0,
        target: sale.id,
        lines: preview.lines.clone(),
        policy: method.policy(),
        coupons: preview.coupons.clone(),
        approved_by: ClerkId(Uuid::nil()),
        reason: String::new(),
    };
    assert_eq!(back.refund(), Some(preview.refund));
    assert!(sale.take_back(&back).is_none());
    for sold in &mut sale.coupons {
        sold.given_back |= preview.coupons.contains(&sold.used.coupon);
    }
}

fn units(line: i64, quantity: i64) -> Units {
    Units { line, quantity }
}

fn rule(id: u128, kind: Kind) -> Coupon {
    Coupon {
        id: coupon_id(id).to_string(),
        member: Some("somebody".into()),
        status: Status::Redeemed,
        valid_from: None,
        valid_until: Some(0),
        rule: kind.into(),
        scope: Scope::default(),
        stores: Some(Vec::new()),
        stacking: Stacking::default(),
    }
}

#[test]
fn keep_gives_back_what_was_paid_for_each_unit() {
    // 3 x 10.00 and 1 x 20.00, 10.00 off: 24.00 and 16.00 were paid.
    let mut sold = sale(&[(1_000, 3), (2_000, 1)], Some(&[600, 400]));
    let first = preview(&sold, &[units(0, 1)], Method::Keep).unwrap();
    assert_eq!((first.refund, &first.coupons[..]), (800, &[][..]));
    take(&mut sold, &first, Method::Keep);
    let second = preview(&sold, &[units(0, 2), units(1, 1)], Method::Keep).unwrap();
    assert_eq!((second.refund, &second.coupons[..]), (3_200, &[coupon_id(1)][..]));
    take(&mut sold, &second, Method::Keep);
    assert_eq!(
        preview(&sold, &[units(0, 1)], Method::Keep),
        Err(ReturnError::BadQuantity { line: 0, left: 0 })
    );
}

/// Of such a sale, points pay these shares, each point 1.00; all of them were there.
fn with_points(mut sold: Sale, shares: &[i64]) -> Sale {
    let amount: i64 = shares.iter().sum();
    for (line, share) in sold.lines.iter_mut().zip(shares) {
        line.net -= share;
    }
    sold.payable -= amount;
    sold.account.points = Some(SoldPoints {
        used: UsedPoints {
            points: amount / 100,
            minor_per_point: 100,
            shares: shares.to_vec(),
            freeze: None,
        },
        taken: amount / 100,
        given_back: 0,
    });
    sold
}

/// Takes it back, and gives the points back that are due for it.
fn take_points(sold: &mut Sale, step: &Preview, method: Method<'_>) -> i64 {
    take(sold, step, method);
    let due = sold.points_due();
    sold.account.points.as_mut().unwrap().given_back += due;
    due
}

#[test]
fn points_go_back_in_proportion_and_in_sum_all_of_them() {
    // 300.00, of which 101 points pay 101.00: 50.50 on either line.
    let sold = with_points(sale(&[(15_000, 1), (15_000, 1)], None), &[5_050, 5_050]);
    let policy = Policy::default();
    let requote = Method::Requote {
        coupons: &[],
        policy: &policy,
    };
    for method in [Method::Keep, requote] {
        let mut sold = sold.clone();
        let first = preview(&sold, &[units(0, 1)], method).unwrap();
        assert_eq!(first.refund, 9_950);
        assert_eq!(take_points(&mut sold, &first, method), 50);
        let second = preview(&sold, &[units(1, 1)], method).unwrap();
        assert_eq!(second.refund, 9_950);
        assert_eq!(take_points(&mut sold, &second, method), 51);
        assert_eq!(sold.paid_back(), sold.payable);
    }
}

#[test]
fn a_new_quote_takes_what_points_pay_of_the_rest_into_account() {
    let kind = Kind::ThresholdOff {
        threshold: 4_000,
        amount: 1_000,
        basis: Basis::Net,
    };
    let rules = [rule(1, kind)];
    let policy = Policy::default();
    let method = Method::Requote {
        coupons: &rules,
        policy: &policy,
    };
    // 3 x 10.00 and 1 x 20.00, 10.00 off, of 24.00 and 16.00 points pay 6.00 and 4.00: 30.00 paid.
    let mut sold = with_points(sale(&[(1_000, 3), (2_000, 1)], Some(&[600, 400])), &[600, 400]);
    // Two units stay in reach of nothing: 30.00 due, of which points pay 2.00 and 4.00. Paid 30.00: 6.00 back.
    let first = preview(&sold, &[units(0, 2)], method).unwrap();
    assert_eq!((first.refund, &first.coupons[..]), (600, &[coupon_id(1)][..]));
    assert_eq!(take_points(&mut sold, &first, method), 4);
    let rest = preview(&sold, &[units(0, 1), units(1, 1)], method).unwrap();
    assert_eq!(rest.refund, 2_400);
    assert_eq!(take_points(&mut sold, &rest, method), 6);
    assert_eq!(sold.paid_back(), 3_000);

    // Points pay more of what stays than that costs now: nothing is asked for, and no more than was paid goes back.
    let sold = with_points(sale(&[(1_000, 1), (2_000, 1)], Some(&[0, 500])), &[0, 1_500]);
    let cheaper = [rule(1, Kind::AmountOff { amount: 1_500 })];
    let method = Method::Requote {
        coupons: &cheaper,
        policy: &policy,
    };
    let back = preview(&sold, &[units(0, 1)], method).unwrap();
    assert_eq!(back.refund, sold.payable);
}

#[test]
fn requote_takes_the_discount_back_when_its_threshold_is_no_longer_met() {
    let kind = Kind::ThresholdOff {
        threshold: 4_000,
        amount: 1_000,
        basis: Basis::Net,
    };
    let rules = [rule(1, kind)];
    let policy = Policy::default();
    let method = Method::Requote {
        coupons: &rules,
        policy: &policy,
    };
    let mut sold = sale(&[(1_000, 3), (2_000, 1)], Some(&[600, 400]));
    // 40.00 were left of the list; without one unit the coupon still applies: 40.00 - 10.00 remain.
    let first = preview(&sold, &[units(0, 1)], method).unwrap();
    assert_eq!((first.refund, &first.coupons[..]), (1_000, &[][..]));
    take(&mut sold, &first, method);
    // Now 30.00 remain without a discount: nothing goes back, the coupon does.
    let second = preview(&sold, &[units(0, 1)], method).unwrap();
    assert_eq!((second.refund, &second.coupons[..]), (0, &[coupon_id(1)][..]));
    take(&mut sold, &second, method);
    let rest = preview(&sold, &[units(0, 1), units(1, 1)], method).unwrap();
    assert_eq!((rest.refund, &rest.coupons[..]), (3_000, &[][..]));
}

#[test]
fn what_was_not_sold_can_not_come_back() {
    let mut sold = sale(&[(1_000, 3)], None);
    let refused = |sold: &Sale, lines: &[Units]| preview(sold, lines, Method::Keep).unwrap_err();
    assert_eq!(refused(&sold, &[]), ReturnError::NothingReturned);
    assert_eq!(refused(&sold, &[units(1, 1)]), ReturnError::BadLine { line: 1 });
    assert_eq!(refused(&sold, &[units(-1, 1)]), ReturnError::BadLine { line: -1 });
    assert_eq!(
        refused(&sold, &[units(0, 1), units(0, 1)]),
        ReturnError::BadLine { line: 0 }
    );
    for quantity in [0, -1, 4, i64::MAX] {
        let error = ReturnError::BadQuantity { line: 0, left: 3 };
        assert_eq!(refused(&sold, &[units(0, quantity)]), error);
    }
    sold.voided_by = Some(sold.id);
    assert_eq!(refused(&sold, &[units(0, 1)]), ReturnError::SaleVoided);
}

#[test]
fn a_coupon_used_elsewhere_before_is_not_given_back() {
    let mut sold = sale(&[(1_000, 1)], Some(&[100]));
    sold.coupons[0].exception = Some(ExceptionKind::DoubleRedeem);
    assert_eq!(preview(&sold, &[units(0, 1)], Method::Keep).unwrap().coupons, []);
}

/// A sale with a coupon's shares below the lines' amounts.
fn sales() -> impl Strategy<Value = Sale> {
    let line = (0_i64..5_000, 1_i64..6, 0_i64..=100);
    prop::collection::vec(line, 1..6).prop_map(|lines| {
        let shares: Vec<i64> = lines
            .iter()
            .map(|(price, quantity, share)| price * quantity * share / 100)
            .collect();
        let lines: Vec<(i64, i64)> = lines.iter().map(|(price, quantity, _)| (*price, *quantity)).collect();
        sale(&lines, Some(&shares))
    })
}

/// Every unit of the sale by itself.
fn one_by_one(sale: &Sale) -> Vec<Units> {
    (0..)
        .zip(&sale.lines)
        .flat_map(|(line, sold)| (0..sold.sold.quantity).map(move |_| units(line, 1)))
        .collect()
}

proptest! {
    #[test]
    fn returning_everything_gives_back_exactly_what_was_paid_in_any_order(
        (sold, order) in sales().prop_flat_map(|sold| {
            let order = Just(one_by_one(&sold)).prop_shuffle();
            (Just(sold), order)
        }),
    ) {
        let all: Vec<Units> = (0..).zip(&sold.lines).map(|(line, of)| units(line, of.sold.quantity)).collect();
        let whole = preview(&sold, &all, Method::Keep).unwrap();
        prop_assert_eq!(whole.refund, sold.payable);
        prop_assert_eq!(&whole.coupons[..], &[coupon_id(1)][..]);
        let mut rest = sold.clone();
        let (mut sum, mut given_back) = (0, 0);
        for unit in &order {
            let step = preview(&rest, &[*unit], Method::Keep).unwrap();
            sum += step.refund;
            given_back += step.coupons.len();
            prop_assert!(sum <= sold.payable);
            take(&mut rest, &step, Method::Keep);
        }
        prop_assert_eq!(sum, sold.payable);
        prop_assert_eq!(given_back, 1);
        prop_assert!(rest.lines.iter().all(|line| line.paid_back == line.net && line.returned == line.sold.quantity));
    }

    #[test]
    fn the_order_of_partial_returns_does_not_change_what_keep_gives_back(
        (sold, order, cut) in sales().prop_flat_map(|sold| {
            let units = one_by_one(&sold);
            let cut = 0..=units.len();
            (Just(sold), Just(units).prop_shuffle(), cut)
        }),
    ) {
        let some: Vec<Units> = order.into_iter().take(cut).collect();
        let sum = |steps: &[Units]| {
            let mut rest = sold.clone();
            steps.iter().fold(0, |sum, unit| {
                let step = preview(&rest, &[*unit], Method::Keep).unwrap();
                take(&mut rest, &step, Method::Keep);
                sum + step.refund
            })
        };
        let mut other = some.clone();
        other.sort_unstable_by_key(|unit| unit.line);
        prop_assert_eq!(sum(&some), sum(&other));
    }

    #[test]
    fn whatever_the_methods_no_more_than_was_paid_goes_back(
        (sold, order, methods) in sales().prop_flat_map(|sold| {
            let units = one_by_one(&sold);
            let methods = prop::collection::vec(any::<bool>(), units.len());
            (Just(sold), Just(units).prop_shuffle(), methods)
        }),
        threshold in 0_i64..20_000,
        amount in 0_i64..10_000,
    ) {
        let rules = [rule(1, Kind::ThresholdOff { threshold, amount, basis: Basis::Net })];
        let policy = Policy::default();
        let mut rest = sold.clone();
        for (unit, keep) in order.iter().zip(methods) {
            let method = if keep { Method::Keep } else { Method::Requote { coupons: &rules, policy: &policy } };
            let step = preview(&rest, &[*unit], method).unwrap();
            take(&mut rest, &step, method);
            prop_assert!(rest.paid_back() <= sold.payable);
        }
        prop_assert!(rest.coupons.iter().all(|sold| sold.given_back));
    }
}

#[test]
fn a_sale_with_numbers_that_no_sale_has_is_not_reckoned_with() {
    let requote = Policy::default();
    let whole = || sale(&[(1_000, 3), (2_000, 1)], Some(&[600, 400]));
    let numbers: [fn(&mut Sale) -> &mut i64; 7] = [
        |sale| &mut sale.lines[0].sold.quantity,
        |sale| &mut sale.lines[0].sold.unit_price,
        |sale| &mut sale.lines[0].returned,
        |sale| &mut sale.lines[0].net,
        |sale| &mut sale.lines[0].paid_back,
        |sale| &mut sale.coupons[0].used.shares[0],
        |sale| &mut sale.payable,
    ];
    for (place, number) in numbers.into_iter().enumerate() {
        for extreme in [i64::MIN, -1, i64::MAX] {
            let mut sold = whole();
            *number(&mut sold) = extreme;
            for method in [
                Method::Keep,
                Method::Requote {
                    coupons: &[],
                    policy: &requote,
                },
            ] {
                let told = preview(&sold, &[units(0, 1)], method);
                // A price, a share and an amount paid may be anything; what is left of the rest must be something.
                if extreme < 0 && ![1, 5].contains(&place) {
                    assert_eq!(told, Err(ReturnError::Unsound), "{place} {extreme}");
                }
            }
            let mut back = whole();
            let preview = preview(&back, &[units(0, 1)], Method::Keep).unwrap();
            take(&mut back, &preview, Method::Keep);
            let back = Return {
                target: sold.id,
                lines: preview.lines.clone(),
                policy: Method::Keep.policy(),
                coupons: Vec::new(),
                approved_by: ClerkId(Uuid::nil()),
                reason: String::new(),
                member: None,
                to_balance: 0,
            };
            let before = sold.paid_back();
            sold.take_back(&back);
            assert!(sold.paid_back() >= before, "{place} {extreme}");
        }
    }
}
