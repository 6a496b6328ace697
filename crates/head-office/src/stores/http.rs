//! The route of enrolment: the only one that no signature protects, so the only one limited by address.

use std::{net::IpAddr, num::NonZeroU32, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
};
use counterfoil_domain::text::without_mark;
use counterfoil_protocol::{
    enrolment::{EnrolRequest, EnrolResponse},
    problem::{Code, Problem},
};

use super::enrol;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::{
    app::App,
    http::{ApiError, caller::Address, did_not_come},
};

/// Tries to enrol from one address in a minute.
const ENROL_TRIES: NonZeroU32 = NonZeroU32::new(20).unwrap();

/// Who tries to enrol, and how often.
#[derive(Debug)]
pub struct EnrolTries(pub DefaultKeyedRateLimiter<IpAddr>);

impl Default for EnrolTries {
    fn default() -> Self {
        Self(RateLimiter::keyed(Quota::per_minute(ENROL_TRIES)))
    }
}

/// `POST /v1/enrol`.
///
/// # Errors
/// `rate_limited` after too many tries from one address, else as [`enrol::enrol`].
pub async fn enrol(
    State(app): State<Arc<App>>,
    Address(caller): Address,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<EnrolResponse>, ApiError> {
    if app.own.of::<EnrolTries>().0.check_key(&caller).is_err() {
        return Err(Problem {
            retry_after: Some(60),
            ..Problem::new(Code::RateLimited)
        }
        .into());
    }
    let body = body.map_err(did_not_come)?;
    let request: EnrolRequest = serde_json::from_slice(without_mark(&body))
        .map_err(|error| ApiError::detailed(Code::Malformed, error.to_string()))?;
    Ok(Json(enrol::enrol(&app, &request).await?))
}
