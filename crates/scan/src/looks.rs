//! The other looks at a picture, in the order of what they found on photographs for their cost.
//!
//! The work is bounded: no look is larger than [`MAX_PIXELS`], so a picture without a code costs at most
//! `LOOKS.len()` passes over that many pixels however large it is.

use std::borrow::Cow;

use image::GrayImage;
use zxingcpp::{BarcodeFormat, Binarizer};

use crate::prepare::{self, Bend};
use crate::read::{Reading, SURE, read};

const MAX_PIXELS: f32 = 2_000_000.0;
/// A bent look is at most so large: there are several of them, and they are for what is near and fills the picture.
const MAX_BENT_PIXELS: f32 = 350_000.0;

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
    /// Whether also for what lies beside a code that was found.
    pub outside: bool,
}

impl Look {
    fn formats(&self) -> &'static [BarcodeFormat] {
        match (self.matrix, self.bars) {
            (true, true) => &SURE[..],
            (true, false) => &SURE[..1],
            (false, _) => &SURE[1..],
        }
    }

    fn is_bent(&self) -> bool {
        matches!(self.filter, Filter::Bend(_))
    }
}

#[derive(Debug, Clone, Copy)]
enum Filter {
    None,
    /// Before it is enlarged, as a blur; that is cheaper, and the same.
    Sharpen {
        sigma: f32,
        amount: f32,
    },
    Blur(f32),
    Flatten(u32),
    Threshold {
        radius: u32,
        margin: i32,
    },
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
        outside: false,
    }
}

const fn outside(look: Look) -> Look {
    Look { outside: true, ..look }
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
    outside(qr_global(1.0, Filter::None)),
    outside(qr(2.0, Filter::None)),
    outside(both(1.0, Filter::Flatten(40))),
    outside(both(1.0, Filter::Threshold { radius: 20, margin: 5 })),
    outside(bars(1.0, SHARPER)),
    outside(both(2.0, SHARPER)),
    bars(
        1.5,
        Filter::Sharpen {
            sigma: 1.7,
            amount: 3.0,
        },
    ),
    qr_global(2.0, Filter::None),
    both(1.5, Filter::None),
    both(0.5, Filter::None),
    qr(1.0, Filter::Threshold { radius: 40, margin: 10 }),
    qr(2.0, Filter::Close),
    qr(2.0, Filter::Blur(2.2)),
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

const SHARPER: Filter = Filter::Sharpen {
    sigma: 1.5,
    amount: 2.0,
};

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

/// Makes looks, keeping the scaled pictures: many in the list share one.
#[derive(Debug)]
pub(crate) struct Looks<'a> {
    picture: Cow<'a, GrayImage>,
    original: [f32; 2],
    scaled: Vec<(f32, GrayImage)>,
}

impl<'a> Looks<'a> {
    pub(crate) fn new(grey: &'a GrayImage) -> Self {
        let original = [grey.width() as f32, grey.height() as f32];
        let pixels = original[0] * original[1];
        let picture = if pixels > MAX_PIXELS {
            let factor = (MAX_PIXELS / pixels).sqrt();
            let (width, height) = size(grey, factor);
            Cow::Owned(prepare::resize(grey, width, height))
        } else {
            Cow::Borrowed(grey)
        };
        Looks {
            picture,
            original,
            scaled: Vec::new(),
        }
    }

    /// What is read in each of these looks, those that are too large left out: on as many cores as there are, one look
    /// made while others are read.
    pub(crate) fn read(&mut self, looks: &'static [Look]) -> Vec<Vec<Reading>> {
        let mut all: Vec<Vec<Reading>> = looks.iter().map(|_| Vec::new()).collect();
        rayon::scope(|scope| {
            for (look, readings) in looks.iter().zip(&mut all) {
                let Some((grey, origin)) = self.take(look) else {
                    continue;
                };
                scope.spawn(move |_| {
                    *readings = read(&grey, look.binarizer, look.formats());
                    for reading in readings {
                        reading.symbol.corners = reading.symbol.corners.map(|corner| origin.of(corner));
                    }
                });
            }
        });
        all
    }

    /// `None` when the look would be too large.
    pub(crate) fn take(&mut self, look: &Look) -> Option<(GrayImage, Origin)> {
        let pixels = (self.picture.width() * self.picture.height()) as f32;
        let bent_scale = look.scale.min((MAX_BENT_PIXELS / pixels).sqrt());
        if look.scale > 1.0 && !look.is_bent() && pixels * look.scale * look.scale > MAX_PIXELS {
            return None;
        }
        let (width, height) = size(&self.picture, look.scale);
        let mut bent = Bend::default();
        let grey = match look.filter {
            Filter::Sharpen { sigma, amount } => prepare::sharpen(&self.picture, sigma, amount, width, height),
            Filter::Blur(sigma) => prepare::blur(self.scaled(look.scale), sigma),
            Filter::None => self.scaled(look.scale).clone(),
            Filter::Flatten(radius) => prepare::flatten(self.scaled(look.scale), radius),
            Filter::Threshold { radius, margin } => prepare::threshold(self.scaled(look.scale), radius, margin),
            Filter::Close => prepare::close(self.scaled(look.scale)),
            Filter::Bend(bend) => {
                bent = bend;
                prepare::bend(self.scaled(bent_scale), bend)
            }
        };
        let origin = Origin {
            look: [grey.width() as f32, grey.height() as f32],
            picture: self.original,
            bend: bent,
        };
        Some((grey, origin))
    }

    fn scaled(&mut self, factor: f32) -> &GrayImage {
        if factor == 1.0 {
            return &self.picture;
        }
        let at = self.scaled.iter().position(|(other, _)| *other == factor);
        let at = at.unwrap_or_else(|| {
            let (width, height) = size(&self.picture, factor);
            let scaled = if factor > 1.0 {
                prepare::enlarge(&self.picture, width, height)
            } else {
                prepare::shrink(&self.picture, width, height)
            };
            self.scaled.push((factor, scaled));
            self.scaled.len() - 1
        });
        &self.scaled[at].1
    }
}

fn size(grey: &GrayImage, factor: f32) -> (u32, u32) {
    let side = |length: u32| ((length as f32 * factor).round() as u32).max(1);
    (side(grey.width()), side(grey.height()))
}
