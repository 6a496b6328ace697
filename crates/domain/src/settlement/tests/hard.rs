//! Baskets that make the search work, and the bound on that work.

use serde_json::{Value, json};

use super::{answer, applied, basket, coupon};
use crate::settlement::{Budget, document, quote, quote_within};

/// Holds the search to what it was measured at; the budget allows a fifth more.
const MOST_VISITS: u64 = 125_000_000;

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

fn read(document: &Value) -> crate::settlement::Basket {
    document::read(document.to_string().as_bytes()).unwrap()
}

fn apart(count: u64, make: impl Fn(u64) -> Value) -> Vec<Value> {
    (0..count).map(|i| grouped(make(i), i)).collect()
}

#[test]
fn too_many_combinations_are_refused_not_guessed() {
    let within = |document: &Value, visits| {
        let budget = Budget::of(visits);
        let refused = quote_within(&read(document), &budget).unwrap_err();
        (refused.code, refused.path, budget.visits())
    };
    // Thirty in thirty groups; ten, of which eight in different groups run in one phase; five groups in one phase.
    let amounts = |i| coupon(&format!("a{i}"), &json!({"kind": "amount_off", "amount": 100 + i}));
    let eight = apart(10, |i| if i < 8 { percentage(i) } else { amounts(i) });
    let five: Vec<_> = (0..30).map(|i| grouped(percentage(i), i % 5)).collect();
    for (coupons, count) in [(apart(30, percentage), 5), (eight, 500), (five, 500)] {
        let document = basket(&[], &coupons, &json!({"lines": lines(count)}));
        let (code, path, visits) = within(&document, 50_000);
        assert_eq!((code, path.as_str()), ("too_many_combinations", "$.coupons"));
        // It stops at once: the last step looks at every line a few times at most.
        assert!((50_001..60_000).contains(&visits), "{visits}");
    }
    // Thirty that don't get into each other's way are answered all the same.
    let coupons = apart(30, |i| {
        coupon(&format!("c{i}"), &json!({"kind": "amount_off", "amount": 100}))
    });
    let document = basket(&[], &coupons, &json!({"lines": lines(5)}));
    assert_eq!(answer(&document).unwrap().discount, 3_000);
}

#[test]
fn what_is_always_answered_is_answered_whatever_the_budget() {
    let amounts = |i| coupon(&format!("a{i}"), &json!({"kind": "amount_off", "amount": 100 + i}));
    let seven = apart(10, |i| if i < 7 { percentage(i) } else { amounts(i) });
    let four = (0..30).map(|i| grouped(if i % 5 < 4 { percentage(i) } else { amounts(i) }, i % 5));
    let in_groups = |count, groups| (0..count).map(move |i| grouped(percentage(i), i % groups)).collect();
    for coupons in [seven, four.collect(), in_groups(10, 7), in_groups(30, 4)] {
        let document = read(&basket(&[], &coupons, &json!({"lines": lines(20)})));
        let budget = Budget::of(0);
        assert_eq!(quote_within(&document, &budget), quote(&document));
        assert!(budget.visits() > 1_000);
    }
}

#[test]
fn a_quote_stops_when_it_is_told_to() {
    let document = read(&basket(&[], &apart(10, percentage), &json!({"lines": lines(50)})));
    let go_on = |visits| visits < 200_000;
    let budget = Budget::default().while_told(&go_on);
    assert_eq!(quote_within(&document, &budget).unwrap_err().code, "stopped");
    assert!(budget.visits() < 300_000, "{}", budget.visits());
}

/// Of all that are always answered, those whose quotes visit most: found by `cargo xtask bench -- --only worst`.
const WORST: [(&str, &str); 2] = [
    ("ten", include_str!("worst/ten.json")),
    ("thirty", include_str!("worst/thirty.json")),
];

#[test]
fn the_worst_baskets_found_are_within_the_budget_of_all_others() {
    for (name, text) in WORST {
        let basket = document::read(text.as_bytes()).unwrap();
        let budget = Budget::default();
        let answer = quote_within(&basket, &budget).unwrap();
        assert!(answer.discount > 0, "{name}");
        assert!(budget.visits() <= MOST_VISITS, "{name}: {}", budget.visits());
    }
}

#[test]
fn of_coupons_that_do_the_same_the_first_to_expire_is_tried() {
    let same = |i: u64, day: u64| {
        let rule = json!({"kind": "percent_off", "percent_bp": 1_000});
        let mut value = grouped(coupon(&format!("c{i}"), &rule), i % 5);
        value["valid_until"] = json!(format!("2027-01-{day:02}T00:00:00Z"));
        value
    };
    let coupons: Vec<_> = (0..30).map(|i| same(i, 30 - i / 5)).collect();
    let document = read(&basket(&[], &coupons, &json!({"lines": lines(500)})));
    let budget = Budget::of(400_000);
    let answer = quote_within(&document, &budget).unwrap();
    assert_eq!(applied(&answer), ["c25", "c26", "c27", "c28", "c29"]);
}
