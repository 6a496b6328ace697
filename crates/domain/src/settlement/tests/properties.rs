//! What must hold for every basket, tried on thousands of random ones.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::oracle;
use crate::settlement::{Answer, Basket, Select, document, quote};

/// Random choices, which proptest shrinks towards the first ones.
struct Dice {
    rolls: Vec<u32>,
    next: usize,
}

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        let roll = self.rolls.get(self.next).copied().unwrap_or(0);
        self.next += 1;
        roll as usize % limit
    }

    fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }

    fn names(&mut self, names: &[&str]) -> Value {
        names.iter().filter(|_| self.below(2) == 1).copied().collect()
    }
}

fn dice() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(any::<u32>(), 250)
}

fn line(dice: &mut Dice, id: usize) -> Value {
    let mut line = json!({"id": id.to_string(), "sku": dice.of(&["A", "B", "C"]),
        "unit_price": dice.of(&[100, 0, 1, 33, 250, 999, 5_000]), "quantity": dice.of(&[1, 2, 3, 7])});
    if dice.below(2) == 1 {
        line["category"] = json!(dice.of(&["x", "y"]));
    }
    if dice.below(2) == 1 {
        line["merchant"] = json!(dice.of(&["m", "n"]));
    }
    line
}

fn rule(dice: &mut Dice, kinds: &[&str]) -> Value {
    let kind = dice.of(kinds);
    let mut rule = json!({ "kind": kind });
    let amounts = [50, 0, 1, 7, 100, 333, 2_000];
    let thresholds = [100, 1, 300, 1_000, 3_000];
    match kind {
        "threshold_off" | "every_off" => {
            rule["threshold"] = json!(dice.of(&thresholds));
            rule["amount"] = json!(dice.of(&amounts));
            if kind == "every_off" && dice.below(2) == 1 {
                rule["max_times"] = json!(dice.of(&[1, 2, 5]));
            }
        }
        "percent_off" => {
            rule["percent_bp"] = json!(dice.of(&[1_000, 1, 1_250, 3_333, 5_000, 9_999, 10_000]));
            if dice.one_in(3) {
                rule["threshold"] = json!(dice.of(&thresholds));
            }
            if dice.one_in(3) {
                rule["max_discount"] = json!(dice.of(&amounts));
            }
        }
        "amount_off" => rule["amount"] = json!(dice.of(&amounts)),
        _ => {
            rule["sku"] = json!(dice.of(&["A", "B", "D"]));
            rule["quantity"] = json!(dice.of(&[1, 2, 4]));
        }
    }
    if kind != "amount_off" && kind != "item_voucher" && dice.one_in(4) {
        rule["threshold_basis"] = json!(dice.of(&["list", "net"]));
    }
    if dice.one_in(6) {
        rule["min_quantity"] = json!(dice.of(&[1, 3, 6, 12]));
    }
    rule
}

fn coupon(dice: &mut Dice, id: &str, kinds: &[&str]) -> Value {
    let mut coupon = json!({"id": id, "status": "available", "rule": rule(dice, kinds)});
    if dice.one_in(12) {
        coupon["status"] = json!(dice.of(&["frozen", "redeemed", "expired"]));
    }
    if dice.one_in(12) {
        coupon["member"] = json!(dice.of(&["me", "you"]));
    }
    if dice.one_in(12) {
        coupon["stores"] = dice.names(&["here", "there"]);
    }
    if dice.one_in(3) {
        coupon["valid_until"] = json!(dice.of(&[
            "2026-12-01T00:00:00Z",
            "2026-12-01T08:00:00+08:00",
            "2027-01-01T00:00:00Z",
            "2026-01-01T00:00:00Z"
        ]));
    }
    if dice.one_in(12) {
        coupon["valid_from"] = json!(dice.of(&["2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"]));
    }
    if coupon["rule"]["kind"] != "item_voucher" && dice.below(2) == 1 {
        coupon["scope"] = match dice.below(5) {
            0 => json!({"all": true, "except_skus": dice.names(&["A", "B", "C"])}),
            1 => json!({"skus": dice.names(&["A", "B", "C"])}),
            2 => json!({"categories": ["x"], "merchants": dice.names(&["m", "n"])}),
            3 => json!({"merchants": ["m"], "except_skus": ["A"]}),
            _ => json!({"categories": dice.names(&["x", "y"]), "skus": ["C"]}),
        };
    }
    match dice.below(8) {
        0 | 1 => {}
        7 if dice.below(2) == 1 => coupon["stacking"] = json!({"exclusive": true}),
        group => coupon["stacking"] = json!({"group": format!("g{group}")}),
    }
    coupon
}

const KINDS: [&[&str]; 4] = [
    &[
        "threshold_off",
        "every_off",
        "percent_off",
        "amount_off",
        "item_voucher",
    ],
    &["percent_off"],
    &["threshold_off", "every_off"],
    &["item_voucher", "amount_off"],
];

fn document(dice: &mut Dice, most: usize) -> Value {
    let lines: Vec<_> = (0..=dice.below(5)).map(|i| line(dice, i)).collect();
    let kinds = dice.of(&KINDS);
    let ids = ["b", "a", "10", "9", "Z", "é", "ab"];
    let count = dice.below(most + 1);
    let coupons: Vec<_> = ids.iter().take(count).map(|id| coupon(dice, id, kinds)).collect();
    let mut order = vec!["item_voucher", "threshold_off", "percent_off", "amount_off"];
    for i in 0..3 {
        order.swap(i, i + dice.below(4 - i));
    }
    let mut document = json!({"currency": "CNY", "at": "2026-11-11T12:00:00+08:00", "member": "me", "store": "here",
        "lines": lines, "coupons": coupons,
        "policy": {"order": order, "rounding": dice.of(&["half_up", "down"]),
            "min_payable": dice.of(&[0, 0, 0, 1, 300, 9_999])}});
    if dice.below(2) == 1 {
        document["points"] = json!({"use": dice.of(&[3, 0, 100, 100_000]), "available": dice.of(&[50, 0, 100_000]),
            "minor_per_point": dice.of(&[1, 7]), "max_share_bp": dice.of(&[10_000, 0, 3_333])});
    }
    if dice.one_in(3) {
        let mut listed: Vec<_> = ids.iter().take(count).filter(|_| dice.below(4) > 0).collect();
        for i in 0..listed.len() {
            let other = i + dice.below(listed.len() - i);
            listed.swap(i, other);
        }
        document["select"] = json!(listed);
    }
    document
}

fn read(document: &Value) -> Basket {
    document::read(document.to_string().as_bytes()).unwrap()
}

fn any_basket(rolls: Vec<u32>, most: usize) -> Basket {
    read(&document(&mut Dice { rolls, next: 0 }, most))
}

/// What the contract says of every answer.
fn holds_always(basket: &Basket, answer: &Answer) {
    assert_eq!(answer.payable, answer.subtotal - answer.discount - answer.points.amount);
    assert_eq!(answer.lines.iter().map(|line| line.net).sum::<i64>(), answer.payable);
    assert_eq!(
        answer.lines.iter().map(|line| line.points).sum::<i64>(),
        answer.points.amount
    );
    let least = basket.policy.min_payable.min(answer.subtotal);
    assert!(answer.payable >= least);
    for applied in &answer.applied {
        assert!(applied.amount > 0 && applied.lines.iter().all(|share| share.amount > 0));
        assert_eq!(
            applied.lines.iter().map(|share| share.amount).sum::<i64>(),
            applied.amount
        );
    }
    for line in &answer.lines {
        assert!(line.net >= 0 && line.discount >= 0 && line.points >= 0);
        assert_eq!(line.net, line.list - line.discount - line.points);
        let shares = answer.applied.iter().flat_map(|applied| &applied.lines);
        let shares: i64 = shares
            .filter(|share| share.line == line.line)
            .map(|share| share.amount)
            .sum();
        assert_eq!(shares, line.discount);
    }
    let asked = match &basket.select {
        Select::Best => basket.coupons.len(),
        Select::Listed(ids) => ids.len(),
    };
    assert_eq!(answer.applied.len() + answer.refused.len(), asked);
    assert!(answer.refused.iter().all(|refused| !refused.reasons.is_empty()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn the_answer_is_that_of_the_naive_oracle(rolls in dice()) {
        let basket = any_basket(rolls, 6);
        let answer = quote(&basket).unwrap();
        holds_always(&basket, &answer);
        prop_assert_eq!(json!(answer), oracle::answer(&basket));
    }

    #[test]
    fn one_more_coupon_never_makes_the_best_worse(rolls in dice()) {
        let mut basket = any_basket(rolls, 7);
        basket.select = Select::Best;
        let with = quote(&basket).unwrap().discount;
        basket.coupons.pop();
        prop_assert!(quote(&basket).unwrap().discount <= with);
    }

    #[test]
    fn the_order_of_the_coupons_changes_nothing(rolls in dice(), turn in 0_usize..7) {
        let mut basket = any_basket(rolls, 7);
        let mut one = quote(&basket).unwrap();
        basket.coupons.reverse();
        let turn = turn.min(basket.coupons.len());
        basket.coupons.rotate_left(turn);
        let mut two = quote(&basket).unwrap();
        one.refused.sort_by(|a, b| a.coupon.cmp(&b.coupon));
        two.refused.sort_by(|a, b| a.coupon.cmp(&b.coupon));
        prop_assert_eq!(one, two);
    }
}
