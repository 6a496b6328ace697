//! Files of products, in whatever encoding.
#![no_main]

use std::collections::BTreeSet;

use counterfoil_head_office::products::import::{MOST_ROWS, decode, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some(text) = decode(bytes) else {
        return;
    };
    for currency in ["CNY", "JPY", "KWD"] {
        let (products, errors) = read(&text, currency);
        assert!(products.len() <= MOST_ROWS);
        if errors.is_empty() {
            let skus: BTreeSet<_> = products.iter().map(|product| &product.sku).collect();
            assert_eq!(skus.len(), products.len());
            assert!(
                products
                    .iter()
                    .all(|product| !product.sku.is_empty() && product.unit_price >= 0)
            );
        }
    }
});
