//! Decoding, on pictures made here: drawn, then turned, bent, blurred, shaded, made noisy, always from the same seed.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, outside the functions that clippy knows as tests"
)]

mod beside;
mod limits;
mod properties;
mod reading;
mod scene;
