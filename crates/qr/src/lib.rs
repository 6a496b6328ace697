//! Drawing a text as a QR code: PNG for screens and receipts, SVG for print.

use std::io::Cursor;

use image::{GrayImage, ImageFormat, Luma};
use qrcode::bits::Bits;
use qrcode::render::svg;
use qrcode::types::QrResult;
use qrcode::{Color, EcLevel, QrCode, Version};
use thiserror::Error;

/// Longest side of a drawn picture, pixels.
const MAX_SIDE: u32 = 8_192;

/// How much of the symbol may be spoiled and still be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Correction {
    /// 7%
    Low,
    /// 15%
    #[default]
    Medium,
    /// 25%
    Quartile,
    /// 30%
    High,
}

/// How a code is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QrStyle {
    /// Side of one module, pixels.
    pub module: u32,
    /// White margin in modules; scanners want 4.
    pub quiet: u32,
    pub correction: Correction,
}

impl Default for QrStyle {
    fn default() -> Self {
        QrStyle {
            module: 8,
            quiet: 4,
            correction: Correction::Medium,
        }
    }
}

/// Why a text was not drawn.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RenderError {
    #[error("there is no text to draw")]
    Empty,
    /// A QR code holds 2,331 bytes at the default correction.
    #[error("{0} bytes do not fit into a QR code")]
    TooLong(usize),
    #[error("the picture would have {0} pixels a side, at most {MAX_SIDE}")]
    TooLarge(u64),
    #[error("the picture could not be written: {0}")]
    Encoding(String),
}

impl RenderError {
    /// Stable code for programs and for the sentence shown to people.
    pub fn code(&self) -> &'static str {
        match self {
            RenderError::Empty => "text_empty",
            RenderError::TooLong(_) => "text_too_long",
            RenderError::TooLarge(_) => "picture_too_large",
            RenderError::Encoding(_) => "internal",
        }
    }
}

/// The QR code as a PNG, black on white.
pub fn png(text: &str, style: &QrStyle) -> Result<Vec<u8>, RenderError> {
    let picture = picture(text, style)?;
    let mut bytes = Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, ImageFormat::Png)
        .map_err(|error| RenderError::Encoding(error.to_string()))?;
    Ok(bytes.into_inner())
}

/// The QR code as a grey picture.
pub fn picture(text: &str, style: &QrStyle) -> Result<GrayImage, RenderError> {
    let code = encode(text, style)?;
    let side = side(&code, style)?;
    let modules = code.width() as u32;
    let mut picture = GrayImage::from_pixel(side, side, Luma([255]));
    for (at, color) in code.to_colors().into_iter().enumerate() {
        if color == Color::Light {
            continue;
        }
        let left = (at as u32 % modules + style.quiet) * style.module;
        let top = (at as u32 / modules + style.quiet) * style.module;
        for y in top..top + style.module {
            for x in left..left + style.module {
                picture.put_pixel(x, y, Luma([0]));
            }
        }
    }
    Ok(picture)
}

/// The QR code as an SVG document, black on white. The margin is 4 modules, whatever the style says, unless it says 0.
pub fn svg(text: &str, style: &QrStyle) -> Result<String, RenderError> {
    let code = encode(text, style)?;
    side(&code, style)?;
    Ok(code
        .render::<svg::Color<'_>>()
        .quiet_zone(style.quiet > 0)
        .module_dimensions(style.module, style.module)
        .build())
}

fn encode(text: &str, style: &QrStyle) -> Result<QrCode, RenderError> {
    if text.is_empty() {
        return Err(RenderError::Empty);
    }
    let level = match style.correction {
        Correction::Low => EcLevel::L,
        Correction::Medium => EcLevel::M,
        Correction::Quartile => EcLevel::Q,
        Correction::High => EcLevel::H,
    };
    // The only way to fail, here and below, is length.
    let too_long = |_| RenderError::TooLong(text.len());
    if text.is_ascii() {
        return QrCode::with_error_correction_level(text, level).map_err(too_long);
    }
    // `qrcode` takes pairs of UTF-8 bytes for Shift JIS where they look like it, and a reader has to guess what plain
    // bytes are: so bytes, and said to be UTF-8.
    let mut last = RenderError::TooLong(text.len());
    for version in 1..=40 {
        match utf8(text, version, level) {
            Ok(code) => return Ok(code),
            Err(error) => last = too_long(error),
        }
    }
    Err(last)
}

/// The number of UTF-8 among the extended channel interpretations.
const ECI_UTF8: u32 = 26;

fn utf8(text: &str, version: i16, level: EcLevel) -> QrResult<QrCode> {
    let mut bits = Bits::new(Version::Normal(version));
    bits.push_eci_designator(ECI_UTF8)?;
    bits.push_byte_data(text.as_bytes())?;
    bits.push_terminator(level)?;
    QrCode::with_bits(bits, level)
}

fn side(code: &QrCode, style: &QrStyle) -> Result<u32, RenderError> {
    let side = (code.width() as u64 + 2 * u64::from(style.quiet)) * u64::from(style.module);
    match u32::try_from(side) {
        Ok(side @ 1..=MAX_SIDE) => Ok(side),
        _ => Err(RenderError::TooLarge(side)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_told_apart() {
        let style = QrStyle::default();
        assert_eq!(png("", &style), Err(RenderError::Empty));
        assert_eq!(png(&"x".repeat(2_332), &style), Err(RenderError::TooLong(2_332)));
        assert!(png(&"x".repeat(2_331), &style).is_ok());
        let huge = QrStyle {
            module: u32::MAX,
            ..style
        };
        assert!(matches!(png("x", &huge), Err(RenderError::TooLarge(_))));
        let none = QrStyle { module: 0, ..style };
        assert!(matches!(svg("x", &none), Err(RenderError::TooLarge(0))));
    }

    #[test]
    fn svg_is_a_document_without_the_text() {
        let document = svg("<script>", &QrStyle::default()).unwrap();
        assert!(document.starts_with("<?xml") && document.ends_with("</svg>"));
        assert!(!document.contains("script"));
    }
}
