//! The chain's own site: told what happens to its orders and members, asked what became of a payment.
//!
//! A tenant has at most one address, set on head office's command line. Only that one is called, no redirect is
//! followed, no proxy of the environment is used, and at most [`ANSWER_BYTES`] of an answer are read. Each request is
//! signed with the tenant's key, so that the site knows who speaks:
//!
//! ```text
//! Counterfoil-Time: 1795000000000
//! Counterfoil-Id: 019aa8f0-…          the same when it is sent again
//! Counterfoil-Signature: v1=<hex>     HMAC-SHA256 over "v1\n<time>\n<id>\n" and the body
//! ```

mod capability;
pub mod notices;
pub mod rows;
pub mod setting;
pub(crate) mod tls;

pub use capability::CAPABILITY;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use counterfoil_domain::time::Millis;
use hmac::{Hmac, KeyInit, Mac};
use http::header::CONTENT_TYPE;
use reqwest::{Client, Url, redirect};
use sha2::Sha256;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::clock::Clock;

/// Header with the time of sending, UTC ms.
pub const TIME: &str = "counterfoil-time";
/// Header with the id of what is told.
pub const ID: &str = "counterfoil-id";
/// Header with the signature.
pub const SIGNATURE: &str = "counterfoil-signature";
/// Longest answer that is read.
pub const ANSWER_BYTES: usize = 16 * 1024;
/// How long the site may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it may take to be reached.
const CONNECT: Duration = Duration::from_secs(3);

/// Where a tenant's site is told and asked.
#[derive(Clone)]
pub struct Webhook {
    /// The address.
    pub url: Url,
    /// Key of the signatures.
    pub secret: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").finish_non_exhaustive()
    }
}

/// What calls sites; set once what is due at its time is done here.
pub type Calling = OnceLock<Caller>;

/// Why the site did not take it. Names no address: that may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SiteError {
    /// It was not reached, or did not answer in time.
    #[error("the site was not reached: {0}")]
    Unreached(String),
    /// It answered with this status.
    #[error("the site answered with status {0}")]
    Status(u16),
    /// TLS can't be set up.
    #[error("no TLS: {0}")]
    Tls(String),
    /// It said more than anybody asked.
    #[error("the site's answer is too long")]
    TooLong,
}

/// Calls sites.
#[derive(Debug, Clone)]
pub struct Caller {
    client: Client,
    clock: Arc<dyn Clock>,
}

impl Caller {
    /// Ready to call.
    ///
    /// # Errors
    /// When TLS can't be set up.
    pub fn new(clock: Arc<dyn Clock>) -> Result<Self, SiteError> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls::config().map_err(|error| SiteError::Tls(error.to_string()))?)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(PATIENCE)
            .connect_timeout(CONNECT)
            .user_agent(concat!("counterfoil/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| unreached(&error))?;
        Ok(Self { client, clock })
    }

    /// Sends a body and reads the answer.
    ///
    /// # Errors
    /// [`SiteError`]; whether the site has taken it is then unknown.
    pub async fn post(&self, webhook: &Webhook, id: Uuid, body: Vec<u8>) -> Result<Vec<u8>, SiteError> {
        let time = self.clock.now();
        let mut response = self
            .client
            .post(webhook.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(TIME, time)
            .header(ID, id.to_string())
            .header(SIGNATURE, sign(&webhook.secret, time, id, &body))
            .body(body)
            .send()
            .await
            .map_err(|error| unreached(&error))?;
        if !response.status().is_success() {
            return Err(SiteError::Status(response.status().as_u16()));
        }
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| unreached(&error))? {
            if answer.len() + chunk.len() > ANSWER_BYTES {
                return Err(SiteError::TooLong);
            }
            answer.extend_from_slice(&chunk);
        }
        Ok(answer)
    }
}

fn unreached(error: &reqwest::Error) -> SiteError {
    let what = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    };
    SiteError::Unreached(what.to_owned())
}

/// The signature of a request.
pub fn sign(secret: &[u8], time: Millis, id: Uuid, body: &[u8]) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else {
        return String::new();
    };
    mac.update(format!("v1\n{time}\n{id}\n").as_bytes());
    mac.update(body);
    format!("v1={}", hex::encode(mac.finalize().into_bytes()))
}

/// Reads an address that may be called: https, or http to a machine of one's own (this one, or by a private address).
///
/// # Errors
/// What is wrong with it.
pub fn address(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "it is no address")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds a user name or a password");
    }
    if url.fragment().is_some() {
        return Err("it ends in a fragment");
    }
    let Some(host) = url.host_str() else {
        return Err("it names no host");
    };
    let own = host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse()
            .is_ok_and(|ip: std::net::IpAddr| match ip {
                std::net::IpAddr::V4(ip) => ip.is_loopback() || ip.is_private(),
                std::net::IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local(),
            });
    match url.scheme() {
        "https" => Ok(url),
        "http" if own => Ok(url),
        "http" => Err("it is not encrypted: https is needed, except for a machine of your own"),
        _ => Err("it is neither https nor http"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_encrypted_address_or_an_own_machine_is_called() {
        for good in [
            "https://shop.example/counterfoil",
            "https://shop.example:8443/x?tenant=1",
            "http://127.0.0.1:9000/hook",
            "http://localhost/hook",
            "http://[::1]:9/hook",
            "http://10.1.2.3/hook",
        ] {
            assert!(address(good).is_ok(), "{good}");
        }
        for bad in [
            "shop.example",
            "http://shop.example/hook",
            "http://8.8.8.8/hook",
            "http://169.254.169.254/latest",
            "https://user:pass@shop.example/",
            "https://shop.example/#x",
            "file:///etc/passwd",
            "ftp://shop.example/",
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_signature_covers_time_id_and_body() {
        let id = Uuid::nil();
        let signature = sign(b"key", 7, id, b"{}");
        // Made with another program, as each site does.
        assert_eq!(
            signature,
            "v1=5c38d1e255acc36d801bf6e287cc4aeb22b37e9ca6908833095b957ec754bd1d"
        );
        assert_eq!(signature, sign(b"key", 7, id, b"{}"));
        for other in [
            sign(b"kex", 7, id, b"{}"),
            sign(b"key", 8, id, b"{}"),
            sign(b"key", 7, Uuid::max(), b"{}"),
            sign(b"key", 7, id, b"[]"),
        ] {
            assert_ne!(signature, other);
        }
    }
}
