use counterfoil_scan::{Effort, PictureError, PictureLimits, decode, decode_with, load};
use image::imageops::rotate270;
use image::{GrayImage, LumaA, Rgba, RgbaImage};

use crate::scene;

fn code(result: Result<impl Sized, PictureError>) -> &'static str {
    result.err().map_or("ok", |error| error.code())
}

#[test]
fn what_is_no_picture_is_unreadable() {
    let whole = scene::png(&scene::qr("1", 4));
    let cases: [(&str, &[u8]); 8] = [
        ("zero bytes", b""),
        ("a text file called .png", b"this is not a picture\n"),
        ("a signature alone", &whole[..8]),
        ("a header alone", &whole[..33]),
        ("cut in the middle", &whole[..whole.len() / 2]),
        ("a GIF", b"GIF89a\x01\0\x01\0\0\0\0;"),
        ("a JPEG's first bytes", b"\xff\xd8\xff\xe0\0\x10JFIF\0"),
        ("markup", b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>"),
    ];
    for (name, bytes) in cases {
        assert_eq!(code(decode(bytes)), "picture_unreadable", "{name}");
    }
}

#[test]
fn a_flipped_byte_is_noticed_or_harmless() {
    let whole = scene::png(&scene::qr("12345607", 2));
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        if let Ok(found) = decode(&bytes) {
            assert!(found.iter().all(|symbol| symbol.text == "12345607"));
        }
    }
}

#[test]
fn size_is_checked_before_anything_is_unpacked() {
    assert_eq!(code(decode(&vec![0; 40_000_000])), "picture_too_large");

    let limits = PictureLimits {
        max_bytes: 1_000,
        max_pixels: 100,
    };
    assert_eq!(
        code(decode_with(&[0; 1_001], &limits, Effort::Quick)),
        "picture_too_large"
    );
    assert_eq!(code(load(&scene::png(&GrayImage::new(10, 10)), &limits)), "ok");
    assert_eq!(
        code(load(&scene::png(&GrayImage::new(10, 11)), &limits)),
        "picture_too_large"
    );
    assert_eq!(
        code(load(&scene::jpeg(&GrayImage::new(10, 11), 50), &limits)),
        "picture_too_large"
    );
}

/// Some 60 bytes that claim to be a picture of petabytes.
#[test]
fn a_bomb_is_refused_by_its_header() {
    for (width, height) in [(u32::MAX / 2, u32::MAX / 2), (50_000, 50_000), (70_000, 100)] {
        assert_eq!(
            code(decode(&claiming(width, height))),
            "picture_too_large",
            "{width}x{height}"
        );
    }
}

/// A PNG whose header (with a correct checksum) says so.
fn claiming(width: u32, height: u32) -> Vec<u8> {
    let mut png = scene::png(&GrayImage::new(1, 1));
    png[16..20].copy_from_slice(&width.to_be_bytes());
    png[20..24].copy_from_slice(&height.to_be_bytes());
    let mut crc = u32::MAX;
    for &byte in &png[12..29] {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
        }
    }
    png[29..33].copy_from_slice(&(!crc).to_be_bytes());
    png
}

#[test]
fn the_orientation_of_a_phone_is_honoured() {
    let upright = scene::on_background(&scene::qr("100120260712345678", 6), 400, 240, 10, 5, 255);
    // 6: the camera was turned, so the stored picture must be turned by 90 degrees to stand upright.
    let stored = scene::jpeg(&rotate270(&upright), 90);
    let exif = b"\xff\xe1\0\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let tagged = [&stored[..2], exif, &stored[2..]].concat();

    let limits = PictureLimits::default();
    assert_eq!(load(&stored, &limits).unwrap().dimensions(), (240, 400));
    assert_eq!(load(&tagged, &limits).unwrap().dimensions(), upright.dimensions());
    let [x, y] = decode(&tagged).unwrap()[0].corners[0];
    assert!((x - 34).abs() < 4 && (y - 29).abs() < 4, "{x} {y}");
}

#[test]
fn what_is_transparent_counts_as_white() {
    let code = scene::qr("12345607", 5);
    let clear = RgbaImage::from_fn(code.width(), code.height(), |x, y| {
        let dark = code.get_pixel(x, y).0[0] == 0;
        Rgba([0, 0, 0, if dark { 255 } else { 0 }])
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    clear.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    assert_eq!(decode(bytes.get_ref()).unwrap()[0].text, "12345607");

    let half = image::ImageBuffer::from_pixel(1, 1, LumaA([0u8, 128]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    half.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    assert_eq!(
        load(bytes.get_ref(), &PictureLimits::default()).unwrap().as_raw(),
        &[127]
    );
}
