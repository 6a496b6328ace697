//! A span for each request, under which everything stands that is said meanwhile: which route, of which chain, which device.
//!
//! Paths, queries, headers and bodies name people, so nothing of them is in it: of the path the route alone.

use axum::{
    extract::{MatchedPath, Request},
    http::Method,
    middleware::Next,
    response::Response,
};
use counterfoil_domain::ids::{DeviceId, TenantId};
use tracing::{Instrument, Span, field};

/// Does a request within its span.
pub(super) async fn spanned(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let span = tracing::info_span!(
        "request",
        method = word(request.method()),
        route = route.map_or("none", MatchedPath::as_str),
        tenant = field::Empty,
        device = field::Empty,
        status = field::Empty,
    );
    let response = next.run(request).instrument(span.clone()).await;
    span.record("status", response.status().as_u16());
    response
}

/// The request's chain is known now.
pub(super) fn of_tenant(tenant: TenantId) {
    Span::current().record("tenant", field::display(tenant));
}

/// The request's device is known now.
pub(super) fn of_device(tenant: TenantId, device: DeviceId) {
    of_tenant(tenant);
    Span::current().record("device", field::display(device));
}

/// Anybody may send any word as a method.
fn word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}
