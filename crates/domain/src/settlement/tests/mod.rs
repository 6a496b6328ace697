mod documents;
mod hard;
mod oracle;
mod properties;
mod returns;
mod worked;

use serde_json::{Value, json};

use super::{Answer, InputError, document, quote};

/// Answers a document as the command does.
fn answer(document: &Value) -> Result<Answer, InputError> {
    document::read(document.to_string().as_bytes()).and_then(|basket| quote(&basket))
}

/// A document of lines (id, unit price, quantity) and coupons, with more fields laid over it.
fn basket(lines: &[(i64, i64)], coupons: &[Value], more: &Value) -> Value {
    let lines: Vec<_> = lines
        .iter()
        .enumerate()
        .map(|(i, (price, quantity))| {
            json!({"id": (i + 1).to_string(), "sku": format!("P{}", i + 1), "unit_price": price, "quantity": quantity})
        })
        .collect();
    let mut document =
        json!({"currency": "CNY", "at": "2026-11-11T12:00:00+08:00", "lines": lines, "coupons": coupons});
    for (name, value) in more.as_object().unwrap() {
        document[name] = value.clone();
    }
    document
}

/// An available coupon with this rule.
fn coupon(id: &str, rule: &Value) -> Value {
    json!({"id": id, "status": "available", "rule": rule})
}

/// The ids of the coupons applied, in order.
fn applied(answer: &Answer) -> Vec<&str> {
    answer.applied.iter().map(|applied| applied.coupon.as_str()).collect()
}
