//! The quote of a basket with the best combination of its coupons: a pure function, so only its own time counts.

use std::time::Instant;

use counterfoil_domain::settlement::{
    Basis, Basket, Coupon, Kind, Line, Only, Policy, Scope, Select, Stacking, Status, quote,
};

use crate::Latencies;

/// A sequence of numbers that is the same in every run.
pub struct Numbers(pub u64);

impl Numbers {
    /// The next one, from 0 and below the limit.
    pub fn below(&mut self, limit: i64) -> i64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(self.0 >> 33).unwrap_or(0) % limit.max(1)
    }
}

const CATEGORIES: i64 = 6;

fn scope(numbers: &mut Numbers) -> Scope {
    let only = (numbers.below(2) == 0).then(|| Only {
        categories: vec![
            format!("c{}", numbers.below(CATEGORIES)),
            format!("c{}", numbers.below(CATEGORIES)),
        ],
        ..Only::default()
    });
    Scope {
        only,
        except_skus: Vec::new(),
    }
}

fn kind(numbers: &mut Numbers, sum: i64) -> Kind {
    let basis = if numbers.below(4) == 0 { Basis::List } else { Basis::Net };
    match numbers.below(5) {
        0 => Kind::ThresholdOff {
            threshold: numbers.below(sum),
            amount: 500 + numbers.below(5_000),
            basis,
        },
        1 => Kind::EveryOff {
            threshold: 1_000 + numbers.below(sum / 4),
            amount: 100 + numbers.below(1_000),
            max_times: Some(1 + numbers.below(4)),
            basis,
        },
        2 => Kind::PercentOff {
            percent_bp: 200 + numbers.below(3_000),
            threshold: Some(numbers.below(sum / 2)),
            max_discount: (numbers.below(2) == 0).then(|| 1_000 + numbers.below(10_000)),
            basis,
        },
        3 => Kind::AmountOff {
            amount: 100 + numbers.below(3_000),
        },
        _ => Kind::ItemVoucher {
            sku: format!("s{}", numbers.below(40)),
            quantity: 1 + numbers.below(2),
        },
    }
}

/// A basket of so many lines and coupons; `groups` = 0 leaves each coupon the group of its kind.
fn basket(numbers: &mut Numbers, lines: i64, coupons: i64, groups: i64) -> Basket {
    let lines: Vec<Line> = (0..lines)
        .map(|n| Line {
            id: n.to_string(),
            sku: format!("s{}", numbers.below(40)),
            category: Some(format!("c{}", numbers.below(CATEGORIES))),
            merchant: None,
            unit_price: 100 + numbers.below(5_000),
            quantity: 1 + numbers.below(4),
        })
        .collect();
    let sum = lines.iter().map(|line| line.unit_price * line.quantity).sum();
    let coupons = (0..coupons)
        .map(|n| {
            let kind = kind(numbers, sum);
            let scope = match kind {
                Kind::ItemVoucher { .. } => Scope::default(),
                _ => scope(numbers),
            };
            Coupon {
                id: format!("k{n:02}"),
                member: None,
                status: Status::Available,
                valid_from: None,
                valid_until: Some(i128::from(numbers.below(1_000))),
                rule: kind.into(),
                scope,
                stores: None,
                stacking: Stacking::Group((groups > 0).then(|| format!("g{}", numbers.below(groups)))),
            }
        })
        .collect();
    Basket {
        currency: "CNY".to_owned(),
        at: -1,
        store: None,
        member: None,
        lines,
        coupons,
        points: None,
        policy: Policy::default(),
        select: Select::Best,
    }
}

/// Prints how long quotes take: 50 lines and 10 coupons, by kinds and with every coupon in a group of its own; 500 lines
/// and 30 coupons in 5 groups.
pub fn measure() -> anyhow::Result<()> {
    for (name, lines, coupons, groups, count) in [
        ("quote.lines50_coupons10", 50, 10, 0, 20_000),
        ("quote.lines50_coupons10_apart", 50, 10, 1_000, 2_000),
        ("quote.lines500_coupons30_groups5", 500, 30, 5, 1_000),
    ] {
        let mut numbers = Numbers(1);
        let mut latencies = Latencies::default();
        for _ in 0..count {
            let basket = basket(&mut numbers, lines, coupons, groups);
            let begun = Instant::now();
            let answer = quote(&basket)?;
            latencies.add(begun.elapsed());
            std::hint::black_box(answer);
        }
        latencies.report(name);
    }
    Ok(())
}
