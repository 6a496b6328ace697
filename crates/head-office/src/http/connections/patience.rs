//! How long somebody is waited for who sends or reads slowly.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};

/// How long is waited for bytes: a pause of this length at most, and altogether so long and what the bytes that were
/// moved have earned. Whoever moves a byte now and then is thus cut off as well, and a slow line is not.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// The longest single wait.
    pub pause: Duration,
    /// All waits together, on top of what was earned.
    pub altogether: Duration,
    /// So many bytes earn one more second.
    pub bytes_per_second: u32,
}

impl Patience {
    fn earned(&self, bytes: u64) -> Duration {
        let millis = bytes.saturating_mul(1_000) / u64::from(self.bytes_per_second.max(1));
        Duration::from_millis(millis)
    }
}

/// What was waited for so far. Only the time in which the other side was to move counts.
#[derive(Debug)]
pub(super) struct Waits {
    patience: Patience,
    waited: Duration,
    moved: u64,
    since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Waits {
    pub(super) fn new(patience: Patience) -> Self {
        Self {
            patience,
            waited: Duration::ZERO,
            moved: 0,
            since: None,
            timer: None,
        }
    }

    /// The other side does not move; an error when the patience is at its end.
    pub(super) fn wait(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let timer = match (self.since, &mut self.timer) {
            (Some(_), Some(timer)) => timer,
            (_, timer) => {
                let now = Instant::now();
                let left = (self.patience.altogether + self.patience.earned(self.moved)).saturating_sub(self.waited);
                let end = now + left.min(self.patience.pause);
                self.since = Some(now);
                let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
                timer.as_mut().reset(end);
                timer
            }
        };
        ready!(timer.as_mut().poll(context));
        Poll::Ready(io::Error::from(io::ErrorKind::TimedOut))
    }

    /// So many bytes were moved.
    pub(super) fn moved(&mut self, bytes: usize) {
        if let Some(since) = self.since.take() {
            self.waited += since.elapsed();
        }
        self.moved = self.moved.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// Something new begins.
    pub(super) fn start_again(&mut self) {
        *self = Self {
            timer: self.timer.take(),
            ..Self::new(self.patience)
        };
    }
}

/// A request's body that is not waited for without end.
#[derive(Debug)]
pub(super) struct Paced {
    body: Incoming,
    waits: Waits,
}

impl Paced {
    pub(super) fn new(body: Incoming, patience: Patience) -> Self {
        Self {
            body,
            waits: Waits::new(patience),
        }
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(frame) => {
                let bytes = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
                self.waits.moved(bytes.map_or(0, Bytes::len));
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => self.waits.wait(context).map(|error| Some(Err(error.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
