//! Which product a text means. One order of precedence, for the desk and wherever else somebody refers to goods.

use super::{Product, barcode, folded};
use crate::text::plain;

/// As what a text named a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// One of its barcodes.
    Barcode,
    /// Its sku, exactly.
    Sku,
    /// Its sku but for case and the like.
    FoldedSku,
}

/// What a text means. Several products: it does not say which, and somebody has to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meant {
    /// As what.
    pub by: By,
    /// At least one.
    pub products: Vec<Product>,
}

impl Meant {
    /// The product, when there is no doubt.
    pub fn only(&self) -> Option<&Product> {
        match self.products.as_slice() {
            [one] => Some(one),
            _ => None,
        }
    }
}

/// What a text means of these products, which may be more than those that it names: a barcode goes before a sku, an
/// exact sku before one that differs by case and the like. What is not sold any more is meant only where nothing that
/// is sold can be.
pub fn meant(text: &str, of: &[Product]) -> Option<Meant> {
    let (bare, typed) = (plain(text), text.trim());
    if bare.is_empty() {
        return None;
    }
    let (form, folded_text) = (barcode::form(text), folded(text));
    let names = |product: &Product| {
        if product.barcodes.iter().any(|code| barcode::form(code) == form) {
            Some((0, By::Barcode))
        } else if product.sku == typed {
            Some((1, By::Sku))
        } else if product.sku == bare {
            Some((2, By::Sku))
        } else if folded(&product.sku) == folded_text {
            Some((3, By::FoldedSku))
        } else {
            None
        }
    };
    let (first, by) = of.iter().filter_map(names).min_by_key(|(rank, _)| *rank)?;
    let named = of
        .iter()
        .filter(|product| names(product).is_some_and(|(rank, _)| rank == first));
    let mut products: Vec<Product> = named.cloned().collect();
    if products.iter().any(|product| product.active) {
        products.retain(|product| product.active);
    }
    products.sort_by(|a, b| a.sku.cmp(&b.sku));
    Some(Meant { by, products })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(sku: &str, barcodes: &[&str], active: bool) -> Product {
        Product {
            sku: sku.into(),
            barcodes: barcodes.iter().map(|&code| code.into()).collect(),
            name_zh: "茶".into(),
            name_en: "Tea".into(),
            category: None,
            merchant: None,
            unit_price: 100,
            currency: "CNY".into(),
            picture: None,
            active,
            version: 1,
        }
    }

    #[test]
    fn a_barcode_goes_before_a_sku_and_an_exact_sku_before_a_folded_one() {
        let all = [
            product("6901234567892", &[], true),
            product("Z-9", &["6901234567892", "A-1"], true),
            product("a-1", &[], true),
            product("abc-1", &[], true),
            product("ABC-1", &[], true),
            product("Été", &[], true),
            product("OLD", &["036000291452"], false),
            product("old", &[], true),
            product("Gone", &[], false),
            product("ＷＩＤＥ", &[], true),
            product("wide", &[], true),
        ];
        for (text, by, skus) in [
            ("6901234567892", By::Barcode, &["Z-9"][..]),
            ("06901234567892", By::Barcode, &["Z-9"]),
            ("A-1", By::Barcode, &["Z-9"]),
            ("a-1", By::Sku, &["a-1"]),
            (" abc-1\u{200b}", By::Sku, &["abc-1"]),
            ("ABC-1", By::Sku, &["ABC-1"]),
            ("Abc-1", By::FoldedSku, &["ABC-1", "abc-1"]),
            ("éTÉ", By::FoldedSku, &["Été"]),
            ("0036000291452", By::Barcode, &["OLD"]),
            ("OLD", By::Sku, &["OLD"]),
            ("Old", By::FoldedSku, &["old"]),
            ("gone", By::FoldedSku, &["Gone"]),
            ("ＷＩＤＥ", By::Sku, &["ＷＩＤＥ"]),
            ("ｗｉｄｅ", By::Sku, &["wide"]),
        ] {
            let meant = meant(text, &all).unwrap();
            let found: Vec<&str> = meant.products.iter().map(|product| product.sku.as_str()).collect();
            assert_eq!((meant.by, found.as_slice()), (by, skus), "{text}");
            assert_eq!(meant.only().is_some(), skus.len() == 1);
        }
        for text in ["", " \u{200b}", "6901234567893", "abc"] {
            assert_eq!(meant(text, &all), None, "{text}");
        }
    }

    #[test]
    fn one_number_of_two_products_is_asked_about() {
        let two = [
            product("G-1", &["036000291452"], true),
            product("G-2", &["0036000291452"], true),
        ];
        let meant = meant("036000291452", &two).unwrap();
        assert_eq!((meant.products.len(), meant.only()), (2, None));
    }
}
