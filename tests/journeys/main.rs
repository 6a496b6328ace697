//! Journeys across real processes: head office, counters, the line between them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that fails fails"
)]

#[cfg(unix)]
mod at_rest;
mod claims;
mod offline_and_back;
mod parcels;
mod pickups;
mod race;
mod restore;
mod sales;
mod trouble;
