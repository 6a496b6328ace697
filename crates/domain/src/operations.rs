//! What an operation says: the payload, its outcome, and the exceptions it may end in.
//!
//! An operation is always a fact: it happened at a counter. It is never refused, only applied, applied with an
//! exception, or quarantined.

use enum_dispatch::enum_dispatch;
use serde::{Deserialize, Deserializer, Serialize};

pub use crate::transition::{CollectOrder, FailedAttempt, RedeemCoupon, TOP_UP_MOST, TopUp, VoidRedemption};
use crate::{
    ids::{FreezeId, OperationId},
    sales::{Return, Settlement},
    time::Millis,
    transition::{Changes, Doing, Key, NeedKeys, State, Subject},
    words::Word,
};

/// What every kind of operation says of itself.
#[enum_dispatch]
pub trait OperationKind {
    /// What it is about. A sale is known by the operation that settles it, so that one's `own` id is given.
    fn subject(&self, own: OperationId) -> Option<Subject>;

    /// All rows that it changes and counters hold copies of.
    fn touches(&self, own: OperationId) -> Vec<Subject> {
        self.subject(own).into_iter().collect()
    }

    /// What it makes: a row that is nowhere before, known by this operation's `own` id.
    fn makes(&self, _own: OperationId) -> Option<Subject> {
        None
    }

    /// Whether a manager may undo it at the counter where it was done.
    fn can_be_undone(&self) -> bool {
        false
    }

    /// The operation that it undoes: what that one touched, this one touches too.
    fn undoes(&self) -> Option<OperationId> {
        None
    }

    /// The rows it is sure to read, its freezes aside.
    fn keys(&self) -> Vec<Key> {
        Vec::new()
    }

    /// The freezes it confirms.
    fn freezes(&self) -> Vec<FreezeId> {
        Vec::new()
    }

    /// What the shop gives away by it, minor units.
    fn worth(&self) -> i64 {
        0
    }

    /// The version of payloads that it needs: what older programs don't know of counts from a later one.
    fn version(&self) -> u32 {
        1
    }

    /// Whether its numbers go together. One whose numbers don't is as good as unreadable.
    fn is_sound(&self) -> bool {
        true
    }

    /// What it does; the rule that this broke, if any, whose case is among the changes.
    ///
    /// # Errors
    /// [`NeedKeys`] when a row that matters was not loaded.
    fn effect(&self, state: &State, doing: &Doing, changes: &mut Changes) -> Result<Option<ExceptionKind>, NeedKeys>;
}

/// The payload of an operation: one line a kind.
#[enum_dispatch(OperationKind)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantNames)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Action {
    /// A coupon was honoured.
    RedeemCoupon(RedeemCoupon),
    /// A pickup order was handed over, whole.
    CollectOrder(CollectOrder),
    /// A basket was settled: coupons honoured, money taken by the till.
    SettleSale(Settlement),
    /// Goods of a sale came back.
    ReturnSale(Return),
    /// A redemption, a hand-over or a sale made on this device was undone.
    VoidRedemption(VoidRedemption),
    /// Somebody tried codes that don't exist.
    FailedAttempt(FailedAttempt),
    /// A member paid money in.
    TopUp(TopUp),
}

impl Action {
    /// The word of the kind in journals, databases and messages.
    pub fn kind(&self) -> &'static str {
        self.into()
    }
}

/// The rule that a fact broke.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::VariantArray,
    strum::IntoStaticStr,
    strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ExceptionKind {
    /// The coupon was used elsewhere before.
    DoubleRedeem,
    /// The coupon was frozen by somebody else, an online order for instance.
    RedeemWhileFrozen,
    /// The order was collected before.
    DoublePickup,
    /// The coupon's time was over when it was used.
    Late,
    /// The member had fewer points than were spent.
    PointsShort,
    /// The member had less stored value than was spent.
    BalanceShort,
    /// Any other state that does not fit.
    StateConflict,
}

/// Why an operation could not be applied at all.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::VariantArray,
    strum::IntoStaticStr,
    strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum QuarantineReason {
    /// Its kind or version is not known here, or its payload does not read.
    Unreadable,
    /// Its device was revoked before it arrived.
    DeviceRevoked,
    /// It belongs to an epoch that a fork has closed.
    ClosedEpoch,
    /// Its handler panicked or broke a constraint.
    HandlerFailed,
}

fn exception_or_other<'de, D: Deserializer<'de>>(from: D) -> Result<ExceptionKind, D::Error> {
    let word = String::deserialize(from)?;
    Ok(ExceptionKind::parse(&word).unwrap_or(ExceptionKind::StateConflict))
}

fn reason_or_other<'de, D: Deserializer<'de>>(from: D) -> Result<QuarantineReason, D::Error> {
    let word = String::deserialize(from)?;
    Ok(QuarantineReason::parse(&word).unwrap_or(QuarantineReason::Unreadable))
}

/// How an operation ended. Exactly one per operation, and it never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It had its effect.
    Applied,
    /// It had its effect and broke a rule; a case is open.
    AppliedWithException {
        /// A word of a newer head office reads as [`ExceptionKind::StateConflict`]: a case is open, whatever it is called.
        #[serde(deserialize_with = "exception_or_other")]
        exception: ExceptionKind,
    },
    /// It is kept, without effect, until a person has looked at it.
    Quarantined {
        /// A word of a newer head office reads as [`QuarantineReason::Unreadable`].
        #[serde(deserialize_with = "reason_or_other")]
        reason: QuarantineReason,
    },
}

impl Outcome {
    /// The word in databases and messages.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::AppliedWithException { .. } => "applied_with_exception",
            Self::Quarantined { .. } => "quarantined",
        }
    }
    /// The second word: the exception's kind or the reason of the quarantine.
    pub fn detail(&self) -> Option<&'static str> {
        match self {
            Self::Applied => None,
            Self::AppliedWithException { exception } => Some(exception.as_str()),
            Self::Quarantined { reason } => Some(reason.as_str()),
        }
    }
    /// Reads [`Outcome::as_str`] and [`Outcome::detail`] back.
    pub fn parse(word: &str, detail: Option<&str>) -> Option<Self> {
        match word {
            "applied" => Some(Self::Applied),
            "applied_with_exception" => Some(Self::AppliedWithException {
                exception: ExceptionKind::parse(detail?)?,
            }),
            "quarantined" => Some(Self::Quarantined {
                reason: QuarantineReason::parse(detail?)?,
            }),
            _ => None,
        }
    }
}

/// When something happened and when head office heard of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// What the device's clock said.
    pub occurred_at: Millis,
    /// Head office's clock on arrival; at the counter the same as `occurred_at`.
    pub received_at: Millis,
    /// The last instant at which the device had delivered everything and pulled; `None` = never.
    pub settled_at: Option<Millis>,
}

/// Tolerance around the window in which an operation can have happened.
pub const TIME_GRACE: Millis = 10 * crate::time::MINUTE;

impl Times {
    /// The instant to judge validity by: the device's word, held within what can be true. It happened after the
    /// device last had nothing left to deliver and before it arrived, give or take [`TIME_GRACE`].
    pub fn believable(&self) -> Millis {
        let latest = self.received_at.saturating_add(TIME_GRACE);
        let earliest = self.settled_at.map_or(Millis::MIN, |at| at.saturating_sub(TIME_GRACE));
        self.occurred_at.min(latest).max(earliest.min(latest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_newer_head_office_stop_nobody() {
        let read = |text: &str| serde_json::from_str::<Outcome>(text).unwrap();
        let known = r#"{"outcome":"applied_with_exception","exception":"points_short"}"#;
        assert_eq!(
            read(known),
            Outcome::AppliedWithException {
                exception: ExceptionKind::PointsShort
            }
        );
        assert_eq!(
            read(&known.replace("points_short", "of_tomorrow")),
            Outcome::AppliedWithException {
                exception: ExceptionKind::StateConflict
            }
        );
        assert_eq!(
            read(r#"{"outcome":"quarantined","reason":"of_tomorrow"}"#),
            Outcome::Quarantined {
                reason: QuarantineReason::Unreadable
            }
        );
    }
}
