//! What scanners say about the symbol before its text.

/// A symbol's name by AIM (ISO/IEC 15424), which scanners put before the text when they are set so: `]`, a letter for
/// the kind of symbol, a sign for its variety.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aim {
    kind: u8,
    variety: u8,
}

impl Aim {
    /// Whether the symbol is an EAN-8, which without this can't be told from a pickup code.
    pub fn is_ean8(self) -> bool {
        (self.kind, self.variety) == (b'E', b'4')
    }

    /// Whether the text is made by the rules of GS1, as element strings (GS1 General Specifications, 5.1).
    pub fn is_gs1(self) -> bool {
        matches!(
            (self.kind, self.variety),
            (b'C', b'1') | (b'e', b'0') | (b'd', b'2') | (b'Q', b'3') | (b'J', b'1')
        )
    }
}

/// Takes the symbol's name off, if there is one.
pub fn without_aim(text: &str) -> (Option<Aim>, &str) {
    match text.as_bytes() {
        [b']', kind, variety, ..] if kind.is_ascii_alphabetic() && variety.is_ascii_alphanumeric() => (
            Some(Aim {
                kind: *kind,
                variety: *variety,
            }),
            &text[3..],
        ),
        _ => (None, text),
    }
}

/// The article number of a GS1 element string that says nothing else: `01` and 14 digits, of which the first is zero
/// for what is sold to people. In its form of 13 digits.
pub fn gs1_product(text: &str) -> Option<&str> {
    let number = text.strip_prefix("010").filter(|number| number.len() == 13)?;
    (crate::products::gtin_fits(number) == Some(true)).then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_symbols_name_is_taken_off() {
        for (said, text) in [
            ("]C1260411000000012345", "260411000000012345"),
            ("]Q3CF1:ABC", "CF1:ABC"),
            ("]E06901234567892", "6901234567892"),
            ("]e0", ""),
        ] {
            let (aim, rest) = without_aim(said);
            assert!(aim.is_some());
            assert_eq!(rest, text);
        }
        for text in ["", "]", "]C", "]1C1", "]C-1", "C]1", "]券券", "6901234567892"] {
            assert_eq!(without_aim(text), (None, text));
        }
    }

    #[test]
    fn it_tells_what_the_text_does_not() {
        assert!(without_aim("]E496385074").0.is_some_and(Aim::is_ean8));
        assert!(!without_aim("]E06901234567892").0.is_some_and(Aim::is_ean8));
        assert!(without_aim("]C1").0.is_some_and(Aim::is_gs1));
        assert!(!without_aim("]C0").0.is_some_and(Aim::is_gs1));
    }

    #[test]
    fn an_element_string_of_an_article_is_its_number() {
        assert_eq!(gs1_product("0106901234567892"), Some("6901234567892"));
        for other in [
            "0106901234567893",
            "0116901234567899",
            "01069012345678921726",
            "0106",
            "",
        ] {
            assert_eq!(gs1_product(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in any::<String>()) {
            let (aim, rest) = without_aim(&text);
            prop_assert_eq!(rest.len() + if aim.is_some() { 3 } else { 0 }, text.len());
            gs1_product(rest);
        }
    }
}
