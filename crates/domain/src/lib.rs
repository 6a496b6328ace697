//! The rules of Counterfoil, without I/O, clock or randomness of their own.
//!
//! Everything that decides lives here: whether a coupon may be honoured ([`verdict`]), what an operation does
//! ([`transition`]), how codes and tokens look ([`codes`], [`tokens`]). Head office, the counter and the simulator
//! run the same functions, so a rule is written once.
//!
//! Money is integer minor units, times are UTC milliseconds since 1970, ids are UUIDv7 newtypes.

pub mod code_policy;
pub mod codes;
pub mod coupons;
pub mod gifts;
pub mod ids;
pub mod money;
pub mod offline;
pub mod operations;
pub mod outbox;
pub mod people;
pub mod pickup_codes;
pub mod pickups;
pub mod planted;
pub mod points;
pub mod products;
pub mod sales;
pub mod scans;
pub mod settlement;
pub mod stock;
pub mod surplus;
pub mod text;
pub mod time;
pub mod tokens;
pub mod transition;
pub mod typed;
pub mod verdict;
pub mod words;
