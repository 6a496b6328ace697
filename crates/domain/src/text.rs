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
