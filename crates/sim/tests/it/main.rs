//! What the simulator proves each time: seeds, what was once found, recordings.

#![expect(clippy::unwrap_used, reason = "a test that fails fails")]

mod found;
mod recorded;
mod seeds;
