//! Files of products, in whatever encoding.
#![no_main]

use counterfoil_head_office::products::import::{MOST_ROWS, decode, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some(text) = decode(bytes) else {
        return;
    };
    for currency in ["CNY", "JPY", "KWD"] {
        let (products, errors) = read(&text, currency);
        assert!(products.len() <= MOST_ROWS);
        // A file says something, or what is wrong with it.
        let rows = text.lines().skip(1).filter(|line| !line.trim().is_empty()).count();
        assert!(rows == 0 || !products.is_empty() || !errors.is_empty());
    }
});
