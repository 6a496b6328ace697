//! What the simulator proves each time: seeds, what was once found, recordings.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that fails fails")]

mod found;
mod recorded;
mod seeds;
