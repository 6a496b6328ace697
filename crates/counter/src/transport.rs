//! What carries a request to head office and brings its answer back: HTTPS, or what a test puts in its place.

use std::{error::Error as _, fmt::Debug, future::Future, pin::Pin, time::Duration};

use reqwest::{Method, header::CONTENT_TYPE};
use url::Url;

use crate::error::{Error, Result, Unanswered};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// No answer of head office is larger; whatever is, isn't head office.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

/// A request, ready to go out.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// `POST` or `DELETE`.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// Besides the type of the body.
    pub headers: Vec<(&'static str, String)>,
    /// JSON, or nothing.
    pub body: Vec<u8>,
    /// How long to wait for the whole answer.
    pub timeout: Duration,
}

/// An answer, whoever gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: Vec<u8>,
}

/// The future of an answer.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Result<Incoming, Unanswered>> + Send + 'a>>;

/// Carries requests.
pub trait Transport: Debug + Send + Sync {
    /// Sends one and waits for its answer.
    fn send(&self, request: Outgoing) -> Answering<'_>;
}

/// HTTP and HTTPS, by a pool of connections.
#[derive(Debug, Clone)]
pub struct Network(reqwest::Client);

impl Network {
    /// Builds the pool.
    ///
    /// # Errors
    /// When TLS can't be set up.
    pub fn new() -> Result<Self> {
        reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .pool_idle_timeout(Duration::from_secs(60))
            .tcp_keepalive(Duration::from_secs(15))
            .tcp_nodelay(true)
            .user_agent(concat!("counterfoil/", env!("CARGO_PKG_VERSION")))
            .build()
            .map(Self)
            .map_err(|error| Error::Internal(error.to_string()))
    }
}

impl Transport for Network {
    fn send(&self, outgoing: Outgoing) -> Answering<'_> {
        Box::pin(async move {
            let unanswered = |error: reqwest::Error| unanswered(&error);
            let mut request = self.0.request(outgoing.method, outgoing.url).timeout(outgoing.timeout);
            if !outgoing.body.is_empty() {
                request = request.header(CONTENT_TYPE, "application/json").body(outgoing.body);
            }
            for (name, value) in outgoing.headers {
                request = request.header(name, value);
            }
            let mut response = request.send().await.map_err(unanswered)?;
            let status = response.status().as_u16();
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(unanswered)? {
                if body.len() + chunk.len() > LARGEST_ANSWER {
                    return Err(Unanswered::Foreign(format!("more than {LARGEST_ANSWER} bytes")));
                }
                body.extend_from_slice(&chunk);
            }
            Ok(Incoming { status, body })
        })
    }
}

fn unanswered(error: &reqwest::Error) -> Unanswered {
    if error.is_timeout() {
        return Unanswered::TimedOut;
    }
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words = cause.to_string();
        source = cause.source();
    }
    // rustls errors reach us as text only, several layers down.
    let tls = ["certificate", "tls", "handshake"]
        .iter()
        .any(|word| words.to_ascii_lowercase().contains(word));
    match (tls, error.is_connect()) {
        (true, _) => Unanswered::Tls(words),
        (false, true) => Unanswered::Unreachable(words),
        (false, false) => Unanswered::Broken(words),
    }
}
