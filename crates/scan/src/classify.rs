//! What a text is, by its form alone. Whether such a coupon or order exists is for the counter to find out.

use counterfoil_domain::{
    pickup_codes::{self, PickupPart, PickupPolicy},
    products::gtin_fits,
    scans::{Aim, gs1_product, without_aim},
    text::plain,
    typed::{compact, member_card, mobile},
};

use crate::format::Format;

/// Longest text that is looked at, bytes. What a QR code can hold is longer, what this chain issues is not.
pub const MAX_TEXT: usize = 1024;

const TOKEN: &str = "CF1:";
const ENROLMENT: &str = "CFENROL:";
/// 18 by the default policy of coupon codes; a tenant's own policy may make them this long or short.
const COUPON_DIGITS: std::ops::RangeInclusive<usize> = 16..=24;
const EAN8_DIGITS: usize = 8;

/// How a text came to the desk. It decides where the form alone leaves a doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Typed,
    Pasted,
    /// Keystrokes of a USB scanner, which do not say what kind of symbol was read.
    Scanned,
    /// Read from a picture or a camera frame.
    Symbol(Format),
}

/// What a text is, brought to its one form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scanned {
    /// 16 to 24 digits, 18 by default.
    Coupon(String),
    /// 8 digits by default; a chain's own policy may make them otherwise.
    Pickup(String),
    /// A product's barcode with a correct check digit: EAN-13 as 13 digits, also for UPC-A; EAN-8 as 8; that of a case
    /// as 14.
    Product(String),
    /// Begins like a signed token; `domain::tokens` reads it.
    Token(String),
    /// An enrolment QR, case kept: it carries an address.
    Enrolment(String),
    /// A mobile number, 11 digits without the country's prefix.
    Phone(String),
    /// `M` and digits.
    Member(String),
    /// None of these; trimmed, at most [`MAX_TEXT`] bytes. Empty when nothing was left.
    Unknown(String),
}

/// How pickup codes look that a desk may be shown.
#[derive(Debug, Clone)]
pub struct PickupForms(Vec<PickupPolicy>);

impl Default for PickupForms {
    /// Of a desk that was told of no policy: any eight digits.
    fn default() -> Self {
        Self(vec![PickupPolicy {
            parts: vec![PickupPart::Random { signs: 8 }],
            ..PickupPolicy::default()
        }])
    }
}

impl PickupForms {
    /// Those of the chain's policies, in whatever order; with none of them the default ones.
    pub fn new(policies: Vec<PickupPolicy>) -> Self {
        if policies.is_empty() {
            return Self::default();
        }
        Self(policies.into_iter().chain([PickupPolicy::default()]).collect())
    }

    /// The code's one form; `None` where the text is none.
    fn read(&self, text: &str) -> Option<String> {
        pickup_codes::read(&self.0, text).map(|read| read.code)
    }
}

/// Says what a text is, where pickup codes are any eight digits; see [`classify_with`].
pub fn classify(text: &str, source: Source) -> Scanned {
    classify_with(&PickupForms::default(), text, source)
}

/// Says what a text is.
///
/// Full-width characters (an input method left on), spaces, dashes, control and invisible characters are undone
/// first, and the symbol's name by AIM is taken off. Eight digits are a pickup code, unless they came as an EAN-8 symbol.
pub fn classify_with(forms: &PickupForms, text: &str, source: Source) -> Scanned {
    if text.len() > MAX_TEXT {
        return Scanned::Unknown(cut(&plain(cut(text))).to_owned());
    }
    let mut text = plain(text);
    let mut aim = None;
    while let (Some(name), bare) = without_aim(&text) {
        aim = aim.or(Some(name));
        text = bare.trim_start().to_owned();
    }
    let source = if aim.is_some_and(Aim::is_ean8) {
        Source::Symbol(Format::Ean8)
    } else {
        source
    };
    if aim.is_some_and(Aim::is_gs1)
        && let Some(number) = gs1_product(&text)
    {
        return Scanned::Product(number.to_owned());
    }

    if let Some(rest) = without_prefix(&text, ENROLMENT) {
        return Scanned::Enrolment(format!("{ENROLMENT}{rest}"));
    }
    let compact = compact(&text);
    if let Some(rest) = without_prefix(&compact, TOKEN) {
        // Caps Lock turns a scanner's letters round; a token has capitals only.
        let rest = rest.to_ascii_uppercase();
        if !rest.is_empty() && rest.chars().all(is_qr_alphanumeric) {
            return Scanned::Token(format!("{TOKEN}{rest}"));
        }
        return Scanned::Unknown(text);
    }
    if let Some(digits) = mobile(&compact) {
        return Scanned::Phone(digits);
    }
    if is_digits(&compact) {
        return by_digits(forms, compact, source).unwrap_or(Scanned::Unknown(text));
    }
    if let Some(number) = member_card(&compact) {
        return Scanned::Member(number);
    }
    if let Some(code) = forms.read(&compact) {
        return Scanned::Pickup(code);
    }
    Scanned::Unknown(text)
}

fn by_digits(forms: &PickupForms, digits: String, source: Source) -> Option<Scanned> {
    let as_barcode = matches!(source, Source::Symbol(format) if format.is_retail());
    match digits.len() {
        length if COUPON_DIGITS.contains(&length) => Some(Scanned::Coupon(digits)),
        EAN8_DIGITS if as_barcode => is_gtin(&digits).then_some(Scanned::Product(digits)),
        _ if forms.read(&digits).is_some() => forms.read(&digits).map(Scanned::Pickup),
        // Where codes have another length, eight digits are a product or nothing.
        EAN8_DIGITS => is_gtin(&digits).then_some(Scanned::Product(digits)),
        12 => is_gtin(&digits).then(|| Scanned::Product(format!("0{digits}"))),
        13 => is_gtin(&digits).then_some(Scanned::Product(digits)),
        // Of a single article, the first of fourteen is zero; otherwise it is a case of several.
        14 => is_gtin(&digits).then(|| Scanned::Product(digits.strip_prefix('0').unwrap_or(&digits).to_owned())),
        _ => None,
    }
}

/// Whether these are 8, 12, 13 or 14 digits of which the last is the check digit (GS1 General Specifications, 7.9).
pub fn is_gtin(digits: &str) -> bool {
    gtin_fits(digits) == Some(true)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The set of the QR alphanumeric mode, without the space and the dash, which were taken out before.
fn is_qr_alphanumeric(c: char) -> bool {
    matches!(c, '0'..='9' | 'A'..='Z' | '$' | '%' | '*' | '+' | '.' | '/' | ':')
}

fn without_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn typed(text: &str) -> Scanned {
        classify(text, Source::Typed)
    }

    #[test]
    fn pickup_codes_look_as_the_chain_makes_them() {
        let policy = |parts: Vec<PickupPart>, alphabet: &str| PickupPolicy {
            version: 1,
            parts,
            alphabet: alphabet.into(),
            ..PickupPolicy::default()
        };
        let seven = PickupForms::new(vec![policy(vec![PickupPart::Random { signs: 7 }], "0123456789")]);
        let typed = |forms: &PickupForms, text| classify_with(forms, text, Source::Typed);
        assert_eq!(typed(&seven, "１234-567"), Scanned::Pickup("1234567".into()));
        // Those of before there was a policy live on, and no others.
        assert_eq!(typed(&seven, "12345600"), Scanned::Pickup("12345600".into()));
        assert_eq!(typed(&seven, "12345607"), Scanned::Unknown("12345607".into()));
        assert_eq!(typed(&seven, "96385074"), Scanned::Product("96385074".into()));
        let letters = vec![PickupPart::Fixed { text: "K".into() }, PickupPart::Random { signs: 6 }];
        let letters = PickupForms::new(vec![policy(letters, "0123456789ABCDEFGHJKLMN")]);
        assert_eq!(typed(&letters, "k-12a 45n"), Scanned::Pickup("K12A45N".into()));
        assert_eq!(typed(&letters, "K12A45Z"), Scanned::Unknown("K12A45Z".into()));
        assert_eq!(typed(&letters, "M00012345"), Scanned::Member("M00012345".into()));
        assert_eq!(typed(&letters, "13800138000"), Scanned::Phone("13800138000".into()));
    }

    #[test]
    fn each_kind_by_its_form() {
        let cases = [
            ("100120260712345678", Scanned::Coupon("100120260712345678".into())),
            ("12345607", Scanned::Pickup("12345607".into())),
            ("6901028075763", Scanned::Product("6901028075763".into())),
            ("036000291452", Scanned::Product("0036000291452".into())),
            ("00036000291452", Scanned::Product("0036000291452".into())),
            ("10036000291459", Scanned::Product("10036000291459".into())),
            ("CF1:ABC234", Scanned::Token("CF1:ABC234".into())),
            (
                "CFENROL:https://hq.example/a#K7",
                Scanned::Enrolment("CFENROL:https://hq.example/a#K7".into()),
            ),
            ("13800138000", Scanned::Phone("13800138000".into())),
            ("+86 138-0013-8000", Scanned::Phone("13800138000".into())),
            ("m00012345", Scanned::Member("M00012345".into())),
            ("hello", Scanned::Unknown("hello".into())),
            ("", Scanned::Unknown(String::new())),
        ];
        for (text, expected) in cases {
            assert_eq!(typed(text), expected, "{text}");
        }
    }

    #[test]
    fn what_people_and_scanners_add_is_undone() {
        let coupon = Scanned::Coupon("100120260712345678".into());
        for text in [
            "1001 2026 0712 3456 78",
            "1001-2026-0712-3456-78",
            "１００１２０２６０７１２３４５６７８",
            "\u{feff}100120260712345678\r\n",
            "\u{2}100120260712345678\u{3}",
            "　1001–20260712—345678　",
        ] {
            assert_eq!(typed(text), coupon, "{text:?}");
        }
        assert_eq!(typed("cf1:abc234\r"), Scanned::Token("CF1:ABC234".into()));
    }

    #[test]
    fn eight_digits_are_a_product_only_as_a_product_barcode() {
        assert_eq!(
            classify("96385074", Source::Symbol(Format::Ean8)),
            Scanned::Product("96385074".into())
        );
        for source in [
            Source::Typed,
            Source::Pasted,
            Source::Scanned,
            Source::Symbol(Format::QrCode),
        ] {
            assert_eq!(classify("96385074", source), Scanned::Pickup("96385074".into()));
        }
        assert_eq!(
            classify("96385075", Source::Symbol(Format::Ean8)),
            Scanned::Unknown("96385075".into())
        );
    }

    /// The front end has to know some of it before it lets a key through; it is held to the same list.
    #[test]
    fn the_forms_that_the_front_end_knows() {
        let forms: serde_json::Value = serde_json::from_str(include_str!("../forms.json")).unwrap();
        for case in forms.as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            let form = match classify(text, Source::Scanned) {
                Scanned::Coupon(_) => Some("coupon"),
                Scanned::Pickup(_) => Some("pickup"),
                Scanned::Product(_) => Some("product"),
                Scanned::Token(_) => Some("token"),
                Scanned::Member(_) => Some("member"),
                Scanned::Enrolment(_) | Scanned::Phone(_) | Scanned::Unknown(_) => None,
            };
            assert_eq!(form, case["form"].as_str(), "{text}");
        }
    }

    #[test]
    fn the_name_of_the_symbol_is_taken_off_and_believed() {
        let scanned = |text| classify(text, Source::Scanned);
        assert_eq!(
            scanned("]C1260411000000012345"),
            Scanned::Coupon("260411000000012345".into())
        );
        assert_eq!(scanned("]Q3CF1:ABC234"), Scanned::Token("CF1:ABC234".into()));
        assert_eq!(scanned("]E06901028075763"), Scanned::Product("6901028075763".into()));
        assert_eq!(scanned("]E496385074"), Scanned::Product("96385074".into()));
        assert_eq!(scanned("]Q196385074"), Scanned::Pickup("96385074".into()));
        assert_eq!(scanned("]C10106901028075763"), Scanned::Product("6901028075763".into()));
        assert_eq!(
            scanned("]C00106901028075763"),
            Scanned::Coupon("0106901028075763".into())
        );
        assert_eq!(scanned("]E0S001"), Scanned::Unknown("S001".into()));
    }

    #[test]
    fn near_misses_stay_unknown() {
        for text in [
            "6901028075764",
            "100120260712345",
            "1001202607123456789012345",
            "12800138000",
            "CF1:",
            "CF1:a_b",
            "CF2:ABC",
            "1001202607123456７x",
            "M12",
        ] {
            assert!(matches!(typed(text), Scanned::Unknown(_)), "{text}");
        }
    }

    #[test]
    fn long_text_is_cut() {
        let Scanned::Unknown(text) = typed(&"券".repeat(5_000)) else {
            panic!("a long text is nothing known");
        };
        assert!(text.len() <= MAX_TEXT && text.starts_with('券'));
        assert!(matches!(typed(&"1".repeat(MAX_TEXT + 1)), Scanned::Unknown(_)));
    }

    proptest! {
        #[test]
        fn any_text_is_something(text in any::<String>(), format in 0..Format::ALL.len()) {
            for source in [Source::Typed, Source::Scanned, Source::Symbol(Format::ALL[format])] {
                classify(&text, source);
            }
        }

        #[test]
        fn saying_it_twice_changes_nothing(text in "[0-9０-９ A-Za-zＡ-Ｚ:.+-]{0,40}") {
            let once = typed(&text);
            let again = match &once {
                Scanned::Coupon(t) | Scanned::Pickup(t) | Scanned::Product(t) | Scanned::Token(t)
                | Scanned::Enrolment(t) | Scanned::Phone(t) | Scanned::Member(t) | Scanned::Unknown(t) => typed(t),
            };
            prop_assert_eq!(once, again);
        }
    }
}
