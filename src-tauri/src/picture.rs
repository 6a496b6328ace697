//! A picture that somebody dropped, chose or pasted: a PNG or JPEG, in base64 where it comes out of the window.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use base64::{Engine, prelude::BASE64_STANDARD};
use counterfoil_scan::{Effort, Format, PictureError, PictureLimits, Symbol, decode_with};

use crate::codes::Own;
use crate::problem::{Problem, Result};

/// As the screens say.
pub const LIMITS: PictureLimits = PictureLimits {
    max_bytes: 20 * 1024 * 1024,
    max_pixels: 80_000_000,
};

/// A symbol that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    pub text: String,
    pub format: Format,
}

impl From<Symbol> for Read {
    fn from(symbol: Symbol) -> Self {
        Self {
            text: symbol.text,
            format: symbol.format,
        }
    }
}

/// The codes in a picture from the window. Blocks for as long as looking takes.
pub fn read(base64: &str) -> Result<Vec<Read>> {
    // Four characters hold three bytes, so this is known before anything is unpacked.
    let bytes = base64.len() as u64 / 4 * 3;
    if bytes > LIMITS.max_bytes + 2 {
        return Err(PictureError::TooLarge {
            actual: bytes,
            limit: LIMITS.max_bytes,
            unit: "bytes",
        }
        .into());
    }
    let bytes = BASE64_STANDARD
        .decode(base64)
        .map_err(|error| PictureError::Unreadable(format!("not base64: {error}")))?;
    read_bytes(&bytes)
}

/// The codes in a picture; none is a problem. Blocks likewise.
pub fn read_bytes(bytes: &[u8]) -> Result<Vec<Read>> {
    let symbols = decode_with(bytes, &LIMITS, Effort::Thorough)?;
    if symbols.is_empty() {
        return Err(Problem::new(
            Own::PictureWithoutCode,
            "no code was found in the picture",
        ));
    }
    Ok(symbols.into_iter().map(Read::from).collect())
}

/// The codes in a file. No more of it is read than a picture may be large.
pub fn read_file(path: &Path) -> Result<Vec<Read>> {
    let unreadable = |error: io::Error| PictureError::Unreadable(error.to_string());
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    let most = LIMITS.max_bytes.saturating_add(1);
    file.take(most).read_to_end(&mut bytes).map_err(unreadable)?;
    read_bytes(&bytes)
}

#[cfg(test)]
mod tests {
    use counterfoil_scan::render::{QrStyle, png};

    use super::*;

    fn code_of(base64: &str) -> String {
        read(base64).unwrap_err().code
    }

    /// What the test of scanners shows is what it compares with.
    #[test]
    fn the_test_codes_say_the_test_text() {
        let script = include_str!("../../ui/shared/src/scanner-test.ts");
        let (_, rest) = script.split_once("TEST_TEXT = '").unwrap();
        let (text, _) = rest.split_once('\'').unwrap();
        for code in [
            &include_bytes!("../../ui/counter/src/screens/settings/scanner-test-bars.png")[..],
            &include_bytes!("../../ui/counter/src/screens/settings/scanner-test-square.png")[..],
        ] {
            let symbols = decode_with(code, &LIMITS, Effort::Thorough).unwrap();
            assert_eq!(
                symbols.iter().map(|symbol| symbol.text.as_str()).collect::<Vec<_>>(),
                [text]
            );
        }
    }

    #[test]
    fn the_code_in_a_picture_is_read() {
        let picture = png("100120260712345678", &QrStyle::default()).unwrap();
        let code = Read {
            text: "100120260712345678".to_owned(),
            format: Format::QrCode,
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("券 1%20.png");
        std::fs::write(&file, &picture).unwrap();
        assert_eq!(read_file(&file).unwrap(), std::slice::from_ref(&code));
        assert_eq!(read(&BASE64_STANDARD.encode(picture)).unwrap(), [code]);
        assert_eq!(read_file(folder.path()).unwrap_err().code, "picture_unreadable");
    }

    #[test]
    fn what_cannot_be_read_has_its_code() {
        assert_eq!(
            code_of(&BASE64_STANDARD.encode("a text called .png")),
            "picture_unreadable"
        );
        assert_eq!(code_of("???"), "picture_unreadable");
        assert_eq!(code_of(""), "picture_unreadable");
        assert_eq!(code_of(&"A".repeat(56_000_000)), "picture_too_large");
        let mut grey = counterfoil_scan::render::picture("1", &QrStyle::default()).unwrap();
        grey.iter_mut().for_each(|value| *value = 255);
        let blank = counterfoil_scan::frames::Frame { grey, number: 0 };
        let white = counterfoil_scan::frames::preview(&blank).unwrap();
        assert_eq!(code_of(&BASE64_STANDARD.encode(white)), "picture_without_code");
    }
}
