//! The JSON document of a quote, read strictly: whatever isn't in the contract is refused, with its place.

use super::{
    InputError,
    input::{
        Basis, Basket, Coupon, Instant, Kind, Line, Only, Phase, Points, Policy, Rounding, Rule, Scope, Select,
        Stacking, Status, WHOLE_BP,
    },
    instant,
    json::{At, Json, Object},
};
use crate::words::Word;

/// Reads and checks one document.
///
/// # Errors
/// The first thing found wrong: its code, its JSON path, what was expected.
pub fn read(document: &[u8]) -> Result<Basket, InputError> {
    let json = Json::parse(document)?;
    let basket = basket(At::root(&json))?;
    basket.check()?;
    Ok(basket)
}

fn text(at: At<'_>) -> Result<String, InputError> {
    at.text()
}

fn integer(at: At<'_>) -> Result<i64, InputError> {
    at.integer()
}

fn texts(at: At<'_>) -> Result<Vec<String>, InputError> {
    at.list(text)
}

fn time(at: At<'_>) -> Result<Instant, InputError> {
    const EXPECTED: &str = "an RFC 3339 time with an offset, as 2026-11-11T12:00:00+08:00";
    match at.json {
        Json::Text(text) => instant::parse(text).ok_or_else(|| at.error("bad_time", EXPECTED)),
        _ => Err(at.error("wrong_type", EXPECTED)),
    }
}

fn basket(at: At<'_>) -> Result<Basket, InputError> {
    let object = at.object()?;
    object.allow(&[
        "currency", "at", "store", "member", "lines", "coupons", "points", "policy", "select",
    ])?;
    Ok(Basket {
        currency: object.need("currency", text)?,
        at: object.need("at", time)?,
        store: object.maybe("store", text)?,
        member: object.maybe("member", text)?,
        lines: object.need("lines", |at| at.list(line))?,
        coupons: object.maybe("coupons", |at| at.list(coupon))?.unwrap_or_default(),
        points: object.maybe("points", points)?,
        policy: object.maybe("policy", policy)?.unwrap_or_default(),
        select: object.maybe("select", select)?.unwrap_or_default(),
    })
}

fn line(at: At<'_>) -> Result<Line, InputError> {
    let object = at.object()?;
    object.allow(&["id", "sku", "category", "merchant", "unit_price", "quantity"])?;
    Ok(Line {
        id: object.need("id", text)?,
        sku: object.need("sku", text)?,
        category: object.maybe("category", text)?,
        merchant: object.maybe("merchant", text)?,
        unit_price: object.need("unit_price", integer)?,
        quantity: object.need("quantity", integer)?,
    })
}

fn coupon(at: At<'_>) -> Result<Coupon, InputError> {
    let object = at.object()?;
    let mut fields = vec![
        "id",
        "member",
        "status",
        "valid_from",
        "valid_until",
        "rule",
        "stores",
        "stacking",
        "scope",
    ];
    object.allow(&fields)?;
    let rule = object.need("rule", rule)?;
    if matches!(rule.kind, Kind::ItemVoucher { .. }) {
        // Its lines are those of its sku.
        fields.pop();
        object.allow(&fields)?;
    }
    Ok(Coupon {
        id: object.need("id", text)?,
        member: object.maybe("member", text)?,
        status: object.need("status", |at| {
            at.word(&[
                ("available", Status::Available),
                ("frozen", Status::Frozen),
                ("redeemed", Status::Redeemed),
                ("expired", Status::Expired),
            ])
        })?,
        valid_from: object.maybe("valid_from", time)?,
        valid_until: object.maybe("valid_until", time)?,
        rule,
        scope: object.maybe("scope", scope)?.unwrap_or_default(),
        stores: object.maybe("stores", texts)?,
        stacking: object.maybe("stacking", stacking)?.unwrap_or_default(),
    })
}

pub(super) fn rule(at: At<'_>) -> Result<Rule, InputError> {
    type Read = fn(&Object<'_>) -> Result<Kind, InputError>;
    let object = at.object()?;
    let kinds: [(&str, (&[&str], Read)); 5] = [
        (
            "threshold_off",
            (&["threshold", "amount", "threshold_basis"], threshold_off),
        ),
        (
            "every_off",
            (&["threshold", "amount", "max_times", "threshold_basis"], every_off),
        ),
        (
            "percent_off",
            (
                &["percent_bp", "threshold", "max_discount", "threshold_basis"],
                percent_off,
            ),
        ),
        ("amount_off", (&["amount"], amount_off)),
        ("item_voucher", (&["sku", "quantity"], item_voucher)),
    ];
    let (fields, read) = object.need("kind", |at| at.word(&kinds))?;
    let common: &[&str] = &["kind", "min_quantity"];
    object.allow(&[common, fields].concat())?;
    Ok(Rule {
        kind: read(&object)?,
        min_quantity: object.maybe("min_quantity", integer)?,
    })
}

fn basis(object: &Object<'_>) -> Result<Basis, InputError> {
    let words = [("net", Basis::Net), ("list", Basis::List)];
    Ok(object
        .maybe("threshold_basis", |at| at.word(&words))?
        .unwrap_or_default())
}

fn threshold_off(object: &Object<'_>) -> Result<Kind, InputError> {
    Ok(Kind::ThresholdOff {
        threshold: object.need("threshold", integer)?,
        amount: object.need("amount", integer)?,
        basis: basis(object)?,
    })
}

fn every_off(object: &Object<'_>) -> Result<Kind, InputError> {
    Ok(Kind::EveryOff {
        threshold: object.need("threshold", integer)?,
        amount: object.need("amount", integer)?,
        max_times: object.maybe("max_times", integer)?,
        basis: basis(object)?,
    })
}

fn percent_off(object: &Object<'_>) -> Result<Kind, InputError> {
    Ok(Kind::PercentOff {
        percent_bp: object.need("percent_bp", integer)?,
        threshold: object.maybe("threshold", integer)?,
        max_discount: object.maybe("max_discount", integer)?,
        basis: basis(object)?,
    })
}

fn amount_off(object: &Object<'_>) -> Result<Kind, InputError> {
    Ok(Kind::AmountOff {
        amount: object.need("amount", integer)?,
    })
}

fn item_voucher(object: &Object<'_>) -> Result<Kind, InputError> {
    Ok(Kind::ItemVoucher {
        sku: object.need("sku", text)?,
        quantity: object.need("quantity", integer)?,
    })
}

fn only_true(at: At<'_>) -> Result<(), InputError> {
    match at.json {
        Json::Bool(true) => Ok(()),
        Json::Bool(false) => Err(at.error("unknown_value", "true, or no such field")),
        _ => Err(at.error("wrong_type", "true")),
    }
}

pub(super) fn scope(at: At<'_>) -> Result<Scope, InputError> {
    let object = at.object()?;
    object.allow(&["all", "merchants", "categories", "skus", "except_skus"])?;
    let all = object.maybe("all", only_true)?.is_some();
    let lists = ["merchants", "categories", "skus"].iter().any(|name| object.has(name));
    if all == lists {
        let message = "expected either \"all\": true or some of merchants, categories, skus";
        return Err(object.error("bad_scope", message));
    }
    let list = |name| Ok::<_, InputError>(object.maybe(name, texts)?.unwrap_or_default());
    let only = Only {
        merchants: list("merchants")?,
        categories: list("categories")?,
        skus: list("skus")?,
    };
    Ok(Scope {
        only: lists.then_some(only),
        except_skus: list("except_skus")?,
    })
}

pub(super) fn stacking(at: At<'_>) -> Result<Stacking, InputError> {
    let object = at.object()?;
    object.allow(&["exclusive", "group"])?;
    let exclusive = object.maybe("exclusive", only_true)?.is_some();
    let group = object.maybe("group", text)?;
    if exclusive == group.is_some() || object.is_empty() {
        let message = "expected either \"exclusive\": true or a group";
        return Err(object.error("bad_stacking", message));
    }
    Ok(if exclusive {
        Stacking::Exclusive
    } else {
        Stacking::Group(group)
    })
}

fn points(at: At<'_>) -> Result<Points, InputError> {
    let object = at.object()?;
    object.allow(&["use", "available", "minor_per_point", "max_share_bp"])?;
    Ok(Points {
        r#use: object.need("use", integer)?,
        available: object.need("available", integer)?,
        minor_per_point: object.need("minor_per_point", integer)?,
        max_share_bp: object.maybe("max_share_bp", integer)?.unwrap_or(WHOLE_BP),
    })
}

fn policy(at: At<'_>) -> Result<Policy, InputError> {
    let object = at.object()?;
    object.allow(&["order", "rounding", "min_payable"])?;
    let phases = Phase::DEFAULT_ORDER.map(|phase| (phase.as_str(), phase));
    let roundings = [("half_up", Rounding::HalfUp), ("down", Rounding::Down)];
    let default = Policy::default();
    Ok(Policy {
        order: object
            .maybe("order", |at| at.list(|at| at.word(&phases)))?
            .unwrap_or(default.order),
        rounding: object
            .maybe("rounding", |at| at.word(&roundings))?
            .unwrap_or(default.rounding),
        min_payable: object.maybe("min_payable", integer)?.unwrap_or(default.min_payable),
    })
}

fn select(at: At<'_>) -> Result<Select, InputError> {
    match at.json {
        Json::Text(text) if text == "best" => Ok(Select::Best),
        Json::List(_) => Ok(Select::Listed(texts(at)?)),
        Json::Text(_) => Err(at.error("unknown_value", "\"best\" or a list of coupon ids")),
        _ => Err(at.error("wrong_type", "\"best\" or a list of coupon ids")),
    }
}
