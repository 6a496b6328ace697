//! Baskets that make the search work, and the bound on that work.

use serde_json::{Value, json};

use super::{answer, basket, coupon};

/// A number below the limit that looks random but never changes.
fn scatter(seed: u64, limit: u64) -> u64 {
    let mut number = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    number = (number ^ (number >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (number ^ (number >> 32)) % limit
}

fn lines(count: u64) -> Value {
    (0..count)
        .map(|i| {
            json!({"id": i.to_string(), "sku": format!("P{i}"), "category": format!("k{}", i % 7),
                "merchant": format!("m{}", i % 3), "unit_price": 100 + scatter(i, 20_000), "quantity": 1 + scatter(i + 99, 4)})
        })
        .collect()
}

fn scoped(mut value: Value, seed: u64) -> Value {
    if value["rule"]["kind"] != "item_voucher" {
        value["scope"] = match scatter(seed, 3) {
            0 => json!({"all": true}),
            1 => json!({"categories": [format!("k{}", scatter(seed + 7, 7)), format!("k{}", scatter(seed + 8, 7))]}),
            _ => json!({"merchants": [format!("m{}", scatter(seed + 9, 3))]}),
        };
    }
    value
}

fn mixed(seed: u64) -> Value {
    let amount = 100 + scatter(seed + 1, 3_000);
    scoped(
        coupon(
            &format!("c{seed}"),
            &match scatter(seed + 2, 5) {
                0 => json!({"kind": "threshold_off", "threshold": amount * 10, "amount": amount}),
                1 => json!({"kind": "every_off", "threshold": amount * 10, "amount": amount, "max_times": 3}),
                2 => json!({"kind": "percent_off", "percent_bp": 500 + scatter(seed, 2_500)}),
                3 => json!({"kind": "amount_off", "amount": amount}),
                _ => json!({"kind": "item_voucher", "sku": format!("P{}", scatter(seed, 50)), "quantity": 1}),
            },
        ),
        seed,
    )
}

fn percentage(seed: u64) -> Value {
    let rule = json!({"kind": "percent_off", "percent_bp": 300 + scatter(seed, 3_000)});
    scoped(coupon(&format!("c{seed}"), &rule), seed)
}

fn grouped(mut value: Value, group: u64) -> Value {
    value["stacking"] = json!({"group": format!("g{group}")});
    value
}

#[test]
fn ten_coupons_and_thirty_in_five_groups_are_answered() {
    type Make = fn(u64) -> Value;
    let kinds: [(&str, Make); 2] = [("mixed", mixed), ("percentages", percentage)];
    for (name, make) in kinds {
        for (coupons, groups) in [(6, 6), (10, 4), (30, 5)] {
            let coupons: Vec<_> = (0..coupons).map(|i| grouped(make(i), i % groups)).collect();
            let document = basket(&[], &coupons, &json!({"lines": lines(50)}));
            let found = answer(&document).unwrap();
            assert!(found.discount > 0, "{name}, {} in {groups} groups", coupons.len());
        }
    }
}

#[test]
fn beyond_what_is_always_answered_a_search_is_given_up_and_within_it_never() {
    let percentages = |coupons: u64, groups: u64| -> Value {
        let coupons: Vec<_> = (0..coupons).map(|i| grouped(percentage(i), i % groups)).collect();
        basket(&[], &coupons, &json!({"lines": lines(20)}))
    };
    assert_eq!(answer(&percentages(10, 10)).unwrap_err().code, "too_many_combinations");
    for (coupons, groups) in [(7, 7), (10, 7), (30, 4)] {
        assert!(
            answer(&percentages(coupons, groups)).unwrap().discount > 0,
            "{coupons} in {groups}"
        );
    }
    // Five groups of which four at most have coupons in a phase.
    let coupons: Vec<_> = (0..30)
        .map(|i| match i % 5 {
            4 => grouped(
                coupon(&format!("c{i}"), &json!({"kind": "amount_off", "amount": 100 + i})),
                4,
            ),
            group => grouped(percentage(i), group),
        })
        .collect();
    assert!(
        answer(&basket(&[], &coupons, &json!({"lines": lines(20)})))
            .unwrap()
            .discount
            > 0
    );
}

#[test]
fn ten_coupons_whose_order_makes_no_difference_to_the_total() {
    let coupons: Vec<_> = (0..10)
        .map(|i| {
            let rule = json!({"kind": "amount_off", "amount": 100 + i});
            grouped(scoped(coupon(&format!("c{i}"), &rule), i), i)
        })
        .collect();
    for select in [
        json!("best"),
        coupons.iter().map(|coupon| coupon["id"].clone()).collect(),
    ] {
        let document = basket(&[], &coupons, &json!({"lines": lines(50), "select": select}));
        assert_eq!(answer(&document).unwrap().discount, 1_045);
    }
}

#[test]
fn too_many_combinations_are_refused_not_guessed() {
    let coupons: Vec<_> = (0..30).map(|i| grouped(percentage(i), i)).collect();
    let document = basket(&[], &coupons, &json!({"lines": lines(5)}));
    let error = answer(&document).unwrap_err();
    assert_eq!(
        (error.code, error.path.as_str()),
        ("too_many_combinations", "$.coupons")
    );
    // Thirty that don't get into each other's way are answered all the same.
    let coupons: Vec<_> = (0..30)
        .map(|i| {
            grouped(
                coupon(&format!("c{i}"), &json!({"kind": "amount_off", "amount": 100})),
                i,
            )
        })
        .collect();
    let document = basket(&[], &coupons, &json!({"lines": lines(5)}));
    assert_eq!(answer(&document).unwrap().discount, 3_000);
}
