//! One connection: what it is doing, as its socket and its requests show.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

use super::patience::{Patience, Waits};

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub(super) enum Phase {
    /// Nothing of a request has come.
    Idle,
    /// A part of a request's head has.
    Head,
    /// A request is under way, from the end of its head to the last byte of its answer.
    Busy,
}

/// What a connection's socket and requests say to the task that watches it.
#[derive(Debug, Default)]
pub(super) struct Line {
    begun: AtomicU64,
    answered: AtomicU64,
    head: AtomicBool,
    /// Bytes of an answer wait for the other side.
    stuck: AtomicBool,
    /// Cancelled when its place is needed.
    pub(super) close: CancellationToken,
}

impl Line {
    /// A request was read; it is under way until what is returned is dropped.
    pub(super) fn begin(line: &Arc<Self>) -> Answering {
        line.head.store(false, Relaxed);
        line.begun.fetch_add(1, Relaxed);
        Answering(Arc::clone(line))
    }

    pub(super) fn is_busy(&self) -> bool {
        self.begun.load(Relaxed) != self.answered.load(Relaxed) || self.stuck.load(Relaxed)
    }

    /// How many requests have begun, and what it is doing.
    pub(super) fn stands(&self) -> (u64, Phase) {
        let phase = match self.head.load(Relaxed) {
            _ if self.is_busy() => Phase::Busy,
            true => Phase::Head,
            false => Phase::Idle,
        };
        (self.begun.load(Relaxed), phase)
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Answering(Arc<Line>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answered.fetch_add(1, Relaxed);
    }
}

/// An answer's body; the request is under way until it has been taken whole.
#[derive(Debug)]
pub(super) struct Answer {
    body: Body,
    _answering: Answering,
}

impl Answer {
    pub(super) fn new(body: Body, answering: Answering) -> Self {
        Self {
            body,
            _answering: answering,
        }
    }
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A socket that says what passes through it, and gives up on whoever does not read.
#[derive(Debug)]
pub(super) struct Watched {
    stream: TcpStream,
    line: Arc<Line>,
    waits: Waits,
    /// The request whose answer is written.
    request: u64,
}

impl Watched {
    pub(super) fn new(stream: TcpStream, line: Arc<Line>, answer: Patience) -> Self {
        Self {
            stream,
            line,
            waits: Waits::new(answer),
            request: 0,
        }
    }

    fn written(&mut self, written: Poll<io::Result<usize>>, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let request = self.line.begun.load(Relaxed);
        if self.request != request {
            self.request = request;
            self.waits.start_again();
        }
        self.line.stuck.store(written.is_pending(), Relaxed);
        match written {
            Poll::Ready(result) => {
                self.waits.moved(*result.as_ref().unwrap_or(&0));
                Poll::Ready(result)
            }
            Poll::Pending => Poll::Ready(Err(ready!(self.waits.wait(context)))),
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buf))?;
        if buf.filled().len() > before && !self.line.is_busy() {
            self.line.head.store(true, Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.written(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
