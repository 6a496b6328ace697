//! What a text is: the same when it is said again.
#![no_main]

use counterfoil_scan::{Format, MAX_TEXT, Scanned, Source, classify};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &str)| {
    let (source, text) = input;
    let source = match source % 6 {
        0 => Source::Typed,
        1 => Source::Pasted,
        2 => Source::Scanned,
        3 => Source::Symbol(Format::Ean8),
        4 => Source::Symbol(Format::Ean13),
        _ => Source::Symbol(Format::QrCode),
    };
    let found = classify(text, source);
    let (Scanned::Coupon(said)
    | Scanned::Pickup(said)
    | Scanned::Product(said)
    | Scanned::Token(said)
    | Scanned::Enrolment(said)
    | Scanned::Phone(said)
    | Scanned::Member(said)
    | Scanned::Unknown(said)) = &found;
    assert!(said.len() <= MAX_TEXT, "{} bytes", said.len());
    // Of a text that is too long only the beginning is shown, and that may look like something.
    if text.len() <= MAX_TEXT {
        // What the scanner said of the symbol is told by the form that was found.
        let source = match &found {
            Scanned::Product(digits) if digits.len() == 8 => Source::Symbol(Format::Ean8),
            _ => source,
        };
        assert_eq!(classify(said, source), found);
    }
});
