//! No answer of head office.

use crate::codes::Code;

/// Why there was no answer of head office at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// Nobody listens there, or the name does not resolve.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// The line broke while the answer was waited for: the question may have arrived.
    #[error("the line broke: {0}")]
    Broken(String),
    /// It takes too long.
    #[error("timed out")]
    TimedOut,
    /// The certificate does not fit.
    #[error("no secure connection: {0}")]
    Tls(String),
    /// Somebody else answered: a captive portal, a proxy, another server.
    #[error("not head office's answer: {0}")]
    Foreign(String),
    /// The line is known to be down, so nobody was asked.
    #[error("offline")]
    Offline,
}

impl Unanswered {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        let code = match self {
            Self::Unreachable(_) | Self::Broken(_) | Self::Foreign(_) => Code::Unreachable,
            Self::TimedOut => Code::Timeout,
            Self::Tls(_) => Code::TlsFailed,
            Self::Offline => Code::Offline,
        };
        code.as_str()
    }

    /// Whether head office may have got the question all the same.
    pub fn may_have_arrived(&self) -> bool {
        matches!(self, Self::TimedOut | Self::Broken(_) | Self::Foreign(_))
    }
}
