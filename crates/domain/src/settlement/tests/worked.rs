//! Worked cases: of the contract, of public systems, and of each rule by hand.

use serde_json::{Value, json};

use super::{answer, applied, basket, coupon};

fn hair() -> [(i64, i64); 2] {
    [(1088, 2), (2088, 5)]
}

fn full_minus(threshold: i64, amount: i64) -> Value {
    json!({"kind": "threshold_off", "threshold": threshold, "amount": amount})
}

fn off(amount: i64) -> Value {
    json!({"kind": "amount_off", "amount": amount})
}

fn percent(percent_bp: i64) -> Value {
    json!({"kind": "percent_off", "percent_bp": percent_bp})
}

fn with(mut value: Value, field: &str, content: Value) -> Value {
    value[field] = content;
    value
}

#[test]
fn the_example_of_the_contract() {
    let document = json!({ "currency": "CNY",
      "at": "2026-11-11T12:00:00+08:00",
      "store": "s-01", "member": "m-01",
      "lines": [ { "id": "1", "sku": "A", "category": "hair", "merchant": "s-01", "unit_price": 1088, "quantity": 2 },
                 { "id": "2", "sku": "B", "category": "hair", "merchant": "s-01", "unit_price": 2088, "quantity": 5 } ],
      "coupons": [
        { "id": "c1", "member": "m-01", "status": "available",
          "valid_from": "2026-11-01T00:00:00+08:00", "valid_until": "2026-11-12T00:00:00+08:00",
          "rule": { "kind": "threshold_off", "threshold": 19900, "amount": 2000 },
          "scope": { "all": true }, "stacking": { "group": "threshold_off" } },
        { "id": "c2", "status": "available", "rule": { "kind": "amount_off", "amount": 1000 } } ],
      "points": { "use": 100, "available": 5000, "minor_per_point": 1, "max_share_bp": 5000 },
      "policy": { "order": ["item_voucher", "threshold_off", "percent_off", "amount_off"],
                  "rounding": "half_up", "min_payable": 0 },
      "select": "best" });
    let expected = "{\"subtotal\":12616,\"discount\":1000,\"points\":{\"used\":100,\"amount\":100},\"payable\":11516,\
        \"applied\":[{\"coupon\":\"c2\",\"amount\":1000,\"lines\":[{\"line\":\"1\",\"amount\":172},{\"line\":\"2\",\"amount\":828}]}],\
        \"refused\":[{\"coupon\":\"c1\",\"reasons\":[{\"code\":\"below_threshold\",\"short_by\":7284}]}],\
        \"lines\":[{\"line\":\"1\",\"list\":2176,\"discount\":172,\"points\":17,\"net\":1987},\
        {\"line\":\"2\",\"list\":10440,\"discount\":828,\"points\":83,\"net\":9529}]}";
    assert_eq!(serde_json::to_string(&answer(&document).unwrap()).unwrap(), expected);
}

#[test]
fn cases_of_public_systems() {
    let payable =
        |lines: &[(i64, i64)], coupons: &[Value], more: &Value| answer(&basket(lines, coupons, more)).unwrap().payable;
    let none = json!({});
    let refused = answer(&basket(&hair(), &[coupon("a", &full_minus(19900, 2000))], &none)).unwrap();
    assert_eq!(refused.payable, 12616);
    assert_eq!(
        json!(refused.refused[0].reasons),
        json!([{"code": "below_threshold", "short_by": 7284}])
    );
    assert_eq!(payable(&hair(), &[coupon("a", &off(1000))], &none), 11616);
    // 85折 of 126.16 is 107.236.
    assert_eq!(payable(&hair(), &[coupon("a", &percent(1500))], &none), 10724);
    let both = [coupon("a", &full_minus(2000, 10000)), coupon("b", &percent(1500))];
    assert_eq!(payable(&hair(), &both, &none), 2224);

    // 10 x 16.50 = 165.00; the second 100-from-100 finds 65.00 left.
    let twice = [
        with(
            coupon("a", &full_minus(10000, 10000)),
            "stacking",
            json!({"group": "a"}),
        ),
        with(
            coupon("b", &full_minus(10000, 10000)),
            "stacking",
            json!({"group": "b"}),
        ),
    ];
    let quote = answer(&basket(&[(1650, 10)], &twice, &none)).unwrap();
    assert_eq!((quote.payable, applied(&quote)), (6500, vec!["a"]));
    assert_eq!(
        json!(quote.refused),
        json!([{"coupon": "b", "reasons": [{"code": "not_better"}]}])
    );
    let quote = answer(&basket(&[(1650, 10)], &twice, &json!({"select": ["b", "a"]}))).unwrap();
    assert_eq!((quote.payable, applied(&quote)), (6500, vec!["a"]));
    assert_eq!(
        json!(quote.refused),
        json!([{"coupon": "b", "reasons": [{"code": "below_threshold", "short_by": 3500}]}])
    );

    // 115 + 100 + 100: 10% leaves 283.50, of which 288.50 takes all; the other way 26.50 - 2.65.
    let lines = [(11500, 1), (10000, 1), (10000, 1)];
    let coupons = [coupon("a", &percent(1000)), coupon("b", &off(28850))];
    assert_eq!(payable(&lines, &coupons, &none), 0);
    let other = json!({"policy": {"order": ["amount_off", "percent_off"]}});
    assert_eq!(payable(&lines, &coupons, &other), 2385);

    // 50% from 3 units, else 10% from 1000: the same group, one of them.
    let choice = [
        coupon(
            "half",
            &json!({"kind": "percent_off", "percent_bp": 5000, "min_quantity": 3}),
        ),
        coupon(
            "tenth",
            &json!({"kind": "percent_off", "percent_bp": 1000, "threshold": 1000}),
        ),
    ];
    let quote = answer(&basket(&[(500, 2)], &choice, &none)).unwrap();
    assert_eq!((quote.payable, applied(&quote)), (900, vec!["tenth"]));
    assert_eq!(
        json!(quote.refused),
        json!([{"coupon": "half", "reasons": [{"code": "below_quantity", "short_by": 1}]}])
    );
    let quote = answer(&basket(&[(500, 3)], &choice, &none)).unwrap();
    assert_eq!((quote.payable, applied(&quote)), (750, vec!["half"]));
    assert_eq!(
        json!(quote.refused),
        json!([{"coupon": "tenth", "reasons": [{"code": "excluded_by", "coupons": ["half"]}]}])
    );
}

#[test]
fn every_reason_that_holds_in_order() {
    let all = json!({"id": "x", "member": "somebody", "status": "frozen",
        "valid_from": "2027-01-01T00:00:00Z", "valid_until": "2026-01-01T00:00:00Z", "stores": [],
        "rule": {"kind": "every_off", "threshold": 20000, "amount": 1, "min_quantity": 9}});
    let quote = answer(&basket(&hair(), &[all], &json!({"member": "m", "store": "s"}))).unwrap();
    assert_eq!(
        json!(quote.refused[0].reasons),
        json!([{"code": "not_owner"}, {"code": "not_started"}, {"code": "expired"}, {"code": "frozen"},
            {"code": "store_not_allowed"}, {"code": "below_threshold", "short_by": 7384},
            {"code": "below_quantity", "short_by": 2}])
    );
    let coupons = [
        with(coupon("a", &off(0)), "status", json!("redeemed")),
        with(coupon("b", &off(5)), "scope", json!({"skus": []})),
        with(coupon("c", &off(5)), "valid_until", json!("2026-11-11T04:00:00Z")),
        with(coupon("d", &off(5)), "valid_from", json!("2026-11-11T04:00:00Z")),
        with(coupon("e", &off(5)), "status", json!("expired")),
    ];
    let quote = answer(&basket(&hair(), &coupons, &json!({}))).unwrap();
    assert_eq!(applied(&quote), ["d"]);
    assert_eq!(
        json!(quote.refused),
        json!([
            {"coupon": "a", "reasons": [{"code": "redeemed"}, {"code": "nothing_left"}]},
            {"coupon": "b", "reasons": [{"code": "no_line_in_scope"}]},
            {"coupon": "c", "reasons": [{"code": "expired"}]},
            {"coupon": "e", "reasons": [{"code": "expired"}]},
        ])
    );
}

#[test]
fn scopes_and_what_they_leave_out() {
    let lines = json!([
        {"id": "1", "sku": "A", "category": "x", "merchant": "m", "unit_price": 100, "quantity": 1},
        {"id": "2", "sku": "B", "category": "y", "unit_price": 100, "quantity": 1},
        {"id": "3", "sku": "C", "unit_price": 100, "quantity": 1},
    ]);
    for (scope, amount) in [
        (json!({"all": true}), 300),
        (json!({"all": true, "except_skus": ["A"]}), 200),
        (json!({"merchants": ["m"], "skus": ["C"]}), 200),
        (json!({"categories": ["y", "x"], "except_skus": ["B"]}), 100),
    ] {
        let taken = with(coupon("a", &percent(10000)), "scope", scope);
        let quote = answer(&basket(&[], &[taken], &json!({"lines": lines}))).unwrap();
        assert_eq!(quote.discount, amount);
    }
}

#[test]
fn vouchers_take_units_one_after_the_other() {
    let lines = json!([
        {"id": "1", "sku": "A", "unit_price": 300, "quantity": 2},
        {"id": "2", "sku": "B", "unit_price": 1000, "quantity": 1},
        {"id": "3", "sku": "A", "unit_price": 500, "quantity": 3},
    ]);
    let voucher = |id: &str, quantity: i64| {
        let voucher = coupon(id, &json!({"kind": "item_voucher", "sku": "A", "quantity": quantity}));
        with(voucher, "stacking", json!({"group": id}))
    };
    let more = |select: Value, least: i64| json!({"lines": lines, "select": select, "policy": {"min_payable": least}});
    let quote = answer(&basket(
        &[],
        &[voucher("a", 3), voucher("b", 9)],
        &more(json!(["a", "b"]), 0),
    ))
    .unwrap();
    assert_eq!(
        json!(quote.applied),
        json!([
            {"coupon": "a", "amount": 1100, "lines": [{"line": "1", "amount": 600}, {"line": "3", "amount": 500}]},
            {"coupon": "b", "amount": 1000, "lines": [{"line": "3", "amount": 1000}]},
        ])
    );
    // Clipped from the last unit back.
    let quote = answer(&basket(&[], &[voucher("a", 3)], &more(json!("best"), 2400))).unwrap();
    assert_eq!(
        json!(quote.applied),
        json!([{"coupon": "a", "amount": 700, "lines": [{"line": "1", "amount": 600}, {"line": "3", "amount": 100}]}])
    );
    // After 250 of 300 are gone, units are worth what is left of their line.
    let order = json!({"lines": [{"id": "1", "sku": "A", "unit_price": 100, "quantity": 3}],
        "policy": {"order": ["amount_off", "item_voucher"]}});
    let coupons = [coupon("x", &off(150)), voucher("a", 2)];
    let quote = answer(&basket(&[], &coupons, &order)).unwrap();
    assert_eq!((quote.discount, applied(&quote)), (300, vec!["x", "a"]));
}

#[test]
fn bases_times_caps_and_rounding() {
    let discount = |rule: Value, before: i64, more: Value| {
        let coupons = [coupon("v", &off(before)), coupon("z", &rule)];
        let mut more = more;
        more["policy"]["order"] = json!(["amount_off", "threshold_off", "percent_off"]);
        let quote = answer(&basket(&[(1000, 1)], &coupons, &more)).unwrap();
        quote.discount - before
    };
    let every = |basis: &str| json!({"kind": "every_off", "threshold": 300, "amount": 10, "threshold_basis": basis});
    assert_eq!(discount(every("net"), 200, json!({})), 20);
    assert_eq!(discount(every("list"), 200, json!({})), 30);
    assert_eq!(discount(with(every("list"), "max_times", json!(1)), 200, json!({})), 10);
    assert_eq!(discount(percent(1250), 4, json!({})), 125);
    assert_eq!(discount(percent(1250), 4, json!({"policy": {"rounding": "down"}})), 124);
    assert_eq!(discount(with(percent(1250), "max_discount", json!(7)), 4, json!({})), 7);
    assert_eq!(
        discount(percent(10000), 200, json!({"policy": {"min_payable": 790}})),
        10
    );
}

#[test]
fn points_come_last_and_keep_to_their_limits() {
    let points = |points: Value, least: i64| {
        let more = json!({"points": points, "policy": {"min_payable": least}});
        let quote = answer(&basket(&[(1000, 1)], &[coupon("a", &off(100))], &more)).unwrap();
        (quote.points.used, quote.points.amount, quote.payable)
    };
    let of = |wanted: i64, available: i64, minor: i64, share: i64| json!({"use": wanted, "available": available, "minor_per_point": minor, "max_share_bp": share});
    assert_eq!(points(of(7, 5, 10, 10000), 0), (5, 50, 850));
    assert_eq!(points(of(5000, 5000, 7, 5000), 0), (64, 448, 452));
    assert_eq!(points(of(5000, 5000, 1, 10000), 300), (600, 600, 300));
    assert_eq!(points(of(i64::MAX, i64::MAX, i64::MAX, 10000), 0), (0, 0, 900));
    assert_eq!(points(of(5, 5, 1, 10000), 5000), (0, 0, 1000));
}

#[test]
fn exclusive_coupons_and_groups() {
    let exclusive = |id: &str, amount: i64| with(coupon(id, &off(amount)), "stacking", json!({"exclusive": true}));
    let coupons = [
        exclusive("e", 500),
        coupon("t", &full_minus(0, 300)),
        coupon("every", &json!({"kind": "every_off", "threshold": 100, "amount": 1})),
        coupon("p", &percent(1000)),
    ];
    let quote = |coupons: &[Value], more: Value| answer(&basket(&[(1000, 1)], coupons, &more)).unwrap();
    let best = quote(&coupons, json!({}));
    assert_eq!(applied(&best), ["e"]);
    assert_eq!(
        json!(best.refused[0].reasons),
        json!([{"code": "excluded_by", "coupons": ["e"]}])
    );
    // Against an exclusive 350, the two groups together win with 370.
    let mut coupons = coupons;
    coupons[0] = exclusive("e", 350);
    let best = quote(&coupons, json!({}));
    assert_eq!((best.discount, applied(&best)), (370, vec!["t", "p"]));
    assert_eq!(
        json!(best.refused),
        json!([{"coupon": "e", "reasons": [{"code": "excluded_by", "coupons": ["t", "p"]}]},
            {"coupon": "every", "reasons": [{"code": "excluded_by", "coupons": ["t"]}]}])
    );
    // By hand, the one listed first stays, and only the listed appear.
    let listed = quote(&coupons, json!({"select": ["p", "every", "t", "e"]}));
    assert_eq!(applied(&listed), ["every", "p"]);
    assert_eq!(
        json!(listed.refused),
        json!([{"coupon": "e", "reasons": [{"code": "excluded_by", "coupons": ["p", "every"]}]},
            {"coupon": "t", "reasons": [{"code": "excluded_by", "coupons": ["every"]}]}])
    );
    assert_eq!(quote(&coupons, json!({"select": []})).refused, []);
}

#[test]
fn ties_go_to_fewer_coupons_then_to_those_that_expire_first_then_to_ids() {
    let grouped = |id: &str, amount: i64, group: &str, until: Option<&str>| {
        let taken = with(coupon(id, &off(amount)), "stacking", json!({"group": group}));
        until.map_or(taken.clone(), |until| with(taken, "valid_until", json!(until)))
    };
    let best = |coupons: &[Value]| {
        let quote = answer(&basket(&[(1000, 1)], coupons, &json!({}))).unwrap();
        applied(&quote).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let (soon, late) = (Some("2026-12-01T00:00:00Z"), Some("2027-12-01T00:00:00Z"));
    assert_eq!(
        best(&[
            grouped("a", 400, "1", soon),
            grouped("b", 600, "2", soon),
            grouped("z", 1000, "3", None)
        ]),
        ["z"]
    );
    assert_eq!(
        best(&[
            grouped("a", 5, "1", None),
            grouped("b", 5, "1", late),
            grouped("c", 5, "1", soon)
        ]),
        ["c"]
    );
    assert_eq!(best(&[grouped("b", 5, "1", soon), grouped("a", 5, "1", soon)]), ["a"]);
    // An order by ids where all orders take the same.
    assert_eq!(
        best(&[
            grouped("10", 5, "1", None),
            grouped("9", 5, "2", None),
            grouped("B", 5, "3", None),
            grouped("a", 5, "4", soon)
        ]),
        ["10", "9", "B", "a"]
    );
}
