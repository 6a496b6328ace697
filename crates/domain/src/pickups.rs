//! Pickup orders: goods waiting in a store.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{DeviceId, FreezeId, MemberId, OperationId, OrderId, StoreId},
    surplus::Surplus,
    time::Millis,
};

/// The number by which people know an order: 1 to 64 bytes that can be printed, blanks at neither end. It is what it is,
/// letter by letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderNumber {
    length: u8,
    bytes: [u8; Self::MOST],
}

impl OrderNumber {
    /// Most bytes of one.
    pub const MOST: usize = 64;

    /// The number that a text is; `None` when it is none.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let fits = !text.is_empty() && !text.chars().any(char::is_control);
        let mut bytes = [0; Self::MOST];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        let length = u8::try_from(text.len()).ok()?;
        fits.then_some(Self { length, bytes })
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.length)).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

/// One product of a pickup order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLine {
    /// Article.
    pub sku: String,
    /// Chinese name.
    pub name_zh: String,
    /// English name.
    pub name_en: String,
    /// Units, at least 1.
    pub quantity: i64,
    /// Price of one unit, minor units: what a wrong hand-over costs.
    pub unit_price: i64,
}

/// A freeze on an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderFreeze {
    /// Which.
    pub freeze: FreezeId,
    /// Deadline; past it the freeze holds nothing.
    pub until: Millis,
    /// Who took it.
    pub device: DeviceId,
}

/// Where a pickup order stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(tag = "state", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum OrderState {
    /// Waiting in the store.
    Ready {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        freeze: Option<OrderFreeze>,
    },
    /// Handed over by one operation.
    Collected {
        operation: OperationId,
        at: Millis,
        /// Where. The order itself has a field `store` beside it.
        #[serde(rename = "collected_in")]
        store: StoreId,
    },
    /// Sent back to the warehouse.
    Returned,
    /// Called off.
    Cancelled,
}

impl OrderState {
    /// The word in databases and messages.
    pub fn as_str(&self) -> &'static str {
        self.into()
    }
}

/// Goods waiting in a store for a member or a courier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// The order number people know.
    pub number: String,
    /// Its pickup code; unique within the tenant among orders not yet collected.
    pub code: String,
    /// The store where it waits.
    pub store: StoreId,
    /// Whose it is.
    pub member: Option<MemberId>,
    /// Who may collect, in words.
    pub collector: String,
    /// Until when it waits; `None` = open.
    pub deadline: Option<Millis>,
    /// What waits.
    pub lines: Vec<OrderLine>,
    /// Where it stands.
    #[serde(flatten)]
    pub state: OrderState,
    /// Grows by one with every stored change.
    pub version: i64,
    /// Hand-overs beyond the one that counts, in the order of their arrival.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub surplus: Vec<Surplus>,
    /// Stores that were told of it and that nothing else says would be told: kept at head office alone.
    #[serde(skip)]
    pub told: Vec<StoreId>,
}

impl Order {
    /// The freeze that holds it at this instant, if any.
    pub fn frozen_by(&self, now: Millis) -> Option<OrderFreeze> {
        match self.state {
            OrderState::Ready { freeze: Some(freeze) } if now < freeze.until => Some(freeze),
            _ => None,
        }
    }

    /// The hand-over that counts because the freeze it was made over has lapsed since.
    pub fn collected_beside_lapsed(&self, now: Millis) -> Option<&Surplus> {
        match self.state {
            OrderState::Ready { freeze: Some(held) } if now >= held.until => self.surplus.first(),
            _ => None,
        }
    }

    /// What the goods are worth, minor units; saturates rather than wraps.
    pub fn worth(&self) -> i64 {
        self.lines.iter().fold(0i64, |sum, line| {
            sum.saturating_add(line.unit_price.saturating_mul(line.quantity))
        })
    }
}
