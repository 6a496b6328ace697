//! What needs head office's word before anything is written: freezes, and rows that the local copy lacks.

use counterfoil_domain::{
    ids::{CouponId, FreezeId, MemberId, OrderId},
    points::{Amounts, Asset, Balances},
    time::Millis,
    transition::Subject,
    verdict::Reason,
};
use serde::{Deserialize, Serialize};

use crate::sync::{Row, rows_of_known_kinds};

/// How long a counter waits for an answer before it goes by the offline rules, ms.
pub const ASK_TIMEOUT: Millis = 1_000;

/// `POST /v1/freezes`, with the id also as `Idempotency-Key`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FreezeRequest {
    /// Made by who asks; asking again with it gives the same answer.
    pub id: FreezeId,
    /// What to freeze.
    pub subject: Subject,
    /// How much, where it is an account.
    #[serde(default, flatten)]
    pub amounts: Amounts,
    /// The member who stands there, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presented_by: Option<MemberId>,
}

/// The answer to a freeze, and to `DELETE /v1/freezes/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum FreezeResponse {
    /// Yes, until then; it lapses by itself.
    Granted { until: Millis },
    /// No, and every reason.
    Refused { reasons: Vec<Reason> },
    /// It is given back, or was none.
    Cancelled,
}

/// `POST /v1/lookups`: what is this? Reads only.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "by", content = "value", rename_all = "snake_case")]
pub enum LookupRequest {
    /// The 18 digits of a coupon.
    CouponCode(String),
    /// The 8 digits of a pickup code; finds orders of the asking store only, and says of others where they wait.
    PickupCode(String),
    /// A coupon from a token.
    Coupon(CouponId),
    /// An order from a token.
    Order(OrderId),
    /// A member from a token: they stand there, so the store holds them from now on.
    Member(MemberId),
    /// A member by number, with their coupons; the phone number is masked.
    MemberNumber(String),
    /// A member by phone number, likewise.
    Phone(String),
}

/// What was found: the row itself and the rows it refers to. Empty = unknown.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LookupResponse {
    /// Head office's clock, UTC ms.
    pub server_time: Millis,
    /// Rows as in a page; those of a kind that is not known here are left out.
    #[serde(deserialize_with = "rows_of_known_kinds")]
    pub rows: Vec<Row>,
}

/// Lines of a statement that are shown at once.
pub const STATEMENT_LINES: u32 = 30;

/// `POST /v1/statements`: what became of a member's points or stored value, newest line first. Reads only.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct StatementRequest {
    /// Whose.
    pub member: MemberId,
    /// Of what.
    pub asset: Asset,
    /// Only lines with smaller numbers; absent = from the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<i64>,
}

/// A part of a statement.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementResponse {
    /// Head office's clock, UTC ms.
    pub server_time: Millis,
    /// At most [`STATEMENT_LINES`], newest first; fewer = there are no more.
    pub lines: Vec<StatementLine>,
}

/// A line of a statement. Words of a newer head office are told as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementLine {
    /// Its number within the ledger.
    pub number: i64,
    /// What it did: [`EntryKind`](counterfoil_domain::points::EntryKind).
    pub kind: String,
    /// Why: [`Reason`](counterfoil_domain::points::Reason).
    pub reason: String,
    /// `pending`, `open` or `booked`.
    pub state: String,
    /// In the words of who caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When it took effect, UTC ms.
    pub at: Millis,
    /// Change of what there is less what is owed.
    pub amount: i64,
    /// The balances after it.
    pub after: Balances,
    /// What it changed of which lots.
    pub lots: Vec<StatementShare>,
}

/// What a line changed of a lot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementShare {
    /// The number of the line that made it.
    pub lot: i64,
    /// Change of what is free and pinned of it together.
    pub amount: i64,
}
