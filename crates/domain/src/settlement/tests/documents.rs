//! What is refused, where, and that nothing makes the reader panic.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{answer, basket, coupon};
use crate::settlement::{document, quote};

fn whole() -> Value {
    let mut full = coupon(
        "c",
        &json!({"kind": "percent_off", "percent_bp": 1000, "threshold": 1, "max_discount": 5,
        "threshold_basis": "net", "min_quantity": 1}),
    );
    for (field, content) in [
        ("member", json!("m")),
        ("valid_from", json!("2026-01-01T00:00:00Z")),
        ("valid_until", json!("2027-01-01T00:00:00Z")),
        ("scope", json!({"skus": ["P1"], "except_skus": []})),
        ("stores", json!(["s"])),
        ("stacking", json!({"group": "g"})),
    ] {
        full[field] = content;
    }
    let voucher = coupon("v", &json!({"kind": "item_voucher", "sku": "P1", "quantity": 1}));
    let more = json!({"store": "s", "member": "m", "select": ["c"],
        "points": {"use": 1, "available": 1, "minor_per_point": 1, "max_share_bp": 1},
        "policy": {"order": ["percent_off", "item_voucher"], "rounding": "down", "min_payable": 1}});
    basket(&[(100, 1), (200, 2)], &[full, voucher], &more)
}

#[test]
fn every_place_and_what_is_wrong_there() {
    assert!(answer(&whole()).is_ok());
    for (place, content, code, path) in [
        ("", json!(3), "wrong_type", "$"),
        ("/extra", json!(1), "unknown_field", "$.extra"),
        ("/a b", json!(1), "unknown_field", "$[\"a b\"]"),
        ("/currency", json!(1), "wrong_type", "$.currency"),
        ("/at", json!("2026-11-11T12:00:00"), "bad_time", "$.at"),
        ("/at", json!(0), "wrong_type", "$.at"),
        ("/store", json!(null), "wrong_type", "$.store"),
        ("/lines", json!({}), "wrong_type", "$.lines"),
        ("/lines/1", json!([]), "wrong_type", "$.lines[1]"),
        ("/lines/1/id", json!("1"), "repeated_id", "$.lines[1].id"),
        ("/lines/1/price", json!(1), "unknown_field", "$.lines[1].price"),
        (
            "/lines/1/unit_price",
            json!(-1),
            "out_of_range",
            "$.lines[1].unit_price",
        ),
        ("/lines/1/unit_price", json!(1.0), "wrong_type", "$.lines[1].unit_price"),
        (
            "/lines/1/unit_price",
            json!(u64::MAX),
            "out_of_range",
            "$.lines[1].unit_price",
        ),
        ("/lines/1/unit_price", json!(i64::MAX), "overflow", "$.lines[1]"),
        ("/lines/1/unit_price", json!(i64::MAX / 2), "overflow", "$.lines"),
        ("/lines/1/quantity", json!(0), "out_of_range", "$.lines[1].quantity"),
        ("/lines/1/quantity", json!("1"), "wrong_type", "$.lines[1].quantity"),
        ("/coupons/1/id", json!("c"), "repeated_id", "$.coupons[1].id"),
        (
            "/coupons/0/status",
            json!("used"),
            "unknown_value",
            "$.coupons[0].status",
        ),
        (
            "/coupons/0/valid_from",
            json!("soon"),
            "bad_time",
            "$.coupons[0].valid_from",
        ),
        ("/coupons/0/name", json!(""), "unknown_field", "$.coupons[0].name"),
        (
            "/coupons/1/scope",
            json!({"all": true}),
            "unknown_field",
            "$.coupons[1].scope",
        ),
        ("/coupons/0/rule", json!({}), "missing_field", "$.coupons[0].rule.kind"),
        (
            "/coupons/0/rule/kind",
            json!("gift"),
            "unknown_value",
            "$.coupons[0].rule.kind",
        ),
        (
            "/coupons/0/rule/kind",
            json!("amount_off"),
            "unknown_field",
            "$.coupons[0].rule.max_discount",
        ),
        (
            "/coupons/0/rule/percent_bp",
            json!(10_001),
            "out_of_range",
            "$.coupons[0].rule.percent_bp",
        ),
        (
            "/coupons/0/rule/threshold",
            json!(-1),
            "out_of_range",
            "$.coupons[0].rule.threshold",
        ),
        (
            "/coupons/0/rule/max_discount",
            json!(-1),
            "out_of_range",
            "$.coupons[0].rule.max_discount",
        ),
        (
            "/coupons/0/rule/min_quantity",
            json!(0),
            "out_of_range",
            "$.coupons[0].rule.min_quantity",
        ),
        (
            "/coupons/0/rule/threshold_basis",
            json!("gross"),
            "unknown_value",
            "$.coupons[0].rule.threshold_basis",
        ),
        ("/coupons/0/scope", json!({}), "bad_scope", "$.coupons[0].scope"),
        (
            "/coupons/0/scope",
            json!({"except_skus": []}),
            "bad_scope",
            "$.coupons[0].scope",
        ),
        (
            "/coupons/0/scope",
            json!({"all": false}),
            "unknown_value",
            "$.coupons[0].scope.all",
        ),
        ("/coupons/0/scope/all", json!(true), "bad_scope", "$.coupons[0].scope"),
        (
            "/coupons/0/scope/skus/0",
            json!(1),
            "wrong_type",
            "$.coupons[0].scope.skus[0]",
        ),
        (
            "/coupons/0/stacking",
            json!({}),
            "bad_stacking",
            "$.coupons[0].stacking",
        ),
        (
            "/coupons/0/stacking",
            json!({"exclusive": false}),
            "unknown_value",
            "$.coupons[0].stacking.exclusive",
        ),
        (
            "/coupons/0/stacking/exclusive",
            json!(true),
            "bad_stacking",
            "$.coupons[0].stacking",
        ),
        ("/points/use", json!(-1), "out_of_range", "$.points.use"),
        ("/points/available", json!(-1), "out_of_range", "$.points.available"),
        (
            "/points/minor_per_point",
            json!(0),
            "out_of_range",
            "$.points.minor_per_point",
        ),
        (
            "/points/max_share_bp",
            json!(10_001),
            "out_of_range",
            "$.points.max_share_bp",
        ),
        (
            "/policy/order",
            json!(["percent_off"]),
            "missing_phase",
            "$.policy.order",
        ),
        (
            "/policy/order/1",
            json!("percent_off"),
            "repeated_phase",
            "$.policy.order[1]",
        ),
        (
            "/policy/order/1",
            json!("every_off"),
            "unknown_value",
            "$.policy.order[1]",
        ),
        ("/policy/rounding", json!("up"), "unknown_value", "$.policy.rounding"),
        ("/policy/min_payable", json!(-1), "out_of_range", "$.policy.min_payable"),
        ("/select", json!("worst"), "unknown_value", "$.select"),
        ("/select", json!(["c", "c"]), "repeated_id", "$.select[1]"),
        ("/select", json!(["c", "x"]), "unknown_id", "$.select[1]"),
    ] {
        let mut document = whole();
        let (parent, name) = place.rsplit_once('/').unwrap_or_default();
        match document.pointer_mut(parent).unwrap() {
            Value::Object(fields) if !place.is_empty() => drop(fields.insert(name.to_owned(), content)),
            Value::Array(items) => items[name.parse::<usize>().unwrap()] = content,
            other => *other = content,
        }
        let error = answer(&document).unwrap_err();
        assert_eq!((error.code, error.path.as_str()), (code, path), "{place}");
        assert!(error.message.starts_with("expected "), "{}", error.message);
    }
}

#[test]
fn every_required_field_is_missed() {
    for place in [
        "/currency",
        "/at",
        "/lines",
        "/lines/0/id",
        "/lines/0/sku",
        "/lines/0/unit_price",
        "/lines/0/quantity",
        "/coupons/0/id",
        "/coupons/0/status",
        "/coupons/0/rule",
        "/coupons/0/rule/percent_bp",
        "/coupons/1/rule/sku",
        "/coupons/1/rule/quantity",
        "/points/use",
        "/points/available",
        "/points/minor_per_point",
    ] {
        let mut document = whole();
        let (parent, name) = place.rsplit_once('/').unwrap();
        let fields = document.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        fields.remove(name).unwrap();
        let error = answer(&document).unwrap_err();
        assert_eq!(error.code, "missing_field");
        assert!(error.path.ends_with(&format!(".{name}")), "{}", error.path);
    }
}

#[test]
fn limits_and_fields_said_twice() {
    let error = answer(&basket(&[(1, 1); 501], &[], &json!({}))).unwrap_err();
    assert_eq!((error.code, error.path.as_str()), ("too_many", "$.lines"));
    let many: Vec<_> = (0..31)
        .map(|i| coupon(&i.to_string(), &json!({"kind": "amount_off", "amount": 1})))
        .collect();
    let error = answer(&basket(&[(1, 1)], &many, &json!({}))).unwrap_err();
    assert_eq!((error.code, error.path.as_str()), ("too_many", "$.coupons"));
    assert!(answer(&basket(&[(1, 1); 500], &many[..30], &json!({}))).is_ok());
    let twice = br#"{"currency": "CNY", "lines": [{"sku": "A", "sku": "B"}]}"#;
    let error = document::read(twice).unwrap_err();
    assert_eq!((error.code, error.path.as_str()), ("missing_field", "$.at"));
    let twice = br#"{"currency": "CNY", "at": "2026-11-11T12:00:00Z", "lines": [{"sku": "A", "sku": "B"}]}"#;
    let error = document::read(twice).unwrap_err();
    assert_eq!((error.code, error.path.as_str()), ("repeated_field", "$.lines[0].sku"));
    for broken in [&b"{"[..], b"", b"{} {}", b"\xff", b"[1,]", &[b'['; 10_000]] {
        let error = document::read(broken).unwrap_err();
        assert_eq!((error.code, error.path.as_str()), ("malformed", "$"));
    }
}

#[test]
fn the_largest_numbers_are_answered() {
    let most = i64::MAX;
    let coupons = [
        coupon("a", &json!({"kind": "every_off", "threshold": 1, "amount": most})),
        coupon(
            "b",
            &json!({"kind": "percent_off", "percent_bp": 9999, "min_quantity": most}),
        ),
        coupon("c", &json!({"kind": "item_voucher", "sku": "P1", "quantity": most})),
        coupon(
            "d",
            &json!({"kind": "percent_off", "percent_bp": 9999, "threshold": most}),
        ),
    ];
    let lines = [(1, most - 1), (0, most), (1, 1)];
    for select in [json!("best"), json!(["d", "c", "a"]), json!(["b"]), json!(["d"])] {
        let quote = answer(&basket(&lines, &coupons, &json!({"select": select}))).unwrap();
        assert_eq!(quote.payable, quote.subtotal - quote.discount);
    }
}

/// Any JSON, made of words that mean something in a document more often than chance would.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        prop::sample::select(vec![
            "best",
            "amount_off",
            "available",
            "2026-11-11T12:00:00Z",
            "item_voucher"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let name = prop::sample::select(vec![
            "currency",
            "at",
            "lines",
            "coupons",
            "id",
            "sku",
            "unit_price",
            "quantity",
            "rule",
            "kind",
            "amount",
            "status",
            "scope",
            "all",
            "policy",
            "order",
            "select",
            "points",
            "\u{0}",
            "",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..8).prop_map(|fields| fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn any_json_is_answered_or_refused(json in any_json()) {
        if let Ok(basket) = document::read(json.to_string().as_bytes()) {
            let _ = quote(&basket);
        }
    }

    #[test]
    fn any_value_anywhere_is_answered_or_refused(json in any_json(), place in 0_usize..60) {
        fn replace(value: &mut Value, place: &mut usize, with: &Value) {
            if *place == 0 {
                value.clone_from(with);
            }
            *place = place.wrapping_sub(1);
            match value {
                Value::Array(items) => items.iter_mut().for_each(|item| replace(item, place, with)),
                Value::Object(fields) => fields.values_mut().for_each(|field| replace(field, place, with)),
                _ => {}
            }
        }
        let mut document = whole();
        replace(&mut document, &mut { place }, &json);
        let _ = answer(&document);
    }

    #[test]
    fn any_text_is_refused(text in "\\PC*", bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        prop_assert!(document::read(text.as_bytes()).is_err());
        prop_assert!(document::read(&bytes).is_err());
    }
}
