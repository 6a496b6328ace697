//! What carries a request to head office and brings its answer back: HTTPS, or what a test puts in its place.

use std::{error::Error as StdError, fmt::Debug, future::Future, io, pin::Pin, sync::Arc, time::Duration};

use reqwest::{Method, header::CONTENT_TYPE};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
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
        let tls = tls().map_err(|error| Error::Internal(error.to_string()))?;
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
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

/// Whom to trust and what to encrypt with are the program's own: neither this machine's certificates nor what the
/// process may have set up for others count.
fn tls() -> Result<ClientConfig, rustls::Error> {
    let roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = ["h2", "http/1.1"].map(Into::into).to_vec();
    Ok(config)
}

/// Errors of TLS come within some of input and output, which are no causes of each other.
fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    error.is::<rustls::Error>() || within.is_some_and(|error| is_tls(error))
}

fn unanswered(error: &reqwest::Error) -> Unanswered {
    if error.is_timeout() {
        return Unanswered::TimedOut;
    }
    let mut words = error.to_string();
    let mut tls = false;
    let mut source = error.source();
    while let Some(cause) = source {
        words = cause.to_string();
        tls |= is_tls(cause);
        source = cause.source();
    }
    match (tls, error.is_connect()) {
        (true, _) => Unanswered::Tls(words),
        (false, true) => Unanswered::Unreachable(words),
        (false, false) => Unanswered::Broken(words),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        thread::{JoinHandle, spawn},
    };

    use base64::{Engine, engine::general_purpose::STANDARD};
    use rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivatePkcs8KeyDer},
        server::Acceptor,
    };

    use super::*;

    /// Signed by its own key alone, as an appliance has one; for `localhost`, until 2100.
    const CERTIFICATE: &str = "MIHwMIGjoAMCAQICAQEwBQYDK2VwMBQxEjAQBgNVBAMMCWxvY2FsaG9zdDAgFw0wMDAxMDEwMDAwMDBaGA8yMTAwMDEwMTAwMDAw\
        MFowFDESMBAGA1UEAwwJbG9jYWxob3N0MCowBQYDK2VwAyEA6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iyjGDAWMBQG\
        A1UdEQQNMAuCCWxvY2FsaG9zdDAFBgMrZXADQQAnXG74NfdKy5DAT5qF+j3FYxg6e8GgLkztmqrr554wCg85uUx4lkQgS7Q9Ka8V\
        ss1FWXzQ5/jGDYzAimfKMu8G";
    /// What comes before the 32 bytes of an Ed25519 key in PKCS #8.
    const KEY_BEGINS: [u8; 16] = [0x30, 46, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 34, 4, 32];

    /// What a client asked for before anything was encrypted.
    #[derive(Debug, PartialEq, Eq)]
    struct Hello {
        name: Option<String>,
        protocols: Vec<String>,
    }

    /// Takes one connection, with that certificate.
    fn appliance() -> (u16, JoinHandle<Hello>) {
        let key = PrivatePkcs8KeyDer::from([KEY_BEGINS.as_slice(), &[7; 32]].concat());
        let certificate = CertificateDer::from(STANDARD.decode(CERTIFICATE).unwrap());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key.into())
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut acceptor = Acceptor::default();
            let accepted = loop {
                assert_ne!(acceptor.read_tls(&mut stream).unwrap(), 0);
                if let Some(accepted) = acceptor.accept().unwrap() {
                    break accepted;
                }
            };
            let hello = accepted.client_hello();
            let hello = Hello {
                name: hello.server_name().map(str::to_owned),
                protocols: hello
                    .alpn()
                    .into_iter()
                    .flatten()
                    .map(|name| String::from_utf8_lossy(name).into_owned())
                    .collect(),
            };
            let mut connection = accepted.into_connection(Arc::new(config)).unwrap();
            // The client hangs up on it.
            while connection.is_handshaking() && connection.complete_io(&mut stream).is_ok() {}
            hello
        });
        (port, served)
    }

    #[tokio::test]
    async fn https_to_whoever_speaks_none_is_no_secure_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
            // Until the client hangs up.
            drop(stream.read_to_end(&mut Vec::new()));
        });
        let outgoing = Outgoing {
            method: Method::GET,
            url: format!("https://localhost:{port}/").parse().unwrap(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout: Duration::from_secs(30),
        };
        let answer = Network::new().unwrap().send(outgoing).await;
        assert!(matches!(answer, Err(Unanswered::Tls(_))), "{answer:?}");
        served.join().unwrap();
    }

    #[tokio::test]
    async fn a_certificate_that_nobody_vouches_for_is_no_secure_connection() {
        let (port, served) = appliance();
        let answer = Network::new()
            .unwrap()
            .send(Outgoing {
                method: Method::POST,
                url: format!("https://localhost:{port}/v1/sync").parse().unwrap(),
                headers: Vec::new(),
                body: b"{}".to_vec(),
                timeout: Duration::from_secs(30),
            })
            .await;
        let Err(Unanswered::Tls(words)) = answer else {
            panic!("{answer:?}");
        };
        assert!(words.contains("UnknownIssuer"), "{words}");
        let hello = served.join().unwrap();
        assert_eq!(hello.name.as_deref(), Some("localhost"));
        assert_eq!(hello.protocols, ["h2", "http/1.1"]);
    }
}
