//! One pass of the decoder over one picture.

use image::GrayImage;
use zxingcpp::{Barcode, BarcodeFormat, BarcodeReader, Binarizer, ImageFormat, ImageView, TextMode};

use crate::decode::Symbol;
use crate::format::Format;
use crate::text;

/// What the first pass looks for. UPC-A comes out as the EAN-13 that it is, with a leading 0.
pub(crate) const EVERYTHING: [BarcodeFormat; 8] = [
    BarcodeFormat::QRCode,
    BarcodeFormat::DataMatrix,
    BarcodeFormat::EAN13,
    BarcodeFormat::EAN8,
    BarcodeFormat::UPCE,
    BarcodeFormat::Code128,
    BarcodeFormat::Code39,
    BarcodeFormat::ITF,
];

/// What the other looks look for: full-size QR first, then bar codes with a check digit and enough length.
pub(crate) const SURE: [BarcodeFormat; 3] = [
    BarcodeFormat::QRCodeModel2,
    BarcodeFormat::EAN13,
    BarcodeFormat::Code128,
];

/// What the decoder read.
#[derive(Debug)]
pub(crate) struct Reading {
    pub symbol: Symbol,
    /// The digits as they stand in the bars, where they are others than the text's.
    pub printed: Option<String>,
    /// In how many lines a bar code was read; 0 for matrix symbols.
    pub lines: i32,
}

pub(crate) fn read(grey: &GrayImage, binarizer: Binarizer, formats: &[BarcodeFormat]) -> Vec<Reading> {
    let Ok(view) = ImageView::from_slice(grey.as_raw(), grey.width(), grey.height(), ImageFormat::Lum) else {
        return Vec::new();
    };
    let reader = BarcodeReader::new()
        .formats(formats)
        .binarizer(binarizer)
        // As printed: no parentheses put around GS1 identifiers, nothing escaped.
        .text_mode(TextMode::Plain)
        .try_harder(true)
        .try_rotate(true)
        .try_invert(true)
        .try_downscale(true);
    match reader.from(view) {
        Ok(found) => found.iter().filter_map(reading).collect(),
        Err(error) => {
            tracing::debug!(%error, "the decoder refused a picture");
            Vec::new()
        }
    }
}

fn reading(barcode: &Barcode) -> Option<Reading> {
    let format = format_of(barcode)?;
    let lines = if format.is_matrix() { 0 } else { barcode.line_count() };
    if !barcode.is_valid() || lines < lines_needed(format) {
        return None;
    }
    let position = barcode.position();
    let corners = [
        position.top_left,
        position.top_right,
        position.bottom_right,
        position.bottom_left,
    ]
    .map(|point| [point.x, point.y]);
    let chinese = || text::chinese(&barcode.bytes()).filter(|_| format.is_matrix() && !barcode.has_eci());
    Some(Reading {
        symbol: Symbol {
            format,
            text: chinese().unwrap_or_else(|| barcode.text()),
            corners,
        },
        printed: (format == Format::UpcE).then(|| barcode.extra_with_key("UPCE")),
        lines,
    })
}

/// The binding's `format()` is sound only where its enum knows every variant of the symbology (it lacks ITF-14 and
/// Code 39's kinds), so the symbology is asked first.
fn format_of(barcode: &Barcode) -> Option<Format> {
    match barcode.symbology() {
        BarcodeFormat::QRCode => Some(match barcode.format() {
            BarcodeFormat::MicroQRCode => Format::MicroQrCode,
            BarcodeFormat::RMQRCode => Format::RmQrCode,
            _ => Format::QrCode,
        }),
        BarcodeFormat::EANUPC => match barcode.format() {
            BarcodeFormat::EAN13 | BarcodeFormat::ISBN => Some(Format::Ean13),
            BarcodeFormat::EAN8 => Some(Format::Ean8),
            BarcodeFormat::UPCA => Some(Format::UpcA),
            BarcodeFormat::UPCE => Some(Format::UpcE),
            _ => None,
        },
        BarcodeFormat::DataMatrix => Some(Format::DataMatrix),
        BarcodeFormat::Code128 => Some(Format::Code128),
        BarcodeFormat::Code39 => Some(Format::Code39),
        BarcodeFormat::ITF => Some(Format::Itf),
        _ => None,
    }
}

/// In how many lines of the picture a bar code must read the same (matrix symbols have no lines).
fn lines_needed(format: Format) -> i32 {
    match format {
        Format::Ean13 | Format::UpcA | Format::Code128 => 2,
        Format::Ean8 | Format::UpcE | Format::Code39 | Format::Itf => 4,
        Format::QrCode | Format::MicroQrCode | Format::RmQrCode | Format::DataMatrix => 0,
    }
}
