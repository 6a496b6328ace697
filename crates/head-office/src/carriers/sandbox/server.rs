//! The server of the sandbox carrier.
//!
//! ```text
//! POST /orders                   {key, consignment}        201 {number}
//! GET  /orders?key=...                                     200 {numbers}, without those that are cancelled
//! POST /waybills/{number}/cancel                           200 {}; 409 `collected` once it is on its way
//! GET  /waybills/{number}/label                            200 image/svg+xml
//! GET  /waybills/{number}/track                            200 {progress, events}
//! GET  /control                                            200 every waybill
//! POST /control                  see `Control`             200 {}
//! POST /control/release                                    200 {}: what hangs goes on
//! POST /control/events           {number, progress, text, at}
//! ```
//!
//! Where it was started with a token, all but `/control` want `Authorization: Bearer <token>`. The header
//! `Sandbox-Fault: hang` (and so on) makes this one request fail.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, Bytes, to_bytes},
    extract::{Extension, Path, Query, Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use counterfoil_domain::{time::Millis, words::Word};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{
    super::{Consignment, Event, Progress},
    faults::{Control, Fault, Faults, Question},
    state::{Book, Shown},
};
use crate::clock::{self, Clock, Random};

/// Longest body.
const BODY_BYTES: usize = 1024 * 1024;

#[derive(Debug, Default)]
struct Inner {
    book: Book,
    faults: Faults,
    asked: [u64; 5],
    hanging: u64,
    dedupe: bool,
    slow_ms: u64,
    hang_ms: u64,
}

#[derive(Debug, Clone)]
struct Server {
    inner: Arc<Mutex<Inner>>,
    clock: Arc<dyn Clock>,
    token: Option<Arc<str>>,
    /// Counts releases.
    released: watch::Sender<u64>,
}

/// The connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the answer is lost")]
struct Lost;

/// This order is done for the second time.
#[derive(Debug, Clone, Copy)]
struct Again(bool);

/// Answers until `stopping` is cancelled.
pub async fn serve(
    listener: TcpListener,
    clock: Arc<dyn Clock>,
    random: &dyn Random,
    token: Option<&str>,
    stopping: CancellationToken,
) {
    let prefix = clock::bytes::<3>(random).map_or_else(|_| "000000".to_owned(), hex::encode_upper);
    let inner = Inner {
        book: Book {
            prefix,
            waybills: Vec::new(),
        },
        dedupe: true,
        slow_ms: 200,
        ..Inner::default()
    };
    let server = Server {
        inner: Arc::new(Mutex::new(inner)),
        clock,
        token: token.map(Arc::from),
        released: watch::Sender::new(0),
    };
    let router = server.routes();
    loop {
        let accepted = tokio::select! {
            () = stopping.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        let (server, router, stopping) = (server.clone(), router.clone(), stopping.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                let (server, router) = (server.clone(), router.clone());
                async move { server.answer(router, request.map(Body::new)).await }
            });
            let serving = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service);
            // Who hangs up, and whom it hangs up on, is no error.
            let _ = stopping.run_until_cancelled(serving).await;
        });
    }
}

impl Server {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn routes(&self) -> Router {
        Router::new()
            .route("/orders", post(order).get(find))
            .route("/waybills/{number}/cancel", post(cancel))
            .route("/waybills/{number}/label", get(label))
            .route("/waybills/{number}/track", get(track))
            .route("/control", get(shown).post(control))
            .route("/control/release", post(release))
            .route("/control/events", post(happened))
            .with_state(self.clone())
    }

    /// Does what is asked in a task of its own: it is done even when nobody waits for it any more.
    async fn answer(self, router: Router, request: Request) -> Result<Response, Lost> {
        let answering = tokio::spawn(async move { self.decide(router, request).await });
        answering
            .await
            .unwrap_or_else(|_| Ok(StatusCode::INTERNAL_SERVER_ERROR.into_response()))
    }

    async fn decide(self, router: Router, request: Request) -> Result<Response, Lost> {
        let Some(question) = question(request.method(), request.uri().path()) else {
            return Ok(ask(&router, request, false).await);
        };
        let (parts, body) = request.into_parts();
        if !self.may(&parts.headers) {
            return Ok(refused(StatusCode::UNAUTHORIZED, "unauthenticated"));
        }
        let Ok(body) = to_bytes(body, BODY_BYTES).await else {
            return Ok(refused(StatusCode::PAYLOAD_TOO_LARGE, "too_large"));
        };
        let fault = {
            let mut inner = self.inner();
            if let Some(asked) = inner.asked.get_mut(question as usize) {
                *asked += 1;
            }
            let said = parts.headers.get("sandbox-fault").and_then(|value| value.to_str().ok());
            said.and_then(Fault::parse).or_else(|| inner.faults.next(question))
        };
        let again = |body: Bytes| Request::from_parts(parts.clone(), Body::from(body));
        match fault {
            None => {}
            Some(Fault::Hang) => self.hang().await,
            Some(Fault::Fail) => return Ok(refused(StatusCode::INTERNAL_SERVER_ERROR, "failed")),
            Some(Fault::Html) => return Ok(Html("<html><body><h1>502 Bad Gateway</h1></body></html>").into_response()),
            Some(Fault::Refuse) => return Ok(refused(StatusCode::UNPROCESSABLE_ENTITY, "not_served")),
            Some(Fault::Twice) => {
                ask(&router, again(body.clone()), false).await;
                return Ok(ask(&router, again(body), true).await);
            }
            Some(Fault::Lose) => {
                ask(&router, again(body), false).await;
                return Err(Lost);
            }
            Some(Fault::Slow) => {
                let answer = ask(&router, again(body), false).await;
                let time = self.inner().slow_ms;
                self.clock.sleep(Duration::from_millis(time)).await;
                return Ok(answer);
            }
        }
        Ok(ask(&router, again(body), false).await)
    }

    fn may(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return true };
        let said = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        said.and_then(|said| said.strip_prefix("Bearer ")) == Some(token)
    }

    async fn hang(&self) {
        let mut released = self.released.subscribe();
        let seen = *released.borrow_and_update();
        let time = {
            let mut inner = self.inner();
            inner.hanging += 1;
            inner.hang_ms
        };
        let goes_on = released.wait_for(|releases| *releases > seen);
        if time == 0 {
            let _ = goes_on.await;
        } else {
            tokio::select! {
                _ = goes_on => {}
                () = self.clock.sleep(Duration::from_millis(time)) => {}
            }
        }
        self.inner().hanging -= 1;
    }
}

fn question(method: &Method, path: &str) -> Option<Question> {
    match (method, path) {
        (&Method::POST, "/orders") => Some(Question::Order),
        (&Method::GET, "/orders") => Some(Question::Find),
        (_, path) if path.starts_with("/waybills/") => match path.rsplit('/').next() {
            Some("cancel") => Some(Question::Cancel),
            Some("label") => Some(Question::Label),
            Some("track") => Some(Question::Track),
            _ => None,
        },
        _ => None,
    }
}

async fn ask(router: &Router, mut request: Request, again: bool) -> Response {
    request.extensions_mut().insert(Again(again));
    match router.clone().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

fn refused(status: StatusCode, word: &str) -> Response {
    (status, Json(json!({ "error": word }))).into_response()
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct NewOrder {
    pub(super) key: String,
    pub(super) consignment: Consignment,
}

async fn order(
    State(server): State<Server>,
    Extension(Again(again)): Extension<Again>,
    Json(new): Json<NewOrder>,
) -> Response {
    let now = server.clock.now();
    let mut inner = server.inner();
    let dedupe = inner.dedupe && !again;
    let number = inner.book.order(new.key, new.consignment, dedupe, now);
    (StatusCode::CREATED, Json(json!({ "number": number }))).into_response()
}

#[derive(Deserialize)]
struct OfKey {
    key: String,
}

async fn find(State(server): State<Server>, Query(of): Query<OfKey>) -> Response {
    let numbers = server.inner().book.of_key(&of.key);
    Json(json!({ "numbers": numbers })).into_response()
}

async fn cancel(State(server): State<Server>, Path(number): Path<String>) -> Response {
    let mut inner = server.inner();
    match inner.book.get(&number) {
        None => refused(StatusCode::NOT_FOUND, "unknown_waybill"),
        Some(known) if known.progress != Progress::InTransit => refused(StatusCode::CONFLICT, "collected"),
        Some(known) => {
            known.cancelled = true;
            Json(json!({})).into_response()
        }
    }
}

async fn label(State(server): State<Server>, Path(number): Path<String>) -> Response {
    if server.inner().book.get(&number).is_none() {
        return refused(StatusCode::NOT_FOUND, "unknown_waybill");
    }
    let picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"400\" height=\"200\"><text x=\"20\" y=\"100\">{number}</text></svg>"
    );
    ([(header::CONTENT_TYPE, "image/svg+xml")], picture).into_response()
}

async fn track(State(server): State<Server>, Path(number): Path<String>) -> Response {
    match server.inner().book.get(&number) {
        None => refused(StatusCode::NOT_FOUND, "unknown_waybill"),
        Some(known) => Json(json!({ "progress": known.progress, "events": known.events })).into_response(),
    }
}

async fn shown(State(server): State<Server>) -> Json<Shown> {
    let inner = server.inner();
    Json(Shown {
        waybills: inner.book.waybills.clone(),
        asked: inner.asked,
        hanging: inner.hanging,
    })
}

async fn control(State(server): State<Server>, Json(control): Json<Control>) -> Response {
    let mut inner = server.inner();
    inner.faults.told(&control);
    inner.dedupe = control.dedupe.unwrap_or(inner.dedupe);
    inner.slow_ms = control.slow_ms.unwrap_or(inner.slow_ms);
    inner.hang_ms = control.hang_ms.unwrap_or(inner.hang_ms);
    Json(json!({})).into_response()
}

async fn release(State(server): State<Server>) -> Response {
    server.released.send_modify(|releases| *releases += 1);
    Json(json!({})).into_response()
}

#[derive(Deserialize)]
struct Happened {
    number: String,
    progress: Progress,
    text: String,
    at: Millis,
}

async fn happened(State(server): State<Server>, Json(new): Json<Happened>) -> Response {
    match server.inner().book.get(&new.number) {
        None => refused(StatusCode::NOT_FOUND, "unknown_waybill"),
        Some(known) => {
            known.progress = new.progress;
            known.events.push(Event {
                at: new.at,
                text: new.text,
            });
            Json(json!({})).into_response()
        }
    }
}
