//! `counterfoil-syncd` from outside.

#![expect(clippy::unwrap_used, reason = "a test that fails fails")]

mod paths;
mod syncd;
