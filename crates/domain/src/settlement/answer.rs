//! What a quote answers; serialised, it is the JSON of the contract.

use serde::Serialize;

/// The quote. `payable = subtotal - discount - points.amount`, line by line as in all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The undiscounted basket.
    pub subtotal: i64,
    /// What the coupons take.
    pub discount: i64,
    /// What points pay.
    pub points: PointsAnswer,
    /// What is left to pay.
    pub payable: i64,
    /// The coupons used, in the order of application.
    pub applied: Vec<Applied>,
    /// The others that were asked for, in the order of the input.
    pub refused: Vec<Refused>,
    /// The lines, in the order of the input.
    pub lines: Vec<LineAnswer>,
}

/// What points pay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PointsAnswer {
    /// Points.
    pub used: i64,
    /// Minor units.
    pub amount: i64,
}

/// A coupon used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Its id.
    pub coupon: String,
    /// What it takes, > 0.
    pub amount: i64,
    /// The lines it falls on; their shares sum to the amount.
    pub lines: Vec<Share>,
}

/// What falls on one line, > 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Share {
    /// The line's id.
    pub line: String,
    /// Minor units.
    pub amount: i64,
}

/// A coupon not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Its id.
    pub coupon: String,
    /// Everything that speaks against it.
    pub reasons: Vec<Reason>,
}

/// What speaks against a coupon, in the order in which answers name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, strum::IntoStaticStr, strum::VariantNames)]
#[serde(tag = "code", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    /// Somebody else's.
    NotOwner,
    /// Before its validity.
    NotStarted,
    /// After its validity, or marked so.
    Expired,
    /// Reserved for something else.
    Frozen,
    /// Used already.
    Redeemed,
    /// Not to be used in this store.
    StoreNotAllowed,
    /// Nothing in the basket is in its scope.
    NoLineInScope,
    /// The lines in scope come to too little.
    BelowThreshold {
        /// Minor units missing.
        short_by: i64,
    },
    /// The lines in scope have too few units.
    BelowQuantity {
        /// Units missing.
        short_by: i64,
    },
    /// It would take nothing.
    NothingLeft,
    /// It can't stand beside these.
    ExcludedBy {
        /// Their ids.
        coupons: Vec<String>,
    },
    /// The best combination does without it.
    NotBetter,
}

/// One line after everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LineAnswer {
    /// Its id.
    pub line: String,
    /// Undiscounted.
    pub list: i64,
    /// What coupons take.
    pub discount: i64,
    /// What points pay, minor units.
    pub points: i64,
    /// What is left, >= 0.
    pub net: i64,
}
