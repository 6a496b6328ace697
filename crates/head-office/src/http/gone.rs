//! Whether whoever asked still waits for the answer.

use std::convert::Infallible;

use axum::{extract::FromRequestParts, http::request::Parts};
use tokio_util::sync::CancellationToken;

/// Cancelled when whoever asked has gone: for work that changes nothing and need not be done to its end.
#[derive(Debug, Clone, Default)]
pub struct Gone(pub CancellationToken);

impl<S: Sync> FromRequestParts<S> for Gone {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}
