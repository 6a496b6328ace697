//! Errors over HTTP: problem details (RFC 9457) with a stable `code`.

use counterfoil_domain::{ids::HistoryId, time::Millis, words::Word};
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};

/// Media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $status:literal, $title:literal;)+) => {
        /// What went wrong, stable for programs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, EnumString, VariantArray)]
        #[serde(rename_all = "snake_case")]
        #[strum(serialize_all = "snake_case")]
        pub enum Code { $($(#[$doc])* $name,)+ }
        impl Code {
            /// The HTTP status it comes with.
            pub fn status(self) -> u16 { match self { $(Self::$name => $status,)+ } }
            /// One English sentence.
            pub fn title(self) -> &'static str { match self { $(Self::$name => $title,)+ } }
            /// All of them.
            pub const ALL: &'static [Self] = Self::VARIANTS;
        }
    };
}

codes! {
    /// The request does not read.
    Malformed = 400, "The request does not read.";
    /// The path or method does not exist.
    NotFound = 404, "There is nothing here.";
    /// Larger than allowed.
    TooLarge = 413, "The request is larger than allowed.";
    /// The protocol's version is not spoken here.
    UnsupportedVersion = 400, "This version of the protocol is not spoken here.";
    /// The signature, or a header it needs, is missing or wrong, or the device is unknown.
    BadSignature = 401, "The request is not signed by an enrolled device.";
    /// Signed too long ago or in the future.
    ClockSkew = 401, "The time of signing is too far from head office's clock.";
    /// The device was revoked.
    DeviceRevoked = 403, "This device was revoked.";
    /// The device's journal forked; a person decides.
    DeviceFrozen = 403, "This device is frozen until a person has decided.";
    /// The journal has two branches.
    JournalFork = 422, "The journal does not continue the one that is known.";
    /// Operations are missing before the first one sent.
    JournalGap = 409, "Operations are missing before the first one sent.";
    /// Head office was restored from a backup.
    HistoryChanged = 409, "Head office has a new history; send again from the expected sequence number.";
    /// Another request of the device is under way.
    InFlight = 409, "Another request of this caller is under way.";
    /// Token missing, unknown or no longer good.
    Unauthenticated = 401, "A valid token is needed.";
    /// The token's role does not allow it.
    Forbidden = 403, "The role of this token does not allow this.";
    /// The signed link is forged, incomplete or of somebody unknown.
    LinkInvalid = 401, "The link is not valid.";
    /// The signed link was good once.
    LinkExpired = 401, "The link has expired.";
    /// The request reads, but values in it are not acceptable.
    Invalid = 422, "Values in the request are not acceptable.";
    /// The member can't have this coupon; the reasons say why.
    NotClaimable = 409, "This coupon can't be claimed.";
    /// The ledger does not take it; the reasons say why.
    NotPosted = 409, "This can't be posted to the account.";
    /// The member can't have this gift; the reasons say why.
    NotExchangeable = 409, "This gift can't be had.";
    /// The thing stands so that this can't be done.
    StateConflict = 409, "It does not stand so that this can be done.";
    /// Somebody else changed it since it was read.
    ChangedMeanwhile = 409, "It was changed since it was read; read it again.";
    /// The header is missing.
    IdempotencyKeyMissing = 400, "The header Idempotency-Key is missing.";
    /// The key was used for another request.
    IdempotencyKeyReused = 422, "The Idempotency-Key was used for another request.";
    /// Unknown, used or expired.
    EnrolCodeInvalid = 403, "The one-time code is unknown, used or expired.";
    /// Too many tries.
    RateLimited = 429, "Too many tries.";
    /// Overloaded.
    Busy = 503, "Busy; try again shortly.";
    /// The disk is full or the database can't be written.
    StorageUnavailable = 503, "The database can't be written at the moment.";
    /// Our fault.
    Internal = 500, "Something went wrong here.";
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Programs know them, so none of them ever changes.
    #[test]
    fn every_word_is_what_it_was_and_reads_back() {
        let words: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(
            words,
            [
                "malformed",
                "not_found",
                "too_large",
                "unsupported_version",
                "bad_signature",
                "clock_skew",
                "device_revoked",
                "device_frozen",
                "journal_fork",
                "journal_gap",
                "history_changed",
                "in_flight",
                "unauthenticated",
                "forbidden",
                "link_invalid",
                "link_expired",
                "invalid",
                "not_claimable",
                "not_posted",
                "not_exchangeable",
                "state_conflict",
                "changed_meanwhile",
                "idempotency_key_missing",
                "idempotency_key_reused",
                "enrol_code_invalid",
                "rate_limited",
                "busy",
                "storage_unavailable",
                "internal",
            ]
        );
        for code in Code::ALL {
            assert_eq!(Code::parse(code.as_str()), Some(*code));
            assert_eq!(serde_json::json!(code), code.as_str());
        }
        assert_eq!(Code::parse("Internal"), None);
    }
}
