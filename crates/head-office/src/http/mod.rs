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
mod stream;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
pub use caller::{Actor, MemberSession, Operator, Person};
use counterfoil_protocol::paths;
pub use device::{KnownDevice, SignedRequest, barred};
pub use error::{ApiError, IdempotencyKey};
pub use export::{File, Format, Pages, Table, exported};
pub use gone::Gone;
pub use idempotency::{Asked, Begun, Once, Told};
pub use input::{Body, Fields, Nothing, Path, Query, did_not_come};
use metrics_exporter_prometheus::PrometheusHandle;
pub use paging::{Page, Paging};
use roles::{Allowed, Roles};
pub use stream::{CutOff, Writer, streamed};
use tower_http::{catch_panic::CatchPanicLayer, set_header::SetResponseHeaderLayer};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    App, audit, batches, claims, coupons, exceptions, grants, jobs, members, messages, online, products, questions,
    sales, stores, sync,
};

/// The whole API. `metrics` is absent where head office runs inside the desktop app.
pub fn router(app: Arc<App>, metrics: Option<PrometheusHandle>) -> Router {
    let (routes, roles) = routes(metrics);
    routes
        .route_layer(axum::middleware::from_fn_with_state(
            (Arc::clone(&app), roles),
            roles::enforce,
        ))
        .fallback(async || ApiError::not_found())
        .method_not_allowed_fallback(async || ApiError::not_found())
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

/// Who may call what is not in `/openapi.json`. A frozen or revoked device asks nothing, but it delivers, and hears how it
/// stands.
const OTHERS: [(Method, &str, Allowed); 10] = [
    (Method::POST, paths::ENROL, Allowed::Anybody),
    (Method::POST, paths::SYNC, Allowed::Devices { active: false }),
    (Method::POST, paths::FREEZES, Allowed::Devices { active: true }),
    (Method::DELETE, FREEZE, Allowed::Devices { active: true }),
    (Method::POST, paths::LOOKUPS, Allowed::Devices { active: true }),
    (Method::GET, "/healthz", Allowed::Anybody),
    (Method::GET, "/readyz", Allowed::Anybody),
    (Method::GET, "/openapi.json", Allowed::Anybody),
    (Method::GET, "/docs", Allowed::Anybody),
    (Method::GET, "/metrics", Allowed::Anybody),
];
const FREEZE: &str = "/v1/freezes/{id}";

/// All routes, and who may call them.
fn routes(metrics: Option<PrometheusHandle>) -> (Router<Arc<App>>, Roles) {
    let devices = Router::new()
        .route(paths::ENROL, post(stores::http::enrol))
        .route(paths::SYNC, post(sync::http::sync))
        .route(paths::FREEZES, post(questions::http::freeze))
        .route(FREEZE, delete(questions::http::cancel))
        .route(paths::LOOKUPS, post(questions::http::look_up));
    let (people, document) = people().split_for_parts();
    let document = openapi::finish(&document);
    let roles = Roles::of(&document, &OTHERS);
    let page = openapi::page(&document);
    let service = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/openapi.json", get(async move || axum::Json(document)))
        .route("/docs", get(async move || documentation(page)))
        .route(
            "/metrics",
            get(async move || match metrics {
                Some(handle) => handle.render().into_response(),
                None => StatusCode::NOT_FOUND.into_response(),
            }),
        );
    let routes = devices.merge(people).merge(service);
    (routes, roles)
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

/// What operators, members and the shop's own site may call: described in `/openapi.json`.
fn people() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(openapi::document())
        .merge(members::http::routes())
        .merge(members::listed::routes())
        .merge(coupons::templates::http::routes())
        .merge(stores::listed::routes())
        .merge(exceptions::http::routes())
        .merge(audit::http::routes())
        .merge(batches::http::routes())
        .merge(claims::http::routes())
        .merge(grants::http::routes())
        .merge(jobs::http::routes())
        .merge(products::http::routes())
        .merge(sales::http::routes())
        .merge(coupons::http::routes())
        .merge(online::http::routes())
        .merge(messages::http::routes())
}

fn documentation(page: String) -> Response {
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
    let headers = [(header::CONTENT_SECURITY_POLICY, policy)];
    (headers, axum::response::Html(page)).into_response()
}

/// Ready when the database answers in time.
async fn ready(State(app): State<Arc<App>>) -> Response {
    let asked = tokio::spawn(async move { app.db.history().await });
    match tokio::time::timeout(Duration::from_secs(2), asked).await {
        Ok(Ok(Ok(_))) => "ready\n".into_response(),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use counterfoil_protocol::paths::ENROL;
    use tokio::sync::{Notify, oneshot};
    use tower::ServiceExt;

    use super::*;

    /// Every path of a router, but for the fallback's. Nothing but what it prints tells them.
    fn paths(router: &Router<Arc<App>>) -> std::collections::BTreeSet<String> {
        let printed = format!("{router:?}");
        let quoted = printed.split('"').skip(1).step_by(2);
        quoted
            .filter(|text| text.starts_with('/') && text.len() > 1 && !text.contains("{*"))
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn every_route_says_who_may_call_it() {
        let (routes, roles) = routes(None);
        let all = paths(&routes);
        assert!(
            all.len() > 50 && all.contains("/healthz") && all.contains(FREEZE),
            "{all:?}"
        );
        let silent: Vec<_> = all.iter().filter(|path| !roles.knows(path)).collect();
        assert!(
            silent.is_empty(),
            "nobody may call {silent:?}: their descriptions have no `security`"
        );
        // Those that are for anybody are few, and each is meant to be.
        let open = |method, path| roles.get(&method, path) == Some(&Allowed::Anybody);
        let open: Vec<_> = all
            .iter()
            .filter(|path| open(Method::GET, path) || open(Method::POST, path))
            .collect();
        let meant = [
            "/docs",
            "/healthz",
            "/metrics",
            "/openapi.json",
            "/readyz",
            ENROL,
            "/v1/member/sessions",
        ];
        assert_eq!(open, meant.map(String::from).iter().collect::<Vec<_>>());
        // A route that is added without a word is seen.
        let forgotten = routes.route("/v1/forgotten", get(async || ()));
        assert!(paths(&forgotten).iter().any(|path| !roles.knows(path)));
    }

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
