//! Decoding, on pictures made here: drawn, then turned, bent, blurred, shaded, made noisy, always from the same seed.

mod limits;
mod properties;
mod reading;
mod scene;
