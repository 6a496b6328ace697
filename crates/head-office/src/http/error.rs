//! Problems as answers.

use axum::{
    Json,
    extract::FromRequestParts,
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use counterfoil_domain::words::Word;
use counterfoil_protocol::{
    problem::{Code, MEDIA_TYPE, Problem},
    signing,
};

use crate::{db::DbError, engine::Refusal};

/// A problem on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError(pub Box<Problem>);

impl ApiError {
    /// A problem of this code.
    pub fn new(code: Code) -> Self {
        Problem::new(code).into()
    }
    /// The same with a detail, which must hold no secret.
    pub fn detailed(code: Code, detail: impl Into<String>) -> Self {
        Problem::new(code).detail(detail).into()
    }
    /// No such path or method.
    pub fn not_found() -> Self {
        Self::new(Code::NotFound)
    }
    /// Our fault.
    pub fn internal() -> Self {
        Self::new(Code::Internal)
    }
    /// Come back in some seconds.
    pub fn busy(seconds: u64) -> Self {
        Problem {
            retry_after: Some(seconds),
            ..Problem::new(Code::Busy)
        }
        .into()
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        metrics::counter!("counterfoil_problems_total", "code" => self.0.code.clone()).increment(1);
        let retry_after = self.0.retry_after;
        let unauthenticated = self.0.code == Code::Unauthenticated.as_str();
        let mut response = (status, Json(*self.0)).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if unauthenticated {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        tracing::error!(%error, "the database failed a request");
        Refusal::from(error.trouble()).into()
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Busy => Self::busy(1),
            Refusal::Storage => Self::new(Code::StorageUnavailable),
            Refusal::Failed => Self::internal(),
        }
    }
}

/// The name of a question, so that asking again is not asking twice. The database holds the answers.
#[derive(Debug, Clone)]
pub struct IdempotencyKey(pub String);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts
            .headers
            .get(signing::IDEMPOTENCY_KEY)
            .and_then(|value| value.to_str().ok())
            .filter(|key| !key.trim().is_empty() && key.len() <= 64)
            .map(|key| Self(key.to_owned()))
            .ok_or_else(|| ApiError::new(Code::IdempotencyKeyMissing))
    }
}
