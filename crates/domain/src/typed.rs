//! What people type, brought to the one form of what they mean. Whoever stores an identifier, or looks it up, does it
//! in the form made here, on both sides: the desk's recogniser is built of the same functions.

use crate::{
    codes::is_coupon_code,
    pickup_codes,
    scans::without_aim,
    text::{is_dash, plain},
};

/// Mobile numbers of mainland China: 1, then 3 to 9, then nine digits.
const PHONE_DIGITS: usize = 11;
/// Digits of a member number that begins with M.
const MEMBER_DIGITS: std::ops::RangeInclusive<usize> = 4..=20;

/// A code as it was meant, without spaces and dashes, for what is grouped to be read.
pub fn compact(text: &str) -> String {
    let mut text = plain(text);
    text.retain(|sign| !sign.is_whitespace() && !is_dash(sign));
    text
}

/// A text that a scanner may have put the symbol's name before, without it.
fn unnamed(text: &str) -> String {
    let mut text = plain(text);
    while let (Some(_), bare) = without_aim(&text) {
        text = bare.trim_start().to_owned();
    }
    text
}

/// The digits of a coupon code; `None` when the text has not the form of one.
pub fn coupon_code(text: &str) -> Option<String> {
    Some(compact(&unnamed(text))).filter(|code| is_coupon_code(code))
}

/// The signs of a pickup code, letters as capitals; `None` when it could be one under no policy. Whether it is one is for
/// the [`PickupPolicy`](pickup_codes::PickupPolicy) to say.
pub fn pickup_code(text: &str) -> Option<String> {
    let mut code = compact(&unnamed(text));
    code.make_ascii_uppercase();
    let fits = (pickup_codes::FEWEST..=pickup_codes::MOST).contains(&code.len())
        && code.bytes().all(|sign| sign.is_ascii_alphanumeric());
    fits.then_some(code)
}

/// The eleven digits of a mobile number, without the country's prefix; `None` when the text is none.
pub fn mobile(text: &str) -> Option<String> {
    let compact = compact(text);
    let digits = compact
        .strip_prefix("+86")
        .or_else(|| compact.strip_prefix("0086"))
        .unwrap_or(&compact);
    let bytes = digits.as_bytes();
    (digits.len() == PHONE_DIGITS && is_digits(digits) && bytes[0] == b'1' && (b'3'..=b'9').contains(&bytes[1]))
        .then(|| digits.to_owned())
}

/// A phone number of whatever country: a mobile number as [`mobile`], another one without what groups its digits.
pub fn phone(text: &str) -> String {
    mobile(text).unwrap_or_else(|| {
        let mut compact = compact(text);
        compact.retain(|sign| !matches!(sign, '(' | ')' | '.'));
        let home = compact.strip_prefix("+86").or_else(|| compact.strip_prefix("0086"));
        // Numbers of the mobile kind that nobody has been given yet are written with the prefix as well.
        if let Some(home) = home.filter(|home| home.len() == PHONE_DIGITS && home.starts_with('1') && is_digits(home)) {
            home.to_owned()
        } else if is_digits(compact.strip_prefix('+').unwrap_or(&compact)) {
            compact
        } else {
            plain(text)
        }
    })
}

/// `M` and digits; `None` when the text is not that.
pub fn member_card(text: &str) -> Option<String> {
    let compact = compact(&unnamed(text));
    let digits = compact.strip_prefix(['M', 'm'])?;
    (is_digits(digits) && MEMBER_DIGITS.contains(&digits.len())).then(|| format!("M{digits}"))
}

/// A membership number as it is stored: digits, or `M` and digits, without what groups them. Of a number that a chain
/// makes otherwise a dash is a part.
pub fn member_number(text: &str) -> String {
    member_card(text).unwrap_or_else(|| {
        let text = unnamed(text);
        let compact = compact(&text);
        if is_digits(&compact) { compact } else { text }
    })
}

/// A waybill's number: without blanks, in capitals. A dash is a part of it.
pub fn waybill(text: &str) -> String {
    let mut text = plain(&unnamed(text));
    text.retain(|sign| !sign.is_whitespace());
    text.make_ascii_uppercase();
    text
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_coupon_code_in_every_form() {
        for text in [
            "100120260712345678",
            " 1001 2026 0712 3456 78\t",
            "1001-2026–0712−345678",
            "１００１２０２６０７１２３４５６７８",
            "\u{feff}1001\u{200b}20260712345678\r\n",
            "\u{2068}100120260712345678\u{2069}",
            "]C1100120260712345678",
            "］C1 100120260712345678",
        ] {
            assert_eq!(coupon_code(text).as_deref(), Some("100120260712345678"), "{text:?}");
        }
        for text in ["", "-", "10012026071234", "100120260712345678x", "M100120260712345678"] {
            assert_eq!(coupon_code(text), None, "{text:?}");
        }
        assert_eq!(pickup_code("１２３４-5607").as_deref(), Some("12345607"));
        assert_eq!(pickup_code(" ab12-3c ").as_deref(), Some("AB123C"));
        for text in ["12345", "123456789012345678901", "1234_5607", "一二三四五六"] {
            assert_eq!(pickup_code(text), None, "{text}");
        }
    }

    #[test]
    fn a_waybill_in_every_form() {
        for text in [
            "SF0000-1",
            " sf00 00-1\r\n",
            "ＳＦ００００-１",
            "]C1SF0000-1",
            "\u{feff}sf\u{3000}0000-1",
        ] {
            assert_eq!(waybill(text), "SF0000-1", "{text:?}");
        }
    }

    #[test]
    fn a_phone_number_in_every_form() {
        for text in [
            "13800138000",
            "+86 138-0013-8000",
            "0086 138 0013 8000",
            "＋８６１３８００１３８０００",
            "\u{202d}138 0013 8000\u{202c}",
        ] {
            assert_eq!(phone(text), "13800138000", "{text:?}");
        }
        for text in ["12239116535", "+86 122 3911 6535", "0086-12239116535"] {
            assert_eq!(phone(text), "12239116535", "{text}");
        }
        assert_eq!(phone("(021) 6888-0000"), "02168880000");
        assert_eq!(phone("+44 20.7946-0000"), "+442079460000");
        assert_eq!(phone(" ask-Anna "), "ask-Anna");
    }

    #[test]
    fn a_member_number_in_every_form() {
        for text in ["M00012345", "m000 12345", "Ｍ-0001-2345", "]C1M00012345\u{200d}"] {
            assert_eq!(member_number(text), "M00012345", "{text:?}");
        }
        assert_eq!(member_number(" 0000-1000 0001"), "000010000001");
        assert_eq!(member_number(" vip-7 "), "vip-7");
        assert_eq!(member_number("M1"), "M1");
    }

    proptest! {
        #[test]
        fn each_is_one_form(text in "[0-9０-９ ()Mm+.\u{200b}\u{feff}A-Z-]{0,30}") {
            prop_assert_eq!(plain(&plain(&text)), plain(&text));
            prop_assert_eq!(phone(&phone(&text)), phone(&text));
            prop_assert_eq!(member_number(&member_number(&text)), member_number(&text));
            if let Some(code) = coupon_code(&text) {
                prop_assert_eq!(coupon_code(&code), Some(code));
            }
        }
    }
}
