//! Other looks at a picture in which nothing was found: each a small, plain filter on grey values.
//! All of them take time linear in the pixels, whatever their radius.

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

pub(crate) fn blur(grey: &GrayImage, sigma: f32) -> GrayImage {
    DynamicImage::ImageLuma8(grey.clone()).fast_blur(sigma).into_luma8()
}

/// The picture with what its blur lacks put on top: undoes some of a lens out of focus.
pub(crate) fn sharpen(grey: &GrayImage, sigma: f32, amount: f32) -> GrayImage {
    let soft = blur(grey, sigma);
    let values = grey
        .as_raw()
        .iter()
        .zip(soft.as_raw())
        .map(|(&sharp, &soft)| {
            let (sharp, soft) = (f32::from(sharp), f32::from(soft));
            (sharp + amount * (sharp - soft)).round().clamp(0.0, 255.0) as u8
        })
        .collect();
    same_size(grey, values)
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

fn extreme(grey: &GrayImage, pick: fn(u8, u8) -> u8) -> GrayImage {
    let (width, height) = (grey.width() as usize, grey.height() as usize);
    let source = grey.as_raw();
    let mut across = source.clone();
    for (row, out) in source.chunks_exact(width).zip(across.chunks_exact_mut(width)) {
        for x in 0..width {
            out[x] = pick(row[x], pick(row[x.saturating_sub(1)], row[(x + 1).min(width - 1)]));
        }
    }
    let mut both = across.clone();
    for y in 0..height {
        let above = y.saturating_sub(1) * width;
        let below = (y + 1).min(height - 1) * width;
        let here = y * width;
        for x in 0..width {
            both[here + x] = pick(across[here + x], pick(across[above + x], across[below + x]));
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
    let source = grey.as_raw();
    let mut values = Vec::with_capacity(source.len());
    for y in 0..height {
        for x in 0..width {
            let [sx, sy] = bend.source(width as f32, height as f32, x as f32, y as f32);
            let sx = sx.clamp(0.0, (width - 1) as f32);
            let sy = sy.clamp(0.0, (height - 1) as f32);
            let (x0, y0) = (sx as usize, sy as usize);
            let (x1, y1) = ((x0 + 1).min(width - 1), (y0 + 1).min(height - 1));
            let (fx, fy) = (sx - x0 as f32, sy - y0 as f32);
            let at = |x: usize, y: usize| f32::from(source[y * width + x]);
            let top = at(x0, y0) * (1.0 - fx) + at(x1, y0) * fx;
            let bottom = at(x0, y1) * (1.0 - fx) + at(x1, y1) * fx;
            values.push((top * (1.0 - fy) + bottom * fy).round() as u8);
        }
    }
    same_size(grey, values)
}
