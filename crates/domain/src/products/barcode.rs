//! Barcodes and their one form.

use crate::text::{is_dash, plain};

/// A barcode as it is kept and shown: without what nobody sees, full width plain; of a GTIN the digits alone, as many
/// as are printed. Anything else keeps its signs, since its symbol may hold them.
pub fn kept(text: &str) -> String {
    let plain = plain(text);
    let digits: String = plain
        .chars()
        .filter(|sign| !sign.is_whitespace() && !is_dash(*sign))
        .collect();
    if gtin_fits(&digits) == Some(true) {
        digits
    } else {
        plain
    }
}

/// What a barcode is stored, made unique and looked up by. A GTIN is one number, whether its symbol has 8, 12, 13 or 14
/// digits: with zeros in front to 14 (GS1 General Specifications, 7.9.1). Anything else is what it is.
pub fn form(text: &str) -> String {
    let kept = kept(text);
    if gtin_fits(&kept) == Some(true) {
        format!("{kept:0>14}")
    } else {
        kept
    }
}

/// Every way in which the number of this form may be written.
pub fn spellings(form: &str) -> Vec<&str> {
    if form.len() != 14 || gtin_fits(form) != Some(true) {
        return vec![form];
    }
    [14, 13, 12, 8]
        .into_iter()
        .map(|digits| form.split_at(14 - digits))
        .filter(|(zeros, _)| zeros.bytes().all(|digit| digit == b'0'))
        .map(|(_, written)| written)
        .collect()
}

/// A text as the beginning of a barcode is compared: zeros in front of digits say nothing.
pub fn beginning(text: &str) -> &str {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.trim_start_matches('0')
    } else {
        text
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
    use proptest::prelude::*;

    use super::*;

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
    fn a_gtin_is_one_number_however_it_is_written() {
        for text in [
            "036000291452",
            "0036000291452",
            "00036000291452",
            "０３６０００２９１４５２",
            "0 36000 29145 2",
            "0-36000-29145-2",
            "\u{feff}0360\u{200d}0029\u{ad}1452\t",
            "036000\u{a0}291452",
        ] {
            assert_eq!(form(text), "00036000291452", "{text:?}");
        }
        assert_eq!(form("96385074"), "00000096385074");
        assert_eq!(form("0000096385074"), "00000096385074");
        // A case of twelve is another article than the one in it.
        assert_ne!(form("10036000291459"), form("036000291452"));
        assert_eq!(gtin_fits("10036000291459"), Some(true));
    }

    #[test]
    fn what_is_no_gtin_stays_what_it_is() {
        for text in ["S001", "s001", "36000291452", "6901234567893", "4011", "A-1 B", ""] {
            assert_eq!((form(text), kept(text)), (text.to_owned(), text.to_owned()));
        }
        assert_eq!(form("\u{200b}S０01 "), "S001");
    }

    #[test]
    fn it_is_kept_as_printed() {
        for (text, as_kept) in [
            ("0 36000 29145 2", "036000291452"),
            ("978-7-302-51165-7", "978-7-302-51165-7"),
            ("978-7-111-54742-6", "9787111547426"),
            ("00036000291452", "00036000291452"),
        ] {
            assert_eq!(kept(text), as_kept);
        }
    }

    #[test]
    fn a_number_has_several_spellings() {
        assert_eq!(
            spellings("00036000291452"),
            ["00036000291452", "0036000291452", "036000291452"]
        );
        assert_eq!(spellings("00000096385074").len(), 4);
        assert_eq!(spellings("10036000291459"), ["10036000291459"]);
        assert_eq!(spellings("S001"), ["S001"]);
    }

    proptest! {
        #[test]
        fn the_form_is_its_own_form(text in any::<String>(), digits in "[0-9]{0,15}") {
            for text in [&text, &digits] {
                prop_assert_eq!(form(&form(text)), form(text));
                prop_assert_eq!(form(&kept(text)), form(text));
            }
        }

        #[test]
        fn every_spelling_has_the_form(digits in "0{0,7}[0-9]{6,13}") {
            let mut code = digits;
            code.extend(gtin_check_digit(&code).map(char::from));
            let form_of_it = form(&code);
            for spelling in spellings(&form_of_it) {
                prop_assert_eq!(form(spelling), form_of_it.clone());
            }
        }
    }
}
