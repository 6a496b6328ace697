//! The other looks at a picture, in the order of what they found on photographs for their cost.
//!
//! The work is bounded: no look is larger than [`MAX_PIXELS`], so a picture without a code costs at most
//! `LOOKS.len()` passes over that many pixels however large it is.

use std::borrow::Cow;

use image::GrayImage;
use zxingcpp::Binarizer;

use crate::prepare::{self, Bend};

const MAX_PIXELS: f32 = 2_000_000.0;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// Size against the picture's own (a picture beyond [`MAX_PIXELS`] is first brought down to it).
    scale: f32,
    filter: Filter,
    pub binarizer: Binarizer,
    /// Whether to search for QR codes.
    pub matrix: bool,
    /// Whether to search for bar codes.
    pub bars: bool,
}

#[derive(Debug, Clone, Copy)]
enum Filter {
    None,
    Sharpen { sigma: f32, amount: f32 },
    Blur(f32),
    Flatten(u32),
    Threshold { radius: u32, margin: i32 },
    Close,
    Bend(Bend),
}

const fn qr(scale: f32, filter: Filter) -> Look {
    Look {
        scale,
        filter,
        binarizer: Binarizer::LocalAverage,
        matrix: true,
        bars: false,
    }
}

const fn qr_global(scale: f32, filter: Filter) -> Look {
    Look {
        binarizer: Binarizer::GlobalHistogram,
        ..qr(scale, filter)
    }
}

const fn both(scale: f32, filter: Filter) -> Look {
    Look {
        bars: true,
        ..qr(scale, filter)
    }
}

const fn bars(scale: f32, filter: Filter) -> Look {
    Look {
        matrix: false,
        ..both(scale, filter)
    }
}

/// The camera stood a little aside, or the paper is not flat: the four ways of tilting, and a bulge.
const fn tilt(x: f32, y: f32) -> Filter {
    Filter::Bend(Bend {
        bulge: 0.0,
        tilt: [x, y],
    })
}

pub(crate) const LOOKS: &[Look] = &[
    qr_global(1.0, Filter::None),
    qr(2.0, Filter::None),
    both(1.0, Filter::Flatten(40)),
    both(1.0, Filter::Threshold { radius: 20, margin: 5 }),
    bars(
        1.0,
        Filter::Sharpen {
            sigma: 1.5,
            amount: 2.0,
        },
    ),
    both(
        2.0,
        Filter::Sharpen {
            sigma: 3.0,
            amount: 2.0,
        },
    ),
    bars(
        1.5,
        Filter::Sharpen {
            sigma: 2.5,
            amount: 3.0,
        },
    ),
    qr_global(2.0, Filter::None),
    both(1.5, Filter::None),
    both(0.5, Filter::None),
    qr(1.0, Filter::Threshold { radius: 40, margin: 10 }),
    qr(2.0, Filter::Close),
    qr(2.0, Filter::Blur(2.0)),
    qr(
        2.0,
        Filter::Bend(Bend {
            bulge: 0.1,
            tilt: [0.0, 0.0],
        }),
    ),
    qr(2.0, tilt(0.05, 0.05)),
    qr(2.0, tilt(-0.05, -0.05)),
    qr(2.0, tilt(0.05, -0.05)),
    qr(2.0, tilt(-0.05, 0.05)),
    qr_global(3.0, Filter::None),
];

/// Where a point of a look lies in the picture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    look: [f32; 2],
    picture: [f32; 2],
    bend: Bend,
}

impl Origin {
    pub(crate) fn of(&self, [x, y]: [i32; 2]) -> [i32; 2] {
        let [x, y] = self.bend.source(self.look[0], self.look[1], x as f32, y as f32);
        [
            (x * self.picture[0] / self.look[0]).round() as i32,
            (y * self.picture[1] / self.look[1]).round() as i32,
        ]
    }
}

/// Makes looks, keeping the last scaled picture: neighbours in the list often share it.
#[derive(Debug)]
pub(crate) struct Looks<'a> {
    picture: Cow<'a, GrayImage>,
    original: [f32; 2],
    scaled: Option<(f32, GrayImage)>,
}

impl<'a> Looks<'a> {
    pub(crate) fn new(grey: &'a GrayImage) -> Self {
        let original = [grey.width() as f32, grey.height() as f32];
        let pixels = original[0] * original[1];
        let picture = if pixels > MAX_PIXELS {
            let factor = (MAX_PIXELS / pixels).sqrt();
            Cow::Owned(scale(grey, factor))
        } else {
            Cow::Borrowed(grey)
        };
        Looks {
            picture,
            original,
            scaled: None,
        }
    }

    /// `None` when the look would be too large, or as small as to be empty.
    pub(crate) fn take(&mut self, look: &Look) -> Option<(GrayImage, Origin)> {
        let pixels = (self.picture.width() * self.picture.height()) as f32;
        if look.scale > 1.0 && pixels * look.scale * look.scale > MAX_PIXELS {
            return None;
        }
        if self.scaled.as_ref().is_none_or(|(s, _)| *s != look.scale) {
            let scaled = if look.scale == 1.0 {
                self.picture.clone().into_owned()
            } else {
                scale(&self.picture, look.scale)
            };
            self.scaled = Some((look.scale, scaled));
        }
        let (_, base) = self.scaled.as_ref()?;
        let (grey, bend) = match look.filter {
            Filter::None => (base.clone(), Bend::default()),
            Filter::Sharpen { sigma, amount } => (prepare::sharpen(base, sigma, amount), Bend::default()),
            Filter::Blur(sigma) => (prepare::blur(base, sigma), Bend::default()),
            Filter::Flatten(radius) => (prepare::flatten(base, radius), Bend::default()),
            Filter::Threshold { radius, margin } => (prepare::threshold(base, radius, margin), Bend::default()),
            Filter::Close => (prepare::close(base), Bend::default()),
            Filter::Bend(bend) => (prepare::bend(base, bend), bend),
        };
        let origin = Origin {
            look: [grey.width() as f32, grey.height() as f32],
            picture: self.original,
            bend,
        };
        Some((grey, origin))
    }
}

fn scale(grey: &GrayImage, factor: f32) -> GrayImage {
    let side = |length: u32| ((length as f32 * factor).round() as u32).max(1);
    prepare::resize(grey, side(grey.width()), side(grey.height()))
}
