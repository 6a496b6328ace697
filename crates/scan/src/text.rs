//! The text of a matrix symbol whose bytes don't say how they are encoded. The decoder knows Latin, UTF-8 and Japanese;
//! what this country's older tills and printers write is GB18030.
//!
//! Many bytes are valid in all of them. What decides is how the text would look: in Chinese, nearly every character is
//! of the 6,763 of GB 2312, which have both bytes beyond 0xa0; accented letters stand alone between plain ones; and
//! Japanese has its characters elsewhere, but for narrow kana, which are known by the voicing marks between them.

use encoding_rs::{GB18030, SHIFT_JIS};

/// The text of bytes that are GB18030, and `None` where they are UTF-8 or look more like another encoding.
pub(crate) fn chinese(bytes: &[u8]) -> Option<String> {
    if std::str::from_utf8(bytes).is_ok() || bytes.iter().any(|byte| *byte < b' ' && !byte.is_ascii_whitespace()) {
        return None;
    }
    let text = GB18030.decode_without_bom_handling_and_without_replacement(bytes)?;
    // Nobody prints characters without a meaning.
    if text
        .chars()
        .any(|c| ('\u{e000}'..='\u{f8ff}').contains(&c) || c.is_control() && !c.is_ascii())
    {
        return None;
    }
    let western = !bytes.iter().any(|byte| (0x80..0xa0).contains(byte));
    let japanese = SHIFT_JIS.decode_without_bom_handling_and_without_replacement(bytes);
    if (western || japanese.is_some()) && !is_mostly_common(bytes)
        || japanese.is_some_and(|text| has_narrow_kana(&text))
    {
        return None;
    }
    Some(text.into_owned())
}

/// Whether more than half of the characters that are not plain are of GB 2312. The bytes are valid GB18030.
fn is_mostly_common(bytes: &[u8]) -> bool {
    let (mut common, mut others) = (0, 0);
    let mut rest = bytes;
    while let [lead, after @ ..] = rest {
        rest = after;
        if lead.is_ascii() {
            continue;
        }
        let four = matches!(rest, [b'0'..=b'9', ..]);
        if !four && (0xa1..=0xf7).contains(lead) && rest.first().is_some_and(|trail| *trail > 0xa0) {
            common += 1;
        } else {
            others += 1;
        }
        rest = rest.get(if four { 3 } else { 1 }..).unwrap_or_default();
    }
    common > others
}

/// Whether there are voicing marks, and each stands behind a kana that can be voiced.
fn has_narrow_kana(text: &str) -> bool {
    let mut before = ' ';
    let mut marks = 0;
    for c in text.chars() {
        if matches!(c, '\u{ff9e}' | '\u{ff9f}') {
            if !matches!(before, 'ｳ' | 'ｶ'..='ﾄ' | 'ﾊ'..='ﾎ') {
                return false;
            }
            marks += 1;
        }
        before = c;
    }
    marks > 0
}

#[cfg(test)]
mod tests {
    use encoding_rs::{Encoding, WINDOWS_1252};

    use super::*;

    fn read(text: &str, encoding: &'static Encoding) -> Option<String> {
        let (bytes, _, failed) = encoding.encode(text);
        assert!(!failed, "{text} cannot be written so");
        chinese(&bytes)
    }

    #[test]
    fn what_is_chinese_is_read_as_chinese() {
        for text in [
            "点击提货",
            "优惠券",
            "满100减20元",
            "券号：260411000000012345，请于2026年12月31日前使用。",
            "https://example.com/?店=徐家汇",
            "朱镕基",
            "點擊提貨",
            "Ａ区３号柜",
            "㐀字",
        ] {
            assert_eq!(read(text, GB18030).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_is_something_else_is_left_to_the_decoder() {
        for text in ["Müller", "Café crème", "El Niño: mañana", "Grüße aus Köln", "£5 off"] {
            assert_eq!(read(text, WINDOWS_1252), None, "{text}");
        }
        for text in [
            "ﾃﾞｻﾞｲﾝQR",
            "*ﾀﾞﾌﾞﾙQR*",
            "今度のバージョン",
            "モバイル",
            "阿",
            "ｲﾗｽﾄ入りｶﾗｰQRｺｰﾄﾞ",
        ] {
            assert_eq!(read(text, SHIFT_JIS), None, "{text}");
        }
        for text in ["", "CF1:ABC234", "点击提货"] {
            assert_eq!(chinese(text.as_bytes()), None, "{text}");
        }
        assert_eq!(chinese(b"\xb5\xe3\x00\x01"), None);
        assert_eq!(chinese(b"\xb5"), None);
    }
}
