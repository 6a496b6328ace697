//! The grey values of a camera's buffer. Most formats carry them as they are, so nothing is converted to RGB on the way.

use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageFormat, RgbImage};
use nokhwa::Buffer;
use nokhwa::utils::FrameFormat;
use thiserror::Error;

/// Marks a JPEG as a Motion JPEG frame, for which a decoder fills in the standard Huffman tables.
const AVI1_SEGMENT: [u8; 18] = *b"\xff\xe0\x00\x10AVI1\0\0\0\0\0\0\0\0\0\0";

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LumaError {
    #[error("{format} buffer of {actual} bytes, {needed} needed for {width}x{height}")]
    Short {
        format: FrameFormat,
        actual: usize,
        needed: usize,
        width: u32,
        height: u32,
    },
    #[error("broken JPEG frame: {0}")]
    Jpeg(String),
}

/// The grey picture in a camera's buffer.
pub fn luma(buffer: &Buffer) -> Result<GrayImage, LumaError> {
    let (width, height) = (buffer.resolution().width(), buffer.resolution().height());
    let pixels = width as usize * height as usize;
    let bytes = buffer.buffer();
    let first = |needed: usize| {
        bytes.get(..needed).ok_or(LumaError::Short {
            format: buffer.source_frame_format(),
            actual: bytes.len(),
            needed,
            width,
            height,
        })
    };
    let picture = match buffer.source_frame_format() {
        FrameFormat::MJPEG => return jpeg(bytes),
        // Y0 U Y1 V: every second byte is a Y.
        FrameFormat::YUYV => {
            let grey = first(pixels * 2)?.iter().step_by(2).copied().collect();
            GrayImage::from_raw(width, height, grey)
        }
        // A plane of Y, then one of U and V mixed.
        FrameFormat::NV12 => {
            first(pixels + pixels / 2)?;
            GrayImage::from_raw(width, height, first(pixels)?.to_vec())
        }
        FrameFormat::GRAY => GrayImage::from_raw(width, height, first(pixels)?.to_vec()),
        FrameFormat::RAWRGB => RgbImage::from_raw(width, height, first(pixels * 3)?.to_vec())
            .map(|rgb| DynamicImage::ImageRgb8(rgb).into_luma8()),
        FrameFormat::RAWBGR => {
            let mut rgb = first(pixels * 3)?.to_vec();
            for pixel in rgb.chunks_exact_mut(3) {
                pixel.swap(0, 2);
            }
            RgbImage::from_raw(width, height, rgb).map(|rgb| DynamicImage::ImageRgb8(rgb).into_luma8())
        }
    };
    Ok(picture.unwrap_or_default())
}

fn jpeg(bytes: &[u8]) -> Result<GrayImage, LumaError> {
    let decode = |bytes: &[u8]| {
        image::ImageReader::with_format(Cursor::new(bytes), ImageFormat::Jpeg)
            .decode()
            .map(DynamicImage::into_luma8)
    };
    match decode(bytes) {
        Ok(grey) => Ok(grey),
        // Many cameras leave the standard Huffman tables out, and some don't say so.
        Err(first) => match bytes.split_at_checked(2) {
            Some((b"\xff\xd8", rest)) => {
                decode(&[b"\xff\xd8", &AVI1_SEGMENT[..], rest].concat()).map_err(|_| LumaError::Jpeg(first.to_string()))
            }
            _ => Err(LumaError::Jpeg(first.to_string())),
        },
    }
}

#[cfg(test)]
mod tests {
    use image::codecs::jpeg::JpegEncoder;
    use nokhwa::utils::Resolution;

    use super::*;
    use crate::render::{QrStyle, picture};
    use crate::{Effort, find};

    const TEXT: &str = "100120260712345678";

    /// A picture with an even width, as cameras have.
    fn scene() -> GrayImage {
        let code = picture(TEXT, &QrStyle::default()).unwrap();
        let mut scene = GrayImage::from_pixel(320, 280, image::Luma([200]));
        image::imageops::overlay(&mut scene, &code, 20, 10);
        scene
    }

    fn buffer(bytes: &[u8], format: FrameFormat) -> Buffer {
        let scene = scene();
        Buffer::new(Resolution::new(scene.width(), scene.height()), bytes, format)
    }

    fn assert_reads(grey: &GrayImage) {
        let found = find(grey, Effort::Quick);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].text, TEXT);
    }

    #[test]
    fn formats_that_carry_grey_values_give_them_unchanged() {
        let scene = scene();
        let yuyv: Vec<u8> = scene.as_raw().iter().flat_map(|&y| [y, 128]).collect();
        assert_eq!(luma(&buffer(&yuyv, FrameFormat::YUYV)).unwrap(), scene);

        let mut nv12 = scene.as_raw().clone();
        nv12.resize(scene.len() + scene.len() / 2, 128);
        assert_eq!(luma(&buffer(&nv12, FrameFormat::NV12)).unwrap(), scene);

        assert_eq!(luma(&buffer(scene.as_raw(), FrameFormat::GRAY)).unwrap(), scene);
        assert_reads(&scene);
    }

    #[test]
    fn colours_are_weighed() {
        let rgb: Vec<u8> = scene().as_raw().iter().flat_map(|&v| [v, v, v]).collect();
        assert_eq!(luma(&buffer(&rgb, FrameFormat::RAWRGB)).unwrap(), scene());
        let red: Vec<u8> = scene().as_raw().iter().flat_map(|_| [255, 0, 0]).collect();
        let as_rgb = luma(&buffer(&red, FrameFormat::RAWRGB)).unwrap();
        let as_bgr = luma(&buffer(&red, FrameFormat::RAWBGR)).unwrap();
        assert!(as_rgb.get_pixel(0, 0).0[0] > as_bgr.get_pixel(0, 0).0[0]);
    }

    #[test]
    fn motion_jpeg_is_read_with_and_without_its_tables() {
        let scene = scene();
        let mut whole = Vec::new();
        JpegEncoder::new_with_quality(&mut whole, 80)
            .encode_image(&scene)
            .unwrap();
        assert_reads(&luma(&buffer(&whole, FrameFormat::MJPEG)).unwrap());

        let bare = without_huffman_tables(&whole);
        assert!(bare.len() < whole.len());
        assert_reads(&luma(&buffer(&bare, FrameFormat::MJPEG)).unwrap());
    }

    fn without_huffman_tables(jpeg: &[u8]) -> Vec<u8> {
        let mut out = jpeg[..2].to_vec();
        let mut at = 2;
        while jpeg[at + 1] != 0xda {
            let length = 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
            if jpeg[at + 1] != 0xc4 {
                out.extend_from_slice(&jpeg[at..at + length]);
            }
            at += length;
        }
        out.extend_from_slice(&jpeg[at..]);
        out
    }

    #[test]
    fn a_buffer_cut_short_is_an_error() {
        for format in [
            FrameFormat::YUYV,
            FrameFormat::NV12,
            FrameFormat::GRAY,
            FrameFormat::RAWRGB,
            FrameFormat::RAWBGR,
        ] {
            let error = luma(&buffer(&[0; 100], format)).unwrap_err();
            assert!(matches!(error, LumaError::Short { .. }), "{format}");
        }
        for bytes in [&b""[..], b"\xff", b"\xff\xd8", b"\xff\xd8\xff\xd9", b"text"] {
            let error = luma(&buffer(bytes, FrameFormat::MJPEG)).unwrap_err();
            assert!(matches!(error, LumaError::Jpeg(_)));
        }
    }
}
