//! The line to one carrier: a time-out and a breaker around every question.

use std::{future::Future, sync::Arc, time::Duration};

use super::{Breaker, Carrier, CarrierError, Consignment, Label, Report, Tracked};
use crate::clock::Clock;

/// How long whoever asks waits for an answer.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// The line to one carrier.
#[derive(Debug, Clone)]
pub struct Line {
    carrier: Arc<dyn Carrier>,
    breaker: Arc<Breaker>,
    clock: Arc<dyn Clock>,
    /// How long whoever asks waits.
    pub patience: Duration,
}

impl Line {
    /// A new one.
    pub fn new(carrier: Arc<dyn Carrier>, clock: Arc<dyn Clock>, patience: Duration) -> Self {
        Self {
            carrier,
            breaker: Arc::default(),
            clock,
            patience,
        }
    }

    async fn ask<T>(
        &self,
        patience: Option<Duration>,
        question: impl Future<Output = Result<T, CarrierError>>,
    ) -> Result<T, CarrierError> {
        if !self.breaker.lets(self.clock.now()) {
            return Err(CarrierError::LeftAlone);
        }
        let answer = match patience {
            Some(patience) => tokio::select! {
                biased;
                answer = question => answer,
                () = self.clock.sleep(patience) => Err(CarrierError::Unclear("no answer in time")),
            },
            None => question.await,
        };
        let well = !answer.as_ref().is_err_and(CarrierError::is_trouble);
        self.breaker.ended(well, self.clock.now());
        answer
    }

    /// As [`Carrier::order`]. Its answer is waited for as long as the adapter does: who asks may go on long before, but
    /// a waybill that comes late has to be known of.
    ///
    /// # Errors
    /// [`CarrierError`].
    pub async fn order(&self, key: &str, what: &Consignment) -> Result<String, CarrierError> {
        self.ask(None, self.carrier.order(key, what)).await
    }

    /// Nobody waited for an answer any longer: that counts as a failure before it comes.
    pub fn gave_up(&self) {
        self.breaker.ended(false, self.clock.now());
    }

    /// As [`Carrier::find`].
    ///
    /// # Errors
    /// [`CarrierError`].
    pub async fn find(&self, key: &str) -> Result<Vec<String>, CarrierError> {
        self.ask(Some(self.patience), self.carrier.find(key)).await
    }

    /// As [`Carrier::cancel`].
    ///
    /// # Errors
    /// [`CarrierError`].
    pub async fn cancel(&self, number: &str) -> Result<(), CarrierError> {
        self.ask(Some(self.patience), self.carrier.cancel(number)).await
    }

    /// As [`Carrier::label`].
    ///
    /// # Errors
    /// [`CarrierError`].
    pub async fn label(&self, number: &str) -> Result<Label, CarrierError> {
        self.ask(Some(self.patience), self.carrier.label(number)).await
    }

    /// As [`Carrier::track`].
    ///
    /// # Errors
    /// [`CarrierError`].
    pub async fn track(&self, what: &Tracked) -> Result<Report, CarrierError> {
        self.ask(Some(self.patience), self.carrier.track(what)).await
    }

    /// As [`Carrier::subscribe`].
    ///
    /// # Errors
    /// [`CarrierError`].
    pub async fn subscribe(&self, what: &Tracked) -> Result<bool, CarrierError> {
        self.ask(Some(self.patience), self.carrier.subscribe(what)).await
    }

    /// Whether the carrier is left alone at the moment.
    pub fn is_left_alone(&self) -> bool {
        self.breaker.is_open(self.clock.now())
    }
}
