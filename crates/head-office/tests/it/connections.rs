//! Connections over real sockets: what is idle is closed, what is under way is not, and nobody holds one for ever by being
//! slow. Each test waits for what it is about; the limit on waiting only ends a test that has failed.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::ConnectInfo,
    routing::{get, post},
};
use counterfoil_head_office::http::connections::{Limits, Patience, serve};
use futures_core::Stream;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, Semaphore, mpsc},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::common::in_time;

const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(50);
const PATIENT: Patience = Patience {
    pause: LONG,
    altogether: LONG,
    bytes_per_second: 1,
};
/// Nothing ends by itself.
const PATIENT_ONLY: Limits = Limits {
    connections: 1_000,
    idle: LONG,
    head: LONG,
    body: PATIENT,
    answer: PATIENT,
};

struct Site {
    address: SocketAddr,
    stopping: CancellationToken,
    serving: JoinHandle<()>,
    /// Lets one `/slow` go on.
    go_on: Arc<Semaphore>,
    /// A `/slow` has begun.
    begun: Arc<Notify>,
    /// An `/endless` answer was given up.
    given_up: mpsc::UnboundedReceiver<()>,
}

/// An answer without end, that says when nobody sends it any more.
struct Endless(mpsc::UnboundedSender<()>);

impl Stream for Endless {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(Some(Ok(Bytes::from_static(&[b'x'; 65_536]))))
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

async fn site(limits: Limits) -> Site {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (go_on, begun) = (Arc::new(Semaphore::new(0)), Arc::new(Notify::new()));
    let (give_up, given_up) = mpsc::unbounded_channel();
    let (wait, tell) = (Arc::clone(&go_on), Arc::clone(&begun));
    let router = Router::new()
        .route(
            "/who",
            get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string()),
        )
        .route(
            "/slow",
            get(async move || {
                tell.notify_one();
                wait.acquire().await.unwrap().forget();
                "done"
            }),
        )
        .route(
            "/read",
            post(
                async |body: Result<Bytes, axum::extract::rejection::BytesRejection>| match body {
                    Ok(body) => body.len().to_string(),
                    Err(_) => "it did not come".to_owned(),
                },
            ),
        )
        .route(
            "/endless",
            get(async move || Body::from_stream(Endless(give_up.clone()))),
        );
    let stopping = CancellationToken::new();
    let serving = tokio::spawn(serve(listener, router, limits, stopping.clone()));
    Site {
        address,
        stopping,
        serving,
        go_on,
        begun,
        given_up,
    }
}

struct Caller(TcpStream);

impl Site {
    async fn call(&self) -> Caller {
        Caller(TcpStream::connect(self.address).await.unwrap())
    }
    /// A connection that was served and is idle.
    async fn idle(&self) -> Caller {
        let mut caller = self.call().await;
        caller.is_served().await;
        caller
    }
}

impl Caller {
    async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// One answer: its first line and its body.
    async fn answer(&mut self) -> (String, String) {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head.push(char::from(in_time(self.0.read_u8()).await.expect("hung up")));
        }
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        in_time(self.0.read_exact(&mut body)).await.unwrap();
        let first = head.lines().next().unwrap_or_default().to_owned();
        (first, String::from_utf8(body).unwrap())
    }

    async fn is_served(&mut self) {
        self.send("GET /who HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let (first, body) = self.answer().await;
        assert_eq!(first, "HTTP/1.1 200 OK");
        assert_eq!(body, self.0.local_addr().unwrap().to_string());
    }

    /// Waits until the other side has hung up, without another word.
    async fn is_closed(&mut self) {
        let mut more = Vec::new();
        // A reset says the same.
        let _ = in_time(self.0.read_to_end(&mut more)).await;
        assert_eq!(String::from_utf8_lossy(&more), "");
    }

    /// Whether it has been closed by now.
    fn is_open(&self) -> bool {
        let nothing = self.0.try_read(&mut [0]);
        matches!(nothing, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

#[tokio::test]
async fn what_is_idle_is_closed() {
    let site = site(Limits {
        idle: SHORT,
        ..PATIENT_ONLY
    })
    .await;
    // One that never asked, and one that did.
    let (mut silent, mut served) = (site.call().await, site.idle().await);
    silent.is_closed().await;
    served.is_closed().await;
}

#[tokio::test]
async fn a_head_that_comes_slowly_is_cut_off() {
    let site = site(Limits {
        head: SHORT,
        ..PATIENT_ONLY
    })
    .await;
    let mut other = site.idle().await;
    // The first request of a connection, and a later one.
    for mut caller in [site.call().await, site.idle().await] {
        caller.send("GET /who HTTP/1.1\r\n").await;
        // A byte now and then, for as long as it is taken.
        let (mut reader, mut writer) = caller.0.into_split();
        let drip = async {
            while writer.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let mut more = Vec::new();
        let end = async {
            let _ = reader.read_to_end(&mut more).await;
        };
        in_time(async { tokio::join!(drip, end) }).await;
        assert_eq!(more, b"");
    }
    other.is_served().await;
}

#[tokio::test]
async fn for_one_too_many_the_oldest_idle_one_is_closed() {
    let site = site(Limits {
        connections: 3,
        ..PATIENT_ONLY
    })
    .await;
    let (mut first, mut second, mut third) = (site.idle().await, site.idle().await, site.idle().await);
    // The first was used last.
    first.is_served().await;
    let mut fourth = site.idle().await;
    second.is_closed().await;
    let mut fifth = site.idle().await;
    third.is_closed().await;
    for caller in [&mut first, &mut fourth, &mut fifth] {
        assert!(caller.is_open());
        caller.is_served().await;
    }
}

#[tokio::test]
async fn what_is_under_way_is_never_closed_for_another() {
    let site = site(Limits {
        connections: 2,
        idle: SHORT,
        head: SHORT,
        ..PATIENT_ONLY
    })
    .await;
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut caller = site.call().await;
        caller.send("GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
        in_time(site.begun.notified()).await;
        slow.push(caller);
    }
    // There is no room, and nobody idle: the newcomer waits for one to end.
    let mut newcomer = site.call().await;
    newcomer.send("GET /who HTTP/1.1\r\nhost: x\r\n\r\n").await;
    for caller in &slow {
        assert!(caller.is_open());
    }
    site.go_on.add_permits(1);
    let (first, _) = newcomer.answer().await;
    assert_eq!(first, "HTTP/1.1 200 OK");
    site.go_on.add_permits(1);
    for caller in &mut slow {
        assert_eq!(caller.answer().await, ("HTTP/1.1 200 OK".into(), "done".into()));
    }
}

#[tokio::test]
async fn a_request_under_way_is_finished_though_nobody_is_let_in_any_more() {
    let site = site(PATIENT_ONLY).await;
    let (mut slow, mut idle) = (site.call().await, site.idle().await);
    slow.send("GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
    in_time(site.begun.notified()).await;
    site.stopping.cancel();
    idle.is_closed().await;
    assert!(!site.serving.is_finished());
    site.go_on.add_permits(1);
    assert_eq!(slow.answer().await, ("HTTP/1.1 200 OK".into(), "done".into()));
    slow.is_closed().await;
    in_time(site.serving).await.unwrap();
}

#[tokio::test]
async fn a_body_that_stops_or_drips_is_given_up() {
    let stops = Patience {
        pause: SHORT,
        ..PATIENT
    };
    let drips = Patience {
        altogether: SHORT,
        bytes_per_second: u32::MAX,
        ..PATIENT
    };
    for (body, drip) in [(stops, false), (drips, true)] {
        let site = site(Limits { body, ..PATIENT_ONLY }).await;
        let mut caller = site.call().await;
        caller
            .send("POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n{")
            .await;
        let (mut reader, mut writer) = caller.0.into_split();
        let sending = async {
            while drip && writer.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let mut answer = Vec::new();
        let hearing = async {
            let _ = reader.read_to_end(&mut answer).await;
        };
        in_time(async {
            tokio::select! {
                () = hearing => {}
                ((), ()) = async { (sending.await, std::future::pending().await) } => {}
            }
        })
        .await;
        assert!(
            String::from_utf8_lossy(&answer).ends_with("it did not come"),
            "{drip}: {}",
            String::from_utf8_lossy(&answer)
        );
    }
}

#[tokio::test]
async fn a_body_may_come_in_pieces_if_it_comes() {
    let body = Patience {
        pause: LONG,
        altogether: LONG,
        bytes_per_second: 4_096,
    };
    let site = site(Limits { body, ..PATIENT_ONLY }).await;
    let mut caller = site.call().await;
    caller
        .send("POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 200\r\n\r\n")
        .await;
    for _ in 0..200 {
        caller.send("x").await;
        tokio::task::yield_now().await;
    }
    assert_eq!(caller.answer().await, ("HTTP/1.1 200 OK".into(), "200".into()));
    caller.is_served().await;
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_given_up() {
    for answer in [
        Patience {
            pause: SHORT,
            ..PATIENT
        },
        Patience {
            altogether: SHORT,
            bytes_per_second: u32::MAX,
            ..PATIENT
        },
    ] {
        let mut site = site(Limits { answer, ..PATIENT_ONLY }).await;
        let mut caller = site.call().await;
        caller.send("GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await;
        in_time(site.given_up.recv()).await.unwrap();
        // What had been sent is there to read, and then there is no more.
        let mut sent = Vec::new();
        let _ = in_time(caller.0.read_to_end(&mut sent)).await;
        assert!(sent.starts_with(b"HTTP/1.1 200 OK"));
    }
}
