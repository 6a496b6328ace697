//! Products: what is sold, under which barcodes, at which price.

use serde::{Deserialize, Serialize};

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
    /// No sku, too long a one, or one with spaces or control characters.
    #[error("the sku must be 1 to 64 bytes without spaces")]
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
    /// The same barcode twice.
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
            && !self.sku.contains(|c: char| c.is_whitespace() || c.is_control());
        let mut barcodes = self.barcodes.clone();
        barcodes.sort_unstable();
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

    /// Whether only what a person entered is the same: the version is not compared.
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        let mut codes = (self.barcodes.clone(), other.barcodes.clone());
        codes.0.sort_unstable();
        codes.1.sort_unstable();
        codes.0 == codes.1
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

/// Whether the check digit of an EAN-8, UPC-A, EAN-13 or GTIN-14 fits; `None` when the code is none of these.
pub fn gtin_fits(code: &str) -> Option<bool> {
    if ![8, 12, 13, 14].contains(&code.len()) || !code.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (digits, check) = code.split_at_checked(code.len() - 1)?;
    Some(check.bytes().next()? == gtin_check_digit(digits)?)
}

/// The check digit, as an ASCII byte, of these digits; `None` when they are not digits.
pub fn gtin_check_digit(digits: &str) -> Option<u8> {
    let mut sum = 0_u32;
    for (place, digit) in digits.chars().rev().enumerate() {
        let weight = if place % 2 == 0 { 3 } else { 1 };
        sum += digit.to_digit(10)? * weight;
    }
    u8::try_from((10 - sum % 10) % 10).ok().map(|digit| digit + b'0')
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
    fn check_digits() {
        assert_eq!(gtin_fits("6901234567892"), Some(true));
        assert_eq!(gtin_fits("6901234567893"), Some(false));
        assert_eq!(gtin_fits("96385074"), Some(true));
        assert_eq!(gtin_fits("036000291452"), Some(true));
        assert_eq!(gtin_fits("690123456789x"), None);
        assert_eq!(gtin_fits("12345"), None);
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
