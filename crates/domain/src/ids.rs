//! A newtype per id, all made by one function. Ids are UUIDv7: made by the program, ordered by time.
//!
//! ```text
//! bytes 0 to 5      6              7              8               9 to 15
//! time, ms          7 | place      place | r      variant | r     r
//!                     its high 4   its low 6, 2   2, 6 bits       56 bits
//! ```
//!
//! The ten high bits of the twelve that a UUIDv7 calls `rand_a` say a [`Place`]; the other 64 are random (`r`).
//!
//! The id of a pickup order says besides where its rows are kept: byte 15 is its [`Shard`], and the version is 8 (RFC 9562,
//! section 5.8) so that orders from before there were shards, whose last byte says nothing, are told apart.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{pickup_codes::Shard, time::Millis};

/// The bytes are not an id: an id is exactly 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is 16 bytes, found {0}")]
pub struct NotAnId(pub usize);

/// Where a chain's work is done, once a chain is spread over nodes: 0 to 1023, 0 by default. See docs/SCALE.md.
///
/// It stands in ids because operations are signed with theirs: what is not in them now can never be put there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Place(u16);

/// The number is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a place is a number from 0 to 1023, found {0}")]
pub struct NoPlace(pub i64);

impl Place {
    /// Of a chain that is not spread, and of what belongs to a chain as a whole.
    pub const ZERO: Self = Self(0);
    /// The largest number of one.
    pub const LAST: u16 = 0x3ff;

    /// Its number, as databases and messages hold it.
    pub fn number(self) -> i64 {
        self.0.into()
    }

    /// The place that an id says. An id that is no UUIDv7 says none, which is place 0; one that was made before there
    /// were places says any.
    pub fn of(id: &Uuid) -> Self {
        Self::of_version(id, &[7])
    }

    /// The same for an order's id, which may be of version 8 too.
    fn of_order(id: &Uuid) -> Self {
        Self::of_version(id, &[7, SHARDED])
    }

    fn of_version(id: &Uuid, versions: &[usize]) -> Self {
        let bytes = id.as_bytes();
        if !versions.contains(&id.get_version_num()) {
            return Self::ZERO;
        }
        Self(u16::from(bytes[6] & 0x0f) << 6 | u16::from(bytes[7] >> 2))
    }
}

impl TryFrom<i64> for Place {
    type Error = NoPlace;
    fn try_from(number: i64) -> Result<Self, NoPlace> {
        u16::try_from(number)
            .ok()
            .filter(|number| *number <= Self::LAST)
            .map(Self)
            .ok_or(NoPlace(number))
    }
}

impl From<Place> for i64 {
    fn from(place: Place) -> Self {
        place.number()
    }
}

/// The version of ids that say a shard.
const SHARDED: usize = 8;

/// The one constructor of ids. `random` comes from the caller's source of randomness; ten of its bits give way.
pub fn make(place: Place, at: Millis, mut random: [u8; 10]) -> Uuid {
    let at = u64::try_from(at).unwrap_or(0);
    let [high, low] = (place.0 << 2).to_be_bytes();
    random[0] = high;
    random[1] = low | (random[1] & 0x03);
    uuid::Builder::from_unix_timestamp_millis(at, &random).into_uuid()
}

/// A part of what finds a row, as bytes one after the other.
pub trait KeyPart: Sized {
    /// Puts it at the end.
    fn write(&self, bytes: &mut Vec<u8>);
    /// Takes it from the front.
    fn take(bytes: &mut &[u8]) -> Option<Self>;
}

fn front<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (front, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*front)
}

impl KeyPart for Uuid {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.as_bytes());
    }
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        front(bytes).map(Self::from_bytes)
    }
}

impl KeyPart for i64 {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.to_be_bytes());
    }
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        front(bytes).map(Self::from_be_bytes)
    }
}

impl KeyPart for u32 {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.to_be_bytes());
    }
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        front(bytes).map(Self::from_be_bytes)
    }
}

macro_rules! ids {
    (@place) => { Place::of };
    (@place $place:ident) => { Place::$place };
    ($($(#[$doc:meta])* $name:ident $(by $place:ident)?),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id for this instant of what belongs to the chain as a whole; see [`make`].
            pub fn new(at: Millis, random: [u8; 10]) -> Self {
                Self::placed(Place::ZERO, at, random)
            }

            /// A new id for this instant of what belongs to a place: a store's for what happens there, a member's for
            /// what is theirs, and that of what it is about for a freeze. See [`make`].
            pub fn placed(place: Place, at: Millis, random: [u8; 10]) -> Self {
                Self(make(place, at, random))
            }

            /// The place that it says, see [`Place::of`].
            pub fn place(&self) -> Place {
                ids!(@place $($place)?)(&self.0)
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

        impl KeyPart for $name {
            fn write(&self, bytes: &mut Vec<u8>) {
                self.0.write(bytes);
            }
            fn take(bytes: &mut &[u8]) -> Option<Self> {
                Uuid::take(bytes).map(Self)
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
    OrderId by of_order,
    /// One signed write made on a device.
    OperationId,
    /// A reservation of a coupon, of points or of a pickup order.
    FreezeId,
    /// A message to members.
    MessageId,
    /// A message from one part of head office to another.
    OutgoingId,
    /// Something that members may have for points.
    GiftId,
    /// A member's exchange of points for a gift.
    ExchangeId,
    /// A store or a warehouse, as far as goods lie there.
    LocationId,
    /// How much of an article there is at a location.
    StockId,
    /// A case: something that happened in a shop and broke a rule.
    ExceptionId,
    /// An address in a member's book.
    AddressId,
    /// A shipping request: what is sent to somebody, in one parcel or several.
    ShipmentId,
    /// A parcel of a shipping request.
    ParcelId,
    /// One unbroken history of head office's database; a restore from a backup begins another.
    HistoryId,
}

impl OrderId {
    /// A new id for this instant of an order that waits in a store of this place and is kept in this shard.
    pub fn sharded(place: Place, shard: Shard, at: Millis, random: [u8; 10]) -> Self {
        let mut bytes = make(place, at, random).into_bytes();
        bytes[6] = 0x80 | (bytes[6] & 0x0f);
        bytes[15] = shard.byte();
        Self(Uuid::from_bytes(bytes))
    }

    /// Where it is kept. Orders from before there were shards are in the first one.
    pub fn shard(&self) -> Shard {
        let [.., last] = *self.0.as_bytes();
        match self.0.get_version_num() {
            SHARDED => Shard::try_from(last).unwrap_or_default(),
            _ => Shard::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AT: Millis = 1_795_000_000_000;

    #[test]
    fn place_nought_is_ten_bits_of_nothing() {
        let id = OperationId::new(AT, [0xff; 10]);
        assert_eq!(id, OperationId::placed(Place::ZERO, AT, [0xff; 10]));
        assert_eq!(id.to_string(), "01a1ee56-5e00-7003-bfff-ffffffffffff");
        assert_eq!(id.place(), Place::ZERO);
        assert_eq!(
            OperationId::new(AT, [0; 10]).to_string(),
            "01a1ee56-5e00-7000-8000-000000000000"
        );
    }

    #[test]
    fn a_place_stands_in_the_ten_high_bits_behind_the_version() {
        let id = |number: i64| MemberId::placed(number.try_into().unwrap(), AT, [0xff; 10]).to_string();
        assert_eq!(id(1), "01a1ee56-5e00-7007-bfff-ffffffffffff");
        assert_eq!(id(64), "01a1ee56-5e00-7103-bfff-ffffffffffff");
        assert_eq!(id(1023), "01a1ee56-5e00-7fff-bfff-ffffffffffff");
    }

    #[test]
    fn a_place_is_a_number_of_ten_bits() {
        for number in [-1, 1024, i64::from(u16::MAX) + 1, i64::MAX, i64::MIN] {
            assert_eq!(Place::try_from(number), Err(NoPlace(number)));
            assert!(serde_json::from_value::<Place>(number.into()).is_err());
        }
        assert_eq!(serde_json::to_string(&Place::default()).unwrap(), "0");
    }

    #[test]
    fn what_is_no_uuid_of_version_7_says_no_place() {
        for id in [
            Uuid::nil(),
            Uuid::max(),
            uuid::Builder::from_custom_bytes([0xff; 16]).into_uuid(),
        ] {
            assert_eq!(Place::of(&id), Place::ZERO);
        }
    }

    #[test]
    fn a_batchs_coupons_have_its_place() {
        let batch = BatchId::placed(Place(700), AT, [0xff; 10]);
        assert_eq!(batch.coupon(u32::MAX).place(), Place(700));
    }

    proptest! {
        #[test]
        fn an_orders_id_says_its_shard(number in 0..100_u8, place in 0..=1023_i64, at in 0..1_i64 << 48, random: [u8; 10]) {
            let (place, shard) = (Place::try_from(place).unwrap(), Shard::try_from(number).unwrap());
            let id = OrderId::sharded(place, shard, at, random);
            prop_assert_eq!((id.place(), id.shard()), (place, shard));
            prop_assert_eq!(id.0.get_variant(), uuid::Variant::RFC4122);
            // All but the version and the last byte is as in any other id.
            let plain = OrderId::placed(place, at, random);
            prop_assert_eq!((plain.place(), plain.shard()), (place, Shard::ZERO));
            prop_assert_eq!(id.0.as_bytes()[..6].to_vec(), plain.0.as_bytes()[..6].to_vec());
            prop_assert_eq!(id.0.as_bytes()[7..15].to_vec(), plain.0.as_bytes()[7..15].to_vec());
        }

        #[test]
        fn a_place_is_read_back_and_all_else_stays(number in 0..=1023_i64, at in 0..1_i64 << 48, random: [u8; 10]) {
            let place = Place::try_from(number).unwrap();
            let id = make(place, at, random);
            prop_assert_eq!(Place::of(&id).number(), number);
            prop_assert_eq!(id.get_version_num(), 7);
            prop_assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
            prop_assert_eq!(id.as_u128() >> 80, u128::try_from(at).unwrap());
            prop_assert_eq!(id.as_bytes()[7] & 3, random[1] & 3);
            prop_assert_eq!(&id.as_bytes()[9..], &random[3..]);
            // In one millisecond ids are ordered by place.
            let next = make(Place::try_from((number + 1).min(1023)).unwrap(), at, random);
            prop_assert!(id <= next);
        }
    }
}
