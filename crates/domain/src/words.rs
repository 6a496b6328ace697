//! The words of what is one of a few, in databases and messages.
//!
//! They are derived from the names of the variants, so a variant is one line. None of them ever changes: they are stored.

use std::str::FromStr;

/// One of a few, each with a word of its own.
pub trait Word: Copy {
    /// The word in databases and messages.
    fn as_str(self) -> &'static str;
    /// Reads [`Word::as_str`] back.
    fn parse(word: &str) -> Option<Self>;
}

impl<T: Into<&'static str> + FromStr + Copy> Word for T {
    fn as_str(self) -> &'static str {
        self.into()
    }
    fn parse(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;
    use crate::{
        coupons::OfflinePolicy,
        gifts::{ExchangeStatus, GiftStatus, GivenBy},
        operations::{ExceptionKind, QuarantineReason},
        people::{OperatorRole, Role},
        settlement::Phase,
        stock::MoveKind,
        transition::{Audience, BatchStatus, DeviceStatus, LimitCounts, online::OnlineStatus},
    };

    fn reads_back<T: Word + PartialEq + Debug>(words: &[(T, &str)]) {
        for (value, word) in words {
            assert_eq!(value.as_str(), *word);
            assert_eq!(T::parse(word), Some(*value), "{word}");
        }
        for stranger in ["", "xyzzy", "ACTIVE", "Active"] {
            assert_eq!(T::parse(stranger), None);
        }
    }

    /// They are stored, so none of them ever changes.
    #[test]
    fn every_word_is_what_it_was_and_reads_back() {
        reads_back(&[
            (DeviceStatus::Active, "active"),
            (DeviceStatus::Frozen, "frozen"),
            (DeviceStatus::Revoked, "revoked"),
        ]);
        reads_back(&[(LimitCounts::Taken, "taken"), (LimitCounts::Held, "held")]);
        reads_back(&[
            (BatchStatus::Making, "making"),
            (BatchStatus::Ready, "ready"),
            (BatchStatus::Closed, "closed"),
        ]);
        reads_back(&[(Audience::List, "list"), (Audience::All, "all")]);
        reads_back(&[
            (OnlineStatus::Frozen, "frozen"),
            (OnlineStatus::Refused, "refused"),
            (OnlineStatus::Confirmed, "confirmed"),
            (OnlineStatus::Cancelled, "cancelled"),
            (OnlineStatus::Voided, "voided"),
        ]);
        reads_back(&[
            (ExceptionKind::DoubleRedeem, "double_redeem"),
            (ExceptionKind::RedeemWhileFrozen, "redeem_while_frozen"),
            (ExceptionKind::DoublePickup, "double_pickup"),
            (ExceptionKind::Late, "late"),
            (ExceptionKind::PointsShort, "points_short"),
            (ExceptionKind::BalanceShort, "balance_short"),
            (ExceptionKind::StateConflict, "state_conflict"),
        ]);
        reads_back(&[
            (QuarantineReason::Unreadable, "unreadable"),
            (QuarantineReason::DeviceRevoked, "device_revoked"),
            (QuarantineReason::ClosedEpoch, "closed_epoch"),
            (QuarantineReason::HandlerFailed, "handler_failed"),
        ]);
        reads_back(&[
            (OfflinePolicy::OnlineOnly, "online_only"),
            (OfflinePolicy::HomeStore, "home_store"),
            (OfflinePolicy::FloorLimit, "floor_limit"),
        ]);
        reads_back(&[(Role::Clerk, "clerk"), (Role::Manager, "manager")]);
        reads_back(&[
            (OperatorRole::Admin, "admin"),
            (OperatorRole::Operator, "operator"),
            (OperatorRole::Warehouse, "warehouse"),
            (OperatorRole::Auditor, "auditor"),
        ]);
        reads_back(&[
            (GiftStatus::Draft, "draft"),
            (GiftStatus::Published, "published"),
            (GiftStatus::Ended, "ended"),
        ]);
        reads_back(&[(GivenBy::Shipped, "shipped"), (GivenBy::Collected, "collected")]);
        reads_back(&[
            (ExchangeStatus::AwaitingPayment, "awaiting_payment"),
            (ExchangeStatus::Confirmed, "confirmed"),
            (ExchangeStatus::Cancelled, "cancelled"),
            (ExchangeStatus::Returned, "returned"),
            (ExchangeStatus::Lost, "lost"),
        ]);
        reads_back(&[
            (MoveKind::Counted, "counted"),
            (MoveKind::Adjusted, "adjusted"),
            (MoveKind::Exchanged, "exchanged"),
            (MoveKind::Returned, "returned"),
        ]);
        reads_back(&[
            (Phase::ItemVoucher, "item_voucher"),
            (Phase::ThresholdOff, "threshold_off"),
            (Phase::PercentOff, "percent_off"),
            (Phase::AmountOff, "amount_off"),
        ]);
    }
}
