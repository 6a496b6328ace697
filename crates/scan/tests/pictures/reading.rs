use counterfoil_scan::{Effort, Format, decode, find};
use image::GrayImage;
use image::imageops::{rotate90, rotate180, rotate270};

use crate::scene::{self, Seed};

const COUPON: &str = "100120260712345678";
const TOKEN: &str =
    "CF1:AEAAAAABAIAY6QVB7E3XGX2IQZB5D5T2Q5V6NSPZJ7K4WYQX3M2ALFH5CDGR7TE6UOIWZB2VQLM4K7YPX3SJD5FRTG6HWA2C";

fn texts(grey: &GrayImage) -> Vec<String> {
    find(grey, Effort::Thorough)
        .into_iter()
        .map(|symbol| symbol.text)
        .collect()
}

fn assert_reads(name: &str, grey: &GrayImage, text: &str) {
    assert_eq!(texts(grey), [text], "{name}");
}

#[test]
fn a_drawn_code_is_read_from_png_and_jpeg() {
    for text in [COUPON, TOKEN, "12345607", "自提码：满减券 ¥12"] {
        let drawn = scene::qr(text, 6);
        for bytes in [scene::png(&drawn), scene::jpeg(&drawn, 60)] {
            let found = decode(&bytes).unwrap();
            assert_eq!(found.len(), 1);
            assert_eq!((found[0].format, found[0].text.as_str()), (Format::QrCode, text));
        }
    }
}

#[test]
fn turned_by_any_angle() {
    let flat = scene::on_background(&scene::qr(TOKEN, 6), 560, 560, 60, 60, 200);
    for degrees in (0..360).step_by(15) {
        assert_reads(
            &format!("{degrees} degrees"),
            &scene::turn(&flat, degrees as f32),
            TOKEN,
        );
    }
}

#[test]
fn seen_from_aside_bent_blurred_shaded_and_noisy() {
    let flat = scene::on_background(&scene::qr(COUPON, 8), 480, 480, 100, 100, 210);
    let mut seed = Seed(7);
    let pictures = [
        ("tilted", scene::tilt(&flat, 0.25, -0.2)),
        ("bent", scene::bulge(&flat, 0.25)),
        ("blurred", scene::blur(&flat, 3.0)),
        ("shaded", scene::shade(&flat, 0.15)),
        ("noisy", scene::noise(&flat, 60.0, &mut seed)),
        ("small", scene::shrink(&flat, 0.25)),
        (
            "all of it",
            scene::noise(
                &scene::blur(&scene::shade(&scene::tilt(&flat, 0.15, 0.1), 0.4), 1.5),
                15.0,
                &mut seed,
            ),
        ),
    ];
    for (name, picture) in &pictures {
        for turned in [
            picture.clone(),
            rotate90(picture),
            rotate180(picture),
            rotate270(picture),
        ] {
            assert_reads(name, &turned, COUPON);
        }
    }
}

#[test]
fn light_on_dark() {
    let mut inverted = scene::qr(COUPON, 6);
    image::imageops::invert(&mut inverted);
    assert_reads("inverted", &inverted, COUPON);
}

#[test]
fn every_code_of_a_picture_is_found() {
    let mut sheet = scene::on_background(&scene::qr(COUPON, 4), 600, 400, 20, 20, 255);
    image::imageops::overlay(&mut sheet, &scene::qr("12345607", 4), 300, 40);
    image::imageops::overlay(&mut sheet, &scene::ean13("6901028075763", 2, 90), 40, 280);
    let mut found = texts(&sheet);
    found.sort();
    assert_eq!(found, [COUPON, "12345607", "6901028075763"]);
}

#[test]
fn product_bar_codes() {
    for digits in ["6901028075763", "0036000291452", "9780201379624"] {
        let drawn = scene::ean13(digits, 3, 120);
        let mut seed = Seed(3);
        let noisy = scene::noise(&drawn, 30.0, &mut seed);
        for picture in [drawn.clone(), rotate90(&drawn), scene::blur(&drawn, 1.5), noisy] {
            let found = find(&picture, Effort::Thorough);
            assert_eq!(found.len(), 1, "{digits}");
            assert_eq!((found[0].format, found[0].text.as_str()), (Format::Ean13, digits));
        }
    }
}

#[test]
fn corners_are_where_the_code_is() {
    let quiet = 4 * 6;
    let code = scene::qr(COUPON, 6);
    let side = code.width() as i32 - 2 * quiet;
    let (left, top) = (70 + quiet, 30 + quiet);
    let picture = scene::on_background(&code, 400, 300, 70, 30, 255);
    for (number, corner) in find(&picture, Effort::Quick)[0].corners.iter().enumerate() {
        let x = if number == 1 || number == 2 { left + side } else { left };
        let y = if number >= 2 { top + side } else { top };
        assert!(
            (corner[0] - x).abs() <= 4 && (corner[1] - y).abs() <= 4,
            "{number}: {corner:?}"
        );
    }
}

#[test]
fn nothing_is_read_where_there_is_nothing() {
    let mut seed = Seed(11);
    for number in 0..12 {
        let (width, height) = (200 + seed.below(200) as u32, 150 + seed.below(200) as u32);
        let mut picture = GrayImage::from_fn(width, height, |_, _| image::Luma([seed.next() as u8]));
        match number % 4 {
            // Noise, blotches, stripes (the stuff of bar codes), checks (the stuff of matrices).
            0 => {}
            1 => picture = scene::blur(&picture, 4.0),
            2 => picture = GrayImage::from_fn(width, height, |x, _| *picture.get_pixel(x / 3, 0)),
            _ => {
                picture = GrayImage::from_fn(width, height, |x, y| {
                    image::Luma([if picture.get_pixel(x / 5, y / 5).0[0] > 127 {
                        255
                    } else {
                        0
                    }])
                })
            }
        }
        assert_eq!(texts(&picture), Vec::<String>::new(), "picture {number}");
    }
}

#[test]
fn the_smallest_pictures_hold_nothing() {
    for (width, height) in [(1, 1), (1, 50), (50, 1), (2, 2), (3, 7)] {
        assert_eq!(find(&GrayImage::new(width, height), Effort::Thorough), []);
    }
    assert_eq!(find(&GrayImage::new(0, 0), Effort::Thorough), []);
}

#[test]
fn names_of_formats_are_stable() {
    let names: Vec<&str> = Format::ALL.iter().map(|format| format.name()).collect();
    let expected = [
        "QRCode",
        "MicroQRCode",
        "RMQRCode",
        "DataMatrix",
        "EAN13",
        "EAN8",
        "UPCA",
        "UPCE",
        "Code128",
        "Code39",
        "ITF",
    ];
    assert_eq!(names, expected);
    assert!(
        Format::ALL
            .iter()
            .all(|&format| Format::from_name(format.name()) == Some(format))
    );
}
