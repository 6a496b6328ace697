//! Errors over HTTP: problem details (RFC 9457) with a stable `code`.

use counterfoil_domain::{ids::HistoryId, time::Millis};
use serde::{Deserialize, Serialize};

/// Media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:literal, $title:literal;)+) => {
        /// What went wrong, stable for programs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Code { $($(#[$doc])* $name,)+ }
        impl Code {
            /// The word on the wire.
            pub fn as_str(self) -> &'static str { match self { $(Self::$name => $text,)+ } }
            /// The HTTP status it comes with.
            pub fn status(self) -> u16 { match self { $(Self::$name => $status,)+ } }
            /// One English sentence.
            pub fn title(self) -> &'static str { match self { $(Self::$name => $title,)+ } }
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];
        }
    };
}

codes! {
    /// The request does not read.
    Malformed = "malformed", 400, "The request does not read.";
    /// The path or method does not exist.
    NotFound = "not_found", 404, "There is nothing here.";
    /// Larger than allowed.
    TooLarge = "too_large", 413, "The request is larger than allowed.";
    /// The protocol's version is not spoken here.
    UnsupportedVersion = "unsupported_version", 400, "This version of the protocol is not spoken here.";
    /// The signature, or a header it needs, is missing or wrong, or the device is unknown.
    BadSignature = "bad_signature", 401, "The request is not signed by an enrolled device.";
    /// Signed too long ago or in the future.
    ClockSkew = "clock_skew", 401, "The time of signing is too far from head office's clock.";
    /// The device was revoked.
    DeviceRevoked = "device_revoked", 403, "This device was revoked.";
    /// The device's journal forked; a person decides.
    DeviceFrozen = "device_frozen", 403, "This device is frozen until a person has decided.";
    /// The journal has two branches.
    JournalFork = "journal_fork", 422, "The journal does not continue the one that is known.";
    /// Operations are missing before the first one sent.
    JournalGap = "journal_gap", 409, "Operations are missing before the first one sent.";
    /// Head office was restored from a backup.
    HistoryChanged = "history_changed", 409, "Head office has a new history; send again from the expected sequence number.";
    /// Another request of the device is under way.
    InFlight = "in_flight", 409, "Another request of this caller is under way.";
    /// Token missing, unknown or no longer good.
    Unauthenticated = "unauthenticated", 401, "A valid token is needed.";
    /// The token's role does not allow it.
    Forbidden = "forbidden", 403, "The role of this token does not allow this.";
    /// The signed link is forged, incomplete or of somebody unknown.
    LinkInvalid = "link_invalid", 401, "The link is not valid.";
    /// The signed link was good once.
    LinkExpired = "link_expired", 401, "The link has expired.";
    /// The request reads, but values in it are not acceptable.
    Invalid = "invalid", 422, "Values in the request are not acceptable.";
    /// The member can't have this coupon; the reasons say why.
    NotClaimable = "not_claimable", 409, "This coupon can't be claimed.";
    /// The thing stands so that this can't be done.
    StateConflict = "state_conflict", 409, "It does not stand so that this can be done.";
    /// Somebody else changed it since it was read.
    ChangedMeanwhile = "changed_meanwhile", 409, "It was changed since it was read; read it again.";
    /// The header is missing.
    IdempotencyKeyMissing = "idempotency_key_missing", 400, "The header Idempotency-Key is missing.";
    /// The key was used for another request.
    IdempotencyKeyReused = "idempotency_key_reused", 422, "The Idempotency-Key was used for another request.";
    /// Unknown, used or expired.
    EnrolCodeInvalid = "enrol_code_invalid", 403, "The one-time code is unknown, used or expired.";
    /// Too many tries.
    RateLimited = "rate_limited", 429, "Too many tries.";
    /// Overloaded.
    Busy = "busy", 503, "Busy; try again shortly.";
    /// The disk is full or the database can't be written.
    StorageUnavailable = "storage_unavailable", 503, "The database can't be written at the moment.";
    /// Our fault.
    Internal = "internal", 500, "Something went wrong here.";
}

impl Code {
    /// Reads [`Code::as_str`] back.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == word)
    }
}

/// One value that is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// Path of the field in the request, as `rule.amount` or `stores[2]`.
    pub field: String,
    /// A stable word for programs, as `required` or `out_of_range`.
    pub code: String,
    /// What it must be, in English.
    pub message: String,
}

/// The body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `urn:counterfoil:problem:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// One English sentence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// Stable for programs; see [`Code`]. Text, so that a newer head office may say more.
    pub code: String,
    /// What exactly, in English, without secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Head office's clock, UTC ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_time: Option<Millis>,
    /// With `journal_gap` and `history_changed`: the sequence number to send from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_seq: Option<i64>,
    /// With `history_changed`: the epoch that `expected_seq` counts in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<i64>,
    /// With `history_changed`: the new history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history_id: Option<HistoryId>,
    /// With `busy` and `rate_limited`: seconds to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// With `malformed` and `invalid`: each field that is not acceptable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// With `not_claimable`: every reason, each with its stable `code`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<serde_json::Value>,
}

impl Problem {
    /// A problem of this code.
    pub fn new(code: Code) -> Self {
        Self {
            kind: format!("urn:counterfoil:problem:{}", code.as_str()),
            title: code.title().to_owned(),
            status: code.status(),
            code: code.as_str().to_owned(),
            detail: None,
            server_time: None,
            expected_seq: None,
            epoch: None,
            history_id: None,
            retry_after: None,
            errors: Vec::new(),
            reasons: Vec::new(),
        }
    }

    /// The same with a detail.
    #[must_use]
    pub fn detail(self, detail: impl Into<String>) -> Self {
        Self {
            detail: Some(detail.into()),
            ..self
        }
    }
}
