//! What comes with a request: body, path, query. Whatever does not read is a problem that says where.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{
        FromRequest, FromRequestParts, Request,
        rejection::{BytesRejection, FailedToBufferBody},
    },
    http::request::Parts,
};
use counterfoil_domain::text::without_mark;
use counterfoil_protocol::problem::{Code, FieldError, Problem};
use serde::de::DeserializeOwned;

use super::ApiError;
use crate::app::App;

/// A JSON body. An empty one reads as `{}`.
#[derive(Debug, Clone)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        let bytes = bytes(request, app).await?;
        Ok(Self(read(&bytes)?))
    }
}

/// A body without content, for questions that need none.
#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// The body's bytes.
///
/// # Errors
/// As [`did_not_come`].
pub(super) async fn bytes(request: Request, app: &Arc<App>) -> Result<Bytes, ApiError> {
    Bytes::from_request(request, app).await.map_err(did_not_come)
}

/// Why a body is not there. Whoever sent it too slowly may try again; nothing is known of what it was.
pub fn did_not_come(rejection: BytesRejection) -> ApiError {
    match rejection {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => ApiError::new(Code::TooLarge),
        BytesRejection::FailedToBufferBody(_) => ApiError::busy(1),
        _ => ApiError::new(Code::Malformed),
    }
}

/// Reads a JSON body.
///
/// # Errors
/// `malformed` with the field that does not read.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let bytes = without_mark(bytes);
    let bytes = if bytes.is_empty() { b"{}" } else { bytes };
    if has_nul(bytes) {
        return Err(ApiError::detailed(Code::Malformed, "a text holds the character U+0000"));
    }
    // Otherwise a list of its fields' values would pass for an object.
    if bytes.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
        return Err(ApiError::detailed(Code::Malformed, "the body is a JSON object"));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let field = error.path().to_string();
        malformed(&field, &error.into_inner().to_string())
    })?;
    reader.end().map_err(|error| malformed(".", &error.to_string()))?;
    Ok(value)
}

fn malformed(field: &str, message: &str) -> ApiError {
    let errors = if field == "." {
        Vec::new()
    } else {
        vec![FieldError {
            field: field.to_owned(),
            code: "malformed".to_owned(),
            message: message.to_owned(),
        }]
    };
    Problem {
        errors,
        ..Problem::new(Code::Malformed).detail(message)
    }
    .into()
}

/// Whether a JSON text holds an escaped NUL, which no database text can.
pub(super) fn has_nul(json: &[u8]) -> bool {
    let mut escaped = false;
    json.iter().enumerate().any(|(at, byte)| {
        if escaped {
            escaped = false;
            return *byte == b'u' && json.get(at + 1..at + 5) == Some(b"0000".as_slice());
        }
        escaped = *byte == b'\\';
        false
    })
}

fn has_encoded_nul(parts: &Parts) -> bool {
    parts
        .uri
        .path_and_query()
        .is_some_and(|path| path.as_str().contains("%00"))
}

/// The query string.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<Arc<App>> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        if has_encoded_nul(parts) {
            return Err(ApiError::new(Code::Malformed));
        }
        match axum::extract::Query::<T>::from_request_parts(parts, app).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(ApiError::detailed(Code::Malformed, rejection.body_text())),
        }
    }
}

/// The parameters in the path. One that does not read names nothing.
#[derive(Debug, Clone)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<App>> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        if has_encoded_nul(parts) {
            return Err(ApiError::not_found());
        }
        match axum::extract::Path::<T>::from_request_parts(parts, app).await {
            Ok(axum::extract::Path(path)) => Ok(Self(path)),
            Err(_) => Err(ApiError::not_found()),
        }
    }
}

/// Collects what is not acceptable in a request that reads.
#[derive(Debug, Default)]
pub struct Fields(Vec<FieldError>);

impl Fields {
    /// Notes a field.
    pub fn refuse(&mut self, field: impl Into<String>, code: &str, message: impl Into<String>) {
        self.0.push(FieldError {
            field: field.into(),
            code: code.to_owned(),
            message: message.into(),
        });
    }

    /// Notes a field unless `fits`.
    pub fn check(&mut self, fits: bool, field: &str, code: &str, message: &str) {
        if !fits {
            self.refuse(field, code, message);
        }
    }

    /// Notes a text that is empty, too long or not printable.
    pub fn text(&mut self, field: &str, text: &str, most: usize) {
        if text.trim().is_empty() {
            self.refuse(field, "required", "must not be empty");
        } else {
            self.text_or_empty(field, text, most);
        }
    }

    /// The same where it may be empty.
    pub fn text_or_empty(&mut self, field: &str, text: &str, most: usize) {
        if text.chars().count() > most {
            self.refuse(field, "too_long", format!("at most {most} characters"));
        } else if text.chars().any(char::is_control) {
            self.refuse(field, "not_printable", "printable characters only");
        }
    }

    /// Notes a number outside of `range`.
    pub fn range(&mut self, field: &str, number: i64, range: std::ops::RangeInclusive<i64>) {
        if !range.contains(&number) {
            self.refuse(
                field,
                "out_of_range",
                format!("from {} to {}", range.start(), range.end()),
            );
        }
    }

    /// Whether nothing was noted.
    pub fn are_fine(&self) -> bool {
        self.0.is_empty()
    }

    /// Ends the collection.
    ///
    /// # Errors
    /// `invalid` with every field noted.
    pub fn done(self) -> Result<(), ApiError> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(Problem {
            errors: self.0,
            ..Problem::new(Code::Invalid)
        }
        .into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Outer {
        #[expect(dead_code, reason = "only its reading is tested")]
        rule: Inner,
    }
    #[derive(Debug, serde::Deserialize)]
    struct Inner {
        #[expect(dead_code, reason = "only its reading is tested")]
        amount: i64,
    }

    #[test]
    fn what_does_not_read_is_named() {
        let problem = |text: &[u8]| read::<Outer>(text).unwrap_err().0;
        assert_eq!(problem(br#"{"rule":{"amount":"x"}}"#).errors[0].field, "rule.amount");
        assert_eq!(problem(b"").code, "malformed");
        assert_eq!(problem(br#"[{"amount":1}]"#).code, "malformed");
        assert_eq!(problem(br#"{"rule":{"amount":1}} x"#).code, "malformed");
        assert_eq!(problem(&[0xff, 0xfe]).code, "malformed");
        assert_eq!(problem("[".repeat(100_000).as_bytes()).code, "malformed");
    }

    #[test]
    fn one_byte_order_mark_is_skipped() {
        let marked = |marks: usize| format!("{}{}", "\u{feff}".repeat(marks), r#"{"rule":{"amount":1}}"#);
        assert!(read::<Outer>(marked(1).as_bytes()).is_ok());
        assert_eq!(read::<Outer>(marked(2).as_bytes()).unwrap_err().0.code, "malformed");
    }

    #[test]
    fn a_nul_is_found_and_its_spelling_is_not() {
        assert!(has_nul(br#"{"a":"x\u0000"}"#));
        assert!(has_nul(br#"{"a":"\\\u0000"}"#));
        assert!(!has_nul(br#"{"a":"\\u0000"}"#));
        assert!(!has_nul(br#"{"a":"\u0001"}"#));
    }
}
