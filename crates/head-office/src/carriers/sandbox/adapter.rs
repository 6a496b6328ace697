//! Speaks to the sandbox carrier.

use async_trait::async_trait;
use reqwest::{Client, RequestBuilder, Url};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    super::{
        Carrier, CarrierError, Consignment, Event, Label, Progress, Report, Tracked,
        web::{self, word},
    },
    server::NewOrder,
};

/// The adapter.
pub struct Sandbox {
    url: Url,
    token: Zeroizing<String>,
    client: Client,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Ordered {
    number: String,
}

#[derive(Deserialize)]
struct Found {
    numbers: Vec<String>,
}

#[derive(Deserialize)]
struct Told {
    progress: Progress,
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Nothing {}

/// What it says of a number that it does not know.
const UNKNOWN: &str = "unknown_waybill";
/// Longest number that is a waybill's.
const NUMBER_CHARACTERS: usize = 64;

fn is_number(number: &str) -> bool {
    (1..=NUMBER_CHARACTERS).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

impl Sandbox {
    /// Of the server at this address.
    pub fn new(url: Url, token: Zeroizing<String>, client: Client) -> Self {
        Self { url, token, client }
    }

    /// An address below the server's own.
    fn at(&self, path: &[&str]) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    fn signed(&self, request: RequestBuilder) -> RequestBuilder {
        request.bearer_auth(self.token.as_str())
    }
}

#[async_trait]
impl Carrier for Sandbox {
    async fn order(&self, key: &str, what: &Consignment) -> Result<String, CarrierError> {
        let new = NewOrder {
            key: key.to_owned(),
            consignment: what.clone(),
        };
        let request = self.signed(self.client.post(self.at(&["orders"])).json(&new));
        let Ordered { number } = web::send(request).await?.json()?;
        if !is_number(&number) {
            return Err(CarrierError::Unclear("the answer holds no number of a waybill"));
        }
        Ok(number)
    }

    async fn find(&self, key: &str) -> Result<Vec<String>, CarrierError> {
        let mut url = self.at(&["orders"]);
        url.query_pairs_mut().append_pair("key", key);
        let Found { numbers } = web::send(self.signed(self.client.get(url))).await?.json()?;
        if !numbers.iter().all(|number| is_number(number)) {
            return Err(CarrierError::Unclear("the answer holds no number of a waybill"));
        }
        Ok(numbers)
    }

    async fn cancel(&self, number: &str) -> Result<(), CarrierError> {
        if !is_number(number) {
            return Err(CarrierError::Refused("malformed".to_owned()));
        }
        let request = self.client.post(self.at(&["waybills", number, "cancel"]));
        match web::send(self.signed(request)).await?.json::<Nothing>() {
            Ok(Nothing {}) => Ok(()),
            // It has forgotten all of it: nothing is left to cancel.
            Err(CarrierError::Refused(word)) if word == UNKNOWN => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn label(&self, number: &str) -> Result<Label, CarrierError> {
        let request = self.client.get(self.at(&["waybills", number, "label"]));
        let came = web::send(self.signed(request)).await?;
        // A page is no label: whoever prints it would find out too late.
        let is_label = ["image/", "application/pdf"]
            .iter()
            .any(|kind| came.media_type.starts_with(kind));
        if came.status == 200 && is_label {
            return Ok(Label {
                media_type: word(&came.media_type),
                bytes: came.bytes,
            });
        }
        let refused = came.json::<Nothing>();
        Err(refused.map_or_else(|error| error, |_| CarrierError::Unclear("the answer is no label")))
    }

    async fn track(&self, what: &Tracked) -> Result<Report, CarrierError> {
        let request = self.client.get(self.at(&["waybills", &what.number, "track"]));
        let Told { progress, events } = web::send(self.signed(request)).await?.json()?;
        Ok(Report::new(progress, events))
    }
}
