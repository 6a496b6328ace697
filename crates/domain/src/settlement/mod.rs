//! The quote of a basket: what each coupon takes off, line by line, what points pay, what is left.
//!
//! One pure function, [`quote`], answers for scripts, the counter and head office alike. A coupon is judged alone, then
//! together with the others ([`Select`]), then points pay. [`document`] reads the JSON form, [`Answer`] writes it.

mod answer;
mod best;
mod budget;
pub mod document;
mod evaluate;
mod field;
mod form;
mod input;
mod instant;
mod json;
mod listed;
mod preference;
pub mod returns;
mod search;
mod split;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Applied, LineAnswer, PointsAnswer, Reason, Refused, Share};
pub use budget::Budget;
pub use evaluate::{quote, quote_within};
pub use input::{
    Basis, Basket, Coupon, Instant, Kind, Line, MAX_COUPONS, MAX_LINES, Only, Phase, Points, Policy, Rounding, Rule,
    Scope, Select, Stacking, Status, WHOLE_BP,
};

/// Why a basket can't be quoted.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, thiserror::Error)]
#[error("{path}: {message}")]
pub struct InputError {
    /// Stable, for programs.
    pub code: &'static str,
    /// Where in the document, as `$.lines[2].quantity`.
    pub path: String,
    /// What was expected there, in English.
    pub message: String,
}

impl InputError {
    fn new(code: &'static str, path: String, message: String) -> Self {
        Self { code, path, message }
    }

    fn too_many_combinations() -> Self {
        Self::new(
            "too_many_combinations",
            "$.coupons".to_owned(),
            "expected at most 10 coupons, of which at most 7 in different groups run in one phase, or more in at most 5 \
             groups, of which at most 4 run in one phase: these can be combined in too many ways"
                .to_owned(),
        )
    }

    fn stopped() -> Self {
        Self::new(
            "stopped",
            "$".to_owned(),
            "stopped before there was an answer".to_owned(),
        )
    }
}
