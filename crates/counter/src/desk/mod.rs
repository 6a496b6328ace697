//! What a clerk does: look something up, confirm what was shown, undo it.

pub(crate) mod ask;
pub(crate) mod confirm;
pub(crate) mod judge;
pub(crate) mod lookup;
pub(crate) mod reasons;
pub(crate) mod ticket;
pub(crate) mod void;

pub(crate) use confirm::confirm;
use counterfoil_domain::{
    coupons::{Coupon, Template},
    people::{Member, Store},
    pickups::Order,
    time::Millis,
};
use counterfoil_protocol::operation::Evidence;
pub(crate) use lookup::look_up;
pub use reasons::Explained;
use serde::Serialize;
pub(crate) use void::void;

pub(crate) use crate::honour::PresentedBy;
use crate::honour::Receipt;

/// What was read or typed, once somebody has said what form it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// 18 digits.
    CouponCode(String),
    /// 8 digits.
    PickupCode(String),
    /// `CF1:...`, signed by head office.
    Token(String),
    /// A membership number.
    MemberNumber(String),
    /// A phone number.
    Phone(String),
    /// Anything else.
    Other(String),
}

impl Input {
    /// The text itself.
    pub fn text(&self) -> &str {
        match self {
            Self::CouponCode(text)
            | Self::PickupCode(text)
            | Self::Token(text)
            | Self::MemberNumber(text)
            | Self::Phone(text)
            | Self::Other(text) => text,
        }
    }

    pub(crate) fn evidence(&self) -> Evidence {
        match self {
            Self::Token(_) => Evidence::Token,
            _ => Evidence::Code,
        }
    }
}

/// What the counter says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Decision {
    /// It may be honoured; confirming asks head office first.
    Honour,
    /// Head office can't be asked, and the rules allow it all the same.
    HonourOffline,
    /// No, and why.
    Refuse,
    /// It needs head office's word, which can't be had: don't hand over.
    Unconfirmed,
    /// Nothing to redeem.
    Info,
}

/// What confirming does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DeskAction {
    /// Uses the coupon up.
    Redeem,
    /// Hands the order over, whole.
    Collect,
}

/// What it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Thing {
    /// A coupon.
    #[serde(rename_all = "camelCase")]
    Coupon {
        /// As the local copy has it, pending operations laid over. Of a coupon known by its token only: its id and
        /// template, with an empty code.
        coupon: Box<Coupon>,
        /// The rule it was issued under, if it is here.
        template: Option<Box<Template>>,
        /// Whose it is, if they are here.
        member: Option<Member>,
    },
    /// A pickup order.
    #[serde(rename_all = "camelCase")]
    Order {
        /// As the local copy has it.
        order: Box<Order>,
        /// Whose it is, if they are here.
        member: Option<Member>,
        /// Where it waits, if that store is known.
        store: Option<Store>,
    },
    /// A member.
    Member {
        /// Who.
        member: Member,
    },
    /// Nothing that is known.
    Unknown {
        /// What was read.
        text: String,
    },
}

/// What was found, what may be done with it, and every reason against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Confirms exactly this; only with [`Decision::Honour`] and [`Decision::HonourOffline`].
    pub ticket: Option<String>,
    /// May it be honoured.
    pub decision: Decision,
    /// What it is.
    pub subject: Thing,
    /// All of them. Beside a decision to honour: what is worth knowing all the same.
    pub reasons: Vec<Explained>,
    /// What confirming does.
    pub action: Option<DeskAction>,
    /// When, UTC ms.
    pub shown_at: Millis,
}

/// What confirming came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmation {
    /// Done: green.
    Done(Receipt),
    /// Not done, and why; nothing was written.
    Refused(Box<Verdict>),
}

#[cfg(test)]
mod tests;
