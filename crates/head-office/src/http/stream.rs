//! Answers that are written while they are sent: exports, and events of something that moves.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_core::Stream;
use tokio::sync::{Semaphore, mpsc};

use super::ApiError;
use crate::{app::App, db::DbError};

/// Pieces that are written ahead of a slow reader.
const AHEAD: usize = 4;
/// Without news for so long, an empty line is sent all the same, so that a broken connection is noticed.
const QUIET: Duration = Duration::from_secs(9);

/// Where an answer is written to, piece by piece.
#[derive(Debug)]
pub struct Writer<T = Bytes>(mpsc::Sender<io::Result<T>>);

/// Why an answer ends before its end.
#[derive(Debug, thiserror::Error)]
pub enum CutOff {
    /// Whoever asked has gone.
    #[error("nobody reads any more")]
    Gone,
    /// The database's.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The file that it is made in.
    #[error("the file can't be made: {0}")]
    File(String),
    /// The program stops.
    #[error("head office stops")]
    Stopping,
}

impl<T> Writer<T> {
    /// Sends a piece; waits while the reader is slow.
    ///
    /// # Errors
    /// [`CutOff::Gone`].
    pub async fn write(&self, piece: impl Into<T>) -> Result<(), CutOff> {
        self.0.send(Ok(piece.into())).await.map_err(|_| CutOff::Gone)
    }

    /// Waits until nobody reads any more.
    pub async fn gone(&self) {
        self.0.closed().await;
    }
}

struct Pieces<T>(mpsc::Receiver<io::Result<T>>);

impl<T> Stream for Pieces<T> {
    type Item = io::Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

/// Answers that are written while they are sent, at once.
const STREAMS: usize = 64;

/// Room for them.
struct Streams(Arc<Semaphore>);

impl Default for Streams {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(STREAMS)))
    }
}

/// What `write` writes, until it returns or whoever asked has gone. What ends with an error is broken off, so that nobody
/// takes a part for the whole.
fn pieces<T, F>(app: &App, write: impl FnOnce(Writer<T>) -> F) -> Result<Pieces<T>, ApiError>
where
    T: Send + 'static,
    F: Future<Output = Result<(), CutOff>> + Send + 'static,
{
    let room = Arc::clone(&app.own.of::<Streams>().0)
        .try_acquire_owned()
        .map_err(|_| ApiError::busy(5))?;
    let (sender, receiver) = mpsc::channel(AHEAD);
    let breaking = sender.clone();
    let writing = write(Writer(sender));
    app.tasks.spawn(async move {
        if let Err(error) = writing.await {
            tracing::debug!(%error, "an answer was cut off");
            // Who has gone does not hear it.
            let _ = breaking.send(Err(io::Error::other(error))).await;
        }
        drop(room);
    });
    Ok(Pieces(receiver))
}

/// Answers with what `write` writes, see [`pieces`].
///
/// # Errors
/// `busy` when as many such answers as there may be are under way.
pub fn streamed<F>(app: &App, media_type: &'static str, write: impl FnOnce(Writer) -> F) -> Result<Response, ApiError>
where
    F: Future<Output = Result<(), CutOff>> + Send + 'static,
{
    let pieces = pieces(app, write)?;
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(media_type))];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// Answers with the server-sent events that `write` writes.
///
/// # Errors
/// As [`streamed`].
pub fn events<F>(app: &App, write: impl FnOnce(Writer<Event>) -> F) -> Result<Response, ApiError>
where
    F: Future<Output = Result<(), CutOff>> + Send + 'static,
{
    let events = Sse::new(pieces(app, write)?).keep_alive(KeepAlive::new().interval(QUIET));
    // As every answer that says nothing else; axum would let others keep it and ask.
    let headers = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((headers, events).into_response())
}
