//! The contract once more, written as naively as it reads: every subset, every order, unit by unit, coin by coin. Shares
//! nothing with what it checks but the input.

use std::cmp::Reverse;

use serde_json::{Value, json};

use crate::{
    settlement::{Basis, Basket, Coupon, Kind, Line, Rounding, Select, Stacking, Status},
    words::Word,
};

#[derive(Clone)]
struct Moment {
    net: Vec<i128>,
    /// Of each line, of each unit: whether a voucher took it.
    free: Vec<Vec<bool>>,
}

fn list(line: &Line) -> i128 {
    i128::from(line.unit_price) * i128::from(line.quantity)
}

fn start(basket: &Basket) -> Moment {
    Moment {
        net: basket.lines.iter().map(list).collect(),
        free: basket
            .lines
            .iter()
            .map(|line| vec![false; usize::try_from(line.quantity).unwrap()])
            .collect(),
    }
}

fn phase(coupon: &Coupon) -> &'static str {
    match coupon.rule.kind {
        Kind::ThresholdOff { .. } | Kind::EveryOff { .. } => "threshold_off",
        Kind::PercentOff { .. } => "percent_off",
        Kind::AmountOff { .. } => "amount_off",
        Kind::ItemVoucher { .. } => "item_voucher",
    }
}

fn place(basket: &Basket, coupon: &Coupon) -> usize {
    let mut order = basket.policy.order.iter();
    order.position(|named| named.as_str() == phase(coupon)).unwrap()
}

fn scope(basket: &Basket, coupon: &Coupon) -> Vec<usize> {
    let matches = |line: &Line| {
        if let Kind::ItemVoucher { sku, .. } = &coupon.rule.kind {
            return line.sku == *sku;
        }
        let wanted = match &coupon.scope.only {
            None => true,
            Some(only) => {
                only.skus.contains(&line.sku)
                    || line.category.iter().any(|name| only.categories.contains(name))
                    || line.merchant.iter().any(|name| only.merchants.contains(name))
            }
        };
        wanted && !coupon.scope.except_skus.contains(&line.sku)
    };
    (0..basket.lines.len()).filter(|&i| matches(&basket.lines[i])).collect()
}

fn clash(one: &Coupon, two: &Coupon) -> bool {
    let group = |coupon: &Coupon| match &coupon.stacking {
        Stacking::Exclusive => None,
        Stacking::Group(group) => Some(group.clone().unwrap_or_else(|| phase(coupon).to_owned())),
    };
    group(one).is_none() || group(two).is_none() || group(one) == group(two)
}

/// Of each line in scope what falls on it.
type Shares = Vec<(usize, i128)>;

/// Coin by coin to whoever is owed most.
fn split(amount: i128, nets: &[(usize, i128)]) -> Shares {
    let total: i128 = nets.iter().map(|(_, net)| net).sum();
    if total == 0 {
        return nets.iter().map(|(line, _)| (*line, 0)).collect();
    }
    let mut shares: Vec<_> = nets.iter().map(|(line, net)| (*line, amount * net / total)).collect();
    let mut ranked: Vec<_> = (0..nets.len()).collect();
    ranked.sort_by_key(|&i| (Reverse(amount * nets[i].1 % total), Reverse(nets[i].1), i));
    let missing = amount - shares.iter().map(|(_, share)| share).sum::<i128>();
    for &i in ranked.iter().take(usize::try_from(missing).unwrap()) {
        shares[i].1 += 1;
    }
    shares
}

/// The shares that a coupon takes, or what speaks against it.
fn judge(basket: &Basket, coupon: &Coupon, now: &Moment) -> Result<(Moment, Shares), Vec<Value>> {
    let scope = scope(basket, coupon);
    if scope.is_empty() {
        return Err(vec![json!({"code": "no_line_in_scope"})]);
    }
    let net: i128 = scope.iter().map(|&i| now.net[i]).sum();
    let listed: i128 = scope.iter().map(|&i| list(&basket.lines[i])).sum();
    let units: i64 = scope.iter().map(|&i| basket.lines[i].quantity).sum();
    let on = |basis: Basis| if basis == Basis::List { listed } else { net };
    let (threshold, looked_at) = match coupon.rule.kind {
        Kind::ThresholdOff { threshold, basis, .. } | Kind::EveryOff { threshold, basis, .. } => (threshold, on(basis)),
        Kind::PercentOff { threshold, basis, .. } => (threshold.unwrap_or(0), on(basis)),
        _ => (0, net),
    };
    let mut against = Vec::new();
    if looked_at < i128::from(threshold) {
        let short_by = i64::try_from(i128::from(threshold) - looked_at).unwrap();
        against.push(json!({"code": "below_threshold", "short_by": short_by}));
    }
    let least = coupon.rule.min_quantity.unwrap_or(0);
    if units < least {
        against.push(json!({"code": "below_quantity", "short_by": least - units}));
    }
    if !against.is_empty() {
        return Err(against);
    }
    let mut after = now.clone();
    let room = (now.net.iter().sum::<i128>() - i128::from(basket.policy.min_payable)).max(0);
    let wanted = match &coupon.rule.kind {
        Kind::ThresholdOff { amount, .. } | Kind::AmountOff { amount } => i128::from(*amount),
        Kind::EveryOff { amount, max_times, .. } => {
            let mut times = looked_at / i128::from(threshold);
            if let Some(most) = max_times {
                times = times.min(i128::from(*most));
            }
            times * i128::from(*amount)
        }
        Kind::PercentOff {
            percent_bp,
            max_discount,
            ..
        } => {
            let exact = net * i128::from(*percent_bp);
            let mut amount = exact / 10_000;
            if basket.policy.rounding == Rounding::HalfUp && exact % 10_000 >= 5_000 {
                amount += 1;
            }
            max_discount.map_or(amount, |most| amount.min(i128::from(most)))
        }
        Kind::ItemVoucher { quantity, .. } => {
            let mut units = Vec::new();
            for &i in &scope {
                for unit in 0..now.free[i].len() {
                    if !now.free[i][unit] && i64::try_from(units.len()).unwrap() < *quantity {
                        let worth = i128::from(basket.lines[i].unit_price).min(after.net[i]);
                        after.net[i] -= worth;
                        after.free[i][unit] = true;
                        units.push((i, worth));
                    }
                }
            }
            let mut over = units.iter().map(|(_, worth)| worth).sum::<i128>() - room;
            for (i, worth) in units.iter_mut().rev() {
                let cut = over.clamp(0, *worth);
                *worth -= cut;
                over -= cut;
                after.net[*i] += cut;
            }
            if units.iter().all(|(_, worth)| *worth == 0) {
                return Err(vec![json!({"code": "nothing_left"})]);
            }
            let share = |i| units.iter().filter(|unit| unit.0 == i).map(|unit| unit.1).sum();
            return Ok((after, scope.iter().map(|&i| (i, share(i))).collect()));
        }
    };
    let amount = wanted.min(net).min(room);
    if amount == 0 {
        return Err(vec![json!({"code": "nothing_left"})]);
    }
    let nets: Vec<_> = scope.iter().map(|&i| (i, now.net[i])).collect();
    let shares = split(amount, &nets);
    for (i, share) in &shares {
        after.net[*i] -= share;
    }
    Ok((after, shares))
}

type Run = (Moment, Vec<(usize, Shares)>, Vec<(usize, Vec<Value>)>);

fn run(basket: &Basket, order: &[usize]) -> Run {
    let mut now = start(basket);
    let (mut applied, mut refused) = (Vec::new(), Vec::new());
    for &c in order {
        match judge(basket, &basket.coupons[c], &now) {
            Ok((after, shares)) => {
                now = after;
                applied.push((c, shares));
            }
            Err(reasons) => refused.push((c, reasons)),
        }
    }
    (now, applied, refused)
}

fn orders(set: &[usize]) -> Vec<Vec<usize>> {
    if set.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for &first in set {
        let rest: Vec<_> = set.iter().copied().filter(|&c| c != first).collect();
        for mut order in orders(&rest) {
            order.insert(0, first);
            all.push(order);
        }
    }
    all
}

/// The order in which a combination runs.
fn chosen_order(basket: &Basket, set: &[usize]) -> Vec<usize> {
    let phase = |c: &usize| place(basket, &basket.coupons[*c]);
    let mut orders = orders(set);
    orders.retain(|order| order.is_sorted_by_key(phase));
    let key = |order: &Vec<usize>| {
        let left: i128 = run(basket, order).0.net.iter().sum();
        let ids: Vec<_> = order
            .iter()
            .map(|&c| basket.coupons[c].id.as_bytes().to_vec())
            .collect();
        (left, ids)
    };
    orders.into_iter().min_by_key(key).unwrap()
}

fn status(basket: &Basket, coupon: &Coupon) -> Vec<Value> {
    let mut codes = Vec::new();
    if coupon.member.is_some() && coupon.member != basket.member {
        codes.push("not_owner");
    }
    if coupon.valid_from.is_some_and(|from| from > basket.at) {
        codes.push("not_started");
    }
    if coupon.valid_until.is_some_and(|until| basket.at >= until) || coupon.status == Status::Expired {
        codes.push("expired");
    }
    if coupon.status == Status::Frozen {
        codes.push("frozen");
    }
    if coupon.status == Status::Redeemed {
        codes.push("redeemed");
    }
    if let Some(stores) = &coupon.stores
        && !stores.iter().any(|store| Some(store) == basket.store.as_ref())
    {
        codes.push("store_not_allowed");
    }
    codes.into_iter().map(|code| json!({"code": code})).collect()
}

pub(super) fn answer(basket: &Basket) -> Value {
    let coupons = &basket.coupons;
    let asked: Vec<usize> = match &basket.select {
        Select::Best => (0..coupons.len()).collect(),
        Select::Listed(ids) => ids
            .iter()
            .map(|id| coupons.iter().position(|coupon| coupon.id == *id).unwrap())
            .collect(),
    };
    let mut refused: Vec<Vec<Value>> = vec![Vec::new(); coupons.len()];
    let mut usable = Vec::new();
    for &c in &asked {
        refused[c] = status(basket, &coupons[c]);
        refused[c].extend(judge(basket, &coupons[c], &start(basket)).err().unwrap_or_default());
        if refused[c].is_empty() {
            usable.push(c);
        }
    }
    let against = |c: usize, others: &[usize]| -> Vec<String> {
        let others = others.iter().filter(|&&other| clash(&coupons[c], &coupons[other]));
        others.map(|&other| coupons[other].id.clone()).collect()
    };
    let order = if basket.select == Select::Best {
        let order = best(basket, &usable);
        for &c in usable.iter().filter(|c| !order.contains(c)) {
            let others = against(c, &order);
            refused[c] = vec![if others.is_empty() {
                json!({"code": "not_better"})
            } else {
                json!({"code": "excluded_by", "coupons": others})
            }];
        }
        order
    } else {
        let mut staying = Vec::new();
        for &c in &usable {
            let others = against(c, &staying);
            if others.is_empty() {
                staying.push(c);
            } else {
                refused[c] = vec![json!({"code": "excluded_by", "coupons": others})];
            }
        }
        chosen_order(basket, &staying)
    };
    let (now, applied, late) = run(basket, &order);
    for (c, reasons) in late {
        refused[c] = reasons;
    }
    assemble(basket, &now, &applied, &refused)
}

fn best(basket: &Basket, usable: &[usize]) -> Vec<usize> {
    let coupons = &basket.coupons;
    let mut best = None;
    for mask in 0..1_u32 << usable.len() {
        let set: Vec<_> = (0..usable.len())
            .filter(|i| mask >> i & 1 == 1)
            .map(|i| usable[i])
            .collect();
        let clashes = |&c: &usize| {
            set.iter()
                .any(|&other| other != c && clash(&coupons[c], &coupons[other]))
        };
        if set.iter().any(clashes) {
            continue;
        }
        let order = chosen_order(basket, &set);
        let (now, _, refused) = run(basket, &order);
        if !refused.is_empty() {
            continue;
        }
        let mut ends: Vec<_> = set
            .iter()
            .map(|&c| coupons[c].valid_until.unwrap_or(i128::MAX))
            .collect();
        let mut ids: Vec<_> = set.iter().map(|&c| coupons[c].id.as_bytes().to_vec()).collect();
        ends.sort();
        ids.sort();
        let key = (now.net.iter().sum::<i128>(), set.len(), ends, ids);
        if best.as_ref().is_none_or(|(least, _)| key < *least) {
            best = Some((key, order));
        }
    }
    best.unwrap().1
}

fn assemble(basket: &Basket, now: &Moment, applied: &[(usize, Shares)], refused: &[Vec<Value>]) -> Value {
    let number = |value: i128| i64::try_from(value).unwrap();
    let subtotal: i128 = basket.lines.iter().map(list).sum();
    let left: i128 = now.net.iter().sum();
    let (mut used, mut amount) = (0, 0);
    if let Some(points) = basket.points {
        let limit = (i128::from(points.r#use.min(points.available)) * i128::from(points.minor_per_point))
            .min(left * i128::from(points.max_share_bp) / 10_000)
            .min(left - i128::from(basket.policy.min_payable))
            .max(0);
        used = limit / i128::from(points.minor_per_point);
        amount = used * i128::from(points.minor_per_point);
    }
    let nets: Vec<_> = now.net.iter().copied().enumerate().collect();
    let by_points = split(amount, &nets);
    let coupon = |c: usize| &basket.coupons[c].id;
    let line = |i: usize| &basket.lines[i].id;
    json!({
        "subtotal": number(subtotal),
        "discount": number(subtotal - left),
        "points": {"used": number(used), "amount": number(amount)},
        "payable": number(left - amount),
        "applied": applied.iter().map(|(c, shares)| json!({
            "coupon": coupon(*c),
            "amount": number(shares.iter().map(|(_, share)| share).sum()),
            "lines": shares.iter().filter(|(_, share)| *share > 0)
                .map(|(i, share)| json!({"line": line(*i), "amount": number(*share)})).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "refused": (0..refused.len()).filter(|&c| !refused[c].is_empty())
            .map(|c| json!({"coupon": coupon(c), "reasons": refused[c]})).collect::<Vec<_>>(),
        "lines": (0..nets.len()).map(|i| json!({
            "line": line(i),
            "list": number(list(&basket.lines[i])),
            "discount": number(list(&basket.lines[i]) - now.net[i]),
            "points": number(by_points[i].1),
            "net": number(now.net[i] - by_points[i].1),
        })).collect::<Vec<_>>(),
    })
}
