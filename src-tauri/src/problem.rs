//! What went wrong, for the screens: a stable code that they turn into a sentence, and what the sentence names.

use std::collections::BTreeMap;
use std::fmt;

use counterfoil_counter as counter;
use serde::{Deserialize, Serialize};
use specta::Type;

use crate::codes::Code;

/// What every command answers with when it can't do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Stable.
    pub code: String,
    /// Times as UTC ms, numbers as digits.
    pub params: BTreeMap<String, String>,
    /// English, technical, without secrets.
    pub detail: String,
}

/// The usual result.
pub type Result<T, E = Problem> = std::result::Result<T, E>;

impl Problem {
    pub fn new(code: impl Code, detail: impl Into<String>) -> Self {
        Self::said(code.word(), detail)
    }

    /// One that somebody else has named: a newer head office may know more words.
    pub fn said(code: &str, detail: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            params: BTreeMap::new(),
            detail: detail.into(),
        }
    }

    /// A mistake in the program, or a fault of the machine that has no code of its own.
    pub fn internal(error: impl fmt::Display) -> Self {
        Self::new(counter::Code::Internal, error.to_string())
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.params.insert(name.to_owned(), value.to_string());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Problem {}

/// Of files in the data folder.
pub fn of_file(what: &str) -> impl FnOnce(std::io::Error) -> Problem {
    use std::io::ErrorKind;
    move |error| {
        let code = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => counter::Code::DiskFull,
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => counter::Code::DatabaseReadOnly,
            _ => counter::Code::Internal,
        };
        Problem::new(code, format!("{what}: {error}"))
    }
}

impl From<counter::Error> for Problem {
    fn from(error: counter::Error) -> Self {
        let detail = error.to_string();
        // Shown beside the code, which some of them begin with.
        let bare = detail
            .strip_prefix(error.code())
            .and_then(|rest| rest.strip_prefix(": "));
        Self {
            code: error.code().to_owned(),
            params: error.params(),
            detail: bare.unwrap_or(&detail).to_owned(),
        }
    }
}

impl From<counterfoil_scan::PictureError> for Problem {
    fn from(error: counterfoil_scan::PictureError) -> Self {
        Self::said(error.code(), error.to_string())
    }
}

impl From<counterfoil_scan::frames::CameraError> for Problem {
    fn from(error: counterfoil_scan::frames::CameraError) -> Self {
        Self::said(error.code(), error.to_string())
    }
}

/// A worker that panicked or was stopped.
impl From<tokio::task::JoinError> for Problem {
    fn from(error: tokio::task::JoinError) -> Self {
        counterfoil_counter::Error::from(error).into()
    }
}
