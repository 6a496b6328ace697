//! The worst basket: a random climb towards baskets whose quote visits the most lines, among those that are always
//! answered. What it finds is kept beside the tests of the quote, which hold its visits to the budget.

use std::time::{Duration, Instant};

use counterfoil_domain::{
    settlement::{
        Basis, Basket, Budget, Coupon, Kind, Line, MAX_LINES, Only, Phase, Policy, Rounding, Scope, Select, Stacking,
        Status, quote_within,
    },
    words::Word,
};
use serde_json::json;

use crate::{quote::Numbers, report};

/// Products in a basket; a coupon's scope is some of them.
const SKUS: i64 = 48;
/// Baskets tried without a worse one before another is begun.
const PATIENCE: usize = 60;

/// What is always answered: so many coupons, groups, and groups in one phase.
#[derive(Debug, Clone, Copy)]
struct Shape {
    name: &'static str,
    coupons: usize,
    groups: i64,
    abreast: usize,
}

const SHAPES: [Shape; 2] = [
    Shape {
        name: "ten",
        coupons: 10,
        groups: 10,
        abreast: 7,
    },
    Shape {
        name: "thirty",
        coupons: 30,
        groups: 5,
        abreast: 4,
    },
];

impl Shape {
    fn holds(self, basket: &Basket) -> bool {
        let phases = Phase::DEFAULT_ORDER.iter().map(|phase| {
            let of = basket
                .coupons
                .iter()
                .filter(|coupon| coupon.rule.kind.phase() == *phase);
            let mut groups: Vec<_> = of.map(|coupon| &coupon.stacking).collect();
            groups.sort_unstable_by_key(|stacking| format!("{stacking:?}"));
            groups.dedup();
            groups.len()
        });
        phases.max().unwrap_or(0) <= self.abreast
    }
}

fn lines(numbers: &mut Numbers) -> Vec<Line> {
    let most = [30, 1_000, 100_000][usize::try_from(numbers.below(3)).unwrap_or(0)];
    (0..MAX_LINES)
        .map(|n| Line {
            id: n.to_string(),
            sku: format!("s{}", numbers.below(SKUS)),
            category: None,
            merchant: None,
            unit_price: 1 + numbers.below(most),
            quantity: 1 + numbers.below(3),
        })
        .collect()
}

fn sum(basket: &Basket) -> i64 {
    basket.lines.iter().map(|line| line.unit_price * line.quantity).sum()
}

fn kind(numbers: &mut Numbers, phase: Phase, sum: i64) -> Kind {
    // Thresholds that some orders reach and others don't.
    let threshold = sum * (20 + numbers.below(75)) / 100;
    let basis = Basis::Net;
    match phase {
        Phase::ItemVoucher => Kind::ItemVoucher {
            sku: format!("s{}", numbers.below(SKUS)),
            quantity: 1 + numbers.below(9),
        },
        Phase::ThresholdOff if numbers.below(3) == 0 => Kind::EveryOff {
            threshold: 1 + sum / (2 + numbers.below(30)),
            amount: 1 + sum / (20 + numbers.below(300)),
            max_times: None,
            basis,
        },
        Phase::ThresholdOff => Kind::ThresholdOff {
            threshold,
            amount: 1 + sum * (1 + numbers.below(20)) / 100,
            basis,
        },
        Phase::PercentOff => Kind::PercentOff {
            percent_bp: 100 + numbers.below(5_000),
            threshold: (numbers.below(3) == 0).then_some(threshold),
            max_discount: (numbers.below(5) == 0).then(|| 1 + sum * (1 + numbers.below(20)) / 100),
            basis,
        },
        Phase::AmountOff => Kind::AmountOff {
            amount: 1 + sum * (1 + numbers.below(20)) / 100,
        },
    }
}

fn scope(numbers: &mut Numbers) -> Scope {
    let one_in = 1 + numbers.below(4);
    let skus = (0..SKUS).filter(|_| numbers.below(one_in + 1) < one_in);
    let skus = skus.map(|n| format!("s{n}")).collect();
    Scope {
        only: (numbers.below(6) > 0).then(|| Only {
            skus,
            ..Only::default()
        }),
        except_skus: Vec::new(),
    }
}

fn phase(numbers: &mut Numbers) -> Phase {
    Phase::DEFAULT_ORDER[usize::try_from(numbers.below(4)).unwrap_or(0)]
}

fn coupon(numbers: &mut Numbers, n: usize, phase: Phase, group: i64, sum: i64) -> Coupon {
    let kind = kind(numbers, phase, sum);
    Coupon {
        id: format!("k{n:02}"),
        member: None,
        status: Status::Available,
        valid_from: None,
        valid_until: None,
        scope: match kind {
            Kind::ItemVoucher { .. } => Scope::default(),
            _ => scope(numbers),
        },
        rule: kind.into(),
        stores: None,
        stacking: Stacking::Group(Some(format!("g{group}"))),
    }
}

/// As many groups in one phase as may be, the others in another.
fn first(numbers: &mut Numbers, shape: Shape) -> Basket {
    let mut basket = Basket {
        currency: "CNY".to_owned(),
        at: 0,
        store: None,
        member: None,
        lines: lines(numbers),
        coupons: Vec::new(),
        points: None,
        policy: Policy::default(),
        select: Select::Best,
    };
    let sum = sum(&basket);
    let (many, few) = (phase(numbers), phase(numbers));
    for n in 0..shape.coupons {
        let group = n as i64 % shape.groups;
        let phase = if group < shape.abreast as i64 { many } else { few };
        basket.coupons.push(coupon(numbers, n, phase, group, sum));
    }
    basket
}

/// A basket like this one.
fn like(numbers: &mut Numbers, basket: &Basket, shape: Shape) -> Basket {
    let mut other = basket.clone();
    let sum = sum(&other);
    for _ in 0..=numbers.below(3) {
        let n = usize::try_from(numbers.below(other.coupons.len() as i64)).unwrap_or(0);
        let phase_of = other.coupons[n].rule.kind.phase();
        let voucher = phase_of == Phase::ItemVoucher;
        match numbers.below(14) {
            0 => other.lines = lines(numbers),
            1 => other.policy.min_payable = [0, sum / 4, sum / 2][usize::try_from(numbers.below(3)).unwrap_or(0)],
            2 => {
                let (a, b) = (numbers.below(4), numbers.below(4));
                other
                    .policy
                    .order
                    .swap(usize::try_from(a).unwrap_or(0), usize::try_from(b).unwrap_or(0));
            }
            3 => {
                other.policy.rounding = match other.policy.rounding {
                    Rounding::Down => Rounding::HalfUp,
                    Rounding::HalfUp => Rounding::Down,
                }
            }
            4 => {
                let (phase, group) = (phase(numbers), numbers.below(shape.groups));
                other.coupons[n] = coupon(numbers, n, phase, group, sum);
            }
            5 => {
                other.select = match other.select {
                    Select::Best => Select::Listed(other.coupons.iter().map(|coupon| coupon.id.clone()).collect()),
                    Select::Listed(_) => Select::Best,
                }
            }
            6..=8 if !voucher => other.coupons[n].scope = scope(numbers),
            9 if !voucher => {
                let sku = format!("s{}", numbers.below(SKUS));
                if let Some(only) = &mut other.coupons[n].scope.only {
                    let before = only.skus.len();
                    only.skus.retain(|other| *other != sku);
                    if only.skus.len() == before {
                        only.skus.push(sku);
                    }
                }
            }
            _ => other.coupons[n].rule = kind(numbers, phase_of, sum).into(),
        }
    }
    other
}

fn visits(basket: &Basket) -> u64 {
    let budget = Budget::default();
    match quote_within(basket, &budget) {
        Ok(_) => budget.visits(),
        Err(_) => 0,
    }
}

/// Climbs for so long from each shape; prints the visits and the time of the worst basket found, and on standard error
/// the basket itself.
pub fn measure(span: Duration, seed: u64) {
    let mut numbers = Numbers(seed);
    for shape in SHAPES {
        let begun = Instant::now();
        let mut worst = (0, None);
        let mut tried = 0;
        while begun.elapsed() < span {
            let mut basket = first(&mut numbers, shape);
            let mut most = visits(&basket);
            let mut since = 0;
            while since < PATIENCE && begun.elapsed() < span {
                since += 1;
                tried += 1;
                let other = like(&mut numbers, &basket, shape);
                if !shape.holds(&other) {
                    continue;
                }
                let found = visits(&other);
                if found > most {
                    since = 0;
                }
                if found >= most {
                    (basket, most) = (other, found);
                }
            }
            if most > worst.0 {
                worst = (most, Some(basket));
            }
        }
        let (most, Some(basket)) = worst else { continue };
        let begun = Instant::now();
        std::hint::black_box(visits(&basket));
        let name = |of: &str| format!("quote.worst_{}.{of}", shape.name);
        report(&name("visits"), most as f64, "visits", "lower", tried);
        report(&name("time"), begun.elapsed().as_secs_f64() * 1e3, "ms", "lower", 1);
        eprintln!("{}", document(&basket));
    }
}

/// The basket as a document.
fn document(basket: &Basket) -> serde_json::Value {
    let lines = basket
        .lines
        .iter()
        .map(|line| json!({"id": line.id, "sku": line.sku, "unit_price": line.unit_price, "quantity": line.quantity}));
    let coupons = basket.coupons.iter().map(|coupon| {
        let mut value = json!({"id": coupon.id, "status": "available", "rule": coupon.rule,
            "stacking": coupon.stacking});
        if coupon.rule.kind.phase() != Phase::ItemVoucher {
            value["scope"] = json!(coupon.scope);
        }
        value
    });
    let order: Vec<_> = basket.policy.order.iter().map(|phase| phase.as_str()).collect();
    let rounding = match basket.policy.rounding {
        Rounding::HalfUp => "half_up",
        Rounding::Down => "down",
    };
    let select = match &basket.select {
        Select::Best => json!("best"),
        Select::Listed(ids) => json!(ids),
    };
    json!({"currency": basket.currency, "at": "1970-01-01T00:00:00Z", "lines": lines.collect::<Vec<_>>(),
        "coupons": coupons.collect::<Vec<_>>(),
        "policy": {"order": order, "rounding": rounding, "min_payable": basket.policy.min_payable},
        "select": select})
}
