//! The HTTP server: routes, errors, the check of signatures.

mod device;
mod error;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use counterfoil_protocol::{REQUEST_BYTES, paths};
pub use device::SignedRequest;
pub use error::{ApiError, IdempotencyKey};
use metrics_exporter_prometheus::PrometheusHandle;
use tower_http::{catch_panic::CatchPanicLayer, set_header::SetResponseHeaderLayer, timeout::RequestBodyTimeoutLayer};

/// Longest pause in the middle of a request's body.
const BODY_PAUSE: Duration = Duration::from_secs(10);

use crate::{App, questions, stores, sync};

/// The whole API. `metrics` is absent where head office runs inside the desktop app.
pub fn router(app: Arc<App>, metrics: Option<PrometheusHandle>) -> Router {
    let devices = Router::new()
        .route(paths::ENROL, post(stores::http::enrol))
        .route(paths::SYNC, post(sync::http::sync))
        .route(paths::FREEZES, post(questions::http::freeze))
        .route("/v1/freezes/{id}", delete(questions::http::cancel))
        .route(paths::LOOKUPS, post(questions::http::look_up))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES))
        .layer(RequestBodyTimeoutLayer::new(BODY_PAUSE));
    let service = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route(
            "/metrics",
            get(async move || match metrics {
                Some(handle) => handle.render().into_response(),
                None => StatusCode::NOT_FOUND.into_response(),
            }),
        );
    devices
        .merge(service)
        .fallback(async || ApiError::not_found())
        .method_not_allowed_fallback(async || ApiError::not_found())
        .layer(CatchPanicLayer::custom(|_| ApiError::internal().into_response()))
        .layer(SetResponseHeaderLayer::if_not_present(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ))
        .layer(SetResponseHeaderLayer::if_not_present(
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-store"),
        ))
        .with_state(app)
}

/// Ready when the database answers in time.
async fn ready(State(app): State<Arc<App>>) -> Response {
    match tokio::time::timeout(Duration::from_secs(2), app.db.history()).await {
        Ok(Ok(_)) => "ready\n".into_response(),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n").into_response(),
    }
}

/// The caller's address, for limits by address.
pub type Caller = axum::extract::ConnectInfo<SocketAddr>;
