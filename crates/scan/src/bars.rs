//! Whether the grey values of a picture are those that a product's bar code would give.
//!
//! The decoder sees edges, and only one check digit tells it that it saw a wrong one: in a blurred picture one misread
//! line in ten passes, and lines of one picture are misread alike. So what it read is held against the picture itself:
//! at every digit, no other digit may fit the grey values clearly better than the one that was read.

use image::GrayImage;

/// Samples for each module, the width of the thinnest bar.
const FINE: usize = 8;
/// Modules that are looked at beyond the ends.
const BEYOND: usize = 8;
/// Lines whose mean is taken.
const LINES: usize = 12;
/// How blurred the picture may be, modules.
const BLURS: [f32; 3] = [0.35, 0.7, 1.1];

/// Bars of the digits in the left half of a product's code, as odd parity has them; dark is 1.
const DIGITS: [u8; 10] = [0x0d, 0x19, 0x13, 0x3d, 0x23, 0x31, 0x2f, 0x3b, 0x37, 0x0b];
/// Which of the six digits on the left have even parity, for each first digit of an EAN-13.
const PARITIES: [u8; 10] = [0x00, 0x0b, 0x0d, 0x0e, 0x13, 0x19, 0x1c, 0x15, 0x16, 0x1a];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    Odd,
    Even,
    Right,
}

impl Set {
    fn bars(self, digit: u8) -> [bool; 7] {
        let odd = DIGITS[usize::from(digit % 10)];
        let bars = match self {
            Set::Odd => odd,
            Set::Right => !odd & 0x7f,
            Set::Even => (!odd & 0x7f).reverse_bits() >> 1,
        };
        std::array::from_fn(|place| bars >> (6 - place) & 1 == 1)
    }

    /// What a digit can be mistaken for: on the left, the parity can be misread too.
    fn alternatives(self, mixed: bool) -> &'static [Set] {
        match self {
            Set::Right => &[Set::Right],
            _ if mixed => &[Set::Odd, Set::Even],
            _ => &[Set::Odd],
        }
    }
}

/// The modules of a product's bar code, and where its digits stand.
#[derive(Debug)]
pub(crate) struct Drawn {
    modules: Vec<bool>,
    digits: Vec<(usize, u8, Set)>,
    /// Whether digits of the left half also come in even parity.
    mixed: bool,
}

impl Drawn {
    /// An EAN-13 (also for UPC-A) or an EAN-8.
    pub(crate) fn ean(text: &str) -> Option<Self> {
        let numbers = numbers(text)?;
        let (parities, printed) = match numbers.len() {
            13 => (PARITIES[usize::from(numbers[0])], &numbers[1..]),
            8 => (0, &numbers[..]),
            _ => return None,
        };
        let half = printed.len() / 2;
        let mut drawn = Drawn::begin(numbers.len() == 13);
        for (place, &digit) in printed.iter().enumerate() {
            if place == half {
                drawn.modules.extend([false, true, false, true, false]);
            }
            drawn.add(
                digit,
                match place {
                    _ if place >= half => Set::Right,
                    _ if parities >> (half - 1 - place) & 1 == 1 => Set::Even,
                    _ => Set::Odd,
                },
            );
        }
        drawn.modules.extend([true, false, true]);
        Some(drawn)
    }

    /// A UPC-E, by its eight digits: the first and the last only show in the parities of the others.
    pub(crate) fn upc_e(text: &str) -> Option<Self> {
        let numbers = numbers(text).filter(|numbers| numbers.len() == 8)?;
        let parities = match numbers[7] {
            0 => 0x07,
            digit => PARITIES[usize::from(digit)],
        };
        let parities = if numbers[0] == 0 { !parities } else { parities };
        let mut drawn = Drawn::begin(true);
        for (place, &digit) in numbers[1..7].iter().enumerate() {
            let even = parities >> (5 - place) & 1 == 1;
            drawn.add(digit, if even { Set::Even } else { Set::Odd });
        }
        drawn.modules.extend([false, true, false, true, false, true]);
        Some(drawn)
    }

    fn begin(mixed: bool) -> Self {
        Drawn {
            modules: vec![true, false, true],
            digits: Vec::new(),
            mixed,
        }
    }

    fn add(&mut self, digit: u8, set: Set) {
        self.digits.push((self.modules.len(), digit, set));
        self.modules.extend(set.bars(digit));
    }
}

fn numbers(text: &str) -> Option<Vec<u8>> {
    let numbers: Vec<u8> = text.bytes().map(|byte| byte.wrapping_sub(b'0')).collect();
    numbers.iter().all(|&number| number < 10).then_some(numbers)
}

/// By how much another digit fits the picture better, at the digit where this is worst; below 0 where none does.
/// `None` where there are too few pixels to tell.
pub(crate) fn rival(grey: &GrayImage, drawn: &Drawn, corners: &[[i32; 2]; 4]) -> Option<f32> {
    let profile = profile(grey, drawn.modules.len(), corners)?;
    Some(Laid::best(&profile, drawn).rival(&profile, drawn))
}

/// Where along the profile a module of the drawing lies. Paper bends, and is seen from aside: the middle may lie nearer
/// to one end (`bow`), and both halves may be narrower towards the ends (`barrel`).
#[derive(Debug, Clone, Copy)]
struct Place {
    start: f32,
    scale: f32,
    bow: f32,
    barrel: f32,
    modules: f32,
}

impl Place {
    fn straight(modules: usize) -> Self {
        Place {
            start: 0.0,
            scale: 1.0,
            bow: 0.0,
            barrel: 0.0,
            modules: modules as f32,
        }
    }

    fn of(&self, module: f32) -> f32 {
        let share = module / self.modules;
        let bent = self.bow + self.barrel * (1.0 - 2.0 * share);
        self.start + module * self.scale + bent * share * (1.0 - share)
    }

    /// The ends moved by so much.
    fn between(self, first: f32, last: f32) -> Self {
        Place {
            start: self.start + first,
            scale: self.scale + (last - first) / self.modules,
            ..self
        }
    }
}

/// The drawing as it lies best over the profile.
struct Laid {
    ideal: Vec<f32>,
    kernel: Vec<f32>,
    place: Place,
    likeness: f32,
}

impl Laid {
    /// With the blur that fits best.
    fn best(profile: &[f32], drawn: &Drawn) -> Self {
        let [little, some, much] = BLURS;
        let mut laid = Laid::new(drawn, some, Place::straight(drawn.modules.len()));
        laid.search(profile);
        for blur in [little, much] {
            let mut other = Laid::new(drawn, blur, laid.place);
            other.lie_best(profile, std::iter::once(laid.place), 2);
            if other.likeness > laid.likeness {
                laid = other;
            }
        }
        laid
    }

    fn new(drawn: &Drawn, blur: f32, place: Place) -> Self {
        let kernel = kernel(blur);
        let modules = drawn.modules.len();
        let mut ideal = vec![1.0; (modules + 2 * BEYOND) * FINE];
        for at in (0..modules).filter(|&at| drawn.modules[at]) {
            darken(&mut ideal, &kernel, at, 1.0);
        }
        Laid {
            ideal,
            kernel,
            place,
            likeness: -1.0,
        }
    }

    /// How it is bent, by few samples; then where the ends are.
    fn search(&mut self, profile: &[f32]) {
        let straight = self.place;
        let bends = (-24..=24).flat_map(|bow| (-3..=3).map(move |barrel| (bow as f32 * 2.0, barrel as f32 * 8.0)));
        self.lie_best(
            profile,
            bends.map(|(bow, barrel)| Place {
                bow,
                barrel,
                ..straight
            }),
            FINE,
        );
        self.likeness = -1.0;
        for step in [0.5, 0.25] {
            let around = self.place;
            let ends = (-3..=3).flat_map(|first| (-3..=3).map(move |last| (first as f32 * step, last as f32 * step)));
            self.lie_best(profile, ends.map(|(first, last)| around.between(first, last)), 2);
        }
    }

    /// Lies at the best of these places from now on, if one is better.
    fn lie_best(&mut self, profile: &[f32], places: impl Iterator<Item = Place>, step: usize) {
        let whole = (0, self.place.modules as usize);
        let drawn: Vec<f32> = samples(whole, step)
            .filter_map(|n| self.ideal.get(n + BEYOND * FINE).copied())
            .collect();
        for place in places {
            let likeness = likeness(&seen(profile, place, whole, step), &drawn);
            if likeness > self.likeness {
                (self.place, self.likeness) = (place, likeness);
            }
        }
    }

    fn rival(&self, profile: &[f32], drawn: &Drawn) -> f32 {
        let mut strongest: f32 = -1.0;
        // Each digit is looked for near where the one before was found.
        let mut drift = 0.0;
        for &(at, digit, set) in &drawn.digits {
            let window = (at - 1, at + 8);
            let seen_at = |shift: f32| seen(profile, self.place.between(shift, shift), window, 1);
            let steps = (-4..=4).map(|step| drift + step as f32 * 0.125);
            let (own, shift) = steps
                .map(|shift| (likeness(&seen_at(shift), self.within(window)), shift))
                .fold((-1.0, drift), |best, one| if one.0 > best.0 { one } else { best });
            drift = shift;
            let near = [-2, -1, 0, 1, 2].map(|step| seen_at(drift + step as f32 * 0.125));
            let bars = set.bars(digit);
            for &other_set in set.alternatives(drawn.mixed) {
                for other in (0..10).filter(|&other| (other, other_set) != (digit, set)) {
                    let mut ideal = self.within(window).to_vec();
                    for (place, (before, after)) in bars.into_iter().zip(other_set.bars(other)).enumerate() {
                        let change = f32::from(u8::from(after)) - f32::from(u8::from(before));
                        // The digit is the second module of the window.
                        darken_within(&mut ideal, &self.kernel, place + 1, change);
                    }
                    for seen in &near {
                        strongest = strongest.max(likeness(seen, &ideal) - own);
                    }
                }
            }
        }
        strongest
    }

    fn within(&self, (from, to): (usize, usize)) -> &[f32] {
        self.ideal
            .get((from + BEYOND) * FINE..(to + BEYOND) * FINE)
            .unwrap_or_default()
    }
}

/// What one dark module takes from the light around it, from [`BEYOND`] / 2 modules before it on.
fn kernel(blur: f32) -> Vec<f32> {
    let edge = |distance: f32| 1.0 / (1.0 + (-1.702 * distance / blur).exp());
    (0..(BEYOND + 1) * FINE)
        .map(|n| (n as f32 + 0.5) / FINE as f32 - (BEYOND / 2) as f32)
        .map(|at| edge(at) - edge(at - 1.0))
        .collect()
}

fn darken(ideal: &mut [f32], kernel: &[f32], module: usize, amount: f32) {
    let from = (module + BEYOND / 2) * FINE;
    for (light, part) in ideal.iter_mut().skip(from).zip(kernel) {
        *light -= amount * part;
    }
}

/// The same where the light begins at the first module.
fn darken_within(light: &mut [f32], kernel: &[f32], module: usize, amount: f32) {
    if amount == 0.0 {
        return;
    }
    let from = (BEYOND / 2).saturating_sub(module) * FINE;
    let at = module.saturating_sub(BEYOND / 2) * FINE;
    for (light, part) in light.iter_mut().skip(at).zip(kernel.iter().skip(from)) {
        *light -= amount * part;
    }
}

/// The mean grey values along the code, with [`FINE`] samples a module and [`BEYOND`] modules more at both ends.
fn profile(grey: &GrayImage, modules: usize, corners: &[[i32; 2]; 4]) -> Option<Vec<f32>> {
    let [top_left, top_right, bottom_right, bottom_left] = corners.map(|corner| corner.map(|at| at as f32));
    let between = |from: [f32; 2], to: [f32; 2], share: f32| [0, 1].map(|n| from[n] + (to[n] - from[n]) * share);
    let (most_x, most_y) = (
        grey.width().checked_sub(1)? as f32,
        grey.height().checked_sub(1)? as f32,
    );
    let mut sums = vec![0.0; (modules + 2 * BEYOND) * FINE];
    for line in 0..LINES {
        let share = (line as f32 + 0.5) / LINES as f32;
        let (left, right) = (
            between(top_left, bottom_left, share),
            between(top_right, bottom_right, share),
        );
        if (left[0] - right[0]).abs() + (left[1] - right[1]).abs() < modules as f32 / 2.0 {
            return None;
        }
        for (n, sum) in sums.iter_mut().enumerate() {
            let along = ((n as f32 + 0.5) / FINE as f32 - BEYOND as f32) / modules as f32;
            let [x, y] = between(left, right, along);
            let (x, y) = (x.clamp(0.0, most_x), y.clamp(0.0, most_y));
            let (x0, y0) = (x as u32, y as u32);
            let (x1, y1) = ((x0 + 1).min(most_x as u32), (y0 + 1).min(most_y as u32));
            let (fx, fy) = (x - x0 as f32, y - y0 as f32);
            let at = |x, y| f32::from(grey.get_pixel(x, y).0[0]);
            let top = at(x0, y0) * (1.0 - fx) + at(x1, y0) * fx;
            let bottom = at(x0, y1) * (1.0 - fx) + at(x1, y1) * fx;
            *sum += top * (1.0 - fy) + bottom * fy;
        }
    }
    Some(sums)
}

fn samples((from, to): (usize, usize), step: usize) -> impl Iterator<Item = usize> {
    (from * FINE + step / 2..to * FINE).step_by(step)
}

/// The profile where some modules of the drawing lie.
fn seen(profile: &[f32], place: Place, modules: (usize, usize), step: usize) -> Vec<f32> {
    let last = profile.len().saturating_sub(1);
    samples(modules, step)
        .map(|sample| place.of((sample as f32 + 0.5) / FINE as f32) + BEYOND as f32)
        .map(|module| {
            profile
                .get(((module * FINE as f32) as usize).min(last))
                .copied()
                .unwrap_or_default()
        })
        .collect()
}

/// How much two rows of values are alike: their correlation.
fn likeness(seen: &[f32], drawn: &[f32]) -> f32 {
    let n = seen.len().min(drawn.len()) as f32;
    let (mut sums, mut squares, mut product) = ([0.0f32; 2], [0.0f32; 2], 0.0f32);
    for (seen, drawn) in seen.iter().zip(drawn) {
        sums = [sums[0] + seen, sums[1] + drawn];
        squares = [squares[0] + seen * seen, squares[1] + drawn * drawn];
        product += seen * drawn;
    }
    let covariance = n * product - sums[0] * sums[1];
    let variances = (n * squares[0] - sums[0] * sums[0]) * (n * squares[1] - sums[1] * sums[1]);
    if variances > 0.0 {
        covariance / variances.sqrt()
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use image::Luma;

    use super::*;

    const MODULE: usize = 3;

    /// As printed, upside down or not, and where it is.
    fn print(drawn: &Drawn) -> (GrayImage, [[i32; 2]; 4]) {
        let width = (drawn.modules.len() + 20) * MODULE;
        let grey = GrayImage::from_fn(width as u32, 60, |x, _| {
            let module = (x as usize / MODULE)
                .checked_sub(10)
                .and_then(|at| drawn.modules.get(at));
            Luma([if module == Some(&true) { 30 } else { 220 }])
        });
        let (left, right) = (10 * MODULE as i32, width as i32 - 10 * MODULE as i32 - 1);
        (grey, [[left, 20], [right, 20], [right, 40], [left, 40]])
    }

    fn at_least(least: f32, rival: Option<f32>) -> bool {
        rival.is_some_and(|rival| rival > least)
    }

    type Draw = fn(&str) -> Option<Drawn>;

    #[test]
    fn what_is_printed_has_no_rival_and_what_is_not_has() {
        let cases: [(Draw, _, _); 4] = [
            (
                Drawn::ean,
                "6901028075763",
                ["6901028075060", "6907028075767", "0901028075769"],
            ),
            (
                Drawn::ean,
                "0023942431015",
                ["9074932437075", "0023942431085", "0023942411019"],
            ),
            (Drawn::ean, "96385074", ["96385073", "76385074", "96385014"]),
            (Drawn::upc_e, "04252614", ["04252613", "14252614", "04752614"]),
        ];
        for (draw, right, wrong) in cases {
            let drawn = draw(right).unwrap();
            let (grey, corners) = print(&drawn);
            for blur in [0.0, 1.5, 3.0] {
                let grey = if blur > 0.0 {
                    crate::prepare::blur(&grey, blur)
                } else {
                    grey.clone()
                };
                assert!(!at_least(-0.02, rival(&grey, &drawn, &corners)), "{right} at {blur}");
                for wrong in wrong {
                    assert!(
                        at_least(0.1, rival(&grey, &draw(wrong).unwrap(), &corners)),
                        "{wrong} at {blur}"
                    );
                }
            }
        }
    }

    #[test]
    fn it_is_found_where_paper_bends_it() {
        let drawn = Drawn::ean("6901028075763").unwrap();
        let (flat, corners) = print(&drawn);
        for (bow, barrel) in [(0.12, 0.0), (-0.12, 0.0), (0.0, 0.3), (0.05, -0.3)] {
            let [left, right] = [corners[0][0] as f32, corners[1][0] as f32 + 1.0];
            let bent = GrayImage::from_fn(flat.width(), flat.height(), |x, y| {
                let share = (x as f32 + 0.5 - left) / (right - left);
                let inside = (0.0..=1.0).contains(&share);
                let moved = share * (1.0 - share) * (bow + barrel * (1.0 - 2.0 * share));
                let share = if inside { share + moved } else { share };
                *flat.get_pixel(
                    (left + share * (right - left)).clamp(0.0, flat.width() as f32 - 1.0) as u32,
                    y,
                )
            });
            assert!(!at_least(-0.02, rival(&bent, &drawn, &corners)), "{bow} {barrel}");
        }
    }

    #[test]
    fn what_is_no_code_is_not_drawn() {
        for text in ["", "690102807576", "69010280757631", "690102807576x", "６９０"] {
            assert!(Drawn::ean(text).is_none() && Drawn::upc_e(text).is_none(), "{text}");
        }
        let drawn = Drawn::ean("6901028075763").unwrap();
        let (grey, _) = print(&drawn);
        assert_eq!(rival(&grey, &drawn, &[[5, 5]; 4]), None);
        // Corners beyond the picture are none to stumble over.
        let far = [[-900, -900], [900, -900], [900, 900], [-900, 900]];
        assert!(at_least(0.0, rival(&grey, &drawn, &far)));
        assert_eq!(rival(&GrayImage::new(0, 0), &drawn, &far), None);
    }
}
