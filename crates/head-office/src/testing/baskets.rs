//! Baskets whose quotes take long.

use serde_json::{Value, json};

/// A basket to ask for a quote of: with ten coupons in groups of their own, more combinations than may be tried.
pub fn heavy_basket(lines: u64, coupons: u64) -> Value {
    let scatter = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    let line = |n: u64| {
        json!({"id": n.to_string(), "sku": "A", "category": format!("c{}", n % 7),
            "unit_price": 100 + scatter(n) % 9_000, "quantity": 1})
    };
    let coupon = |n: u64| {
        let categories: Vec<_> = (0..7)
            .filter(|c| !(n + c).is_multiple_of(3))
            .map(|c| format!("c{c}"))
            .collect();
        json!({"id": n.to_string(), "status": "available", "scope": {"categories": categories},
            "rule": {"kind": "percent_off", "percent_bp": 300 + scatter(n) % 1_000},
            "stacking": {"group": n.to_string()}})
    };
    json!({"currency": "CNY", "at": "2026-11-11T12:00:00+08:00",
        "lines": (0..lines).map(line).collect::<Vec<_>>(),
        "coupons": (0..coupons).map(coupon).collect::<Vec<_>>()})
}
