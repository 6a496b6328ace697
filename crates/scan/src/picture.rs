//! From the bytes of a picture file to a grey, upright picture. Everything that is checked can be checked before the
//! pixels are unpacked: a file of a few kB may claim to be a picture of many GB.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::{DynamicImage, GrayImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};
use thiserror::Error;

/// Longest side that the decoder takes (it counts columns in 16 bits).
const MAX_SIDE: u32 = 65_535;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureLimits {
    /// Size of the file, bytes.
    pub max_bytes: u64,
    /// Width times height, from the header.
    pub max_pixels: u64,
}

impl Default for PictureLimits {
    fn default() -> Self {
        PictureLimits {
            max_bytes: 25_000_000,
            max_pixels: 80_000_000,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Error, strum::IntoStaticStr, strum::VariantNames)]
pub enum PictureError {
    /// Bytes or pixels beyond the limit; nothing was unpacked.
    #[error("the picture is too large: {actual} {unit}, at most {limit}")]
    #[strum(serialize = "picture_too_large")]
    TooLarge {
        actual: u64,
        limit: u64,
        unit: &'static str,
    },
    /// Not a PNG or JPEG, or cut short, or broken inside.
    #[error("the picture cannot be read: {0}")]
    #[strum(serialize = "picture_unreadable")]
    Unreadable(String),
}

impl PictureError {
    /// Stable code for programs and for the sentence shown to people.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

fn refused(error: ImageError, limits: &PictureLimits) -> PictureError {
    match error {
        // The codec's own count of what it would have to allocate.
        ImageError::Limits(_) => PictureError::TooLarge {
            actual: limits.max_pixels.saturating_add(1),
            limit: limits.max_pixels,
            unit: "pixels",
        },
        other => PictureError::Unreadable(other.to_string()),
    }
}

/// Reads a PNG or JPEG as a grey picture, turned upright as its EXIF orientation says.
/// What is transparent counts as white, or as black where all that is drawn is light.
pub fn load(bytes: &[u8], limits: &PictureLimits) -> Result<GrayImage, PictureError> {
    let size = bytes.len() as u64;
    if size > limits.max_bytes {
        return Err(PictureError::TooLarge {
            actual: size,
            limit: limits.max_bytes,
            unit: "bytes",
        });
    }
    // The picture codecs are other people's code fed with anybody's files; a slip in one of them is a bad picture
    // here, not the end of the app's worker.
    catch_unwind(AssertUnwindSafe(|| unpack(bytes, limits)))
        .unwrap_or_else(|_| Err(PictureError::Unreadable("the codec gave up".to_owned())))
}

/// Whether it is a JPEG that ends before its end: its codec fills up what is missing.
pub(crate) fn is_cut(bytes: &[u8]) -> bool {
    const SCAN: [u8; 2] = [0xff, 0xda];
    const END: [u8; 2] = [0xff, 0xd9];
    if !matches!(image::guess_format(bytes), Ok(ImageFormat::Jpeg)) {
        return false;
    }
    // Within a scan no byte of its own follows 0xff, so a mark there is one.
    let scan = bytes.windows(2).rposition(|pair| pair == SCAN).unwrap_or(0);
    !bytes[scan..].windows(2).any(|pair| pair == END)
}

fn unpack(bytes: &[u8], limits: &PictureLimits) -> Result<GrayImage, PictureError> {
    let format = match image::guess_format(bytes) {
        Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg)) => format,
        _ => {
            return Err(PictureError::Unreadable("neither a PNG nor a JPEG".to_owned()));
        }
    };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(allocation(limits));
    let mut decoder = reader.into_decoder().map_err(|e| refused(e, limits))?;

    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels > limits.max_pixels {
        return Err(PictureError::TooLarge {
            actual: pixels,
            limit: limits.max_pixels,
            unit: "pixels",
        });
    }
    if width.max(height) > MAX_SIDE {
        return Err(PictureError::TooLarge {
            actual: u64::from(width.max(height)),
            limit: u64::from(MAX_SIDE),
            unit: "pixels a side",
        });
    }
    if pixels == 0 {
        return Err(PictureError::Unreadable("no pixels".to_owned()));
    }

    // A broken EXIF block is no reason to refuse the picture.
    let orientation = decoder.orientation();
    let picture = DynamicImage::from_decoder(decoder).map_err(|e| refused(e, limits))?;
    let mut upright = DynamicImage::ImageLuma8(grey_on_paper(picture));
    if let Ok(orientation) = orientation {
        upright.apply_orientation(orientation);
    }
    Ok(upright.into_luma8())
}

/// 8 bytes a pixel is the widest format (16-bit RGBA), plus some room for the codec's own tables.
fn allocation(limits: &PictureLimits) -> Limits {
    let mut allocation = Limits::default();
    allocation.max_alloc = Some(limits.max_pixels.saturating_mul(8).saturating_add(64 << 20));
    allocation
}

/// Codes are drawn on nothing for paper that they stand out from.
fn grey_on_paper(picture: DynamicImage) -> GrayImage {
    if !picture.color().has_alpha() {
        return picture.into_luma8();
    }
    let with_alpha = picture.into_luma_alpha8();
    let (width, height) = with_alpha.dimensions();
    let pixels = || {
        let pixels = with_alpha.as_raw().chunks_exact(2);
        pixels.map(|pixel| (u32::from(pixel[0]), u32::from(pixel[1])))
    };
    let drawn = pixels().filter(|(_, alpha)| *alpha > 127);
    let (dark, all) = drawn.fold((0u64, 0u64), |(dark, all), (value, _)| {
        (dark + u64::from(value < 128), all + 1)
    });
    // Some of what is light may still be dark: a mark in the middle, say.
    let paper = if dark * 10 < all { 0 } else { 255 };
    let grey = pixels()
        .map(|(value, alpha)| ((value * alpha + paper * (255 - alpha) + 127) / 255) as u8)
        .collect();
    GrayImage::from_raw(width, height, grey).unwrap_or_default()
}
