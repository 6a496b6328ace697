//! What can go wrong, each with a stable code for people and programs.

mod fault;
mod panicked;
mod unanswered;

use std::collections::BTreeMap;

use counterfoil_domain::{settlement, time::Millis};
use counterfoil_protocol::problem::Problem;

pub(crate) use self::panicked::caught;
pub use self::{fault::Fault, unanswered::Unanswered};
use crate::{ambient::NoRandomness, codes::Code};

/// What went wrong. Nothing that was confirmed before is lost by any of them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The counter has no place in a store yet.
    #[error("this counter is not enrolled")]
    NotEnrolled,
    /// It has one already.
    #[error("this counter is enrolled already")]
    AlreadyEnrolled,
    /// Head office's address is not an http or https address.
    #[error("not an address of a head office: {0}")]
    AddressInvalid(String),
    /// Head office gave no answer.
    #[error("head office gave no answer: {0}")]
    Unanswered(#[from] Unanswered),
    /// Head office answered with a problem.
    #[error("head office answered {}: {}", .0.code, .0.detail.as_deref().unwrap_or(&.0.title))]
    HeadOffice(Box<Problem>),
    /// The device was revoked: it may do nothing more.
    #[error("this device was revoked")]
    DeviceRevoked,
    /// The device's journal forked: a person at head office decides.
    #[error("this device is frozen until a person at head office has decided")]
    DeviceFrozen,
    /// The PIN is wrong.
    #[error("wrong PIN, {left} tries left")]
    WrongPin {
        /// How often it may be tried before the clerk is locked.
        left: u32,
    },
    /// Too many wrong PINs.
    #[error("locked until {until}")]
    PinLocked {
        /// UTC ms.
        until: Millis,
    },
    /// The PIN does not have the form of one.
    #[error("a PIN has 6 to 12 digits")]
    PinTooShort,
    /// Nobody is signed in.
    #[error("nobody is signed in")]
    NotSignedIn,
    /// This person may not do that, or is not known at this store.
    #[error("this person may not do that")]
    NotAllowed,
    /// What was shown is too old, or is not what would be confirmed.
    #[error("what was shown is no longer current; look it up again")]
    TicketStale,
    /// The operation can't be voided.
    #[error("the operation can't be voided: {0}")]
    OperationNotVoidable(&'static str),
    /// A void needs a reason.
    #[error("a void needs a reason")]
    ReasonMissing,
    /// The operation is no sale of which something could come back here.
    #[error("nothing of this can come back: {0}")]
    OperationNotReturnable(&'static str),
    /// What is to come back was not sold, or came back before.
    #[error("that can't come back: {0}")]
    ReturnInvalid(&'static str),
    /// Not a day.
    #[error("a day is written as 2026-11-22")]
    DayInvalid,
    /// A sale needs how it was paid, and the till's receipt number.
    #[error("a sale needs how it was paid and the receipt number")]
    ReceiptMissing,
    /// No amount of money, or more than may be.
    #[error("an amount of money up to {limit} minor units was expected")]
    AmountInvalid {
        /// The most that may be, minor units.
        limit: i64,
    },
    /// Nobody here is that member.
    #[error("that member is not known here")]
    MemberUnknown,
    /// No product has this sku.
    #[error("no product has the sku {0}")]
    ProductUnknown(String),
    /// The basket can't be quoted.
    #[error("the basket can't be quoted: {0}")]
    BasketInvalid(settlement::InputError),
    /// No slip belongs to this operation.
    #[error("no slip belongs to this operation")]
    SlipUnavailable,
    /// No font with Chinese characters was found.
    #[error("no font with Chinese characters was found; install the package {package}")]
    FontMissing {
        /// What to install.
        package: &'static str,
    },
    /// Another process drains the journal in this folder.
    #[error("another process is syncing this data folder")]
    DataDirLocked,
    /// The database.
    #[error("{}: {detail}", .fault.code())]
    Database {
        /// What kind of trouble.
        fault: Fault,
        /// What SQLite said.
        detail: String,
    },
    /// A file or folder.
    #[error("{what}: {source}")]
    File {
        /// What was tried.
        what: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The device's private key is missing or does not read.
    #[error("the device key does not read: {0}")]
    Key(String),
    /// No random bytes.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// A part of the program panicked: nothing is known of what it was to do but what is on the disk.
    #[error("a part of the program failed: {0}")]
    Panicked(String),
    /// A mistake in the program.
    #[error("internal: {0}")]
    Internal(String),
}

impl Error {
    /// The stable code.
    pub fn code(&self) -> &str {
        let code = match self {
            Self::NotEnrolled => Code::NotEnrolled,
            Self::AlreadyEnrolled => Code::AlreadyEnrolled,
            Self::AddressInvalid(_) => Code::AddressInvalid,
            Self::Unanswered(why) => return why.code(),
            Self::HeadOffice(problem) => return &problem.code,
            Self::DeviceRevoked => Code::DeviceRevoked,
            Self::DeviceFrozen => Code::DeviceFrozen,
            Self::WrongPin { .. } => Code::WrongPin,
            Self::PinLocked { .. } => Code::PinLocked,
            Self::PinTooShort => Code::PinTooShort,
            Self::NotSignedIn => Code::NotSignedIn,
            Self::NotAllowed => Code::NotAllowed,
            Self::TicketStale => Code::TicketStale,
            Self::OperationNotVoidable(_) => Code::OperationNotVoidable,
            Self::ReasonMissing => Code::ReasonMissing,
            Self::OperationNotReturnable(_) => Code::OperationNotReturnable,
            Self::ReturnInvalid(_) => Code::ReturnInvalid,
            Self::DayInvalid => Code::DayInvalid,
            Self::ReceiptMissing => Code::ReceiptMissing,
            Self::AmountInvalid { .. } => Code::AmountInvalid,
            Self::MemberUnknown => Code::MemberUnknown,
            Self::ProductUnknown(_) => Code::ProductUnknown,
            Self::BasketInvalid(error) if error.code == Code::TooManyCombinations.as_str() => Code::TooManyCombinations,
            Self::BasketInvalid(_) => Code::BasketInvalid,
            Self::SlipUnavailable => Code::SlipUnavailable,
            Self::FontMissing { .. } => Code::FontMissing,
            Self::DataDirLocked => Code::DataDirLocked,
            Self::Database { fault, .. } => return fault.code(),
            Self::Panicked(_) => Code::Panicked,
            Self::File { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => Code::DiskFull,
            Self::File { .. } | Self::Key(_) | Self::NoRandomness(_) | Self::Internal(_) => Code::Internal,
        };
        code.as_str()
    }

    /// What a sentence about it needs to name.
    pub fn params(&self) -> BTreeMap<String, String> {
        let one = |name: &str, value: String| BTreeMap::from([(name.to_owned(), value)]);
        match self {
            Self::WrongPin { left } => one("left", left.to_string()),
            Self::PinLocked { until } => one("until", until.to_string()),
            Self::HeadOffice(problem) => problem
                .retry_after
                .map(|seconds| one("retry_after", seconds.to_string()))
                .unwrap_or_default(),
            Self::AmountInvalid { limit } => one("limit", limit.to_string()),
            Self::ProductUnknown(sku) => one("sku", sku.clone()),
            Self::BasketInvalid(error) => BTreeMap::from([
                ("path".to_owned(), error.path.clone()),
                ("message".to_owned(), error.message.clone()),
            ]),
            Self::FontMissing { package } => one("package", (*package).to_owned()),
            Self::AddressInvalid(address) => one("address", address.clone()),
            _ => BTreeMap::new(),
        }
    }

    pub(crate) fn database(fault: Fault, detail: impl Into<String>) -> Self {
        Self::Database {
            fault,
            detail: detail.into(),
        }
    }

    pub(crate) fn file(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::File { what, source }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::database(Fault::of(&error), error.to_string())
    }
}

/// A row of the local database that does not read: somebody else wrote it, or the disk did.
impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::database(Fault::Corrupt, format!("a stored row does not read: {error}"))
    }
}

impl From<counterfoil_domain::ids::NotAnId> for Error {
    fn from(error: counterfoil_domain::ids::NotAnId) -> Self {
        Self::database(Fault::Corrupt, error.to_string())
    }
}

/// The usual result.
pub type Result<T, E = Error> = std::result::Result<T, E>;
