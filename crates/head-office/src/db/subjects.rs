//! The two columns of what an operation, a freeze or a case is about.

use counterfoil_domain::{
    ids::{CouponId, OperationId, OrderId},
    transition::Subject,
};
use sqlx::{Row, any::AnyRow};

use super::{DbError, batch::id_or_null};

/// The word and the id.
pub fn subject_columns(subject: Option<&Subject>) -> (Option<&'static str>, Option<&[u8]>) {
    match subject {
        Some(Subject::Coupon(id)) => (Some("coupon"), Some(id.bytes())),
        Some(Subject::Order(id)) => (Some("order"), Some(id.bytes())),
        Some(Subject::Sale(id)) => (Some("sale"), Some(id.bytes())),
        None => (None, None),
    }
}

/// Reads them back.
///
/// # Errors
/// [`DbError::Decode`] when the word is not known or the id is none.
pub fn read_subject(row: &AnyRow) -> Result<Option<Subject>, DbError> {
    let kind: Option<String> = row.try_get("subject_kind")?;
    match kind.as_deref() {
        None => Ok(None),
        Some("coupon") => Ok(id_or_null(row, "subject", CouponId::from_bytes)?.map(Subject::Coupon)),
        Some("order") => Ok(id_or_null(row, "subject", OrderId::from_bytes)?.map(Subject::Order)),
        Some("sale") => Ok(id_or_null(row, "subject", OperationId::from_bytes)?.map(Subject::Sale)),
        Some(_) => Err(DbError::Decode { column: "subject_kind" }),
    }
}
