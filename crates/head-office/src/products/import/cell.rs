//! What stands in one cell, and what spreadsheets do to it.

use counterfoil_domain::{
    products::{barcode, gtin_fits},
    text::plain,
};

/// How a spreadsheet damaged a number, when it is recognisable.
pub fn damage(text: &str) -> Option<&'static str> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if text.starts_with('=') || text.starts_with('\'') {
        return Some("a spreadsheet put = or ' in front of it: only the digits are wanted");
    }
    if text.starts_with('#')
        && text
            .bytes()
            .skip(1)
            .all(|byte| matches!(byte, b'#' | b'/' | b'!' | b'?' | b'A'..=b'Z' | b'0'))
    {
        return Some("a spreadsheet wrote that it could not show or reckon it");
    }
    if is_exponent(text) {
        return Some("a spreadsheet made an exponent of it, and its last digits are lost: format the column as text");
    }
    if let Some((whole, part)) = text.split_once(['.', ','])
        && digits(whole)
        && part.bytes().all(|byte| byte == b'0')
        && (whole.len() >= LONG || !part.is_empty() && part.len() < 3)
    {
        return Some("a program took it for a number with decimals: the digits alone are wanted");
    }
    if is_grouped(text) {
        return Some("it is written with separators of thousands: the digits alone are wanted");
    }
    if digits(text) && text.bytes().any(|byte| byte != b'0') {
        let zeros = text.len() - text.trim_end_matches('0').len();
        // Of a number a spreadsheet keeps 15 digits; one zero or two may as well be a code's own.
        let lost = text.len().saturating_sub(KEPT_DIGITS);
        if text.len() >= 12 && zeros >= 6 || lost >= 3 && zeros >= lost {
            return Some("its last digits are zeros: a spreadsheet rounded it");
        }
    }
    if text
        .strip_prefix('+')
        .is_some_and(|rest| rest.len() >= LONG && digits(rest))
    {
        return Some("there is a sign in front of it: the digits alone are wanted");
    }
    if is_date(text) {
        return Some("a spreadsheet made a date or a time of it: format the column as text");
    }
    None
}

/// Digits of the shortest number that is surely none with decimals.
const LONG: usize = 8;
/// Digits that a spreadsheet keeps of a number.
const KEPT_DIGITS: usize = 15;

/// `2026-01-31`, `31/1/2026`, `12-Mar`, `3月12日`, `00:30:00`: what spreadsheets make of numbers and codes.
fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text
        .split(['-', '/', ':', '年', '月', '日'])
        .filter(|part| !part.is_empty())
        .collect();
    let number = |part: &str, longest: usize| {
        !part.is_empty() && part.len() <= longest && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let year = |part: &str| part.len() == 4 && number(part, 4);
    let month = |part: &str| {
        const MONTHS: [&str; 12] = [
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ];
        MONTHS.contains(&part.to_ascii_lowercase().as_str())
    };
    if text.contains(['月', '日', '年']) {
        return parts.len() >= 2 && parts.iter().all(|part| number(part, 4));
    }
    if text.contains(':') {
        return parts.len() >= 2 && parts.iter().all(|part| number(part, 2));
    }
    if !text.contains(['-', '/']) {
        return false;
    }
    match parts.as_slice() {
        [first, second, third] => {
            (year(first) && number(second, 2) && number(third, 2))
                || (year(third) && number(first, 2) && (number(second, 2) || month(second)))
                || (number(first, 2) && month(second) && number(third, 2))
        }
        [first, second] => (number(first, 4) && month(second)) || (month(first) && number(second, 4)),
        _ => false,
    }
}

/// `6.90103E+12`, also with a comma. A code like `1E5` is none: spreadsheets write a sign or decimals.
fn is_exponent(text: &str) -> bool {
    let Some((number, exponent)) = text.split_once(['E', 'e']) else {
        return false;
    };
    let signed = exponent.strip_prefix(['+', '-']);
    let power = signed.unwrap_or(exponent);
    let (whole, part) = number.split_once(['.', ',']).unwrap_or((number, ""));
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !whole.is_empty()
        && plain(whole)
        && plain(part)
        && !power.is_empty()
        && plain(power)
        && (signed.is_some() || whole.len() < number.len())
}

/// `6,901,234,567,892`, with any mark that some country uses.
fn is_grouped(text: &str) -> bool {
    [',', '.', '\'', '\u{2019}', ' ', '_'].into_iter().any(|mark| {
        let mut groups = text.split(mark);
        let first = groups.next().unwrap_or_default();
        let rest: Vec<&str> = groups.collect();
        let digits = |group: &str| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit());
        // Two groups may be two short codes, or a code with a dot.
        rest.len() >= 2
            && first.len() <= 3
            && digits(first)
            && rest.iter().all(|group| group.len() == 3 && digits(group))
    })
}

/// The barcodes of a field: separated by spaces, line ends, `|`, `;` or `,`.
///
/// # Errors
/// What happened to one of them.
pub fn barcodes(field: &str) -> Result<Vec<String>, String> {
    let field = plain(field);
    let damaged = |code: &str| damage(code).map(|what| format!("{code}: {what}"));
    if let Some(what) = damaged(&field) {
        return Err(what);
    }
    if is_as_printed(&field) {
        return Ok(vec![barcode::kept(&field)]);
    }
    let parts = field.split(|sign: char| sign.is_whitespace() || matches!(sign, '|' | ';' | ',' | '、'));
    let codes: Vec<&str> = parts.filter(|code| !code.is_empty()).collect();
    match codes.iter().find_map(|code| damaged(code)) {
        Some(what) => Err(what),
        None => Ok(codes.into_iter().map(barcode::kept).collect()),
    }
}

/// `0 36000 29145 2` and `6 901234 567892`: the digits as they stand under the bars.
fn is_as_printed(field: &str) -> bool {
    let groups: Vec<usize> = field.split(' ').map(str::len).collect();
    let printed = matches!(groups.as_slice(), [1, 5, 5, 1] | [1, 6, 6]);
    printed && gtin_fits(&field.replace(' ', "")) == Some(true)
}

/// The barcode with the zeros in front that a spreadsheet took away, when it is one then.
pub fn with_lost_zeros(code: &str) -> Option<String> {
    let digits = match code.len() {
        7 => 8,
        10 | 11 => 12,
        _ => return None,
    };
    let whole = format!("{code:0>digits$}");
    (gtin_fits(&whole) == Some(true)).then_some(whole)
}

/// A cell that a spreadsheet holds as a number: as it would be typed. `None` when more digits were wanted than a
/// spreadsheet keeps.
pub fn number(value: f64) -> Option<String> {
    const KEPT: f64 = 1e15;
    if !value.is_finite() || value.abs() >= KEPT {
        return None;
    }
    // Spreadsheets show 15 digits: of what was reckoned, the rest is noise.
    let shown = format!("{value:.14e}").parse().unwrap_or(value);
    Some(format!("{shown}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_numbers_are_recognised() {
        for text in [
            "6.90103E+12",
            "6,90103E+12",
            "6.9e12",
            "6E+12",
            "６．９０１０３Ｅ＋１２",
            "6901234567892.0",
            "6901234567892,00",
            "'036000291452",
            "=\"036000291452\"",
            "=036000291452",
            "6,901,234,567,892",
            "6.901.234.567.892",
            "6 901 234 567 892",
            "6\u{a0}901\u{202f}234\u{a0}567\u{a0}892",
            "6'901'234'567'892",
            "########",
            "#N/A",
            "#REF!",
            "#NAME?",
            "#DIV/0!",
            "6901030000000",
            "690102807576312000",
            "12345678901234500000",
            "6901028075763.000",
            "6901234567892.",
            "+6901234567892",
            "2026-01-31",
            "2026/1/1",
            "31/01/2026",
            "12-Mar",
            "Mar-26",
            "12-Mar-26",
            "3月12日",
            "00:30:00",
            "S-1 6.90103E+12",
            "4011|6901234567892.0",
        ] {
            assert!(barcodes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn other_codes_stay_what_they_are() {
        for (text, codes) in [
            ("6901234567892 S001", &["6901234567892", "S001"][..]),
            (
                "6901234567892|S001;A,B\nC、D",
                &["6901234567892", "S001", "A", "B", "C", "D"],
            ),
            ("1E5", &["1E5"]),
            ("123456789012345670", &["123456789012345670"]),
            ("12-345-678", &["12-345-678"]),
            ("12-MARS", &["12-MARS"]),
            ("4011 4012", &["4011", "4012"]),
            ("0 36000 29145 2", &["036000291452"]),
            ("6 901234 567892", &["6901234567892"]),
            ("978-0-306-40615-7", &["9780306406157"]),
            ("\u{200b}0360\u{200d}00291\u{ad}452\t", &["036000291452"]),
            ("０３６０００２９１４５２", &["036000291452"]),
            ("36000291452", &["36000291452"]),
            ("#12", &["#12"]),
            ("0000000000000", &["0000000000000"]),
            ("1.5", &["1.5"]),
            ("", &[]),
            (" \u{200b}", &[]),
        ] {
            assert_eq!(barcodes(text).unwrap(), codes, "{text:?}");
        }
    }

    #[test]
    fn a_lost_zero_is_seen() {
        for (code, whole) in [
            ("36000291452", Some("036000291452")),
            ("36000291453", None),
            ("6901234567892", None),
            ("S001", None),
        ] {
            assert_eq!(with_lost_zeros(code).as_deref(), whole);
        }
    }

    #[test]
    fn numbers_of_cells_are_as_they_would_be_typed() {
        for (value, text) in [
            (36_000_291_452.0, Some("36000291452")),
            (6_901_028_075_763.0, Some("6901028075763")),
            (19.99, Some("19.99")),
            (0.1 + 0.2, Some("0.3")),
            (68.0, Some("68")),
            (999_999_999_999_999.0, Some("999999999999999")),
            (1e15, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
        ] {
            assert_eq!(number(value).as_deref(), text);
        }
    }
}
