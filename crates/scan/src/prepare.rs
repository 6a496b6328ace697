//! Other looks at a picture in which nothing was found: each a small, plain filter on grey values.
//! All of them take time linear in the pixels.

use image::imageops::FilterType;
use image::{DynamicImage, GrayImage};

/// `image`'s resize, through `DynamicImage` because that instance is compiled (and optimised) in the `image` crate.
pub(crate) fn resize(grey: &GrayImage, width: u32, height: u32) -> GrayImage {
    DynamicImage::ImageLuma8(grey.clone())
        .resize_exact(width.max(1), height.max(1), FilterType::CatmullRom)
        .into_luma8()
}

/// Smaller by averaging: for pictures that people look at, cheap enough for every frame.
pub(crate) fn shrink(grey: &GrayImage, width: u32, height: u32) -> GrayImage {
    DynamicImage::ImageLuma8(grey.clone())
        .thumbnail_exact(width, height)
        .into_luma8()
}

/// Larger by cubic interpolation, as `resize` does it, in whole numbers: several times faster.
pub(crate) fn enlarge(grey: &GrayImage, width: u32, height: u32) -> GrayImage {
    let values: Vec<i16> = grey.as_raw().iter().map(|&value| i16::from(value)).collect();
    enlarge_values(&values, grey.dimensions(), (width, height))
}

/// The picture with what its blur lacks put on top, then enlarged: undoes some of a lens out of focus.
pub(crate) fn sharpen(grey: &GrayImage, sigma: f32, amount: f32, width: u32, height: u32) -> GrayImage {
    let soft = blur(grey, sigma);
    // In quarters, so that it stays within 16 bits; not cut to what a pixel can hold before it is enlarged.
    let amount = (amount * 4.0).round().clamp(0.0, 16.0) as i16;
    let values: Vec<i16> = grey
        .as_raw()
        .iter()
        .zip(soft.as_raw())
        .map(|(&sharp, &soft)| {
            let (sharp, soft) = (i16::from(sharp), i16::from(soft));
            sharp + amount * (sharp - soft) / 4
        })
        .collect();
    enlarge_values(&values, grey.dimensions(), (width, height))
}

/// Where to fetch a pixel of the larger picture along one side: the first of four neighbours and their shares of 4096.
fn taps(from: u32, to: u32) -> Vec<(i64, [i32; 4])> {
    let ratio = from as f32 / to as f32;
    (0..to)
        .map(|at| {
            let middle = (at as f32 + 0.5) * ratio - 0.5;
            let first = middle.floor();
            let t = middle - first;
            let (t2, t3) = (t * t, t * t * t);
            let shares = [
                -0.5 * t + t2 - 0.5 * t3,
                1.0 - 2.5 * t2 + 1.5 * t3,
                0.5 * t + 2.0 * t2 - 1.5 * t3,
                -0.5 * t2 + 0.5 * t3,
            ];
            (first as i64 - 1, shares.map(|share| (share * 4096.0).round() as i32))
        })
        .collect()
}

fn enlarge_values(source: &[i16], (from_width, from_height): (u32, u32), (width, height): (u32, u32)) -> GrayImage {
    let (width, height) = (width.max(1), height.max(1));
    let (columns, rows) = (taps(from_width, width), taps(from_height, height));
    let (from_width, wide) = (from_width as usize, width as usize);
    let last_row = i64::from(from_height) - 1;
    // Rows widened, with four bits behind the point.
    let mut widened: Vec<i16> = Vec::with_capacity(wide * from_height as usize);
    // Two pixels more at each end, so that every pixel has its neighbours.
    let mut padded = vec![0i16; from_width + 5];
    for row in source.chunks_exact(from_width) {
        padded[2..from_width + 2].copy_from_slice(row);
        padded[..2].fill(row[0]);
        padded[from_width + 2..].fill(row[from_width - 1]);
        widened.extend(columns.iter().map(|(first, shares)| {
            let at = (first + 2) as usize;
            let near = &padded[at..at + 4];
            let sum: i32 = near
                .iter()
                .zip(shares)
                .map(|(&value, share)| i32::from(value) * share)
                .sum();
            ((sum + 128) >> 8) as i16
        }));
    }
    let mut values = Vec::with_capacity(wide * rows.len());
    for (first, shares) in &rows {
        let near = [0, 1, 2, 3].map(|n| {
            let row = (first + n).clamp(0, last_row) as usize;
            &widened[row * wide..(row + 1) * wide]
        });
        values.extend((0..wide).map(|x| {
            let sum: i32 = (0..4).map(|n| i32::from(near[n][x]) * shares[n]).sum();
            ((sum + (1 << 15)) >> 16).clamp(0, 255) as u8
        }));
    }
    GrayImage::from_raw(width, height, values).unwrap_or_default()
}

pub(crate) fn blur(grey: &GrayImage, sigma: f32) -> GrayImage {
    let shares = gauss(sigma);
    let reach = shares.len() / 2;
    let (width, height) = (grey.width() as usize, grey.height() as usize);
    let source = grey.as_raw();
    let mut across = Vec::with_capacity(source.len());
    let mut sums = vec![0u16; width];
    let mut padded = vec![0u8; width + 2 * reach];
    for row in source.chunks_exact(width) {
        padded[reach..reach + width].copy_from_slice(row);
        padded[..reach].fill(row[0]);
        padded[reach + width..].fill(row[width - 1]);
        sums.fill(128);
        for (n, &share) in shares.iter().enumerate() {
            for (sum, &value) in sums.iter_mut().zip(&padded[n..]) {
                *sum = sum.saturating_add(u16::from(value) * share);
            }
        }
        across.extend(sums.iter().map(|sum| (sum >> 8) as u8));
    }
    let mut values = Vec::with_capacity(source.len());
    for y in 0..height {
        sums.fill(128);
        for (n, &share) in shares.iter().enumerate() {
            let row = (y + n).saturating_sub(reach).min(height - 1) * width;
            for (sum, &value) in sums.iter_mut().zip(&across[row..row + width]) {
                *sum = sum.saturating_add(u16::from(value) * share);
            }
        }
        values.extend(sums.iter().map(|sum| (sum >> 8) as u8));
    }
    same_size(grey, values)
}

/// Shares of 256 of the pixels around one.
fn gauss(sigma: f32) -> Vec<u16> {
    let reach = (sigma * 2.6).ceil().clamp(1.0, 12.0) as i32;
    let weight = |at: i32| (-((at * at) as f32) / (2.0 * sigma * sigma).max(0.01)).exp();
    let whole: f32 = (-reach..=reach).map(weight).sum();
    let mut shares: Vec<u16> = (-reach..=reach)
        .map(|at| (weight(at) / whole * 256.0).round() as u16)
        .collect();
    // What rounding has lost or added belongs to the middle.
    let rounded: u16 = shares.iter().sum();
    let middle = &mut shares[reach as usize];
    *middle = (*middle + 256).saturating_sub(rounded);
    shares
}

/// Black where a pixel is darker than the mean around it by more than `margin` percent; radius in pixels.
pub(crate) fn threshold(grey: &GrayImage, radius: u32, margin: i32) -> GrayImage {
    map_with_mean(grey, radius, |value, mean| {
        if i32::from(value) * 100 < i32::from(mean) * (100 - margin) {
            0
        } else {
            255
        }
    })
}

/// Evens out the light: each value relative to the mean around it.
pub(crate) fn flatten(grey: &GrayImage, radius: u32) -> GrayImage {
    map_with_mean(grey, radius, |value, mean| {
        (u32::from(value) * 128 / u32::from(mean).max(1)).min(255) as u8
    })
}

/// Grows the light parts by one pixel, then shrinks them: removes specks and thin strokes of ink.
pub(crate) fn close(grey: &GrayImage) -> GrayImage {
    extreme(&extreme(grey, u8::max), u8::min)
}

fn extreme(grey: &GrayImage, pick: impl Fn(u8, u8) -> u8) -> GrayImage {
    let (width, height) = (grey.width() as usize, grey.height() as usize);
    let source = grey.as_raw();
    let mut across = source.clone();
    for (row, out) in source.chunks_exact(width).zip(across.chunks_exact_mut(width)) {
        for (value, &before) in out[1..].iter_mut().zip(row) {
            *value = pick(*value, before);
        }
        for (value, &after) in out.iter_mut().zip(&row[1..]) {
            *value = pick(*value, after);
        }
    }
    let mut both = across.clone();
    for (y, out) in both.chunks_exact_mut(width).enumerate() {
        let above = y.saturating_sub(1) * width;
        let below = (y + 1).min(height - 1) * width;
        let neighbours = across[above..above + width].iter().zip(&across[below..below + width]);
        for (value, (&above, &below)) in out.iter_mut().zip(neighbours) {
            *value = pick(*value, pick(above, below));
        }
    }
    same_size(grey, both)
}

fn map_with_mean(grey: &GrayImage, radius: u32, map: impl Fn(u8, u8) -> u8) -> GrayImage {
    let (width, height) = (grey.width() as usize, grey.height() as usize);
    let radius = radius.max(1) as usize;
    let source = grey.as_raw();
    let mut values = vec![0u8; source.len()];
    // Sums of each column over the rows of the window, slid down row by row.
    let mut columns = vec![0u32; width];
    let row = |y: usize| &source[y * width..(y + 1) * width];
    let mut rows = 0u32;
    for y in 0..radius.min(height) {
        for (column, &value) in columns.iter_mut().zip(row(y)) {
            *column += u32::from(value);
        }
        rows += 1;
    }
    for y in 0..height {
        if y + radius < height {
            for (column, &value) in columns.iter_mut().zip(row(y + radius)) {
                *column += u32::from(value);
            }
            rows += 1;
        }
        if y > radius {
            for (column, &value) in columns.iter_mut().zip(row(y - radius - 1)) {
                *column -= u32::from(value);
            }
            rows -= 1;
        }
        let mut sum: u64 = columns.iter().take(radius).map(|&c| u64::from(c)).sum();
        let mut wide = radius.min(width) as u32;
        for x in 0..width {
            if x + radius < width {
                sum += u64::from(columns[x + radius]);
                wide += 1;
            }
            if x > radius {
                sum -= u64::from(columns[x - radius - 1]);
                wide -= 1;
            }
            let mean = (sum / u64::from(wide * rows).max(1)) as u8;
            values[y * width + x] = map(source[y * width + x], mean);
        }
    }
    same_size(grey, values)
}

fn same_size(grey: &GrayImage, values: Vec<u8>) -> GrayImage {
    GrayImage::from_raw(grey.width(), grey.height(), values).unwrap_or_default()
}

/// A slight bend of the picture, in coordinates from -1 to 1 around the middle of the longer side.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Bend {
    /// How much further out a pixel is fetched, by the square of its distance from the middle.
    pub bulge: f32,
    /// How much wider the lower (first) and the right (second) half is fetched.
    pub tilt: [f32; 2],
}

impl Bend {
    /// Which point of a picture of that size the bent picture shows at (x, y).
    pub(crate) fn source(&self, width: f32, height: f32, x: f32, y: f32) -> [f32; 2] {
        let (cx, cy) = ((width - 1.0) / 2.0, (height - 1.0) / 2.0);
        let half = cx.max(cy).max(0.5);
        let (u, v) = ((x - cx) / half, (y - cy) / half);
        let out = 1.0 + self.bulge * (u * u + v * v);
        [
            u * out * (1.0 + self.tilt[0] * v) * half + cx,
            v * out * (1.0 + self.tilt[1] * u) * half + cy,
        ]
    }
}

pub(crate) fn bend(grey: &GrayImage, bend: Bend) -> GrayImage {
    let (width, height) = (grey.width() as usize, grey.height() as usize);
    if width < 2 || height < 2 {
        return grey.clone();
    }
    let source = grey.as_raw();
    let mut values = Vec::with_capacity(source.len());
    // In 256ths of a pixel, short of the last so that each has a neighbour.
    let most = [width, height].map(|side| (side as f32 - 1.0) * 256.0 - 1.0);
    let mut points = vec![[0i32; 2]; width];
    for y in 0..height {
        // Apart from the fetching, so that several are worked out at once.
        for (x, point) in points.iter_mut().enumerate() {
            let [sx, sy] = bend.source(width as f32, height as f32, x as f32, y as f32);
            *point = [
                (sx * 256.0 + 0.5).clamp(0.0, most[0]) as i32,
                (sy * 256.0 + 0.5).clamp(0.0, most[1]) as i32,
            ];
        }
        values.extend(points.iter().map(|point| {
            let [x, y] = point.map(|at| (at >> 8) as usize);
            let [fx, fy] = point.map(|at| (at & 255) as u32);
            let from = y * width + x;
            let near = &source[from..from + width + 2];
            let at = |n: usize| u32::from(near[n]);
            let top = at(0) * (256 - fx) + at(1) * fx;
            let bottom = at(width) * (256 - fx) + at(width + 1) * fx;
            ((top * (256 - fy) + bottom * fy + (1 << 15)) >> 16) as u8
        }));
    }
    same_size(grey, values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32) -> GrayImage {
        GrayImage::from_fn(width, height, |x, y| image::Luma([((x * x * 7 + y * 31) % 251) as u8]))
    }

    #[test]
    fn enlarging_is_as_the_exact_one_does_it() {
        for (grey, factor) in [(picture(40, 23), 2.0), (picture(31, 57), 1.5), (picture(5, 4), 3.0)] {
            let (width, height) = (
                (grey.width() as f32 * factor) as u32,
                (grey.height() as f32 * factor) as u32,
            );
            let (fast, exact) = (enlarge(&grey, width, height), resize(&grey, width, height));
            assert_eq!(fast.dimensions(), exact.dimensions());
            // At the edge they differ: one repeats the last pixel, the other leaves it out.
            for (x, y, pixel) in fast.enumerate_pixels().filter(|(x, y, _)| {
                let edge = 2 * factor as u32 + 1;
                (edge..width - edge.min(width)).contains(x) && (edge..height - edge.min(height)).contains(y)
            }) {
                let difference = i32::from(pixel.0[0]) - i32::from(exact.get_pixel(x, y).0[0]);
                assert!(difference.abs() <= 2, "{x},{y}: {difference}");
            }
        }
    }

    #[test]
    fn what_is_even_stays_as_it_is() {
        for value in [0, 1, 128, 255] {
            for (width, height) in [(1, 1), (1, 9), (9, 1), (20, 17)] {
                let grey = GrayImage::from_pixel(width, height, image::Luma([value]));
                for sigma in [0.5, 1.5, 4.0] {
                    assert_eq!(blur(&grey, sigma), grey);
                }
                assert_eq!(close(&grey), grey);
                let (wide, high) = (width * 2, height * 2);
                let larger = GrayImage::from_pixel(wide, high, image::Luma([value]));
                assert_eq!(enlarge(&grey, wide, high), larger);
                assert_eq!(sharpen(&grey, 1.5, 2.0, wide, high), larger);
                assert_eq!(
                    bend(
                        &grey,
                        Bend {
                            bulge: 0.1,
                            tilt: [0.05, -0.05]
                        }
                    ),
                    grey
                );
            }
        }
    }

    #[test]
    fn a_blur_is_wider_the_larger_its_sigma() {
        let mut dot = GrayImage::new(41, 41);
        dot.put_pixel(20, 20, image::Luma([255]));
        let spread = |sigma: f32| {
            let soft = blur(&dot, sigma);
            soft.as_raw().iter().filter(|&&value| value > 0).count()
        };
        assert!(spread(0.5) < spread(1.0) && spread(1.0) < spread(2.0));
    }
}
