//! The HTTP server: routes, errors, who calls, what they send.

pub mod caller;
pub mod connections;
mod device;
mod error;
mod export;
mod gone;
pub mod idempotency;
mod input;
mod openapi;
mod paging;
mod roles;
mod span;
mod stream;
mod who;

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
pub use caller::{Actor, MemberSession, Operator, Person};
pub use device::{KnownDevice, SignedRequest, barred};
pub use error::{ApiError, IdempotencyKey};
pub use export::{File, Format, Pages, Table, exported};
pub use gone::Gone;
pub use idempotency::{Asked, Begun, Once, Told};
pub use input::{Body, Fields, Nothing, Path, Query, did_not_come};
use metrics_exporter_prometheus::PrometheusHandle;
pub use paging::{Page, Paging};
pub use roles::{Allowed, Roles};
use serde_json::json;
pub use stream::{CutOff, Writer, events, streamed};
use tower_http::{catch_panic::CatchPanicLayer, set_header::SetResponseHeaderLayer};
use utoipa_axum::router::OpenApiRouter;
pub(crate) use who::{device_key, device_status, operator_role};

use crate::{app::App, db, processes};

/// A route that is not in `/openapi.json`.
#[derive(Debug, Clone)]
pub struct Aside {
    /// Its method.
    pub method: Method,
    /// Its path.
    pub path: &'static str,
    /// Who may call it.
    pub allowed: Allowed,
    /// What answers.
    pub answer: fn() -> MethodRouter<Arc<App>>,
}

/// Who may call what belongs to the service itself, whatever its process does.
const SERVICE: [(Method, &str, Allowed); 3] = [
    (Method::GET, "/healthz", Allowed::Anybody),
    (Method::GET, "/readyz", Allowed::Anybody),
    (Method::GET, "/metrics", Allowed::Anybody),
];
/// Who may call what tells of the API.
const DESCRIPTION: [(Method, &str, Allowed); 2] = [
    (Method::GET, "/openapi.json", Allowed::Anybody),
    (Method::GET, "/docs", Allowed::Anybody),
];

/// All routes of these capabilities, and who may call them.
#[derive(Debug)]
pub struct Routes {
    pub(crate) router: Router<Arc<App>>,
    pub(crate) roles: Roles,
}

impl Routes {
    /// `people` = what operators, members and the shop's own site may call, described in `/openapi.json`; `aside` = what
    /// counters call. `metrics` is absent where head office runs inside the desktop app.
    pub fn new(
        people: impl IntoIterator<Item = OpenApiRouter<Arc<App>>>,
        aside: &[Aside],
        metrics: Option<PrometheusHandle>,
    ) -> Self {
        let mut counters = Router::new();
        let mut others = [&SERVICE[..], &DESCRIPTION].concat();
        for route in aside {
            counters = counters.route(route.path, (route.answer)());
            others.push((route.method.clone(), route.path, route.allowed.clone()));
        }
        let described = OpenApiRouter::with_openapi(openapi::document());
        let people = people.into_iter().fold(described, OpenApiRouter::merge);
        let (people, document) = people.split_for_parts();
        let document = openapi::finish(&document);
        let roles = Roles::of(&document, &others);
        let page = openapi::page(&document);
        let description = Router::new()
            .route("/openapi.json", get(async move || Json(document)))
            .route("/docs", get(async move || documentation(page)));
        Self {
            router: counters.merge(people).merge(description).merge(service(metrics)),
            roles,
        }
    }

    /// What a process answers that is there for neither people nor counters.
    pub fn service(metrics: Option<PrometheusHandle>) -> Self {
        let document = OpenApiRouter::<Arc<App>>::with_openapi(openapi::document())
            .split_for_parts()
            .1;
        Self {
            router: service(metrics),
            roles: Roles::of(&openapi::finish(&document), &SERVICE),
        }
    }

    /// The whole API.
    pub fn serve(self, app: Arc<App>) -> Router {
        let Self { router, roles } = self;
        router
            .route_layer(axum::middleware::from_fn_with_state(
                (Arc::clone(&app), roles),
                roles::enforce,
            ))
            .fallback(async || ApiError::not_found())
            .method_not_allowed_fallback(async || ApiError::not_found())
            .layer(axum::middleware::from_fn(span::spanned))
            .layer(axum::middleware::from_fn(to_its_end))
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
}

/// Does a request to its end, even when whoever asked has gone. A transaction that is dropped between its BEGIN and the
/// database's answer stays open on its connection (sqlx counts it only afterwards), and whoever got that connection
/// next would read an old snapshot.
///
/// Who does work that changes nothing is told by [`Gone`].
async fn to_its_end(mut request: Request, next: Next) -> Response {
    let gone = Gone::default();
    request.extensions_mut().insert(gone.clone());
    let _gone = gone.0.drop_guard();
    match tokio::spawn(next.run(request)).await {
        Ok(response) => response,
        // A handler's panic goes on to the layer that turns panics into answers; nobody aborts the task.
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => ApiError::internal().into_response(),
        },
    }
}

fn documentation(page: String) -> Response {
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
    let headers = [(header::CONTENT_SECURITY_POLICY, policy)];
    (headers, axum::response::Html(page)).into_response()
}

fn service(metrics: Option<PrometheusHandle>) -> Router<Arc<App>> {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route(
            "/metrics",
            get(async move || match metrics {
                Some(handle) => handle.render().into_response(),
                None => StatusCode::NOT_FOUND.into_response(),
            }),
        )
}

/// Ready when the database answers in time. Shipping may be delayed all the same: it is done later, and nothing is lost.
async fn ready(State(app): State<Arc<App>>) -> Response {
    let asked = tokio::spawn(async move {
        let mut snapshot = app.db.snapshot().await?;
        db::history(&mut snapshot).await?;
        processes::lives(&mut snapshot, processes::Role::Fulfilment, app.clock.now()).await
    });
    match tokio::time::timeout(Duration::from_secs(2), asked).await {
        Ok(Ok(Ok(ships))) => {
            let shipping = if ships { "in_time" } else { "delayed" };
            Json(json!({"status": "ready", "shipping": shipping})).into_response()
        }
        _ => {
            let why = Json(json!({"status": "the database does not answer"}));
            (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use tokio::sync::{Notify, oneshot};
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_request_is_done_though_nobody_waits_for_its_answer() {
        let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (done, is_done) = oneshot::channel();
        let done = Arc::new(std::sync::Mutex::new(Some(done)));
        let (tell, wait) = (Arc::clone(&begun), Arc::clone(&go_on));
        let router = Router::new()
            .route(
                "/",
                get(async move || {
                    tell.notify_one();
                    wait.notified().await;
                    done.lock().unwrap().take().unwrap().send(()).unwrap();
                }),
            )
            .layer(axum::middleware::from_fn(to_its_end));
        let mut call = Box::pin(router.oneshot(Request::new(Body::empty())));
        tokio::select! {
            _ = &mut call => panic!("it can't have ended yet"),
            () = begun.notified() => {}
        }
        drop(call);
        go_on.notify_one();
        is_done.await.unwrap();
    }
}
