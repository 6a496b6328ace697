//! Carriers: who takes parcels, what they are asked, and how they are kept from holding anybody up.
//!
//! A carrier is asked through its [`Line`]: every question has a time-out, and a carrier that keeps failing is left alone
//! for a while ([`Breaker`]). Which carriers a chain has is said on head office's command line ([`setting`]); their
//! secrets stand in the database, as the key of the chain's own site does, and in no log, error or address.

mod breaker;
pub mod kuaidi100;
mod line;
mod progress;
pub mod registry;
pub mod rows;
pub mod sandbox;
pub mod setting;
#[cfg(test)]
mod tests;
mod web;

use async_trait::async_trait;
pub use breaker::Breaker;
pub use line::{Line, PATIENCE};
pub use progress::{Event, Progress, Report};
pub use registry::Registry;

/// What a carrier is to take, and where to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Consignment {
    /// Who gets it.
    pub recipient: String,
    /// Their phone number.
    pub phone: String,
    /// Province, city, district.
    pub region: String,
    /// Street, house, door.
    pub street: String,
    /// What is in it, and how many pieces.
    pub goods: Vec<Goods>,
}

/// A line of a consignment.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Goods {
    /// What it is called.
    pub name: String,
    /// How many.
    pub quantity: i64,
}

/// A label to be printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Its media type.
    pub media_type: String,
    /// The picture or document.
    pub bytes: Vec<u8>,
}

/// What is to be found out about a waybill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracked {
    /// The company that carries it, by the code that aggregators know it by: `shunfeng`.
    pub company: String,
    /// Its number.
    pub number: String,
    /// The recipient's phone number: some carriers tell nothing without its last digits.
    pub phone: String,
}

/// Why a carrier did not do it. Names no address and no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CarrierError {
    /// It was not reached: nothing was done.
    #[error("the carrier was not reached")]
    Unreached,
    /// Nobody knows whether it was done: `what` happened on the way.
    #[error("nobody knows what the carrier did: {0}")]
    Unclear(&'static str),
    /// It says no, by this word of its own.
    #[error("the carrier refuses: {0}")]
    Refused(String),
    /// It is left alone for a while, since it failed again and again: nothing was asked.
    #[error("the carrier is left alone for a while")]
    LeftAlone,
    /// This carrier does not do that.
    #[error("this carrier does not do that")]
    NotOffered,
}

impl CarrierError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreached => "carrier_unreached",
            Self::Unclear(_) => "carrier_unclear",
            Self::Refused(_) => "carrier_refused",
            Self::LeftAlone => "carrier_left_alone",
            Self::NotOffered => "carrier_not_offered",
        }
    }

    /// Whether it is the carrier's trouble, rather than its answer.
    fn is_trouble(&self) -> bool {
        matches!(self, Self::Unreached | Self::Unclear(_))
    }
}

/// A carrier. Each question ends by itself in bounded time; what it came to may still be [`CarrierError::Unclear`].
#[async_trait]
pub trait Carrier: std::fmt::Debug + Send + Sync {
    /// Orders a waybill; `key` is our own name for it, by which it is found again.
    ///
    /// # Errors
    /// [`CarrierError`].
    async fn order(&self, key: &str, what: &Consignment) -> Result<String, CarrierError> {
        let _ = (key, what);
        Err(CarrierError::NotOffered)
    }

    /// The waybills that were ordered under our own key and are not cancelled, first ordered first.
    ///
    /// # Errors
    /// [`CarrierError`].
    async fn find(&self, key: &str) -> Result<Vec<String>, CarrierError> {
        let _ = key;
        Err(CarrierError::NotOffered)
    }

    /// Cancels a waybill; one that is cancelled already stays so.
    ///
    /// # Errors
    /// [`CarrierError`]; it refuses what it has collected.
    async fn cancel(&self, number: &str) -> Result<(), CarrierError> {
        let _ = number;
        Err(CarrierError::NotOffered)
    }

    /// The label of a waybill.
    ///
    /// # Errors
    /// [`CarrierError`].
    async fn label(&self, number: &str) -> Result<Label, CarrierError> {
        let _ = number;
        Err(CarrierError::NotOffered)
    }

    /// Where a waybill's parcel is.
    ///
    /// # Errors
    /// [`CarrierError`].
    async fn track(&self, what: &Tracked) -> Result<Report, CarrierError>;

    /// Asks to be told of every change by itself; false when this carrier tells nobody.
    ///
    /// # Errors
    /// [`CarrierError`].
    async fn subscribe(&self, what: &Tracked) -> Result<bool, CarrierError> {
        let _ = what;
        Ok(false)
    }
}
