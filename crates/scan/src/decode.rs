//! Finding symbols: one pass over the picture as it is, and, only when that finds nothing, a bounded number of other
//! looks at it.
//!
//! Three rules keep wrong readings out. The other looks search for QR codes, whose error correction makes an accidental
//! reading all but impossible, and for bar codes with a check digit, which two looks must agree on; and a bar code
//! with no check digit, or a short one, must read the same in several lines; and a bar code within a QR code is modules
//! of it that happen to look like bars.

use image::GrayImage;
use serde::Serialize;
use zxingcpp::{Barcode, BarcodeFormat, BarcodeReader, Binarizer, ImageFormat, ImageView, TextMode};

use crate::format::Format;
use crate::looks::{LOOKS, Looks};
use crate::picture::{PictureError, PictureLimits, load};

/// A symbol found in a picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Symbol {
    pub format: Format,
    pub text: String,
    /// Top left, top right, bottom right, bottom left as the symbol itself stands, in pixels of the upright picture.
    pub corners: [[i32; 2]; 4],
}

/// How long to go on when the first pass finds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Effort {
    /// One pass: for camera frames, where another one comes in a moment.
    Quick,
    /// All looks: for a picture that somebody chose.
    #[default]
    Thorough,
}

/// Finds the symbols in a PNG or JPEG, within the default limits.
pub fn decode(bytes: &[u8]) -> Result<Vec<Symbol>, PictureError> {
    decode_with(bytes, &PictureLimits::default(), Effort::Thorough)
}

pub fn decode_with(bytes: &[u8], limits: &PictureLimits, effort: Effort) -> Result<Vec<Symbol>, PictureError> {
    Ok(find(&load(bytes, limits)?, effort))
}

/// Finds the symbols in a grey picture.
pub fn find(grey: &GrayImage, effort: Effort) -> Vec<Symbol> {
    if grey.width() == 0 || grey.height() == 0 {
        return Vec::new();
    }
    let found = read(grey, Binarizer::LocalAverage, &EVERYTHING);
    if !found.is_empty() || effort == Effort::Quick {
        return found;
    }
    look_again(grey)
}

/// Tries the other looks in turn. A QR code ends the search at once; a bar code must read the same in
/// [`VOTES`] of them, since a bar code's one check digit lets one misreading in ten through.
fn look_again(grey: &GrayImage) -> Vec<Symbol> {
    let mut looks = Looks::new(grey);
    let mut votes: Vec<(Symbol, usize)> = Vec::new();
    for look in LOOKS {
        let formats = match (look.matrix, look.bars) {
            (true, true) => &SURE[..],
            (true, false) => &SURE[..1],
            (false, _) => &SURE[1..],
        };
        let Some((picture, origin)) = looks.take(look) else {
            continue;
        };
        let found = read(&picture, look.binarizer, formats).into_iter().map(|mut symbol| {
            symbol.corners = symbol.corners.map(|corner| origin.of(corner));
            symbol
        });
        let (matrix, bars): (Vec<_>, Vec<_>) = found.partition(|symbol| symbol.format == Format::QrCode);
        if !matrix.is_empty() {
            return matrix;
        }
        for symbol in bars {
            match votes
                .iter_mut()
                .find(|(other, _)| (other.format, &other.text) == (symbol.format, &symbol.text))
            {
                Some((_, count)) => *count += 1,
                None => votes.push((symbol, 1)),
            }
        }
        if votes.iter().any(|(_, count)| *count >= VOTES) {
            votes.retain(|(_, count)| *count >= VOTES);
            return votes.into_iter().map(|(symbol, _)| symbol).collect();
        }
    }
    Vec::new()
}

const VOTES: usize = 2;

/// What the first pass looks for. UPC-A comes out as the EAN-13 that it is, with a leading 0.
const EVERYTHING: [BarcodeFormat; 8] = [
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
const SURE: [BarcodeFormat; 3] = [
    BarcodeFormat::QRCodeModel2,
    BarcodeFormat::EAN13,
    BarcodeFormat::Code128,
];

fn read(grey: &GrayImage, binarizer: Binarizer, formats: &[BarcodeFormat]) -> Vec<Symbol> {
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
        Ok(found) => {
            let mut found: Vec<Symbol> = found.iter().filter_map(symbol).collect();
            let squares: Vec<_> = found
                .iter()
                .filter(|symbol| symbol.format == Format::QrCode)
                .map(|symbol| symbol.corners)
                .collect();
            found.retain(|symbol| {
                lines_needed(symbol.format) == 0 || !squares.iter().any(|square| is_within(&symbol.corners, square))
            });
            found
        }
        Err(error) => {
            tracing::debug!(%error, "the decoder refused a picture");
            Vec::new()
        }
    }
}

fn symbol(barcode: &Barcode) -> Option<Symbol> {
    let format = format_of(barcode)?;
    if !barcode.is_valid() || barcode.line_count() < lines_needed(format) {
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
    Some(Symbol {
        format,
        text: barcode.text(),
        corners,
    })
}

/// Whether the middle of one symbol lies within the corners of another, which may stand at any angle or be mirrored.
fn is_within(corners: &[[i32; 2]; 4], square: &[[i32; 2]; 4]) -> bool {
    // Four times as large, so that the middle is whole.
    let middle: [i64; 2] = [0, 1].map(|axis| corners.iter().map(|corner| i64::from(corner[axis])).sum());
    let sides = (0..4).map(|side| {
        let [from, to] = [square[side], square[(side + 1) % 4]].map(|corner| corner.map(|at| i64::from(at) * 4));
        (to[0] - from[0]) * (middle[1] - from[1]) - (to[1] - from[1]) * (middle[0] - from[0])
    });
    let (mut left, mut right) = (false, false);
    for side in sides {
        left |= side < 0;
        right |= side > 0;
    }
    // Neither, where the corners are no square at all.
    left != right
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

#[cfg(test)]
mod tests {
    use image::{GrayImage, Luma};

    use super::*;
    use crate::render::{QrStyle, picture};

    /// Whatever a look does to the picture, what it finds is told in the picture's own pixels.
    #[test]
    fn every_look_reads_and_says_where() {
        let code = picture("100120260712345678", &QrStyle::default()).unwrap();
        let (left, top, side) = (60 + 32, 20 + 32, code.width() as i32 - 64);
        let mut grey = GrayImage::from_pixel(360, 260, Luma([255]));
        image::imageops::overlay(&mut grey, &code, 60, 20);
        let mut looks = Looks::new(&grey);
        for look in LOOKS.iter().filter(|look| look.matrix) {
            let (view, origin) = looks.take(look).unwrap();
            let found = read(&view, look.binarizer, &SURE[..1]);
            assert_eq!(found.len(), 1, "{look:?}");
            for (number, corner) in found[0].corners.iter().enumerate() {
                let [x, y] = origin.of(*corner);
                let right = i32::from(number == 1 || number == 2) * side;
                let down = i32::from(number >= 2) * side;
                assert!(
                    (x - left - right).abs() <= 8 && (y - top - down).abs() <= 8,
                    "{look:?} corner {number}: {x},{y}"
                );
            }
        }
    }

    #[test]
    fn the_middle_decides_whether_one_is_within_another() {
        let upright = [[10, 10], [50, 10], [50, 50], [10, 50]];
        let turned = [[30, 0], [60, 30], [30, 60], [0, 30]];
        let mirrored = [[50, 10], [10, 10], [10, 50], [50, 50]];
        let bars = |x, y| [[x - 20, y - 1], [x + 20, y - 1], [x + 20, y + 1], [x - 20, y + 1]];
        for square in [upright, turned, mirrored] {
            assert!(is_within(&bars(30, 30), &square), "{square:?}");
            assert!(is_within(&bars(34, 22), &square), "{square:?}");
            assert!(!is_within(&bars(30, 80), &square), "{square:?}");
        }
        assert!(is_within(&bars(12, 12), &upright) && !is_within(&bars(12, 12), &turned));
        assert!(!is_within(&bars(30, 30), &[[30, 30]; 4]));
    }

    #[test]
    fn large_pictures_are_looked_at_in_bounded_sizes() {
        let grey = GrayImage::new(6_000, 4_000);
        let mut looks = Looks::new(&grey);
        for look in LOOKS.iter().filter(|look| look.bars || look.matrix) {
            if let Some((view, _)) = looks.take(look) {
                assert!(view.len() <= 2_010_000, "{look:?}");
            }
        }
    }
}
