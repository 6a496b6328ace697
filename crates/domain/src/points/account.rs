//! What a member has, and what a sale does to it.

use serde::{Deserialize, Serialize};

use super::{Asset, Cause, Entry, Ledger, LedgerError, Source, earning::EarningRule};
use crate::{
    coupons::ONLINE_DEVICE,
    ids::{FreezeId, MemberId, OperationId},
    time::Millis,
};

/// What a member has: a ledger for each asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Whose.
    pub member: MemberId,
    /// Points.
    pub points: Ledger,
    /// Stored value, minor units.
    pub balance: Ledger,
    /// The chain's last day on which a purchase earned, as [`EarningRule::day`](super::earning::EarningRule::day) counts
    /// them, and how much.
    #[serde(default)]
    pub earned_on: (i64, i64),
    /// The operations that posted to it last, latest first, at most [`LATEST`]: a counter sees by them which of its own are
    /// in it.
    #[serde(default)]
    pub latest: Vec<OperationId>,
    /// Who has all of it by now: the two were one person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<MemberId>,
    /// Grows by one with every stored change.
    pub version: i64,
}

/// How many operations an account names.
pub const LATEST: usize = 16;

impl Account {
    /// Of a member who never had anything.
    pub fn new(member: MemberId) -> Self {
        Self {
            member,
            points: Ledger::default(),
            balance: Ledger::default(),
            earned_on: (0, 0),
            latest: Vec::new(),
            merged_into: None,
            version: 0,
        }
    }

    /// Everything that is here is another member's from now on, brought up to an instant before; what both have posted.
    ///
    /// # Errors
    /// [`LedgerError::TooMuch`]: then nothing has moved.
    pub fn merge_into(&mut self, other: &mut Self, cause: &Cause) -> Result<Vec<Posted>, LedgerError> {
        let mut posted = Vec::new();
        for asset in [Asset::Points, Asset::Balance] {
            let (mut out, mut there) = (Vec::new(), Vec::new());
            self.ledger_mut(asset).settle(cause.at, &mut out);
            other.ledger_mut(asset).settle(cause.at, &mut there);
            self.ledger_mut(asset)
                .move_to(other.ledger_mut(asset), cause, &mut out, &mut there)?;
            for (member, entries) in [(self.member, out), (other.member, there)] {
                posted.extend(entries.into_iter().map(|entry| Posted { member, asset, entry }));
            }
        }
        self.merged_into = Some(other.member);
        Ok(posted)
    }

    /// The ledger of an asset.
    pub fn ledger(&self, asset: Asset) -> &Ledger {
        match asset {
            Asset::Points => &self.points,
            Asset::Balance => &self.balance,
        }
    }

    /// The ledger of an asset.
    pub fn ledger_mut(&mut self, asset: Asset) -> &mut Ledger {
        match asset {
            Asset::Points => &mut self.points,
            Asset::Balance => &mut self.balance,
        }
    }

    /// How much of what a purchase earns at an instant the member may have, as far as the cap of that day leaves room.
    pub fn earnable(&self, rule: &EarningRule, when: Millis, points: i64) -> i64 {
        let (last, earned) = self.earned_on;
        // What comes in late counts with the last day that is known: nobody earns more by delivering late.
        let earned = if rule.day(when) > last { 0 } else { earned };
        let room = rule.cap_a_day.map_or(i64::MAX, |cap| cap.saturating_sub(earned).max(0));
        points.min(room).min(self.points.room()).max(0)
    }

    /// Notes that an operation has posted to it.
    pub fn posted_by(&mut self, operation: OperationId) {
        self.latest.insert(0, operation);
        self.latest.truncate(LATEST);
    }

    /// When something happens to it by itself next.
    pub fn due(&self) -> Option<Millis> {
        self.points.due().into_iter().chain(self.balance.due()).min()
    }

    /// As counters are told of it: what their own freezes hold counts as free, see ADR 5.
    #[must_use]
    pub fn told(mut self) -> Self {
        for ledger in [&mut self.points, &mut self.balance] {
            ledger.let_go(|hold| hold.device != ONLINE_DEVICE);
            // How many entries there are is head office's business: a new lot here only needs a number of its own.
            ledger.entries = ledger.lots.iter().map(|lot| lot.number).max().unwrap_or(0);
        }
        self
    }
}

/// So much of each asset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amounts {
    /// Points.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub points: i64,
    /// Stored value, minor units.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub balance: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(amount: &i64) -> bool {
    *amount == 0
}

impl Amounts {
    /// Nothing of either.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The assets of which there is something.
    pub fn each(self) -> impl Iterator<Item = (Asset, i64)> {
        let both = [(Asset::Points, self.points), (Asset::Balance, self.balance)];
        both.into_iter().filter(|(_, amount)| *amount != 0)
    }
}

/// Points that pay for a part of a sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedPoints {
    /// How many, >= 1.
    pub points: i64,
    /// What each pays, minor units, >= 1.
    pub minor_per_point: i64,
    /// How much of what they pay falls on each line of the sale; they sum to it.
    pub shares: Vec<i64>,
    /// Head office's word, when the line was up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<FreezeId>,
}

impl UsedPoints {
    /// What they pay, minor units; `None` when the numbers don't go together.
    pub fn amount(&self) -> Option<i64> {
        let amount = self.points.checked_mul(self.minor_per_point)?;
        let mut left = amount;
        for share in &self.shares {
            left = left.checked_sub(*share).filter(|_| *share >= 0)?;
        }
        (self.points >= 1 && self.minor_per_point >= 1 && left == 0).then_some(amount)
    }
}

/// Stored value that pays for a part of a sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaidBalance {
    /// How much, minor units, >= 1; at most what is payable.
    pub amount: i64,
    /// Head office's word, when the line was up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<FreezeId>,
}

/// What a sale does to its member's account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountUse {
    /// Points that pay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<UsedPoints>,
    /// Stored value that pays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<PaidBalance>,
    /// The version of the rule by which it earns; `None` = it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<i64>,
}

impl AccountUse {
    /// Whether it does nothing.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Head office's words that it confirms.
    pub fn freezes(&self) -> impl Iterator<Item = FreezeId> {
        let points = self.points.as_ref().and_then(|used| used.freeze);
        let balance = self.balance.and_then(|paid| paid.freeze);
        points
            .into_iter()
            .chain(balance.filter(|freeze| points != Some(*freeze)))
    }
}

/// Points of a sale, and what became of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoldPoints {
    /// As they were used.
    #[serde(flatten)]
    pub used: UsedPoints,
    /// How many of them there were: the rest is the store's loss.
    pub taken: i64,
    /// How many went back.
    #[serde(default)]
    pub given_back: i64,
}

/// Stored value of a sale, and what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoldBalance {
    /// As it paid.
    #[serde(flatten)]
    pub paid: PaidBalance,
    /// How much of it there was: the rest is the store's loss.
    pub taken: i64,
    /// How much went back.
    #[serde(default)]
    pub given_back: i64,
}

/// What a sale earned, and what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarnedPoints {
    /// By which version of the rule.
    pub rule: i64,
    /// How many.
    pub points: i64,
    /// How many were taken back.
    #[serde(default)]
    pub taken_back: i64,
    /// The instant by which the rule was applied; absent = the sale's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Millis>,
}

/// What a sale did to its member's account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoldAccount {
    /// Points that paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<SoldPoints>,
    /// Stored value that paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<SoldBalance>,
    /// What it earned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earned: Option<EarnedPoints>,
}

impl SoldAccount {
    /// Whether it did nothing.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// An entry of a member's ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// Whose.
    pub member: MemberId,
    /// Of which asset.
    pub asset: Asset,
    /// The entry.
    pub entry: Entry,
}

/// What was earned with one thing, so that it can be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earning {
    /// With what.
    pub source: Source,
    /// By whom.
    pub member: MemberId,
    /// The number of the entry.
    pub entry: i64,
    /// How many points.
    pub amount: i64,
    /// How many of them were taken back.
    pub taken_back: i64,
    /// By which version of the rule; 0 = by none, the amount was given.
    pub rule: i64,
    /// What was paid for it otherwise than with points, minor units.
    pub paid: i64,
    /// Its category.
    pub category: Option<String>,
    /// When.
    pub at: Millis,
}
