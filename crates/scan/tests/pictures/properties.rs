use counterfoil_scan::render::{Correction, QrStyle, png};
use counterfoil_scan::{Effort, Format, PictureLimits, decode, decode_with};
use proptest::prelude::*;

use crate::scene;

fn style() -> impl Strategy<Value = QrStyle> {
    let correction = prop_oneof![
        Just(Correction::Low),
        Just(Correction::Medium),
        Just(Correction::Quartile),
        Just(Correction::High),
    ];
    (3u32..7, 4u32..7, correction).prop_map(|(module, quiet, correction)| QrStyle {
        module,
        quiet,
        correction,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_drawn_is_read(text in "[0-9A-Z $%*+./:-]{1,200}|[ -~]{1,150}", style in style()) {
        let found = decode(&png(&text, &style).unwrap()).unwrap();
        prop_assert_eq!(found.len(), 1);
        prop_assert_eq!(found[0].format, Format::QrCode);
        prop_assert_eq!(&found[0].text, &text);
    }

    #[test]
    fn any_script_is_read(text in "[\u{4e00}-\u{9fa5}A-Za-z0-9é￥·]{1,60}", style in style()) {
        let found = decode(&png(&text, &style).unwrap()).unwrap();
        prop_assert_eq!(found.len(), 1);
        prop_assert_eq!(&found[0].text, &text);
    }

    #[test]
    fn any_bytes_are_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let _ = decode_with(&bytes, &PictureLimits::default(), Effort::Quick);
    }

    #[test]
    fn any_bytes_after_a_signature_are_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..500), is_png in any::<bool>()) {
        let signature: &[u8] = if is_png { b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" } else { b"\xff\xd8\xff\xe0\0\x10JFIF\0" };
        let _ = decode_with(&[signature, &bytes].concat(), &PictureLimits::default(), Effort::Quick);
    }

    #[test]
    fn a_picture_cut_anywhere_is_an_answer(part in 0.0..1.0f64, is_png in any::<bool>()) {
        let code = scene::qr("100120260712345678", 3);
        let whole = if is_png { scene::png(&code) } else { scene::jpeg(&code, 70) };
        let cut = &whole[..(whole.len() as f64 * part) as usize];
        match decode_with(cut, &PictureLimits::default(), Effort::Quick) {
            Ok(found) => prop_assert!(found.iter().all(|symbol| symbol.text == "100120260712345678")),
            Err(error) => prop_assert_eq!(error.code(), "picture_unreadable"),
        }
    }
}

/// Modules of a dense code that happen to look like a bar code.
#[test]
fn a_bar_code_within_a_qr_code_is_none() {
    let text = "  6 EW%+D:+   G$: /Y*Q% O7% $OJFA%F%4+N0*$Z%7+.$*YY / *+0$W%J G X$*% / /*+ 2HUYO+O%/IM";
    let style = QrStyle {
        module: 4,
        quiet: 4,
        correction: Correction::High,
    };
    let found = decode(&png(text, &style).unwrap()).unwrap();
    assert_eq!(
        found.iter().map(|symbol| symbol.format).collect::<Vec<_>>(),
        [Format::QrCode],
        "{found:?}"
    );
}
