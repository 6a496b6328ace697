//! The fixtures of the crate's feature `testing`.

pub use counterfoil_head_office::testing::*;
