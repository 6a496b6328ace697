//! What a search compares, on both sides: the databases know the case of ASCII alone.

use unicode_normalization::UnicodeNormalization;

use crate::text::is_invisible;

/// A text without what people don't tell apart when they look for something: case, width, composed or not, what nobody
/// sees, one space or several. Never looked at by people.
pub fn folded(text: &str) -> String {
    let seen = text.chars().filter(|sign| !is_invisible(*sign));
    // To capitals first: ß and SS, ς and σ are one.
    let folded: String = seen
        .nfkc()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .nfkc()
        .collect();
    let mut words = folded.split(|sign: char| sign.is_whitespace() || sign.is_control());
    let mut spaced = String::with_capacity(folded.len());
    for word in words.by_ref().filter(|word| !word.is_empty()) {
        if !spaced.is_empty() {
            spaced.push(' ');
        }
        spaced.push_str(word);
    }
    spaced
}

/// What a product is found by when a part of it is typed: its sku and names, each in a line of its own, so that nothing
/// typed reaches from one into the next.
pub fn searched(sku: &str, name_zh: &str, name_en: &str) -> String {
    [sku, name_zh, name_en].map(folded).join("\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_people_do_not_tell_apart_is_one() {
        for (one, other) in [
            ("CRÈME BRÛLÉE", "crème brûlée"),
            ("Cre\u{300}me", "crème"),
            ("ПЕЛЬМЕНИ", "пельмени"),
            ("STRASSE", "straße"),
            ("ΟΔΟΣ", "οδος"),
            ("ＴＥＡ－１", "tea-1"),
            ("绿\u{200b}茶", "绿茶"),
            ("绿茶\u{3000}礼盒", "绿茶 礼盒"),
            (" a \t\u{a0}b\u{ad} ", "A B"),
            ("ｶﾞﾗｽ", "ガラス"),
        ] {
            assert_eq!(folded(one), folded(other), "{one:?} {other:?}");
        }
        for (one, other) in [("e", "é"), ("茶", "茶1"), ("A-1", "A1")] {
            assert_ne!(folded(one), folded(other));
        }
    }

    proptest! {
        #[test]
        fn folding_twice_changes_nothing(text in any::<String>()) {
            let once = folded(&text);
            prop_assert_eq!(folded(&once), once.clone());
            prop_assert!(!once.contains('\n'));
        }
    }
}
