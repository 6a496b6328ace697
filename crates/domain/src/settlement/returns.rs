//! What a return gives back: reckoned before anything is written, the same at the counter and at head office.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    InputError,
    budget::Budget,
    evaluate::quote_within,
    input::{Basket, Coupon, Line, Policy, Select, Status},
    split::Splitter,
};
use crate::{
    ids::CouponId,
    operations::ExceptionKind,
    sales::{ReturnLine, ReturnPolicy, Sale},
};

/// How money back is reckoned, and what that needs.
#[derive(Debug, Clone, Copy)]
pub enum Method<'a> {
    /// Per line: what was paid for the units returned so far, less what went back before.
    Keep,
    /// What was paid, less what the rest costs when it is quoted again.
    Requote {
        /// The rules of the sale's coupons, each under its id as text; validity and owner are not asked again.
        coupons: &'a [Coupon],
        /// The shop's rules.
        policy: &'a Policy,
    },
}

impl Method<'_> {
    /// The word for the operation.
    pub fn policy(&self) -> ReturnPolicy {
        match self {
            Self::Keep => ReturnPolicy::Keep,
            Self::Requote { .. } => ReturnPolicy::Requote,
        }
    }
}

/// Units of a line that come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Units {
    /// Place of the line in the sale, from 0.
    pub line: i64,
    /// How many, >= 1.
    pub quantity: i64,
}

/// What a return would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// Money back, minor units: the sum over the lines.
    pub refund: i64,
    /// Line by line, as the operation says it.
    pub lines: Vec<ReturnLine>,
    /// Coupons whose discount is undone as a whole: they go back to their member.
    pub coupons: Vec<CouponId>,
}

/// Why something can't be returned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum ReturnError {
    /// Nothing is named.
    #[error("nothing is to come back")]
    NothingReturned,
    /// The sale has amounts that no sale has.
    #[error("the sale's numbers don't go together")]
    Unsound,
    /// The sale was undone as a whole.
    #[error("the sale was voided")]
    SaleVoided,
    /// The sale has no such line, or it is named twice.
    #[error("the sale has no line {line}, or it is named twice")]
    BadLine {
        /// Which.
        line: i64,
    },
    /// More than was sold and has not come back yet, or less than one.
    #[error("of line {line} there are {left} units left to return")]
    BadQuantity {
        /// Which line.
        line: i64,
        /// How many are left.
        left: i64,
    },
    /// What stays can't be quoted.
    #[error("what stays can't be quoted: {0}")]
    NotQuoted(
        /// Why.
        InputError,
    ),
}

/// Reckons what returning these units gives back.
///
/// # Errors
/// [`ReturnError`]: what is asked for was not sold, or came back before.
pub fn preview(sale: &Sale, units: &[Units], method: Method<'_>) -> Result<Preview, ReturnError> {
    preview_within(sale, units, method, &Budget::default())
}

/// The same within a budget for the new quote.
///
/// # Errors
/// As [`preview`].
pub fn preview_within(
    sale: &Sale,
    units: &[Units],
    method: Method<'_>,
    budget: &Budget<'_>,
) -> Result<Preview, ReturnError> {
    if sale.voided_by.is_some() {
        return Err(ReturnError::SaleVoided);
    }
    if !sale.is_sound() {
        return Err(ReturnError::Unsound);
    }
    if units.is_empty() {
        return Err(ReturnError::NothingReturned);
    }
    let mut returned = vec![0_i64; sale.lines.len()];
    for &Units { line, quantity } in units {
        let place = usize::try_from(line).ok();
        let found = place.and_then(|place| Some((sale.lines.get(place)?, returned.get_mut(place)?)));
        let Some((sold, slot @ 0)) = found else {
            return Err(ReturnError::BadLine { line });
        };
        let left = sold.sold.quantity - sold.returned;
        if !(1..=left).contains(&quantity) {
            return Err(ReturnError::BadQuantity { line, left });
        }
        *slot = quantity;
    }
    let rest = Rest {
        sale,
        returned: &returned,
    };
    let (refunds, applying) = match method {
        Method::Keep => (rest.keep(), None),
        Method::Requote { coupons, policy } => {
            let (refunds, applying) = rest.requote(coupons, policy, budget).map_err(ReturnError::NotQuoted)?;
            (refunds, Some(applying))
        }
    };
    let lines: Vec<ReturnLine> = (0..)
        .zip(returned.iter().zip(&refunds))
        .filter(|(_, (quantity, refund))| **quantity > 0 || **refund > 0)
        .map(|(line, (&quantity, &refund))| ReturnLine { line, quantity, refund })
        .collect();
    Ok(Preview {
        refund: refunds.iter().sum(),
        lines,
        coupons: rest.given_back(applying.as_ref()),
    })
}

/// A sale, and what is to come back of it now.
struct Rest<'a> {
    sale: &'a Sale,
    /// Units, line by line.
    returned: &'a [i64],
}

impl Rest<'_> {
    /// Per line: `floor(net x units returned so far / units)` less what went back before.
    fn keep(&self) -> Vec<i64> {
        let lines = self.sale.lines.iter().zip(self.returned);
        lines
            .map(|(line, &now)| {
                if now == 0 {
                    return 0;
                }
                let so_far = i128::from(line.returned) + i128::from(now);
                let due = i128::from(line.net) * so_far / i128::from(line.sold.quantity.max(1));
                // At most the line's net, which fits.
                let due = i64::try_from(due).unwrap_or(line.net);
                (due - line.paid_back).max(0)
            })
            .collect()
    }

    /// `max(0, paid - (quote(what remains) - what points pay of that))`, where what went back before is no longer paid; and
    /// the coupons that still apply.
    fn requote(
        &self,
        rules: &[Coupon],
        policy: &Policy,
        budget: &Budget<'_>,
    ) -> Result<(Vec<i64>, BTreeSet<String>), InputError> {
        let lines: Vec<Line> = self
            .sale
            .lines
            .iter()
            .zip(self.returned)
            .enumerate()
            .filter_map(|(place, (line, now))| {
                let quantity = line.sold.quantity - line.returned - now;
                (quantity > 0).then(|| Line {
                    id: place.to_string(),
                    sku: line.sold.sku.clone(),
                    category: line.sold.category.clone(),
                    merchant: line.sold.merchant.clone(),
                    unit_price: line.sold.unit_price,
                    quantity,
                })
            })
            .collect();
        let ours = |coupon: &&Coupon| {
            let sold = self.sale.coupons.iter();
            sold.filter(|sold| !sold.given_back)
                .any(|sold| sold.used.coupon.to_string() == coupon.id)
        };
        // They were in order when they were used; only what they look at has changed.
        let coupons: Vec<Coupon> = rules
            .iter()
            .filter(ours)
            .map(|coupon| Coupon {
                member: None,
                status: Status::Available,
                valid_from: None,
                valid_until: None,
                stores: None,
                ..coupon.clone()
            })
            .collect();
        let remaining = Basket {
            currency: self.sale.currency.clone(),
            at: 0,
            store: None,
            member: None,
            lines,
            select: Select::Listed(coupons.iter().map(|coupon| coupon.id.clone()).collect()),
            coupons,
            points: None,
            policy: policy.clone(),
        };
        let answer = quote_within(&remaining, budget)?;
        let paid = self.sale.payable - self.sale.paid_back();
        let due = (answer.payable - self.points_money_left()).max(0);
        let refund = (paid - due).max(0);
        let applying = answer.applied.into_iter().map(|applied| applied.coupon).collect();
        Ok((self.spread(refund), applying))
    }

    /// Of what points paid, how much stays paid by them: what does not fall on what came back, minor units.
    fn points_money_left(&self) -> i64 {
        let mut after = self.sale.clone();
        for (line, now) in after.lines.iter_mut().zip(self.returned) {
            line.returned += now;
        }
        after.points_money() - after.points_money_back()
    }

    /// Spreads money over the lines: first over what comes back, in proportion to what was paid for it, then over the
    /// rest; never more than was paid for a line.
    fn spread(&self, refund: i64) -> Vec<i64> {
        let open: Vec<i64> = self.sale.lines.iter().map(|line| line.net - line.paid_back).collect();
        let coming: Vec<i64> = open
            .iter()
            .zip(self.returned)
            .map(|(open, now)| if *now > 0 { *open } else { 0 })
            .collect();
        let mut splitter = Splitter::default();
        let first = refund.min(coming.iter().sum());
        let mut refunds = splitter.split(first, coming.iter().copied()).to_vec();
        let staying = open.iter().zip(&coming).map(|(open, coming)| open - coming);
        let second = (refund - first).min(staying.clone().sum());
        for (refund, more) in refunds.iter_mut().zip(splitter.split(second, staying)) {
            *refund += more;
        }
        refunds
    }

    /// The coupons that this return undoes: by `keep`, when everything they fell on is back; by a new quote, when they
    /// no longer apply. A coupon that somebody else had used before is not this sale's to give back.
    fn given_back(&self, applying: Option<&BTreeSet<String>>) -> Vec<CouponId> {
        let ours = self
            .sale
            .coupons
            .iter()
            .filter(|sold| !sold.given_back && sold.exception != Some(ExceptionKind::DoubleRedeem));
        let undone = ours.filter(|sold| match applying {
            Some(applying) => !applying.contains(&sold.used.coupon.to_string()),
            None => self
                .sale
                .lines
                .iter()
                .zip(self.returned)
                .zip(&sold.used.shares)
                .all(|((line, now), share)| *share == 0 || line.returned + now == line.sold.quantity),
        });
        undone.map(|sold| sold.used.coupon).collect()
    }
}
