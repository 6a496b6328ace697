//! What needs head office's word before anything is written: freezes, and rows that the local copy lacks.

use counterfoil_domain::{
    ids::{CouponId, FreezeId, MemberId, OrderId},
    points::Amounts,
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
