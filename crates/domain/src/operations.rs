//! What an operation says: the payload, its outcome, and the exceptions it may end in.
//!
//! An operation is always a fact: it happened at a counter. It is never refused, only applied, applied with an
//! exception, or quarantined.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{ClerkId, CouponId, FreezeId, MemberId, OperationId, OrderId, TemplateId},
    planted,
    sales::{Return, Settlement},
    time::Millis,
    transition::Subject,
};

/// The payload of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Action {
    /// A coupon was honoured.
    RedeemCoupon {
        coupon: CouponId,
        template: TemplateId,
        template_version: i64,
        /// What it is worth, minor units; the loss if it turns out to be used twice.
        worth: i64,
        /// The member who presented it, when known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        member: Option<MemberId>,
        /// Head office's word, when the line was up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        freeze: Option<FreezeId>,
    },
    /// A pickup order was handed over, whole.
    CollectOrder {
        order: OrderId,
        /// What the goods are worth, minor units.
        worth: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        freeze: Option<FreezeId>,
    },
    /// A basket was settled: coupons honoured, money taken by the till.
    SettleSale(Settlement),
    /// Goods of a sale came back.
    ReturnSale(Return),
    /// A redemption, a hand-over or a sale made on this device was undone.
    VoidRedemption {
        /// The operation that is undone.
        target: OperationId,
        /// Why, in the manager's words.
        reason: String,
        /// The manager who approved it.
        approved_by: ClerkId,
    },
    /// Somebody tried codes that don't exist.
    FailedAttempt {
        /// SHA-256 of the code, hex: enough to see repetition, too little to learn a code.
        digest: String,
    },
}

impl Action {
    /// The word of the kind in journals, databases and messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::RedeemCoupon { .. } => "redeem_coupon",
            Self::CollectOrder { .. } => "collect_order",
            Self::SettleSale(_) => "settle_sale",
            Self::ReturnSale(_) => "return_sale",
            Self::VoidRedemption { .. } => "void_redemption",
            Self::FailedAttempt { .. } => "failed_attempt",
        }
    }

    /// The freezes it confirms.
    pub fn freezes(&self) -> Vec<FreezeId> {
        match self {
            Self::RedeemCoupon { freeze, .. } | Self::CollectOrder { freeze, .. } => freeze.iter().copied().collect(),
            Self::SettleSale(settled) => settled.coupons.iter().filter_map(|used| used.freeze).collect(),
            _ => Vec::new(),
        }
    }

    /// What the shop gives away by it, minor units.
    pub fn worth(&self) -> i64 {
        match self {
            Self::RedeemCoupon { worth, .. } | Self::CollectOrder { worth, .. } => *worth,
            Self::SettleSale(settled) => settled.discount(),
            _ => 0,
        }
    }

    /// What it is about. A sale is known by the operation that settles it, so that one's own id is asked for.
    pub fn subject(&self, operation: OperationId) -> Option<Subject> {
        match self {
            Self::RedeemCoupon { coupon, .. } => Some(Subject::Coupon(*coupon)),
            Self::CollectOrder { order, .. } => Some(Subject::Order(*order)),
            Self::SettleSale(_) => Some(Subject::Sale(operation)),
            Self::ReturnSale(back) => Some(Subject::Sale(back.target)),
            Self::VoidRedemption { .. } | Self::FailedAttempt { .. } => None,
        }
    }

    /// Whether its numbers go together. One whose numbers don't is as good as unreadable.
    pub fn is_sound(&self) -> bool {
        match self {
            Self::SettleSale(settled) => settled.nets().is_some(),
            Self::ReturnSale(back) => back.refund().is_some(),
            Self::RedeemCoupon { worth, .. } | Self::CollectOrder { worth, .. } => {
                *worth >= 0 || planted!("worth_not_checked", true, false)
            }
            Self::VoidRedemption { .. } | Self::FailedAttempt { .. } => true,
        }
    }
}

/// The rule that a fact broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
pub enum ExceptionKind {
    /// The coupon was used elsewhere before.
    DoubleRedeem,
    /// The coupon was frozen by somebody else, an online order for instance.
    RedeemWhileFrozen,
    /// The order was collected before.
    DoublePickup,
    /// The coupon's time was over when it was used.
    Late,
    /// Any other state that does not fit.
    StateConflict,
}

impl ExceptionKind {
    /// The word in databases and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DoubleRedeem => "double_redeem",
            Self::RedeemWhileFrozen => "redeem_while_frozen",
            Self::DoublePickup => "double_pickup",
            Self::Late => "late",
            Self::StateConflict => "state_conflict",
        }
    }
    /// Reads [`ExceptionKind::as_str`] back.
    pub fn parse(word: &str) -> Option<Self> {
        [
            Self::DoubleRedeem,
            Self::RedeemWhileFrozen,
            Self::DoublePickup,
            Self::Late,
            Self::StateConflict,
        ]
        .into_iter()
        .find(|kind| kind.as_str() == word)
    }
}

/// Why an operation could not be applied at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
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

impl QuarantineReason {
    /// The word in databases and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::DeviceRevoked => "device_revoked",
            Self::ClosedEpoch => "closed_epoch",
            Self::HandlerFailed => "handler_failed",
        }
    }
    /// Reads [`QuarantineReason::as_str`] back.
    pub fn parse(word: &str) -> Option<Self> {
        [
            Self::Unreadable,
            Self::DeviceRevoked,
            Self::ClosedEpoch,
            Self::HandlerFailed,
        ]
        .into_iter()
        .find(|reason| reason.as_str() == word)
    }
}

/// How an operation ended. Exactly one per operation, and it never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It had its effect.
    Applied,
    /// It had its effect and broke a rule; a case is open.
    AppliedWithException { exception: ExceptionKind },
    /// It is kept, without effect, until a person has looked at it.
    Quarantined { reason: QuarantineReason },
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
