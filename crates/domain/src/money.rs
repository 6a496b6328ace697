//! Amounts of money as people write them, and in minor units.

use crate::text::plain;

/// Digits behind the point of a currency's amounts (ISO 4217).
pub fn minor_digits(currency: &str) -> usize {
    match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "VND" | "VUV"
        | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        _ => 2,
    }
}

/// `12.5` as 1250; `None` when it is no such number, or finer than the currency. In whatever form digits were typed.
pub fn in_minor_units(price: &str, digits: usize) -> Option<i64> {
    let price = plain(price);
    let (whole, part) = price.trim().split_once('.').unwrap_or((price.trim(), ""));
    let digits_only = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits_only(whole) || !digits_only(part) || part.len() > digits {
        return None;
    }
    format!("{whole}{part:0<digits$}").parse().ok()
}

/// 1250 as `12.50`.
pub fn in_decimals(minor: i64, digits: usize) -> String {
    let text = format!("{minor:0>width$}", width = digits + 1);
    let (whole, part) = text.split_at(text.len() - digits);
    if part.is_empty() {
        whole.to_owned()
    } else {
        format!("{whole}.{part}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_as_people_write_them() {
        for (text, digits, minor) in [
            ("12.50", 2, Some(1_250)),
            ("12.5", 2, Some(1_250)),
            ("12", 2, Some(1_200)),
            (" １２．５ ", 2, Some(1_250)),
            ("0.01", 2, Some(1)),
            ("1200", 0, Some(1_200)),
            ("1.234", 3, Some(1_234)),
            ("12.505", 2, None),
            ("12.", 2, Some(1_200)),
            (".5", 2, None),
            ("-1", 2, None),
            ("1e3", 2, None),
            ("1,200.00", 2, None),
            ("12,50", 2, None),
            ("99999999999999999999", 2, None),
            ("", 2, None),
        ] {
            assert_eq!(in_minor_units(text, digits), minor, "{text}");
        }
        for (minor, digits, text) in [(1_250, 2, "12.50"), (5, 2, "0.05"), (0, 3, "0.000"), (7, 0, "7")] {
            assert_eq!(in_decimals(minor, digits), text);
        }
    }
}
