//! Shipping: from a request to send something to somebody, over parcels and waybills, to how far each parcel is.
//!
//! A shipping request is made by a message ([`ShipRequest`]), once for each source. It has a parcel from the beginning,
//! and a waybill is ordered for it at once, before anybody packs. What is to be done at the carrier is an *errand* of the
//! parcel's *generation*, done by whichever process has the role ([`errands`]); parcel and generation are our own key at
//! the carrier. Whatever the carrier was told that holds no longer is cancelled there first, and only then there is
//! another generation.

pub mod addresses;
mod callback;
mod capability;
mod change;
mod consumer;
pub mod errands;
mod http;
mod members;
mod requests;
pub mod rows;
mod rules;
mod shown;
pub mod tracking;
mod warehouse;

pub use capability::CAPABILITY;
use counterfoil_domain::{
    gifts,
    ids::{MemberId, ParcelId},
    words::Word,
};
pub use requests::create;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Topic of the messages that ask for something to be sent.
pub const TOPIC_SHIP: &str = "ship";
/// Topic of the messages that say what became for good of something that an exchange sent.
pub const TOPIC_SETTLED: &str = "settled";

/// Most lines of a request.
pub const LINES: usize = 200;
/// Most pieces of a line.
pub const QUANTITY: i64 = 10_000;
/// Longest number of a source.
const SOURCE_CHARACTERS: usize = 64;
/// Longest name, phone number and sku; longest part of an address.
const SHORT_CHARACTERS: usize = 80;
const LONG_CHARACTERS: usize = 200;

/// What asks for something to be sent. The words never change: they are stored.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    ToSchema,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ShipmentKind {
    /// An order that was paid at the chain's own site.
    Purchase,
    /// A gift for points.
    Exchange,
}

/// Where something goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// Who gets it.
    #[schema(min_length = 1, max_length = 80)]
    pub recipient: String,
    /// Their phone number.
    #[schema(min_length = 5, max_length = 32)]
    pub phone: String,
    /// Province, city, district.
    #[schema(min_length = 1, max_length = 80)]
    pub region: String,
    /// Street, house, door.
    #[schema(min_length = 1, max_length = 200)]
    pub street: String,
}

impl From<Address> for gifts::Address {
    fn from(address: Address) -> Self {
        let Address {
            recipient,
            phone,
            region,
            street,
        } = address;
        Self {
            recipient,
            phone,
            region,
            street,
        }
    }
}

/// Pieces of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShipLine {
    /// The sku.
    #[schema(min_length = 1, max_length = 80)]
    pub sku: String,
    /// What it is called on packing lists and labels.
    #[schema(min_length = 1, max_length = 200)]
    pub name: String,
    /// How many.
    #[schema(minimum = 1, maximum = 10_000)]
    pub quantity: i64,
}

/// The body of a message of [`TOPIC_SHIP`]; its key and its source are [`ShipRequest::key`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipRequest {
    /// What asks for it.
    pub kind: ShipmentKind,
    /// Which: the exchange, or the number of the order.
    pub source: String,
    /// Whose it is, if anybody knows.
    pub member: Option<MemberId>,
    /// What is sent.
    pub lines: Vec<ShipLine>,
    /// Where to, as it stood when it was asked for.
    pub address: Address,
}

impl ShipRequest {
    /// What messages about it are ordered by, and named by.
    pub fn key(&self) -> String {
        key(self.kind, &self.source)
    }
}

/// As [`ShipRequest::key`].
pub fn key(kind: ShipmentKind, source: &str) -> String {
    format!("{}:{source}", kind.as_str())
}

/// What became of a parcel for good.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, strum::IntoStaticStr, strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Outcome {
    /// The goods are back, or never left.
    Returned,
    /// They are gone.
    Lost,
}

/// The body of a message of [`TOPIC_SETTLED`]: what an exchange sent will not arrive. One for each `id`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// What was booked: a parcel, or a request for what was never put into one.
    pub id: Uuid,
    /// As in [`ShipRequest`].
    pub kind: ShipmentKind,
    /// As in [`ShipRequest`].
    pub source: String,
    /// Whether the goods are back.
    pub outcome: Outcome,
    /// What it is about: with part shipments not all that was ordered.
    pub lines: Vec<ShipLine>,
}

/// Our own key at the carrier for a generation of a parcel.
pub fn carrier_key(parcel: ParcelId, generation: i64) -> String {
    format!("{parcel}.{generation}")
}

/// Rung when there is something to do at a carrier.
#[derive(Debug, Default)]
pub struct Bell(pub tokio::sync::Notify);
