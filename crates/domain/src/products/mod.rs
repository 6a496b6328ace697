//! Products: what is sold, under which barcodes, at which price.

pub mod barcode;
mod folded;
mod meant;

pub use barcode::{gtin_check_digit, gtin_fits};
pub use folded::{folded, searched};
pub use meant::{By, Meant, meant};
use serde::{Deserialize, Serialize};

use crate::text::{is_invisible, visible};

/// Longest sku, in bytes.
pub const SKU_BYTES: usize = 64;
/// Longest name, category, merchant or picture address, in characters.
pub const TEXT_CHARS: usize = 200;
/// Most barcodes of one product.
pub const BARCODES: usize = 20;
/// Longest barcode, in bytes.
pub const BARCODE_BYTES: usize = 48;
/// Dearest unit: what 500 lines of some thousands of units still sum up without overflow.
pub const DEAREST: i64 = 1_000_000_000_000;

/// One product as every counter of the chain holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// Article number, unique within the tenant.
    pub sku: String,
    /// What a scanner reads; each belongs to one product of the tenant.
    pub barcodes: Vec<String>,
    /// Chinese name.
    pub name_zh: String,
    /// English name.
    pub name_en: String,
    /// Its category, for the scopes of coupons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Who sells it, for the scopes of coupons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merchant: Option<String>,
    /// Of one unit, minor units.
    pub unit_price: i64,
    /// ISO 4217 code of the price.
    pub currency: String,
    /// Address of a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    /// False when it is no longer sold.
    pub active: bool,
    /// Grows by one with every stored change.
    pub version: i64,
}

/// What is wrong with a product, with a stable word for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Flaw {
    /// No sku, too long a one, or one with spaces, control characters or what nobody sees.
    #[error("the sku must be 1 to 64 bytes without spaces and invisible characters")]
    BadSku,
    /// No name, or too long a one.
    #[error("a name in each language of at most 200 characters is needed")]
    BadName,
    /// Too long, or empty.
    #[error("category, merchant and picture are at most 200 characters and not empty")]
    BadText,
    /// Negative or too large.
    #[error("the price must be from 0 to 1,000,000,000,000 minor units")]
    BadPrice,
    /// Not three capital letters.
    #[error("the currency must be three capital letters")]
    BadCurrency,
    /// Too many, too long, or with something that no barcode has.
    #[error("a barcode is 1 to 48 printable ASCII characters, and a product has at most 20")]
    BadBarcode,
    /// 8, 12, 13 or 14 digits whose last one does not fit the others.
    #[error("the last digit of a barcode does not fit the others")]
    BadCheckDigit,
    /// The same barcode twice, perhaps with more zeros in front.
    #[error("a barcode is named twice")]
    RepeatedBarcode,
}

impl Product {
    /// Everything that is wrong with it.
    pub fn flaws(&self) -> Vec<Flaw> {
        let graphic = |text: &str, most: usize| {
            !text.is_empty() && text.len() <= most && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let named = |name: &str| {
            !name.trim().is_empty() && name.chars().count() <= TEXT_CHARS && !name.chars().any(char::is_control)
        };
        let sku = !self.sku.is_empty()
            && self.sku.len() <= SKU_BYTES
            && !self
                .sku
                .contains(|c: char| c.is_whitespace() || c.is_control() || is_invisible(c));
        let mut barcodes = self.forms();
        barcodes.dedup();
        let flaws = [
            (!sku, Flaw::BadSku),
            (!named(&self.name_zh) || !named(&self.name_en), Flaw::BadName),
            (
                [&self.category, &self.merchant, &self.picture]
                    .into_iter()
                    .flatten()
                    .any(|text| !named(text)),
                Flaw::BadText,
            ),
            (!(0..=DEAREST).contains(&self.unit_price), Flaw::BadPrice),
            (
                self.currency.len() != 3 || !self.currency.bytes().all(|byte| byte.is_ascii_uppercase()),
                Flaw::BadCurrency,
            ),
            (
                self.barcodes.len() > BARCODES || self.barcodes.iter().any(|code| !graphic(code, BARCODE_BYTES)),
                Flaw::BadBarcode,
            ),
            (
                self.barcodes.iter().any(|code| gtin_fits(code) == Some(false)),
                Flaw::BadCheckDigit,
            ),
            (barcodes.len() != self.barcodes.len(), Flaw::RepeatedBarcode),
        ];
        flaws
            .into_iter()
            .filter_map(|(holds, flaw)| holds.then_some(flaw))
            .collect()
    }

    /// The forms of its barcodes, in their order.
    pub fn forms(&self) -> Vec<String> {
        let mut forms: Vec<String> = self.barcodes.iter().map(|code| barcode::form(code)).collect();
        forms.sort_unstable();
        forms
    }

    /// The same without what nobody sees, but for the sku: that is what others call it by.
    pub fn tidied(self) -> Self {
        let visible = |text: &String| visible(text);
        Self {
            barcodes: self.barcodes.iter().map(|code| barcode::kept(code)).collect(),
            name_zh: visible(&self.name_zh),
            name_en: visible(&self.name_en),
            category: self.category.as_ref().map(visible),
            merchant: self.merchant.as_ref().map(visible),
            picture: self.picture.as_ref().map(visible),
            ..self
        }
    }

    /// Whether what a person entered is the same: the version is not compared, nor how a barcode is written.
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        self.forms() == other.forms()
            && Self {
                barcodes: Vec::new(),
                version: 0,
                ..self.clone()
            } == Self {
                barcodes: Vec::new(),
                version: 0,
                ..other.clone()
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product() -> Product {
        Product {
            sku: "A-1".into(),
            barcodes: vec!["6901234567892".into(), "S001".into()],
            name_zh: "茶".into(),
            name_en: "Tea".into(),
            category: None,
            merchant: Some("s-01".into()),
            unit_price: 100,
            currency: "CNY".into(),
            picture: None,
            active: true,
            version: 1,
        }
    }

    #[test]
    fn every_flaw_is_told() {
        assert_eq!(product().flaws(), []);
        let bad = Product {
            sku: "A 1".into(),
            barcodes: vec!["6901234567893".into(), "é".into(), "é".into()],
            name_en: " ".into(),
            category: Some(String::new()),
            unit_price: -1,
            currency: "cny".into(),
            ..product()
        };
        assert_eq!(
            bad.flaws(),
            [
                Flaw::BadSku,
                Flaw::BadName,
                Flaw::BadText,
                Flaw::BadPrice,
                Flaw::BadCurrency,
                Flaw::BadBarcode,
                Flaw::BadCheckDigit,
                Flaw::RepeatedBarcode,
            ]
        );
    }

    #[test]
    fn one_number_is_one_barcode_and_nothing_invisible_stays() {
        let twice = Product {
            barcodes: vec!["036000291452".into(), "0036000291452".into()],
            ..product()
        };
        assert_eq!(twice.flaws(), [Flaw::RepeatedBarcode]);
        let unseen = Product {
            sku: "A\u{200b}1".into(),
            ..product()
        };
        assert_eq!(unseen.flaws(), [Flaw::BadSku]);
        let tidied = Product {
            barcodes: vec!["0 36000 29145\u{a0}2".into()],
            name_zh: "\u{feff}茶\u{200b}".into(),
            name_en: "Tea\u{a0}\u{a0}".into(),
            ..product()
        }
        .tidied();
        assert_eq!(tidied.barcodes, ["036000291452"]);
        assert_eq!((tidied.name_zh.as_str(), tidied.name_en.as_str()), ("茶", "Tea"));
        let longer = Product {
            barcodes: vec!["0036000291452".into()],
            ..tidied.clone()
        };
        assert!(tidied.says_the_same_as(&longer));
    }

    #[test]
    fn the_order_of_barcodes_and_the_version_say_nothing() {
        let other = Product {
            barcodes: vec!["S001".into(), "6901234567892".into()],
            version: 7,
            ..product()
        };
        assert!(product().says_the_same_as(&other));
        assert!(!product().says_the_same_as(&Product {
            unit_price: 101,
            ..other
        }));
    }
}
