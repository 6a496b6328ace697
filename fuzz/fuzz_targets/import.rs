//! Files of products, of whatever kind and in whatever encoding.
#![no_main]

use std::collections::BTreeSet;

use counterfoil_head_office::products::import::{File, MOST_ROWS};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for currency in ["CNY", "JPY", "KWD"] {
        let Ok(file) = File::read(bytes, None) else {
            return;
        };
        let (products, errors) = file.alone(currency);
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
