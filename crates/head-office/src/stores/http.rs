//! The route of enrolment: the only one that no signature protects, so the only one limited by address.

use std::sync::Arc;

use axum::{Json, body::Bytes, extract::State};
use counterfoil_domain::text::without_mark;
use counterfoil_protocol::{
    enrolment::{EnrolRequest, EnrolResponse},
    problem::{Code, Problem},
};

use super::enrol;
use crate::{
    App,
    http::{ApiError, caller::Address},
};

/// `POST /v1/enrol`.
///
/// # Errors
/// `rate_limited` after too many tries from one address, else as [`enrol::enrol`].
pub async fn enrol(
    State(app): State<Arc<App>>,
    Address(caller): Address,
    body: Bytes,
) -> Result<Json<EnrolResponse>, ApiError> {
    if app.enrol_limit.check_key(&caller).is_err() {
        return Err(Problem {
            retry_after: Some(60),
            ..Problem::new(Code::RateLimited)
        }
        .into());
    }
    let request: EnrolRequest = serde_json::from_slice(without_mark(&body))
        .map_err(|error| ApiError::detailed(Code::Malformed, error.to_string()))?;
    Ok(Json(enrol::enrol(&app, &request).await?))
}
