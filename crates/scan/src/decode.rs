//! Finding symbols: one pass over the picture as it is, then a bounded number of other looks at it. Where something was
//! found, fewer of them search what is left of the picture: a faint code may lie beside a clear one.
//!
//! Four rules keep wrong readings out. The other looks search for QR codes, whose error correction makes an accidental
//! reading all but impossible, and for bar codes with a check digit, which two looks must agree on unless many lines
//! do; what is read as a product's bar code must be what the grey values show (`bars`); a bar code with no check digit,
//! or a short one, must read the same in several lines; and a bar code within a QR code is modules of it that happen to
//! look like bars.

use image::{GrayImage, Luma};
use serde::Serialize;
use zxingcpp::Binarizer;

use crate::bars::{Drawn, rival};
use crate::format::Format;
use crate::looks::{LOOKS, Looks};
use crate::picture::{PictureError, PictureLimits, is_cut, load};
use crate::read::{EVERYTHING, Reading, read};

/// A symbol found in a picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Symbol {
    pub format: Format,
    pub text: String,
    /// Top left, top right, bottom right, bottom left as the symbol itself stands, in pixels of the upright picture.
    pub corners: [[i32; 2]; 4],
}

/// How long to go on after the first pass.
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
    let found = find(&load(bytes, limits)?, effort);
    if found.is_empty() && is_cut(bytes) {
        return Err(PictureError::Unreadable("it is cut short".to_owned()));
    }
    Ok(found)
}

/// Finds the symbols in a grey picture.
pub fn find(grey: &GrayImage, effort: Effort) -> Vec<Symbol> {
    if grey.width() == 0 || grey.height() == 0 {
        return Vec::new();
    }
    let mut search = Search::new(grey);
    search.take(read(grey, Binarizer::LocalAverage, &EVERYTHING), true);
    if effort == Effort::Thorough {
        search.look_again();
    }
    search.found
}

/// In how many looks a bar code must read the same, unless there are [`LINES`]: a bar code's one check digit lets one
/// misreading in ten through.
const VOTES: usize = 2;
const LINES: i32 = 8;
/// How many further looks are read at once: more would often be read in vain.
const AT_ONCE: usize = 3;

struct Search<'a> {
    grey: &'a GrayImage,
    found: Vec<Symbol>,
    votes: Vec<(Symbol, usize)>,
}

impl<'a> Search<'a> {
    fn new(grey: &'a GrayImage) -> Self {
        Search {
            grey,
            found: Vec::new(),
            votes: Vec::new(),
        }
    }

    /// Takes what is new and sure among what was read.
    fn take(&mut self, readings: Vec<Reading>, at_once: bool) {
        let (bars, matrices): (Vec<_>, Vec<_>) = readings.into_iter().partition(|reading| reading.lines > 0);
        for Reading { symbol, .. } in matrices {
            let middle = middle(&symbol.corners);
            let known = |other: &Symbol| other.text == symbol.text && is_within(middle, &other.corners);
            if !self.found.iter().any(known) {
                self.found.push(symbol);
            }
        }
        for reading in bars {
            let symbol = &reading.symbol;
            let middle = middle(&symbol.corners);
            let taken = |other: &Symbol| match other.format.is_matrix() {
                true => is_within(middle, &other.corners),
                false => (other.format, &other.text) == (symbol.format, &symbol.text),
            };
            if self.found.iter().any(taken) || !is_borne_out(self.grey, &reading) {
                continue;
            }
            if at_once || symbol.format.is_retail() && reading.lines >= LINES || self.votes_for(symbol) >= VOTES {
                self.found.push(reading.symbol);
            }
        }
    }

    fn votes_for(&mut self, symbol: &Symbol) -> usize {
        let same = |(other, _): &&mut (Symbol, usize)| (other.format, &other.text) == (symbol.format, &symbol.text);
        if let Some((_, count)) = self.votes.iter_mut().find(same) {
            *count += 1;
            return *count;
        }
        self.votes.push((symbol.clone(), 1));
        1
    }

    fn look_again(&mut self) {
        let rest = without(self.grey, &self.found);
        if !self.found.is_empty() && is_blank(&rest) {
            return;
        }
        let mut looks = Looks::new(&rest);
        let (outside, inside) = LOOKS.split_at(LOOKS.partition_point(|look| look.outside));
        self.take_all(looks.read(outside));
        for some in inside.chunks(AT_ONCE) {
            if !self.found.is_empty() {
                return;
            }
            self.take_all(looks.read(some));
        }
    }

    fn take_all(&mut self, views: Vec<Vec<Reading>>) {
        for readings in views {
            self.take(readings, false);
        }
    }
}

/// Whether the grey values along a product's bar code are those of the digits that were read.
fn is_borne_out(grey: &GrayImage, reading: &Reading) -> bool {
    /// On thousands of blurred, noisy and bent codes, what was read right stayed below 0.02, what was read wrong above
    /// 0.08.
    const MOST: f32 = 0.04;
    let symbol = &reading.symbol;
    let drawn = match symbol.format {
        Format::Ean13 | Format::UpcA | Format::Ean8 => Drawn::ean(&symbol.text),
        Format::UpcE => reading.printed.as_deref().and_then(Drawn::upc_e),
        _ => return true,
    };
    let rival = drawn.and_then(|drawn| rival(grey, &drawn, &symbol.corners));
    rival.is_some_and(|rival| rival < MOST)
}

/// The picture with its matrix symbols painted over in the shade around them: their corners would be taken for those of
/// others. Bar codes stay, for where one ends is only known along its lines.
fn without(grey: &GrayImage, found: &[Symbol]) -> GrayImage {
    let mut rest = grey.clone();
    for symbol in found.iter().filter(|symbol| symbol.format.is_matrix()) {
        let corners = grown(&symbol.corners);
        let mut around: Vec<u8> = (0..64)
            .map(|n| (n / 16, (n % 16) as i32))
            .map(|(side, part)| {
                let [from, to] = [corners[side], corners[(side + 1) % 4]];
                let [x, y] = [0, 1].map(|axis| from[axis] + (to[axis] - from[axis]) * part / 16);
                let (most_x, most_y) = (grey.width() as i32 - 1, grey.height() as i32 - 1);
                grey.get_pixel(x.clamp(0, most_x) as u32, y.clamp(0, most_y) as u32).0[0]
            })
            .collect();
        around.sort_unstable();
        let shade = Luma([around[around.len() / 2]]);
        let range = |axis: usize, end: u32| {
            let along = corners.map(|corner| corner[axis].clamp(0, end as i32));
            let (from, to) = along
                .iter()
                .fold((end as i32, 0), |(from, to), &at| (from.min(at), to.max(at)));
            from as u32..(to as u32 + 1).min(end)
        };
        for y in range(1, grey.height()) {
            for x in range(0, grey.width()) {
                if is_within([i64::from(x) * 4, i64::from(y) * 4], &corners) {
                    rest.put_pixel(x, y, shade);
                }
            }
        }
    }
    rest
}

/// Corners a little further out.
fn grown(corners: &[[i32; 2]; 4]) -> [[i32; 2]; 4] {
    let middle = middle(corners).map(|at| at as i32);
    corners.map(|corner| [0, 1].map(|axis| (middle[axis] + (corner[axis] * 4 - middle[axis]) * 6 / 5) / 4))
}

/// Whether so little of the picture varies that no code has room in it.
fn is_blank(grey: &GrayImage) -> bool {
    /// The smallest QR code has 21 by 21 modules; half of them in blocks of this side.
    const SIDE: usize = 8;
    const BLOCKS: usize = 4;
    const CONTRAST: u8 = 12;
    let width = grey.width() as usize;
    let mut busy = 0;
    for rows in grey.as_raw().chunks(width * SIDE) {
        for x in (0..width).step_by(SIDE) {
            let block = rows.chunks(width).flat_map(|row| &row[x..(x + SIDE).min(width)]);
            let (least, most) = block.fold((255, 0), |(least, most): (u8, u8), &value| {
                (least.min(value), most.max(value))
            });
            busy += usize::from(most.saturating_sub(least) > CONTRAST);
        }
        if busy > BLOCKS {
            return false;
        }
    }
    true
}

/// The middle of the corners, in quarters of pixels so that it is whole.
fn middle(corners: &[[i32; 2]; 4]) -> [i64; 2] {
    [0, 1].map(|axis| corners.iter().map(|corner| i64::from(corner[axis])).sum())
}

/// Whether a point, in quarters of pixels, lies within corners, which may stand at any angle or be mirrored.
fn is_within(point: [i64; 2], corners: &[[i32; 2]; 4]) -> bool {
    let sides = (0..4).map(|side| {
        let [from, to] = [corners[side], corners[(side + 1) % 4]].map(|corner| corner.map(|at| i64::from(at) * 4));
        (to[0] - from[0]) * (point[1] - from[1]) - (to[1] - from[1]) * (point[0] - from[0])
    });
    let (mut left, mut right) = (false, false);
    for side in sides {
        left |= side < 0;
        right |= side > 0;
    }
    // Neither, where the corners are no square at all.
    left != right
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, Luma};

    use super::*;
    use crate::read::SURE;
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
            for (number, corner) in found[0].symbol.corners.iter().enumerate() {
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

    /// Its codec gives grey for what is missing: that is no picture without a code.
    #[test]
    fn a_jpeg_that_was_cut_is_none() {
        let code = picture("100120260712345678", &QrStyle::default()).unwrap();
        let mut whole = std::io::Cursor::new(Vec::new());
        code.write_to(&mut whole, image::ImageFormat::Jpeg).unwrap();
        let whole = whole.into_inner();
        assert_eq!(decode(&whole).unwrap().len(), 1);
        for part in [2, 3] {
            let cut = decode(&whole[..whole.len() / part]);
            assert_eq!(cut.map_err(|error| error.code()), Err("picture_unreadable"), "1/{part}");
        }
    }

    #[test]
    fn the_middle_decides_whether_one_is_within_another() {
        let upright = [[10, 10], [50, 10], [50, 50], [10, 50]];
        let turned = [[30, 0], [60, 30], [30, 60], [0, 30]];
        let mirrored = [[50, 10], [10, 10], [10, 50], [50, 50]];
        let bars = |x, y| middle(&[[x - 20, y - 1], [x + 20, y - 1], [x + 20, y + 1], [x - 20, y + 1]]);
        for square in [upright, turned, mirrored] {
            assert!(is_within(bars(30, 30), &square), "{square:?}");
            assert!(is_within(bars(34, 22), &square), "{square:?}");
            assert!(!is_within(bars(30, 80), &square), "{square:?}");
        }
        assert!(is_within(bars(12, 12), &upright) && !is_within(bars(12, 12), &turned));
        assert!(!is_within(bars(30, 30), &[[30, 30]; 4]));
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
