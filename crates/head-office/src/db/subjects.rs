//! The two columns of what an operation, a freeze or a case is about.

use counterfoil_domain::transition::Subject;
use sqlx::{Row, any::AnyRow};

use super::DbError;

/// The word and the id.
pub fn subject_columns(subject: Option<&Subject>) -> (Option<&'static str>, Option<&[u8]>) {
    match subject {
        Some(subject) => (Some(subject.word()), Some(subject.bytes())),
        None => (None, None),
    }
}

/// Reads them back.
///
/// # Errors
/// [`DbError::Decode`] when the word is not known or the id is none.
pub fn read_subject(row: &AnyRow) -> Result<Option<Subject>, DbError> {
    let kind: Option<String> = row.try_get("subject_kind")?;
    let id: Option<Vec<u8>> = row.try_get("subject")?;
    let (kind, id) = match (kind, id) {
        (Some(kind), Some(id)) => (kind, id),
        (None, None) => return Ok(None),
        (None, Some(_)) => return Err(DbError::Decode { column: "subject_kind" }),
        (Some(_), None) => return Err(DbError::Decode { column: "subject" }),
    };
    match Subject::read(&kind, &id) {
        Ok(Some(subject)) => Ok(Some(subject)),
        Ok(None) => Err(DbError::Decode { column: "subject_kind" }),
        Err(_) => Err(DbError::Decode { column: "subject" }),
    }
}

/// As [`read_subject`], but `None` also for what only a newer head office knows.
///
/// # Errors
/// [`DbError::Decode`] when the id is none.
pub fn read_known_subject(row: &AnyRow) -> Result<Option<Subject>, DbError> {
    match read_subject(row) {
        Err(DbError::Decode { column: "subject_kind" }) => Ok(None),
        read => read,
    }
}
