//! What the simulator proves each time: seeds, what was once found, recordings, and how the kinds of steps are written.

#![expect(clippy::unwrap_used, reason = "a test that fails fails")]

mod formatted;
mod found;
mod recorded;
mod seeds;
