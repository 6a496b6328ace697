//! Connections: how many there may be, and how long each may keep this process waiting.
//!
//! A descriptor is what every connection, database file and log shares, so who holds one for nothing takes it from all.
//! `axum::serve` has no time-outs and no bound, hence the loop here.

mod line;
mod patience;
mod room;

use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo, http::Request};
use counterfoil_domain::{planted, words::Word};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use line::{Answer, Line, Phase, Watched};
use patience::Paced;
pub use patience::Patience;
use room::Room;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::OwnedSemaphorePermit,
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

/// Descriptors for everything that is no connection: databases, logs, calls to others.
const RESERVED: u64 = 256;
/// More connections than this are no more use, whatever the descriptors allow: each costs some memory.
const MOST: u64 = 20_000;
/// Longest head of a request. So much memory a connection may cost before anybody knows who calls.
const HEAD_BYTES: usize = 64 * 1_024;
/// How long no connection is taken after one could not be.
const PAUSE: Duration = Duration::from_millis(100);

/// How many connections there may be, and how long each may keep us waiting.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Open connections. For one more the one that has been idle longest is closed.
    pub connections: usize,
    /// How long a connection may stay open without a request. Longer than what reverse proxies keep, so that they close
    /// theirs first and never send a request into one that is just being closed.
    pub idle: Duration,
    /// How long the head of a request may take from its first byte.
    pub head: Duration,
    /// What a request's body may take.
    pub body: Patience,
    /// What reading an answer may take.
    pub answer: Patience,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: connections_within(descriptors()),
            idle: Duration::from_secs(180),
            head: Duration::from_secs(10),
            body: Patience {
                pause: Duration::from_secs(10),
                altogether: Duration::from_secs(30),
                bytes_per_second: 4_096,
            },
            answer: Patience {
                pause: Duration::from_secs(30),
                altogether: Duration::from_secs(60),
                bytes_per_second: 4_096,
            },
        }
    }
}

/// Descriptors that this process may have open now.
fn descriptors() -> u64 {
    #[cfg(unix)]
    let limit = rlimit::Resource::NOFILE.get_soft().unwrap_or(1_024);
    #[cfg(not(unix))]
    let limit = MOST + RESERVED;
    limit
}

/// Raises the limit on descriptors as far as the system lets this process; how many there may be now.
pub fn raise_descriptors() -> u64 {
    #[cfg(unix)]
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "the limit on open files can't be raised");
    }
    descriptors()
}

/// Connections for which so many descriptors do.
fn connections_within(descriptors: u64) -> usize {
    let most = descriptors.saturating_sub(RESERVED).max(descriptors / 2).clamp(1, MOST);
    usize::try_from(most).unwrap_or(usize::MAX)
}

/// Answers on `listener` until `stopping` is cancelled. Requests under way are finished.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stopping: CancellationToken) {
    let room = Arc::new(Room::new(limits.connections));
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stopping.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_of_the_peer(&error) => continue,
            Err(error) => {
                // Most likely there is no descriptor left: one that nobody uses is given back.
                tracing::warn!(%error, "a connection could not be taken");
                drop(room.close_oldest());
                if stopping.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
                    break;
                }
                continue;
            }
        };
        let Some(place) = stopping.run_until_cancelled(room.place()).await else {
            break;
        };
        // Small answers go out at once: a clerk waits for them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "can't switch off Nagle's algorithm");
        }
        let connection = Connection {
            room: Arc::clone(&room),
            place,
            limits,
            stopping: stopping.clone(),
        };
        tasks.spawn(connection.attend(stream, peer, router.clone()));
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

/// Whether the one who called has hung up again.
fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

struct Connection {
    room: Arc<Room>,
    place: OwnedSemaphorePermit,
    limits: Limits,
    stopping: CancellationToken,
}

impl Connection {
    async fn attend(self, stream: TcpStream, peer: SocketAddr, router: Router) {
        let line = Arc::new(Line::default());
        let watched = Watched::new(stream, Arc::clone(&line), self.limits.answer);
        let service = service_fn(|request: Request<Incoming>| {
            let answering = Line::begin(&line);
            let mut request = request.map(|body| Body::new(Paced::new(body, self.limits.body)));
            request.extensions_mut().insert(ConnectInfo(peer));
            let router = router.clone();
            async move {
                let answer = router.oneshot(request).await?;
                Ok::<_, Infallible>(answer.map(|body| Answer::new(body, answering)))
            }
        });
        metrics::gauge!("counterfoil_connections").increment(1);
        // Its time-out for heads would count the time between requests as well.
        let connection = http1::Builder::new()
            .header_read_timeout(None)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(watched), service);
        let end = self.watch(&line, connection).await;
        metrics::gauge!("counterfoil_connections").decrement(1);
        metrics::counter!("counterfoil_connections_ended_total", "why" => end).increment(1);
        drop(self.place);
    }

    /// Drives a connection until it ends, or until nobody is to wait for it any longer; why it ended.
    async fn watch<F>(&self, line: &Arc<Line>, connection: F) -> &'static str
    where
        F: Future + Shutdown,
    {
        let mut connection = pin!(connection);
        let told = async {
            tokio::select! {
                () = line.close.cancelled() => "room",
                () = self.stopping.cancelled() => "stopping",
            }
        };
        let mut told = pin!(told);
        let mut is_told = None;
        let mut number = Some(self.room.enter(line));
        let mut seen = (0, Phase::Idle);
        let mut timer = pin!(tokio::time::sleep(self.limits.idle));
        let end = poll_fn(|context| {
            if connection.as_mut().poll(context).is_ready() {
                return Poll::Ready("peer");
            }
            // What it did shows only now: beginning and end of a request happen while it is polled.
            let stands = line.stands();
            if stands != seen {
                let (again, phase) = (stands.0 != seen.0, stands.1);
                seen = stands;
                if again && let Some(number) = number.take() {
                    self.room.leave(number);
                }
                if phase != Phase::Busy {
                    number.get_or_insert_with(|| self.room.enter(line));
                    let patience = match phase {
                        Phase::Head => self.limits.head,
                        _ => self.limits.idle,
                    };
                    timer.as_mut().reset(Instant::now() + patience);
                }
            }
            let is_busy = seen.1 == Phase::Busy;
            if is_told.is_none()
                && let Poll::Ready(why) = told.as_mut().poll(context)
            {
                is_told = Some(why);
                if is_busy {
                    connection.as_mut().shutdown();
                    // Whoever asked for its place needs another one's.
                    self.room.look_again();
                }
            }
            match is_told {
                Some(why) if !is_busy || planted!("busy_line_closed", true, false) => Poll::Ready(why),
                _ if !is_busy && timer.as_mut().poll(context).is_ready() => Poll::Ready(seen.1.as_str()),
                _ => Poll::Pending,
            }
        })
        .await;
        if let Some(number) = number {
            self.room.leave(number);
        }
        end
    }
}

/// What can be asked to end after the answer under way.
trait Shutdown {
    fn shutdown(self: Pin<&mut Self>);
}

impl<I, B, S> Shutdown for http1::Connection<I, S>
where
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: hyper::body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn shutdown(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_descriptors_are_kept_for_the_rest() {
        assert_eq!(connections_within(1_024), 768);
        assert_eq!(connections_within(1_048_576), 20_000);
        assert_eq!(connections_within(300), 150);
        assert_eq!(connections_within(0), 1);
    }
}
