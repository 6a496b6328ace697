//! How carriers are called over HTTP: one client, an answer of bounded length, and errors that name no address.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, redirect};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::CarrierError;
use crate::site::tls;

/// How long an answer may take at all: whoever asks is long gone, but a waybill that comes late has to be known of.
pub const LATEST: Duration = Duration::from_secs(600);
/// How long a carrier may take to be reached.
const CONNECT: Duration = Duration::from_secs(3);
/// Longest answer that is read.
const ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// A client of carriers. No redirect is followed: it may lead anywhere, with the secret in it.
///
/// # Errors
/// When TLS can't be set up.
pub fn client() -> Result<Client, String> {
    Client::builder()
        .tls_backend_preconfigured(tls::config().map_err(|error| error.to_string())?)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .timeout(LATEST)
        .connect_timeout(CONNECT)
        .user_agent(concat!("counterfoil/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| error.without_url().to_string())
}

/// Status, media type and body of an answer.
#[derive(Debug)]
pub struct Came {
    /// HTTP status.
    pub status: u16,
    /// Media type, without parameters.
    pub media_type: String,
    /// The body.
    pub bytes: Vec<u8>,
}

/// Sends a request and reads what comes.
///
/// # Errors
/// [`CarrierError::Unreached`] when nothing can have arrived, [`CarrierError::Unclear`] when something may have.
pub async fn send(request: RequestBuilder) -> Result<Came, CarrierError> {
    let mut response = request.send().await.map_err(|error| broken(&error))?;
    let status = response.status().as_u16();
    let media_type = response
        .headers()
        .get(reqwest::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(|value| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
        .unwrap_or_default();
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| broken(&error))? {
        if bytes.len() + chunk.len() > ANSWER_BYTES {
            return Err(CarrierError::Unclear("the answer is too long"));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Came {
        status,
        media_type,
        bytes,
    })
}

impl Came {
    /// The JSON that it is. A gateway's page in HTML, say, is none, and tells nothing of what was done behind it.
    ///
    /// # Errors
    /// [`CarrierError`].
    pub fn json<T: DeserializeOwned>(self) -> Result<T, CarrierError> {
        match self.status {
            200..=299 => serde_json::from_slice(&self.bytes)
                .map_err(|_| CarrierError::Unclear("the answer is not what was agreed upon")),
            400..=499 => match serde_json::from_slice::<Value>(&self.bytes) {
                Ok(said) => Err(CarrierError::Refused(word(said["error"].as_str().unwrap_or("refused")))),
                Err(_) => Err(CarrierError::Unclear("the answer is not what was agreed upon")),
            },
            _ => Err(CarrierError::Unclear("the carrier failed")),
        }
    }
}

/// A word of others, as it may be stored and shown.
pub fn word(said: &str) -> String {
    said.chars().filter(|letter| !letter.is_control()).take(80).collect()
}

fn broken(error: &reqwest::Error) -> CarrierError {
    if error.is_connect() || error.is_builder() {
        CarrierError::Unreached
    } else if error.is_timeout() {
        CarrierError::Unclear("no answer in time")
    } else {
        CarrierError::Unclear("the connection broke")
    }
}
