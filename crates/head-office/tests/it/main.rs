//! Head office from outside: its engine, its API, its program, on both engines.
//!
//! One program, since what takes long is to link it. Only what needs a process to itself is another: `plans` hears every
//! statement of its process, and `spans` every span.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that fails fails"
)]

mod api;
mod callers;
mod catalogue;
mod claims;
mod claims_http;
mod clients;
mod command_line;
mod common;
mod connections;
mod counters;
mod described;
mod engine;
mod fulfilment;
mod gifts;
mod messages;
mod orders;
mod outbox;
mod paths;
mod pickups;
mod points;
mod program;
mod quoting;
mod sales;
mod scale;
mod serve;
mod typed;
mod verify;
