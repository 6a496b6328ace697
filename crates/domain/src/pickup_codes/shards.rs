//! Where the rows of a pickup order are kept.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ids::{MemberId, TenantId};

/// Where an order and its code are kept: `database * tables + table`, 0 to 99. A code says it, and the order's id too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Shard(u8);

/// The number is no shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a shard is a number from 0 to 99, found {0}")]
pub struct NoShard(pub u8);

impl Shard {
    /// Of a chain that is not spread.
    pub const ZERO: Self = Self(0);
    /// How many there can be.
    pub const MOST: u8 = 100;

    /// Its number, as databases hold it.
    pub fn number(self) -> i64 {
        self.0.into()
    }

    /// The byte that an order's id holds.
    pub fn byte(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Shard {
    type Error = NoShard;
    fn try_from(number: u8) -> Result<Self, NoShard> {
        if number < Self::MOST {
            Ok(Self(number))
        } else {
            Err(NoShard(number))
        }
    }
}

impl From<Shard> for u8 {
    fn from(shard: Shard) -> Self {
        shard.0
    }
}

/// How many shards a chain's orders are spread over: so many databases with so many tables each, 1 to 10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shards {
    /// Databases.
    pub databases: u8,
    /// Tables of each.
    pub tables: u8,
}

impl Default for Shards {
    fn default() -> Self {
        Self {
            databases: 1,
            tables: 1,
        }
    }
}

/// What says where an order is kept, so that it is found again without looking everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner<'a> {
    /// The member whose it is.
    Member(MemberId),
    /// Its number, where it is nobody's.
    Number(&'a str),
}

impl Shards {
    /// How many there are.
    pub fn count(self) -> u8 {
        self.databases.saturating_mul(self.tables).min(Shard::MOST)
    }

    /// Whether there is one at all, and no more than ten of each.
    pub fn is_sound(self) -> bool {
        (1..=10).contains(&self.databases) && (1..=10).contains(&self.tables)
    }

    /// The shard of a database and a table; `None` where there is no such one.
    pub fn at(self, database: u8, table: u8) -> Option<Shard> {
        (database < self.databases && table < self.tables)
            .then(|| Shard::try_from(database * self.tables + table).ok())
            .flatten()
    }

    /// The shard with this flat number; `None` where there are not so many.
    pub fn flat(self, number: u8) -> Option<Shard> {
        (number < self.count()).then_some(Shard(number))
    }

    /// Database and table of a shard.
    pub fn place(self, shard: Shard) -> (u8, u8) {
        let tables = self.tables.max(1);
        (shard.0 / tables, shard.0 % tables)
    }

    /// Every one of them.
    pub fn all(self) -> impl Iterator<Item = Shard> {
        (0..self.count()).map(Shard)
    }

    /// Where an order of this owner is kept: a hash of tenant and owner, so that all orders of a member lie together.
    pub fn of(self, tenant: TenantId, owner: Owner<'_>) -> Shard {
        let mut hasher = Sha256::new();
        hasher.update(b"shard\0");
        hasher.update(tenant.bytes());
        match owner {
            Owner::Member(member) => {
                hasher.update([1]);
                hasher.update(member.bytes());
            }
            Owner::Number(number) => {
                hasher.update([2]);
                hasher.update(number.as_bytes());
            }
        }
        let digest = hasher.finalize();
        let word = digest.iter().take(8).fold(0, |word, byte| word << 8 | u64::from(*byte));
        let count = u64::from(self.count().max(1));
        Shard(u8::try_from(word % count).unwrap_or(0))
    }
}
