//! The route of enrolment: the only one that no signature protects, so the only one limited by address.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use axum::{
    Json,
    body::Bytes,
    extract::{ConnectInfo, State},
};
use counterfoil_protocol::{
    enrolment::{EnrolRequest, EnrolResponse},
    problem::{Code, Problem},
};

use super::enrol;
use crate::{
    App,
    http::{ApiError, Caller},
};

/// `POST /v1/enrol`.
///
/// # Errors
/// `rate_limited` after too many tries from one address, else as [`enrol::enrol`].
pub async fn enrol(
    State(app): State<Arc<App>>,
    ConnectInfo(caller): Caller,
    body: Bytes,
) -> Result<Json<EnrolResponse>, ApiError> {
    if app.enrol_limit.check_key(&neighbourhood(caller.ip())).is_err() {
        return Err(Problem {
            retry_after: Some(60),
            ..Problem::new(Code::RateLimited)
        }
        .into());
    }
    let request: EnrolRequest =
        serde_json::from_slice(&body).map_err(|error| ApiError::detailed(Code::Malformed, error.to_string()))?;
    Ok(Json(enrol::enrol(&app, &request).await?))
}

/// Who counts as one caller: an address, or an IPv6 network, of which one person may hold all addresses.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}
