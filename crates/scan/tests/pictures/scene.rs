//! Makes pictures. Nothing is read from disk and no ambient randomness is used.

use std::io::Cursor;

use counterfoil_scan::render::{QrStyle, picture};
use image::imageops::{FilterType, fast_blur, overlay, resize};
use image::{GrayImage, ImageFormat, Luma};

/// A small fixed generator (splitmix64): the same pictures on every machine and with every version of every crate.
pub struct Seed(pub u64);

impl Seed {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// From -1 to 1.
    pub fn unit(&mut self) -> f32 {
        self.below(20_001) as f32 / 10_000.0 - 1.0
    }
}

pub fn qr(text: &str, module: u32) -> GrayImage {
    let style = QrStyle {
        module,
        ..QrStyle::default()
    };
    picture(text, &style).unwrap()
}

pub fn png(grey: &GrayImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    grey.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

pub fn jpeg(grey: &GrayImage, quality: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode_image(grey)
        .unwrap();
    bytes
}

pub fn on_background(picture: &GrayImage, width: u32, height: u32, left: i64, top: i64, shade: u8) -> GrayImage {
    let mut whole = GrayImage::from_pixel(width, height, Luma([shade]));
    overlay(&mut whole, picture, left, top);
    whole
}

/// Each pixel from where `from` says (around the middle, 1 = half the width), grey 200 outside.
pub fn warp(grey: &GrayImage, from: impl Fn(f32, f32) -> (f32, f32)) -> GrayImage {
    let (width, height) = grey.dimensions();
    let (cx, cy) = (width as f32 / 2.0, height as f32 / 2.0);
    GrayImage::from_fn(width, height, |x, y| {
        let (u, v) = from((x as f32 - cx) / cx, (y as f32 - cy) / cx);
        let (sx, sy) = (u * cx + cx, v * cx + cy);
        if sx < 0.0 || sy < 0.0 || sx >= (width - 1) as f32 || sy >= (height - 1) as f32 {
            return Luma([200]);
        }
        let (x0, y0) = (sx as u32, sy as u32);
        let (fx, fy) = (sx - x0 as f32, sy - y0 as f32);
        let at = |x, y| f32::from(grey.get_pixel(x, y).0[0]);
        let top = at(x0, y0) * (1.0 - fx) + at(x0 + 1, y0) * fx;
        let bottom = at(x0, y0 + 1) * (1.0 - fx) + at(x0 + 1, y0 + 1) * fx;
        Luma([(top * (1.0 - fy) + bottom * fy) as u8])
    })
}

pub fn turn(grey: &GrayImage, degrees: f32) -> GrayImage {
    let (sin, cos) = degrees.to_radians().sin_cos();
    warp(grey, |x, y| (x * cos - y * sin, x * sin + y * cos))
}

/// As seen from aside.
pub fn tilt(grey: &GrayImage, across: f32, down: f32) -> GrayImage {
    warp(grey, |x, y| {
        let depth = 1.0 + across * x + down * y;
        (x * 1.15 / depth, y * 1.15 / depth)
    })
}

/// As printed on a bottle.
pub fn bulge(grey: &GrayImage, amount: f32) -> GrayImage {
    warp(grey, |x, y| (x * (1.0 + amount * x * x), y))
}

pub fn blur(grey: &GrayImage, sigma: f32) -> GrayImage {
    fast_blur(grey, sigma)
}

/// Dark on the left, light on the right, with less contrast everywhere.
pub fn shade(grey: &GrayImage, darkest: f32) -> GrayImage {
    let (width, height) = grey.dimensions();
    GrayImage::from_fn(width, height, |x, y| {
        let light = darkest + (1.0 - darkest) * x as f32 / width as f32;
        Luma([(f32::from(grey.get_pixel(x, y).0[0]) * light) as u8])
    })
}

pub fn noise(grey: &GrayImage, amount: f32, seed: &mut Seed) -> GrayImage {
    let mut noisy = grey.clone();
    for pixel in noisy.pixels_mut() {
        let value = f32::from(pixel.0[0]) * 0.7 + 38.0 + amount * seed.unit();
        pixel.0[0] = value.clamp(0.0, 255.0) as u8;
    }
    noisy
}

pub fn shrink(grey: &GrayImage, factor: f32) -> GrayImage {
    let side = |length: u32| (length as f32 * factor) as u32;
    resize(grey, side(grey.width()), side(grey.height()), FilterType::Triangle)
}

/// An EAN-13 as in the standard: which digits of the left half have even parity tells the first digit.
pub fn ean13(digits: &str, module: u32, height: u32) -> GrayImage {
    const CODES: [u8; 10] = [0x0d, 0x19, 0x13, 0x3d, 0x23, 0x31, 0x2f, 0x3b, 0x37, 0x0b];
    const PARITIES: [u8; 10] = [0x00, 0x0b, 0x0d, 0x0e, 0x13, 0x19, 0x1c, 0x15, 0x16, 0x1a];
    let digits: Vec<usize> = digits.bytes().map(|d| usize::from(d - b'0')).collect();
    let mut bars = vec![1, 0, 1];
    let push = |bars: &mut Vec<u8>, code: u8| bars.extend((0..7).rev().map(|bit| code >> bit & 1));
    for place in 0..6 {
        let code = CODES[digits[place + 1]];
        let even = PARITIES[digits[0]] >> (5 - place) & 1 == 1;
        // G codes are the R codes (complements of L) backwards.
        push(&mut bars, if even { (!code & 0x7f).reverse_bits() >> 1 } else { code });
    }
    bars.extend([0, 1, 0, 1, 0]);
    for digit in &digits[7..] {
        push(&mut bars, !CODES[*digit] & 0x7f);
    }
    bars.extend([1, 0, 1]);

    let quiet = 12;
    GrayImage::from_fn((95 + 2 * quiet) * module, height, |x, y| {
        let bar = (x / module).checked_sub(quiet).and_then(|at| bars.get(at as usize));
        let inside = y >= 10 && y + 10 < height;
        Luma([if inside && bar == Some(&1) { 20 } else { 235 }])
    })
}

/// A product's bar code as a camera sees it: a module has any width in pixels, the paper may be turned a little and be
/// bowed, and it is out of focus and dark.
pub struct Photo {
    pub module: f32,
    pub bars: f32,
    /// Sigma, in modules.
    pub blur: f32,
    pub noise: f32,
    pub dark: f32,
    pub light: f32,
    /// In radians.
    pub angle: f32,
    pub bow: f32,
}

impl Photo {
    pub fn any(seed: &mut Seed) -> Self {
        let within = |seed: &mut Seed, from: f32, to: f32| from + (to - from) * (seed.unit() + 1.0) / 2.0;
        let some = |seed: &mut Seed| seed.below(2) as f32;
        let module = within(seed, 1.2, 3.0);
        Photo {
            module,
            bars: within(seed, 40.0, 120.0),
            blur: within(seed, 0.2, 1.2),
            noise: some(seed) * within(seed, 0.0, 25.0),
            dark: within(seed, 0.0, 90.0),
            light: within(seed, 170.0, 255.0),
            angle: some(seed) * within(seed, -0.1, 0.1),
            bow: some(seed) * within(seed, -0.15, 0.15),
        }
    }

    pub fn of(&self, digits: &str, seed: &mut Seed) -> GrayImage {
        const PARTS: u32 = 8;
        let drawn = ean13(digits, 1, 30);
        let (width, height) = ((self.module * 125.0) as u32, self.bars as u32 + 40);
        let (cx, cy) = (width as f32 / 2.0, height as f32 / 2.0);
        let (sin, cos) = self.angle.sin_cos();
        let sharp = GrayImage::from_fn(width, height, |x, y| {
            let light = (0..PARTS).map(|part| {
                let right = x as f32 + (part as f32 + 0.5) / PARTS as f32 - cx;
                let down = y as f32 + 0.5 - cy;
                let (along, across) = (right * cos + down * sin, down * cos - right * sin);
                let bent = along * (1.0 + self.bow * (along / cx).powi(2) - self.bow / 2.0);
                let module = bent / self.module + drawn.width() as f32 / 2.0;
                let inside = across.abs() < self.bars / 2.0 && module >= 0.0 && module < drawn.width() as f32;
                let dark = inside && drawn.get_pixel(module as u32, 15).0[0] < 128;
                if dark { self.dark } else { self.light }
            });
            Luma([(light.sum::<f32>() / PARTS as f32) as u8])
        });
        let mut photo = image::imageops::blur(&sharp, self.blur * self.module);
        for pixel in photo.pixels_mut() {
            let value = f32::from(pixel.0[0]) + self.noise * seed.unit();
            pixel.0[0] = value.clamp(0.0, 255.0) as u8;
        }
        photo
    }
}

/// Any EAN-13, every other one a UPC-A.
pub fn any_ean13(seed: &mut Seed) -> String {
    let mut digits: Vec<u32> = (0..12).map(|_| seed.below(10) as u32).collect();
    if seed.below(2) == 0 {
        digits[0] = 0;
    }
    let sum: u32 = digits
        .iter()
        .enumerate()
        .map(|(place, digit)| digit * (1 + 2 * (place as u32 % 2)))
        .sum();
    digits.push((10 - sum % 10) % 10);
    digits.iter().map(u32::to_string).collect()
}

/// A QR code with these very bytes.
pub fn qr_of_bytes(bytes: &[u8], module: u32) -> GrayImage {
    let code = qrcode::QrCode::new(bytes).unwrap();
    let (side, colors) = (code.width() as u32, code.to_colors());
    GrayImage::from_fn((side + 8) * module, (side + 8) * module, |x, y| {
        let (column, row) = ((x / module).wrapping_sub(4), (y / module).wrapping_sub(4));
        let dark = column < side && row < side && colors[(row * side + column) as usize] == qrcode::Color::Dark;
        Luma([if dark { 0 } else { 255 }])
    })
}
