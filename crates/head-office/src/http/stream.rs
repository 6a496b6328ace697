//! Answers that are written while they are sent: exports, and events of something that moves.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_core::Stream;
use tokio::sync::{Semaphore, mpsc};

use super::ApiError;
use crate::{app::App, db::DbError};

/// Pieces that are written ahead of a slow reader.
const AHEAD: usize = 4;

/// Where an answer is written to.
#[derive(Debug)]
pub struct Writer(mpsc::Sender<io::Result<Bytes>>);

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

impl Writer {
    /// Sends a piece; waits while the reader is slow.
    ///
    /// # Errors
    /// [`CutOff::Gone`].
    pub async fn write(&self, text: impl Into<Bytes>) -> Result<(), CutOff> {
        self.0.send(Ok(text.into())).await.map_err(|_| CutOff::Gone)
    }
}

struct Pieces(mpsc::Receiver<io::Result<Bytes>>);

impl Stream for Pieces {
    type Item = io::Result<Bytes>;

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

/// Answers with what `write` writes, until it returns or whoever asked has gone. What ends with an error is broken off, so
/// that nobody takes a part for the whole.
///
/// # Errors
/// `busy` when as many such answers as there may be are under way.
pub fn streamed<F>(app: &App, media_type: &'static str, write: impl FnOnce(Writer) -> F) -> Result<Response, ApiError>
where
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
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(media_type))];
    Ok((headers, Body::from_stream(Pieces(receiver))).into_response())
}
