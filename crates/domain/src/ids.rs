//! A newtype per id, all from one place. Ids are UUIDv7: made by the program, ordered by time.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::Millis;

/// The bytes are not an id: an id is exactly 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is 16 bytes, found {0}")]
pub struct NotAnId(pub usize);

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id for this instant; `random` comes from the caller's source of randomness.
            pub fn new(at: Millis, random: [u8; 10]) -> Self {
                let at = u64::try_from(at).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(at, &random).into_uuid())
            }

            /// The 16 bytes, as databases and signatures hold them.
            pub fn bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// Reads the 16 bytes back.
            ///
            /// # Errors
            /// [`NotAnId`] when there are not exactly 16.
            pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotAnId> {
                Uuid::from_slice(bytes).map(Self).map_err(|_| NotAnId(bytes.len()))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                s.parse().map(Self)
            }
        }
    )+};
}

ids! {
    /// One chain.
    TenantId,
    /// One shop.
    StoreId,
    /// One enrolled counter or sync daemon.
    DeviceId,
    /// A person with a PIN at a store.
    ClerkId,
    /// A person of head office.
    OperatorId,
    /// A customer.
    MemberId,
    /// A coupon rule; versions share the id.
    TemplateId,
    /// A numbered issue of a template version.
    BatchId,
    /// One member's coupon.
    CouponId,
    /// Coupons that the chain gives to many members without being asked.
    GrantId,
    /// Work that head office does in the background.
    JobId,
    /// Goods waiting in a store.
    OrderId,
    /// One signed write made on a device.
    OperationId,
    /// A reservation of a coupon, of points or of a pickup order.
    FreezeId,
    /// A message to members.
    MessageId,
    /// A case: something that happened in a shop and broke a rule.
    ExceptionId,
    /// One unbroken history of head office's database; a restore from a backup begins another.
    HistoryId,
}
