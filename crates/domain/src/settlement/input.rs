//! What a quote is asked with: the basket, the coupons laid beside it, the points and the shop's policy.

use serde::Serialize;

use super::InputError;
use crate::words::Word;

/// An instant: nanoseconds since 1970-01-01T00:00:00Z. Finer than the milliseconds used elsewhere, because a document
/// may say any instant that RFC 3339 can and two of them must never compare equal by rounding.
pub type Instant = i128;

/// Most lines of a basket.
pub const MAX_LINES: usize = 500;
/// Most coupons beside a basket.
pub const MAX_COUPONS: usize = 30;
/// 100% in basis points.
pub const WHOLE_BP: i64 = 10_000;

/// Everything a quote depends on. Money is in minor units of `currency`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basket {
    /// The currency of every amount; not interpreted.
    pub currency: String,
    /// When the coupons are to be used.
    pub at: Instant,
    /// Where they are to be used.
    pub store: Option<String>,
    /// Whose basket it is.
    pub member: Option<String>,
    /// What is bought.
    pub lines: Vec<Line>,
    /// What may be taken off.
    pub coupons: Vec<Coupon>,
    /// Points to pay with.
    pub points: Option<Points>,
    /// The shop's rules.
    pub policy: Policy,
    /// Which coupons to use.
    pub select: Select,
}

/// One line of a basket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Unique within the basket.
    pub id: String,
    /// The product.
    pub sku: String,
    /// Its category.
    pub category: Option<String>,
    /// Who sells it.
    pub merchant: Option<String>,
    /// Of one unit, minor units, >= 0.
    pub unit_price: i64,
    /// Units, >= 1.
    pub quantity: i64,
}

/// A coupon laid beside the basket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coupon {
    /// Unique within the basket.
    pub id: String,
    /// Whose it is; `None` = anybody's.
    pub member: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// First instant of its validity; `None` = open.
    pub valid_from: Option<Instant>,
    /// First instant after its validity; `None` = open.
    pub valid_until: Option<Instant>,
    /// What it takes off.
    pub rule: Rule,
    /// Which lines it looks at and falls on. A voucher's lines follow from its sku instead.
    pub scope: Scope,
    /// Where it may be used; `None` = everywhere.
    pub stores: Option<Vec<String>>,
    /// What it may stand beside.
    pub stacking: Stacking,
}

/// Where a coupon stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words say it")]
pub enum Status {
    Available,
    Frozen,
    Redeemed,
    Expired,
}

/// What a coupon takes off and from when. As JSON it is the `rule` of the contract, read as strictly as there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// What it takes off.
    #[serde(flatten)]
    pub kind: Kind,
    /// Units that must be in scope, free ones counted too, >= 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_quantity: Option<i64>,
}

/// The kinds of rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, strum::IntoStaticStr)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the contract's")]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    /// 满减: `amount` off from `threshold`.
    ThresholdOff {
        threshold: i64,
        amount: i64,
        #[serde(rename = "threshold_basis", skip_serializing_if = "Basis::is_net")]
        basis: Basis,
    },
    /// 每满减: `amount` for each whole `threshold`.
    EveryOff {
        threshold: i64,
        amount: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        max_times: Option<i64>,
        #[serde(rename = "threshold_basis", skip_serializing_if = "Basis::is_net")]
        basis: Basis,
    },
    /// 折扣: basis points taken off.
    PercentOff {
        percent_bp: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        threshold: Option<i64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        max_discount: Option<i64>,
        #[serde(rename = "threshold_basis", skip_serializing_if = "Basis::is_net")]
        basis: Basis,
    },
    /// 立减: `amount` off.
    AmountOff { amount: i64 },
    /// 兑换券: units of a product free.
    ItemVoucher { sku: String, quantity: i64 },
}

/// Which amounts a threshold looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// What is left after everything applied before.
    #[default]
    Net,
    /// The undiscounted amounts.
    List,
}

impl Basis {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
    fn is_net(&self) -> bool {
        *self == Self::Net
    }
}

/// When a kind of coupon runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr, strum::EnumString)]
#[expect(missing_docs, reason = "the names are the contract's")]
#[strum(serialize_all = "snake_case")]
pub enum Phase {
    ItemVoucher,
    ThresholdOff,
    PercentOff,
    AmountOff,
}

impl Phase {
    /// All of them, in the order used when the policy names none.
    pub const DEFAULT_ORDER: [Self; 4] = [Self::ItemVoucher, Self::ThresholdOff, Self::PercentOff, Self::AmountOff];
}

impl Kind {
    /// The word of the kind in documents, messages and databases.
    pub fn as_str(&self) -> &'static str {
        self.into()
    }

    /// The most that one coupon can cost the chain, in minor units, where the rule itself bounds it.
    pub fn most_it_costs(&self) -> Option<i64> {
        match self {
            Self::ThresholdOff { amount, .. } | Self::AmountOff { amount } => Some(*amount),
            Self::EveryOff { amount, max_times, .. } => max_times.and_then(|times| amount.checked_mul(times)),
            Self::PercentOff { max_discount, .. } => *max_discount,
            Self::ItemVoucher { .. } => None,
        }
    }

    /// The phase in which it runs.
    pub fn phase(&self) -> Phase {
        match self {
            Self::ThresholdOff { .. } | Self::EveryOff { .. } => Phase::ThresholdOff,
            Self::PercentOff { .. } => Phase::PercentOff,
            Self::AmountOff { .. } => Phase::AmountOff,
            Self::ItemVoucher { .. } => Phase::ItemVoucher,
        }
    }
}

/// Which lines a coupon looks at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// `None` = every line.
    pub only: Option<Only>,
    /// Products left out in any case.
    pub except_skus: Vec<String>,
}

/// A line is in scope when it matches one of these; empty lists match nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names are the contract's")]
pub struct Only {
    pub merchants: Vec<String>,
    pub categories: Vec<String>,
    pub skus: Vec<String>,
}

/// What a coupon may stand beside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stacking {
    /// Nothing.
    Exclusive,
    /// Coupons of other groups; `None` = the group named as the coupon's phase.
    Group(Option<String>),
}

/// Points to pay with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Points {
    /// How many the member wants to use.
    pub r#use: i64,
    /// How many the member has.
    pub available: i64,
    /// Minor units that one point pays, >= 1.
    pub minor_per_point: i64,
    /// The most of what the coupons left that points may pay, basis points.
    pub max_share_bp: i64,
}

/// How a percentage is rounded to minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the words say it")]
pub enum Rounding {
    #[default]
    HalfUp,
    Down,
}

/// The shop's rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The phases in order, each at most once, none left out that a coupon has.
    pub order: Vec<Phase>,
    /// How a percentage is rounded.
    pub rounding: Rounding,
    /// What the basket never falls below.
    pub min_payable: i64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            order: Phase::DEFAULT_ORDER.to_vec(),
            rounding: Rounding::default(),
            min_payable: 0,
        }
    }
}

/// Which coupons to use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Select {
    /// The combination that takes most.
    #[default]
    Best,
    /// These, by id; the others appear nowhere in the answer.
    Listed(Vec<String>),
}

impl Basket {
    /// Checks what the types don't say: ranges, limits, ids, the policy, sums.
    ///
    /// # Errors
    /// The first thing found wrong, with its place in the document.
    pub fn check(&self) -> Result<(), InputError> {
        self.check_lines()?;
        at_most("$.coupons", "coupons", self.coupons.len(), MAX_COUPONS)?;
        distinct(self.coupons.iter().map(|coupon| &coupon.id), |i| {
            format!("$.coupons[{i}].id")
        })?;
        for (i, coupon) in self.coupons.iter().enumerate() {
            coupon.rule.check(|field| format!("$.coupons[{i}].rule.{field}"))?;
        }
        if let Some(points) = self.points {
            let path = |field: &str| format!("$.points.{field}");
            at_least(points.r#use, 0, || path("use"))?;
            at_least(points.available, 0, || path("available"))?;
            at_least(points.minor_per_point, 1, || path("minor_per_point"))?;
            basis_points(points.max_share_bp, || path("max_share_bp"))?;
        }
        self.check_policy()?;
        if let Select::Listed(ids) = &self.select {
            for (i, id) in ids.iter().enumerate() {
                if !self.coupons.iter().any(|coupon| coupon.id == *id) {
                    let message = format!("expected the id of a coupon of this document, found {id:?}");
                    return Err(InputError::new("unknown_id", format!("$.select[{i}]"), message));
                }
            }
            distinct(ids.iter(), |i| format!("$.select[{i}]"))?;
        }
        Ok(())
    }

    fn check_lines(&self) -> Result<(), InputError> {
        at_most("$.lines", "lines", self.lines.len(), MAX_LINES)?;
        distinct(self.lines.iter().map(|line| &line.id), |i| format!("$.lines[{i}].id"))?;
        let mut sum = 0_i64;
        for (i, line) in self.lines.iter().enumerate() {
            at_least(line.unit_price, 0, || format!("$.lines[{i}].unit_price"))?;
            at_least(line.quantity, 1, || format!("$.lines[{i}].quantity"))?;
            let overflow = |path: String, what: &str| {
                InputError::new("overflow", path, format!("expected {what} of at most {}", i64::MAX))
            };
            let amount = line
                .unit_price
                .checked_mul(line.quantity)
                .ok_or_else(|| overflow(format!("$.lines[{i}]"), "unit_price x quantity"))?;
            sum = sum
                .checked_add(amount)
                .ok_or_else(|| overflow("$.lines".to_owned(), "a sum of all lines"))?;
        }
        Ok(())
    }

    fn check_policy(&self) -> Result<(), InputError> {
        let policy = &self.policy;
        at_least(policy.min_payable, 0, || "$.policy.min_payable".to_owned())?;
        for (i, phase) in policy.order.iter().enumerate() {
            if policy.order.iter().take(i).any(|earlier| earlier == phase) {
                let message = format!("expected each phase once, found {:?} again", phase.as_str());
                return Err(InputError::new(
                    "repeated_phase",
                    format!("$.policy.order[{i}]"),
                    message,
                ));
            }
        }
        for coupon in &self.coupons {
            let phase = coupon.rule.kind.phase();
            if !policy.order.contains(&phase) {
                let message = format!("expected {:?}, the phase of coupon {:?}", phase.as_str(), coupon.id);
                return Err(InputError::new("missing_phase", "$.policy.order".to_owned(), message));
            }
        }
        Ok(())
    }
}

impl From<Kind> for Rule {
    fn from(kind: Kind) -> Self {
        Self {
            kind,
            min_quantity: None,
        }
    }
}

impl Scope {
    /// Whether it is every line, without exception.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }
}

impl Stacking {
    /// Whether it is what a coupon has that says nothing about it: the group named as its phase.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The same with the name of the group spelled out.
    #[must_use]
    pub fn named(&self, kind: &Kind) -> Self {
        match self {
            Self::Group(None) => Self::Group(Some(kind.phase().as_str().to_owned())),
            said => said.clone(),
        }
    }
}

impl Default for Stacking {
    fn default() -> Self {
        Self::Group(None)
    }
}

impl Rule {
    pub(super) fn check(&self, path: impl Fn(&str) -> String) -> Result<(), InputError> {
        let not_negative = |value: i64, field: &str| at_least(value, 0, || path(field));
        let positive = |value: Option<i64>, field: &str| value.map_or(Ok(()), |v| at_least(v, 1, || path(field)));
        positive(self.min_quantity, "min_quantity")?;
        match &self.kind {
            Kind::ThresholdOff { threshold, amount, .. } => {
                not_negative(*threshold, "threshold")?;
                not_negative(*amount, "amount")
            }
            Kind::EveryOff {
                threshold,
                amount,
                max_times,
                ..
            } => {
                positive(Some(*threshold), "threshold")?;
                not_negative(*amount, "amount")?;
                positive(*max_times, "max_times")
            }
            Kind::PercentOff {
                percent_bp,
                threshold,
                max_discount,
                ..
            } => {
                basis_points(*percent_bp, || path("percent_bp"))?;
                not_negative(threshold.unwrap_or(0), "threshold")?;
                not_negative(max_discount.unwrap_or(0), "max_discount")
            }
            Kind::AmountOff { amount } => not_negative(*amount, "amount"),
            Kind::ItemVoucher { quantity, .. } => positive(Some(*quantity), "quantity"),
        }
    }
}

fn at_least(value: i64, least: i64, path: impl FnOnce() -> String) -> Result<(), InputError> {
    if value >= least {
        return Ok(());
    }
    let message = format!("expected an integer >= {least}, found {value}");
    Err(InputError::new("out_of_range", path(), message))
}

fn basis_points(value: i64, path: impl FnOnce() -> String) -> Result<(), InputError> {
    if (0..=WHOLE_BP).contains(&value) {
        return Ok(());
    }
    let message = format!("expected an integer from 0 to {WHOLE_BP}, found {value}");
    Err(InputError::new("out_of_range", path(), message))
}

fn at_most(path: &str, what: &str, found: usize, most: usize) -> Result<(), InputError> {
    if found <= most {
        return Ok(());
    }
    let message = format!("expected at most {most} {what}, found {found}");
    Err(InputError::new("too_many", path.to_owned(), message))
}

fn distinct<'a>(ids: impl Iterator<Item = &'a String>, path: impl Fn(usize) -> String) -> Result<(), InputError> {
    let mut seen = std::collections::HashSet::new();
    for (i, id) in ids.enumerate() {
        if !seen.insert(id) {
            let message = format!("expected an id that no earlier one has, found {id:?} again");
            return Err(InputError::new("repeated_id", path(i), message));
        }
    }
    Ok(())
}
