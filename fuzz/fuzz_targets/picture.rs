//! Pictures: whatever a file claims to be, it is read within the limits or refused.
#![no_main]

use counterfoil_scan::{Effort, PictureLimits, decode_with};
use libfuzzer_sys::fuzz_target;

const LIMITS: PictureLimits = PictureLimits {
    max_bytes: 100_000,
    max_pixels: 60_000,
};

fuzz_target!(
    // A codec that panics is caught and is a bad picture; only what is not caught counts.
    init: drop(std::panic::take_hook()),
    |bytes: &[u8]| {
        if let Ok(symbols) = decode_with(bytes, &LIMITS, Effort::Quick) {
            assert!(symbols.iter().all(|symbol| !symbol.text.is_empty()));
        }
    }
);
