//! Stock: how much of an article a location has. Whatever changes what is on hand leaves a movement behind; folded from
//! the first one they give what is on hand.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    ids::{LocationId, StockId, StoreId},
    planted,
    time::Millis,
    transition::tables::{Fact, Row},
};

/// The most of one article at one location.
pub const MOST: i64 = 1_000_000_000;

/// Why what is on hand changed.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum MoveKind {
    /// Somebody counted it.
    Counted,
    /// Set right by hand, by so much.
    Adjusted,
    /// A member exchanged points for it.
    Exchanged,
    /// It came back, or never left.
    Returned,
}

/// Why something moves, and who moves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveCause {
    /// What kind of movement.
    pub kind: MoveKind,
    /// The exchange or the like; `None` = a person by hand.
    pub source: Option<Uuid>,
    /// The operator, clerk or member; `None` = the program itself.
    pub actor: Option<Uuid>,
    /// In their words.
    pub note: Option<Arc<str>>,
    /// When, by head office's clock.
    pub at: Millis,
}

/// How much of an article there is at a location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stock {
    /// Follows from location and sku, see [`StockId::of`].
    pub id: StockId,
    /// Where.
    pub location: LocationId,
    /// Of what.
    pub sku: String,
    /// How many lie there, >= 0.
    pub on_hand: i64,
    /// How many of them are promised to somebody who has not paid yet.
    pub reserved: i64,
    /// How often what is on hand changed: the number of its last movement.
    pub moves: i64,
    /// Grows by one with every stored change; 0 = not stored yet.
    pub version: i64,
}

/// A movement: what is on hand changed. None is ever changed or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Of which stock.
    pub stock: StockId,
    /// Its number within that, gapless from 1.
    pub number: i64,
    /// By how much.
    pub quantity: i64,
    /// What is on hand after it.
    pub after: i64,
    /// Why.
    pub cause: MoveCause,
}

impl Fact for Moved {}

/// Why stock can't be changed so. Nothing was changed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StockError {
    /// Fewer are there, or free.
    #[error("only {available} are available")]
    Short {
        /// How many are.
        available: i64,
    },
    /// More than [`MOST`].
    #[error("it would come to more than {MOST}")]
    TooMuch,
}

impl StockId {
    /// Stock has one row by construction.
    pub fn of(location: LocationId, sku: &str) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"stock\0");
        hasher.update(location.bytes());
        hasher.update(sku.as_bytes());
        let digest: [u8; 32] = hasher.finalize().into();
        let mut bytes = [0u8; 16];
        bytes.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        // Version 8: an id by a rule of one's own.
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

impl From<StoreId> for LocationId {
    fn from(store: StoreId) -> Self {
        Self(store.0)
    }
}

impl LocationId {
    /// The store that it is, where it is one.
    pub fn as_store(self) -> StoreId {
        StoreId(self.0)
    }
}

impl Row for Stock {
    type Key = StockId;
    type Version = i64;
    fn key(&self) -> StockId {
        self.id
    }
    fn version(&self) -> i64 {
        self.version
    }
}

impl Stock {
    /// Of what was never there.
    pub fn none(location: LocationId, sku: &str) -> Self {
        Self {
            id: StockId::of(location, sku),
            location,
            sku: sku.to_owned(),
            on_hand: 0,
            reserved: 0,
            moves: 0,
            version: 0,
        }
    }

    /// How many may be taken or promised.
    pub fn available(&self) -> i64 {
        self.on_hand - self.reserved
    }

    /// Takes so many that are available.
    ///
    /// # Errors
    /// [`StockError::Short`].
    pub fn take(&mut self, quantity: i64, cause: MoveCause) -> Result<Moved, StockError> {
        let available = self.available();
        if quantity > available && planted!("oversells", false, true) {
            return Err(StockError::Short { available });
        }
        self.moved(-quantity, cause)
    }

    /// Promises so many that are available.
    ///
    /// # Errors
    /// [`StockError::Short`].
    pub fn reserve(&mut self, quantity: i64) -> Result<(), StockError> {
        let available = self.available();
        if quantity > available {
            return Err(StockError::Short { available });
        }
        self.reserved += quantity;
        self.version += 1;
        Ok(())
    }

    /// Nobody is promised these any more.
    pub fn release(&mut self, quantity: i64) {
        self.reserved = (self.reserved - quantity).max(0);
        self.version += 1;
    }

    /// Takes so many that were promised.
    ///
    /// # Errors
    /// [`StockError::Short`] where fewer were.
    pub fn take_reserved(&mut self, quantity: i64, cause: MoveCause) -> Result<Moved, StockError> {
        if quantity > self.reserved {
            return Err(StockError::Short {
                available: self.reserved,
            });
        }
        self.reserved -= quantity;
        self.moved(-quantity, cause)
    }

    /// Moves what is on hand by so much: never below what is promised.
    ///
    /// # Errors
    /// [`StockError::Short`], [`StockError::TooMuch`].
    pub fn change(&mut self, quantity: i64, cause: MoveCause) -> Result<Moved, StockError> {
        let on_hand = self.on_hand.checked_add(quantity).ok_or(StockError::TooMuch)?;
        if on_hand < self.reserved {
            let available = self.available();
            return Err(StockError::Short { available });
        }
        if on_hand > MOST {
            return Err(StockError::TooMuch);
        }
        self.moved(quantity, cause)
    }

    fn moved(&mut self, quantity: i64, cause: MoveCause) -> Result<Moved, StockError> {
        self.on_hand = self.on_hand.checked_add(quantity).ok_or(StockError::TooMuch)?;
        self.moves += 1;
        self.version += 1;
        Ok(Moved {
            stock: self.id,
            number: self.moves,
            quantity,
            after: self.on_hand,
            cause,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cause(kind: MoveKind) -> MoveCause {
        MoveCause {
            kind,
            source: None,
            actor: None,
            note: None,
            at: 0,
        }
    }

    fn stock(on_hand: i64) -> Stock {
        let mut stock = Stock::none(LocationId(Uuid::from_u128(1)), "A-1");
        stock.change(on_hand, cause(MoveKind::Counted)).unwrap();
        stock
    }

    #[test]
    fn the_id_of_a_stock_follows_from_location_and_sku() {
        let (here, there) = (LocationId(Uuid::from_u128(1)), LocationId(Uuid::from_u128(2)));
        assert_eq!(StockId::of(here, "A-1"), StockId::of(here, "A-1"));
        assert_ne!(StockId::of(here, "A-1"), StockId::of(there, "A-1"));
        assert_ne!(StockId::of(here, "A-1"), StockId::of(here, "a-1"));
        assert_eq!(StockId::of(here, "A-1").0.get_version_num(), 8);
    }

    #[test]
    fn what_is_promised_is_not_taken_by_others() {
        let mut stock = stock(3);
        stock.reserve(2).unwrap();
        assert_eq!(stock.available(), 1);
        let before = stock.clone();
        let short = Err(StockError::Short { available: 1 });
        assert_eq!(stock.take(2, cause(MoveKind::Exchanged)), short);
        assert_eq!(stock.reserve(2).unwrap_err(), StockError::Short { available: 1 });
        assert_eq!(stock.change(-2, cause(MoveKind::Adjusted)), short);
        assert_eq!(stock, before);
        let moved = stock.take_reserved(1, cause(MoveKind::Exchanged)).unwrap();
        assert_eq!((moved.number, moved.quantity, moved.after), (2, -1, 2));
        stock.release(1);
        assert_eq!((stock.on_hand, stock.reserved, stock.available()), (2, 0, 2));
        assert_eq!(
            stock.take_reserved(1, cause(MoveKind::Exchanged)),
            Err(StockError::Short { available: 0 })
        );
    }

    #[test]
    fn there_is_a_most_of_everything() {
        let mut stock = stock(MOST);
        for more in [1, MOST, i64::MAX] {
            assert_eq!(
                stock.change(more, cause(MoveKind::Adjusted)),
                Err(StockError::TooMuch),
                "{more}"
            );
        }
        for less in [-MOST - 1, i64::MIN] {
            let done = stock.change(less, cause(MoveKind::Adjusted));
            assert_eq!(done, Err(StockError::Short { available: MOST }), "{less}");
        }
        assert_eq!(stock.on_hand, MOST);
    }

    proptest! {
        /// Whatever is done to it, what is on hand is the fold of its movements, and nothing is promised twice.
        #[test]
        fn on_hand_is_the_fold_of_its_movements(steps in prop::collection::vec((0..5_u8, -4..=9_i64), 0..60)) {
            let mut stock = Stock::none(LocationId(Uuid::from_u128(1)), "A-1");
            let mut moves: Vec<Moved> = Vec::new();
            for (step, n) in steps {
                let before = stock.version;
                let m = n.abs().max(1);
                let done = match step {
                    0 => stock.change(n, cause(MoveKind::Adjusted)).map(Some),
                    1 => stock.take(m, cause(MoveKind::Exchanged)).map(Some),
                    2 => stock.reserve(m).map(|()| None),
                    3 => stock.take_reserved(m, cause(MoveKind::Exchanged)).map(Some),
                    _ => {
                        let held = m.min(stock.reserved);
                        stock.release(held);
                        Ok(None)
                    }
                };
                prop_assert_eq!(stock.version, before + i64::from(done.is_ok()));
                moves.extend(done.ok().flatten());
                prop_assert!(stock.reserved >= 0 && stock.available() >= 0);
                prop_assert_eq!(stock.on_hand, moves.iter().map(|moved| moved.quantity).sum::<i64>());
                prop_assert!(moves.iter().map(|moved| moved.number).eq(1..=stock.moves));
                prop_assert_eq!(moves.last().map_or(0, |moved| moved.after), stock.on_hand);
            }
        }
    }
}
