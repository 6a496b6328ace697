//! Requests to head office: signed, bounded in time and size, with every way of failing told apart.

use std::{net::IpAddr, sync::Arc, time::Duration};

use counterfoil_domain::{
    ids::{DeviceId, TenantId},
    text::plain,
    time::Millis,
};
use counterfoil_protocol::{
    problem::Problem,
    signing::{DEVICE, IDEMPOTENCY_KEY, SIGNATURE, Signed, TENANT, TIME},
};
use ed25519_dalek::SigningKey;
use reqwest::Method;
use serde::{Serialize, de::DeserializeOwned};
use url::{Host, Url};

pub use crate::error::Unanswered;
use crate::{
    error::{Error, Result},
    transport::{Outgoing, Transport},
};

/// Why a request did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// No answer.
    Unanswered(Unanswered),
    /// An answer that says no.
    Problem(Box<Problem>),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unanswered(why) => Self::Unanswered(why),
            Failure::Problem(problem) => Self::HeadOffice(problem),
        }
    }
}

/// Brings what people type to an address, without path and query. Where they leave the scheme out it is `https`, but
/// on this machine, which no certificate is made for, `http`.
///
/// # Errors
/// `address_invalid`.
pub fn parse_address(typed: &str) -> Result<Url> {
    let typed = plain(typed);
    let invalid = || Error::AddressInvalid(typed.chars().take(200).collect());
    let mut url = if typed.contains("://") {
        Url::parse(&typed).map_err(|_| invalid())?
    } else {
        let url = Url::parse(&format!("https://{typed}")).map_err(|_| invalid())?;
        match is_here(&url) {
            true => Url::parse(&format!("http://{typed}")).map_err(|_| invalid())?,
            false => url,
        }
    };
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none();
    if !plain {
        return Err(invalid());
    }
    url.set_query(None);
    url.set_fragment(None);
    url.set_path("");
    Ok(url)
}

fn is_here(address: &Url) -> bool {
    match address.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Whether others on the way can read along: plain http to anywhere but this machine or a private network.
pub fn is_exposed(address: &Url) -> bool {
    if address.scheme() == "https" {
        return false;
    }
    let private = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    };
    match address.host() {
        Some(Host::Ipv4(ip)) => !private(IpAddr::V4(ip)),
        Some(Host::Ipv6(ip)) => !private(IpAddr::V6(ip)),
        Some(Host::Domain(name)) => name != "localhost",
        None => true,
    }
}

/// Requests to head office. One for the whole counter.
#[derive(Debug, Clone)]
pub struct Http(Arc<dyn Transport>);

/// What a device signs with.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Head office.
    pub address: Url,
    /// The chain.
    pub tenant: TenantId,
    /// This device.
    pub device: DeviceId,
    /// Its private key.
    pub key: std::sync::Arc<SigningKey>,
}

/// How one request is sent.
#[derive(Debug, Clone, Copy)]
pub struct Sending<'a> {
    /// Head office's time as this device knows it.
    pub time: Millis,
    /// How long to wait for the whole answer.
    pub timeout: Duration,
    /// Names a question.
    pub idempotency_key: Option<&'a str>,
}

impl Http {
    /// Over this.
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self(transport)
    }

    /// Sends JSON without a signature: enrolment only.
    pub async fn post_unsigned<T: DeserializeOwned>(
        &self,
        address: &Url,
        path: &str,
        body: &impl Serialize,
        timeout: Duration,
    ) -> Result<T, Failure> {
        let body = write(body)?;
        self.send(address, Method::POST, path, body, timeout, Vec::new()).await
    }

    /// Sends signed JSON.
    pub async fn post<T: DeserializeOwned>(
        &self,
        who: &Credentials,
        path: &str,
        body: &impl Serialize,
        sending: Sending<'_>,
    ) -> Result<T, Failure> {
        self.signed(who, Method::POST, path, write(body)?, sending).await
    }

    /// Sends a signed DELETE.
    pub async fn delete<T: DeserializeOwned>(
        &self,
        who: &Credentials,
        path: &str,
        sending: Sending<'_>,
    ) -> Result<T, Failure> {
        self.signed(who, Method::DELETE, path, Vec::new(), sending).await
    }

    async fn signed<T: DeserializeOwned>(
        &self,
        who: &Credentials,
        method: Method,
        path: &str,
        body: Vec<u8>,
        sending: Sending<'_>,
    ) -> Result<T, Failure> {
        let signature = Signed {
            method: method.as_str(),
            path,
            tenant: who.tenant,
            device: who.device,
            time: sending.time,
            body: &body,
        }
        .sign(&who.key);
        let mut headers = vec![
            (TENANT, who.tenant.to_string()),
            (DEVICE, who.device.to_string()),
            (TIME, sending.time.to_string()),
            (SIGNATURE, signature),
        ];
        if let Some(key) = sending.idempotency_key {
            headers.push((IDEMPOTENCY_KEY, key.to_owned()));
        }
        self.send(&who.address, method, path, body, sending.timeout, headers)
            .await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        address: &Url,
        method: Method,
        path: &str,
        body: Vec<u8>,
        timeout: Duration,
        headers: Vec<(&'static str, String)>,
    ) -> Result<T, Failure> {
        let foreign = |what: String| Failure::Unanswered(Unanswered::Foreign(what));
        let url = address.join(path).map_err(|error| foreign(error.to_string()))?;
        let request = Outgoing {
            method,
            url,
            headers,
            body,
            timeout,
        };
        let answer = self.0.send(request).await.map_err(Failure::Unanswered)?;
        let status = answer.status;
        if (200..300).contains(&status) {
            return serde_json::from_slice(&answer.body).map_err(|error| foreign(format!("{status}: {error}")));
        }
        match serde_json::from_slice::<Problem>(&answer.body) {
            Ok(problem) => Err(Failure::Problem(Box::new(problem))),
            Err(_) => Err(foreign(format!("status {status} without a problem"))),
        }
    }
}

fn write(body: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(body).map_err(|error| Failure::Unanswered(Unanswered::Foreign(error.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_brought_to_one_form() {
        for (typed, address) in [
            ("hq.example.com", Some("https://hq.example.com/")),
            (" http://127.0.0.1:8080/console?x#y ", Some("http://127.0.0.1:8080/")),
            ("https://hq.example.com:8443", Some("https://hq.example.com:8443/")),
            ("127.0.0.1:18200", Some("http://127.0.0.1:18200/")),
            ("localhost:18200/console", Some("http://localhost:18200/")),
            ("[::1]:18200", Some("http://[::1]:18200/")),
            ("192.168.1.2:18200", Some("https://192.168.1.2:18200/")),
            ("１２７．０．０．１：１８２００", Some("http://127.0.0.1:18200/")),
            (
                "\u{feff}hq.example.com:443\u{200b}\r\n",
                Some("https://hq.example.com/"),
            ),
            ("https://127.0.0.1:18200", Some("https://127.0.0.1:18200/")),
            ("ftp://hq.example.com", None),
            ("https://me:secret@hq.example.com", None),
            ("", None),
            ("https://", None),
        ] {
            assert_eq!(parse_address(typed).ok().as_ref().map(Url::as_str), address, "{typed}");
        }
    }

    #[test]
    fn plain_http_over_the_internet_is_noticed() {
        for (address, exposed) in [
            ("https://hq.example.com", false),
            ("http://hq.example.com", true),
            ("http://8.8.8.8", true),
            ("http://127.0.0.1:1", false),
            ("http://localhost:1", false),
            ("http://192.168.1.2", false),
            ("http://[::1]:1", false),
        ] {
            assert_eq!(is_exposed(&parse_address(address).unwrap()), exposed, "{address}");
        }
    }
}
