//! Sales settled at a counter: what was sold, what coupons took off each line, what went back since.
//!
//! A sale is known by the operation that settled it. Its row is written from that fact and changed by returns and by a
//! void; none of them is refused, what does not fit is left over for a case.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{CouponId, DeviceId, FreezeId, MemberId, OperationId, StoreId, TemplateId},
    operations::ExceptionKind,
    points::{AccountUse, SoldAccount},
    settlement::{MAX_COUPONS, MAX_LINES},
    text::cleaned,
    time::Millis,
};

/// One line of a basket as it was sold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaleLine {
    /// Article.
    pub sku: String,
    /// Chinese name.
    pub name_zh: String,
    /// English name.
    pub name_en: String,
    /// Its category, for the scopes of coupons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Who sells it, for the scopes of coupons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merchant: Option<String>,
    /// Of one unit, minor units, >= 0.
    pub unit_price: i64,
    /// Units, >= 1.
    pub quantity: i64,
}

impl SaleLine {
    /// What it costs without coupons; `None` when that does not fit.
    pub fn list(&self) -> Option<i64> {
        self.unit_price.checked_mul(self.quantity)
    }

    /// The line as it is stored, whatever its texts hold.
    fn cleaned(&self) -> Self {
        Self {
            sku: cleaned(&self.sku),
            name_zh: cleaned(&self.name_zh),
            name_en: cleaned(&self.name_en),
            category: self.category.as_deref().map(cleaned),
            merchant: self.merchant.as_deref().map(cleaned),
            ..*self
        }
    }
}

/// A coupon used in a sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedCoupon {
    /// Which.
    pub coupon: CouponId,
    /// Its template.
    pub template: TemplateId,
    /// The version of its template.
    pub template_version: i64,
    /// What it took off, minor units; the loss if it turns out to be used twice.
    pub discount: i64,
    /// How much of it falls on each line of the sale; they sum to the discount.
    pub shares: Vec<i64>,
    /// Head office's word, when the line was up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<FreezeId>,
}

/// What was settled: the payload of the operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// ISO 4217 code of the amounts.
    pub currency: String,
    /// What was sold.
    pub lines: Vec<SaleLine>,
    /// What was taken off, in the order of application.
    #[serde(default)]
    pub coupons: Vec<UsedCoupon>,
    /// Whose basket it was, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<MemberId>,
    /// What the till took: minor units.
    pub payable: i64,
    /// How it was paid, in the till's words.
    pub tender: String,
    /// The till's receipt number.
    pub receipt: String,
    /// What it does to the member's account.
    #[serde(default, skip_serializing_if = "AccountUse::is_none")]
    pub account: AccountUse,
}

fn sum(mut amounts: impl Iterator<Item = i64>) -> Option<i64> {
    amounts.try_fold(0_i64, |sum, amount| {
        (amount >= 0).then(|| sum.checked_add(amount)).flatten()
    })
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(amount: &i64) -> bool {
    *amount == 0
}

fn distinct<T: Ord>(values: impl Iterator<Item = T>) -> bool {
    let mut seen = std::collections::BTreeSet::new();
    values.into_iter().all(|value| seen.insert(value))
}

impl Settlement {
    /// What coupons take off.
    pub fn discount(&self) -> i64 {
        self.coupons
            .iter()
            .fold(0, |sum: i64, coupon| sum.saturating_add(coupon.discount))
    }

    /// What is left of each line to pay; `None` when the numbers don't go together: a sum that overflows, shares that
    /// are not the discount or more than their line, a total that is not what the lines come to.
    pub fn nets(&self) -> Option<Vec<i64>> {
        if self.lines.is_empty() || self.lines.len() > MAX_LINES || self.coupons.len() > MAX_COUPONS {
            return None;
        }
        let mut nets = Vec::with_capacity(self.lines.len());
        for line in &self.lines {
            if line.unit_price < 0 || line.quantity < 1 {
                return None;
            }
            nets.push(line.list()?);
        }
        sum(nets.iter().copied())?;
        for coupon in &self.coupons {
            if coupon.shares.len() != nets.len() || sum(coupon.shares.iter().copied())? != coupon.discount {
                return None;
            }
            for (net, share) in nets.iter_mut().zip(&coupon.shares) {
                *net -= share;
                if *net < 0 {
                    return None;
                }
            }
        }
        if let Some(used) = &self.account.points {
            used.amount().filter(|_| used.shares.len() == nets.len())?;
            for (net, share) in nets.iter_mut().zip(&used.shares) {
                *net -= share;
                if *net < 0 {
                    return None;
                }
            }
        }
        let balance = self.account.balance.map_or(0, |paid| paid.amount);
        let fits = sum(nets.iter().copied())? == self.payable
            && distinct(self.coupons.iter().map(|coupon| coupon.coupon))
            && (0..=self.payable).contains(&balance)
            && self.account.balance.is_none_or(|paid| paid.amount >= 1)
            && (self.account.is_none() || self.member.is_some());
        fits.then_some(nets)
    }
}

/// How money back is reckoned when what stays no longer reaches a coupon's threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReturnPolicy {
    /// Each unit goes back for what was paid for it; what stays keeps its discount.
    #[default]
    Keep,
    /// What stays is quoted again, and what was paid beyond that goes back.
    Requote,
}

/// One line of a return.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnLine {
    /// Place of the line in the sale, from 0.
    pub line: i64,
    /// Units that come back; 0 where a new quote gives money back on a line that stays.
    pub quantity: i64,
    /// Money back, minor units.
    pub refund: i64,
}

/// What was returned: the payload of the operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Return {
    /// The sale, by the operation that settled it.
    pub target: OperationId,
    /// What came back.
    pub lines: Vec<ReturnLine>,
    /// How the money back was reckoned.
    pub policy: ReturnPolicy,
    /// Coupons given back to their member.
    #[serde(default)]
    pub coupons: Vec<CouponId>,
    /// Whose account the sale was paid with or earned for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<MemberId>,
    /// How much of the money back went to the member's stored value, minor units.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub to_balance: i64,
    /// The manager who approved it.
    pub approved_by: crate::ids::ClerkId,
    /// Why, in their words.
    pub reason: String,
}

impl Return {
    /// Money back, minor units; `None` when the numbers don't go together.
    pub fn refund(&self) -> Option<i64> {
        let fits = !self.lines.is_empty()
            && self.lines.len() <= MAX_LINES
            && self.coupons.len() <= MAX_COUPONS
            && self.lines.iter().all(|line| line.line >= 0 && line.quantity >= 0)
            && self.lines.iter().any(|line| line.quantity > 0)
            && distinct(self.lines.iter().map(|line| line.line))
            && distinct(self.coupons.iter());
        let refund = fits.then(|| sum(self.lines.iter().map(|line| line.refund))).flatten()?;
        (0..=refund).contains(&self.to_balance).then_some(refund)
    }
}

/// A line of a sale and what went back of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoldLine {
    /// As it was sold.
    #[serde(flatten)]
    pub sold: SaleLine,
    /// What was paid for it, minor units.
    pub net: i64,
    /// Units that came back.
    #[serde(default)]
    pub returned: i64,
    /// Money that went back, minor units; never more than `net`.
    #[serde(default)]
    pub paid_back: i64,
}

/// A coupon of a sale and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoldCoupon {
    /// As it was used.
    #[serde(flatten)]
    pub used: UsedCoupon,
    /// The rule that using it broke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exception: Option<ExceptionKind>,
    /// It went back to its member by a return.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub given_back: bool,
}

impl SoldCoupon {
    /// Whether using it broke this rule and was not undone.
    pub fn breaks(&self, kind: ExceptionKind) -> bool {
        self.exception == Some(kind) && !self.given_back
    }
}

/// A sale as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sale {
    /// The operation that settled it.
    pub id: OperationId,
    /// Where.
    pub store: StoreId,
    /// On which device.
    pub device: DeviceId,
    /// When, by that device's clock.
    pub at: Millis,
    /// Whose basket it was, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<MemberId>,
    /// ISO 4217 code of the amounts.
    pub currency: String,
    /// What was sold.
    pub lines: Vec<SoldLine>,
    /// What was taken off, in the order of application.
    pub coupons: Vec<SoldCoupon>,
    /// What the till took, minor units.
    pub payable: i64,
    /// How it was paid.
    pub tender: String,
    /// The till's receipt number.
    pub receipt: String,
    /// What it did to the member's account.
    #[serde(default, skip_serializing_if = "SoldAccount::is_none")]
    pub account: SoldAccount,
    /// The operation that undid it whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voided_by: Option<OperationId>,
    /// Grows by one with every stored change.
    pub version: i64,
    /// Stores besides its own that were told of it: kept at head office alone.
    #[serde(skip)]
    pub told: Vec<StoreId>,
}

/// Where and when a sale was settled.
#[derive(Debug, Clone, Copy)]
pub struct Till {
    /// In which store.
    pub store: StoreId,
    /// On which device.
    pub device: DeviceId,
    /// When, by its clock.
    pub at: Millis,
}

impl Sale {
    /// The row of a sale just settled; `None` when its numbers don't go together.
    pub fn of(id: OperationId, till: Till, settled: &Settlement) -> Option<Self> {
        let nets = settled.nets()?;
        Some(Self {
            id,
            store: till.store,
            device: till.device,
            at: till.at,
            member: settled.member,
            currency: cleaned(&settled.currency),
            lines: settled
                .lines
                .iter()
                .zip(nets)
                .map(|(line, net)| SoldLine {
                    sold: line.cleaned(),
                    net,
                    returned: 0,
                    paid_back: 0,
                })
                .collect(),
            coupons: settled
                .coupons
                .iter()
                .map(|used| SoldCoupon {
                    used: used.clone(),
                    exception: None,
                    given_back: false,
                })
                .collect(),
            payable: settled.payable,
            tender: cleaned(&settled.tender),
            receipt: cleaned(&settled.receipt),
            account: SoldAccount::default(),
            voided_by: None,
            version: 1,
            told: Vec::new(),
        })
    }

    /// Money that went back so far, minor units.
    pub fn paid_back(&self) -> i64 {
        // Each at most its line's net, and those sum to the payable.
        self.lines
            .iter()
            .fold(0, |sum: i64, line| sum.saturating_add(line.paid_back))
    }

    /// Whether its numbers can be reckoned with: no line gave back more than was sold, and all of them can be added up.
    pub fn is_sound(&self) -> bool {
        let lines = self
            .lines
            .iter()
            .all(|line| (0..=line.sold.quantity).contains(&line.returned) && (0..=line.net).contains(&line.paid_back));
        lines && self.payable >= 0 && sum(self.lines.iter().map(|line| line.net)).is_some()
    }

    /// What points paid of it, minor units.
    pub fn points_money(&self) -> i64 {
        self.account
            .points
            .as_ref()
            .and_then(|points| points.used.amount())
            .unwrap_or(0)
    }

    /// Of what points paid, how much falls on what came back so far, minor units.
    pub fn points_money_back(&self) -> i64 {
        let Some(points) = &self.account.points else { return 0 };
        let lines = self.lines.iter().zip(&points.used.shares);
        let back = lines.map(|(line, share)| {
            let units = i128::from(line.sold.quantity.max(1));
            i128::from(*share) * i128::from(line.returned) / units
        });
        i64::try_from(back.sum::<i128>()).unwrap_or(i64::MAX)
    }

    /// Points that go back for what came back so far, less those that went back before.
    pub fn points_due(&self) -> i64 {
        let Some(points) = &self.account.points else { return 0 };
        let all = i128::from(points.used.amount().unwrap_or(0).max(1));
        let due = i128::from(points.used.points) * i128::from(self.points_money_back()) / all;
        let due = i64::try_from(due).unwrap_or(points.taken).min(points.taken);
        due.saturating_sub(points.given_back).max(0)
    }

    /// What was earned with what came back so far, less what was taken back before. `stays` = what the rule of the sale
    /// gives for what stays.
    pub fn earned_due(&self, stays: i64) -> i64 {
        let Some(earned) = self.account.earned else { return 0 };
        let lost = earned.points.saturating_sub(earned.points.min(stays.max(0)));
        lost.saturating_sub(earned.taken_back).max(0)
    }

    /// What stays of each line, as the rule of earning looks at it: its category, and what was paid for it otherwise than
    /// with points and has not gone back, minor units.
    pub fn paid_lines(&self) -> impl Iterator<Item = (Option<&str>, i64)> {
        let lines = self.lines.iter();
        lines.map(|line| (line.sold.category.as_deref(), line.net.saturating_sub(line.paid_back)))
    }

    /// How much of so much money back goes to the member's stored value: that is filled up first.
    pub fn to_balance(&self, refund: i64) -> i64 {
        let open = self
            .account
            .balance
            .map_or(0, |paid| paid.taken.saturating_sub(paid.given_back));
        refund.min(open).max(0)
    }

    /// Whether anything went back.
    pub fn has_returns(&self) -> bool {
        self.lines.iter().any(|line| line.returned > 0 || line.paid_back > 0)
    }

    /// Takes a return in, as far as it fits: never more units or money than were sold. Answers what did not fit.
    pub fn take_back(&mut self, back: &Return) -> Misfit {
        let mut misfit = Misfit::default();
        for returned in &back.lines {
            let line = usize::try_from(returned.line)
                .ok()
                .filter(|_| self.voided_by.is_none())
                .and_then(|place| self.lines.get_mut(place));
            let Some(line) = line else {
                misfit.units = misfit.units.saturating_add(returned.quantity);
                misfit.money = misfit.money.saturating_add(returned.refund);
                continue;
            };
            let units = part(returned.quantity, line.sold.quantity, line.returned);
            let money = part(returned.refund, line.net, line.paid_back);
            line.returned = line.returned.saturating_add(units);
            line.paid_back = line.paid_back.saturating_add(money);
            misfit.units = misfit.units.saturating_add(returned.quantity.saturating_sub(units));
            misfit.money = misfit.money.saturating_add(returned.refund.saturating_sub(money));
        }
        misfit
    }
}

/// So much of what is wanted as is left of all, whatever was given before.
fn part(wanted: i64, all: i64, given: i64) -> i64 {
    wanted.min(all.saturating_sub(given).max(0))
}

/// What a return brought or cost beyond what was sold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Misfit {
    /// Units.
    pub units: i64,
    /// Minor units of money.
    pub money: i64,
}

impl Misfit {
    /// Whether everything fitted.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }
}
