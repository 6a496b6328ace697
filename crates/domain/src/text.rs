//! Texts that people type and that become columns: one form of them, made by one function.

use std::borrow::Cow;

use crate::planted;

/// Whether a column may hold this character. U+0000 is none that PostgreSQL stores; other control characters are what
/// scanners and clipboards leave behind. Lines and tabs are wanted.
fn is_kept(sign: char) -> bool {
    matches!(sign, '\n' | '\t') || !sign.is_control()
}

/// The text as it is stored: line ends as LF, without control characters. Most texts are that already.
///
/// Used where a text is typed, and by both sides where a text of an operation becomes a column. The operation itself is
/// signed and stays as it is.
pub fn clean(text: &str) -> Cow<'_, str> {
    if planted!("texts_as_they_are", true, text.chars().all(is_kept)) {
        return Cow::Borrowed(text);
    }
    let lines = text.replace("\r\n", "\n").replace('\r', "\n");
    Cow::Owned(lines.chars().filter(|sign| is_kept(*sign)).collect())
}

/// The same for a text that is owned.
pub fn cleaned(text: &str) -> String {
    clean(text).into_owned()
}

/// A document without the byte order mark that editors put before it. One: a second is part of the text.
pub fn without_mark(document: &[u8]) -> &[u8] {
    document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document)
}

/// Whether nobody sees this character: of no width, of the direction of writing, or a sign for where a line may break.
pub fn is_invisible(sign: char) -> bool {
    is_joiner(sign)
        || matches!(sign,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}' | '\u{200b}' | '\u{200e}'
            | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Invisible too, but it makes some scripts and pictures what they are.
fn is_joiner(sign: char) -> bool {
    matches!(sign, '\u{34f}' | '\u{180b}'..='\u{180d}' | '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}')
}

/// Whether it is one of the many dashes.
pub fn is_dash(sign: char) -> bool {
    matches!(
        sign,
        '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{30fc}' | '\u{ff0d}' | '\u{ff70}'
    )
}

/// A code as it was meant: full width plain (an input method left on), every space and line end a space and none at the
/// ends, without what nobody sees.
pub fn plain(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|sign| match sign {
            '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(sign) - 0xfee0).unwrap_or(sign),
            sign if sign.is_whitespace() => ' ',
            sign => sign,
        })
        .filter(|&sign| !sign.is_control() && !is_invisible(sign))
        .collect();
    text.trim().to_owned()
}

/// A text that people read, without what none of them sees, and with no space at its ends.
pub fn visible(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|sign| match sign {
            '\u{a0}' | '\u{202f}' => ' ',
            sign => sign,
        })
        .filter(|&sign| !is_invisible(sign) || is_joiner(sign))
        .collect();
    text.trim_matches(|sign: char| sign.is_whitespace() || is_joiner(sign))
        .to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_no_column_holds_goes_and_line_ends_are_one() {
        for (typed, stored) in [
            ("现金 cash", "现金 cash"),
            ("R\0-1", "R-1"),
            ("one\r\ntwo\rthree\n", "one\ntwo\nthree\n"),
            ("a\u{1b}[31mb\u{7f}\u{85}", "a[31mb"),
            ("\0", ""),
            ("a\tb", "a\tb"),
        ] {
            assert_eq!(clean(typed), stored);
        }
    }

    #[test]
    fn one_mark_is_taken_off() {
        assert_eq!(without_mark("\u{feff}{}".as_bytes()), b"{}");
        assert_eq!(without_mark("\u{feff}\u{feff}".as_bytes()), "\u{feff}".as_bytes());
        assert_eq!(without_mark(b"{}"), b"{}");
        assert_eq!(without_mark(b"\xef\xbb"), b"\xef\xbb");
    }

    #[test]
    fn codes_are_what_was_meant_and_texts_what_is_seen() {
        for (typed, meant) in [
            ("\u{feff}６９０\t12 ", "690 12"),
            ("\u{2}A\u{200d}B\u{ad}C\u{3}\r\n", "ABC"),
            ("\u{3000}a\u{a0}b\u{2009}", "a b"),
            ("\u{200b}", ""),
        ] {
            assert_eq!(plain(typed), meant);
        }
        for (typed, seen) in [
            ("\u{a0}Tea\u{a0}gift\u{200b}\u{ad}", "Tea gift"),
            ("绿茶\u{2060}\u{feff}", "绿茶"),
            ("\u{1f468}\u{200d}\u{1f469}", "\u{1f468}\u{200d}\u{1f469}"),
            ("a\nb", "a\nb"),
        ] {
            assert_eq!(visible(typed), seen);
        }
    }

    proptest! {
        #[test]
        fn it_is_one_form(text in any::<String>()) {
            let once = cleaned(&text);
            prop_assert_eq!(cleaned(&once), once.clone());
            prop_assert!(!once.contains('\0') && !once.contains('\r'));
            prop_assert!(once.chars().filter(|sign| !sign.is_control()).eq(
                text.chars().filter(|sign| !sign.is_control())));
        }
    }
}
