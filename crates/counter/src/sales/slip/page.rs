//! Rows of text on paper 80 mm wide, with the glyphs that are used of a font with Chinese characters.

use std::path::Path;

use krilla::{
    Document,
    geom::{PathBuilder, Point},
    metadata::Metadata,
    page::PageSettings,
    paint::Stroke,
    surface::Surface,
    text::{Font, GlyphId, KrillaGlyph},
};
use skrifa::{
    FontRef, MetadataProvider,
    instance::{LocationRef, Size},
};

use super::Language;
use crate::error::{Error, Result};

/// Points of 1/72 inch.
const WIDTH: f32 = 226.8;
const MARGIN: f32 = 12.0;
/// Longest page. PDF readers give up at 14,400.
const LONGEST: f32 = 4_000.0;
const PLAIN: f32 = 8.5;
const SMALL: f32 = 6.0;
const TOTAL: f32 = 12.0;
const BIG: f32 = 15.0;
/// Between lines, as a part of their size.
const LEADING: f32 = 1.35;

/// Where systems keep a font with Chinese and Latin characters, and which of a collection's fonts to take.
const FONTS: &[(&str, u32)] = &[
    ("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc", 2),
    ("/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc", 2),
    ("/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc", 2),
    ("/usr/share/fonts/google-noto-sans-cjk-fonts/NotoSansCJK-Regular.ttc", 2),
    ("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc", 0),
    ("/System/Library/Fonts/STHeiti Light.ttc", 1),
    ("/System/Library/Fonts/Supplemental/Songti.ttc", 6),
    ("C:\\Windows\\Fonts\\msyh.ttc", 0),
    ("C:\\Windows\\Fonts\\simsun.ttc", 0),
];
/// What to install where there is none.
const PACKAGE: &str = "fonts-noto-cjk";

/// A row of a slip.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Row {
    /// Text at the left and text at the right, of one size.
    Pair { left: String, right: String, size: f32 },
    /// In the middle.
    Centred { text: String, size: f32 },
    /// A line across.
    Rule,
    /// Room for a hand.
    Gap,
}

impl Row {
    pub(super) fn pair(left: impl Into<String>, right: impl Into<String>) -> Self {
        Self::Pair {
            left: left.into(),
            right: right.into(),
            size: PLAIN,
        }
    }
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self::pair(text, "")
    }
    pub(super) fn small(text: impl Into<String>) -> Self {
        Self::Pair {
            left: text.into(),
            right: String::new(),
            size: SMALL,
        }
    }
    pub(super) fn total(left: impl Into<String>, right: impl Into<String>) -> Self {
        Self::Pair {
            left: left.into(),
            right: right.into(),
            size: TOTAL,
        }
    }
    pub(super) fn centred(text: impl Into<String>) -> Self {
        Self::Centred {
            text: text.into(),
            size: PLAIN,
        }
    }
    pub(super) fn big(text: impl Into<String>) -> Self {
        Self::Centred {
            text: text.into(),
            size: BIG,
        }
    }
}

/// The font, as a file.
pub(super) struct Paper {
    data: Vec<u8>,
    index: u32,
}

/// A piece of text with its place on a line.
struct Piece {
    text: String,
    x: f32,
    size: f32,
}

enum Line {
    Text { pieces: Vec<Piece>, height: f32 },
    Rule,
    Gap,
}

impl Line {
    fn height(&self) -> f32 {
        match self {
            Self::Text { height, .. } => *height,
            Self::Rule => 7.0,
            Self::Gap => 28.0,
        }
    }
}

impl Paper {
    /// Finds the font of this system.
    ///
    /// # Errors
    /// `font_missing`, with what to install.
    pub(super) fn new() -> Result<Self> {
        Self::of(FONTS)
    }

    pub(super) fn of(fonts: &[(&str, u32)]) -> Result<Self> {
        for (path, index) in fonts {
            let Ok(data) = std::fs::read(Path::new(path)) else {
                continue;
            };
            let whole = FontRef::from_index(&data, *index).is_ok_and(|font| font.charmap().map('券').is_some());
            if whole {
                return Ok(Self { data, index: *index });
            }
            tracing::warn!(path, "a font is there but has no Chinese characters");
        }
        Err(Error::FontMissing { package: PACKAGE })
    }

    /// Prints rows.
    pub(super) fn print(self, rows: &[Row], title: String, language: Language) -> Result<Vec<u8>> {
        let broken = || Error::Internal("the font does not read".into());
        let font = FontRef::from_index(&self.data, self.index).map_err(|_| broken())?;
        let lines: Vec<Line> = rows.iter().flat_map(|row| lay_out(&font, row)).collect();
        let embedded = Font::new(self.data.clone().into(), self.index).ok_or_else(broken)?;
        let mut document = Document::new();
        document.set_metadata(Metadata::new().title(title).language(language.tag().to_owned()));
        let mut rest = lines.as_slice();
        while !rest.is_empty() {
            let mut height = 2.0 * MARGIN;
            let mut count = 0;
            for line in rest {
                if count > 0 && height + line.height() > LONGEST {
                    break;
                }
                height += line.height();
                count += 1;
            }
            let (now, later) = rest.split_at(count);
            let settings =
                PageSettings::from_wh(WIDTH, height).ok_or_else(|| Error::Internal("a page without size".into()))?;
            let mut page = document.start_page_with(settings);
            let mut surface = page.surface();
            let mut y = MARGIN;
            for line in now {
                draw(&mut surface, &font, &embedded, line, y);
                y += line.height();
            }
            surface.finish();
            page.finish();
            rest = later;
        }
        document
            .finish()
            .map_err(|error| Error::Internal(format!("the slip can't be written: {error:?}")))
    }
}

fn draw(surface: &mut Surface<'_>, font: &FontRef<'_>, embedded: &Font, line: &Line, y: f32) {
    match line {
        Line::Gap => {}
        Line::Rule => {
            let mut path = PathBuilder::new();
            path.move_to(MARGIN, y + 3.5);
            path.line_to(WIDTH - MARGIN, y + 3.5);
            if let Some(path) = path.finish() {
                surface.set_fill(None);
                surface.set_stroke(Some(Stroke {
                    width: 0.5,
                    ..Stroke::default()
                }));
                surface.draw_path(&path);
                surface.set_stroke(None);
            }
        }
        Line::Text { pieces, .. } => {
            surface.set_fill(Some(krilla::paint::Fill::default()));
            for piece in pieces {
                let glyphs = glyphs(font, &piece.text);
                let start = Point::from_xy(piece.x, y + piece.size);
                surface.draw_glyphs(start, &glyphs, embedded.clone(), &piece.text, piece.size, false);
            }
        }
    }
}

/// Each character's glyph; advances as parts of the size.
fn glyphs(font: &FontRef<'_>, text: &str) -> Vec<KrillaGlyph> {
    let charmap = font.charmap();
    let metrics = font.glyph_metrics(Size::unscaled(), LocationRef::default());
    let units = f32::from(
        font.metrics(Size::unscaled(), LocationRef::default())
            .units_per_em
            .max(1),
    );
    text.char_indices()
        .filter_map(|(at, c)| {
            let glyph = charmap.map(c).or_else(|| charmap.map('?'))?;
            let advance = metrics.advance_width(glyph).unwrap_or(units / 2.0) / units;
            let range = at..at + c.len_utf8();
            Some(KrillaGlyph::new(
                GlyphId::new(glyph.to_u32()),
                advance,
                0.0,
                0.0,
                0.0,
                range,
                None,
            ))
        })
        .collect()
}

fn width(font: &FontRef<'_>, text: &str, size: f32) -> f32 {
    glyphs(font, text).iter().map(|glyph| glyph.x_advance * size).sum()
}

/// Breaks text where it is too wide: after a space if there is one, else after any character.
fn wrap(font: &FontRef<'_>, text: &str, size: f32, room: f32) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        line.push(c);
        if width(font, &line, size) <= room || line.chars().count() == 1 {
            continue;
        }
        let last_space = line.trim_end().rfind(' ').filter(|place| *place > 0);
        let at = last_space.map_or(line.len() - c.len_utf8(), |place| place + 1);
        let rest = line.split_off(at);
        lines.push(std::mem::replace(&mut line, rest));
    }
    lines.push(line);
    lines
}

fn lay_out(font: &FontRef<'_>, row: &Row) -> Vec<Line> {
    let room = WIDTH - 2.0 * MARGIN;
    let text = |pieces, size: f32| Line::Text {
        pieces,
        height: size * LEADING,
    };
    match row {
        Row::Rule => vec![Line::Rule],
        Row::Gap => vec![Line::Gap],
        Row::Centred { text: words, size } => wrap(font, words, *size, room)
            .into_iter()
            .map(|line| {
                let x = MARGIN + ((room - width(font, &line, *size)) / 2.0).max(0.0);
                let piece = Piece {
                    text: line,
                    x,
                    size: *size,
                };
                text(vec![piece], *size)
            })
            .collect(),
        Row::Pair { left, right, size } => {
            let right_lines = wrap(font, right, *size, room);
            let fits = right_lines.len() == 1 && width(font, right, *size) <= room * 0.6;
            let left_room = if fits {
                room - width(font, right, *size) - 6.0
            } else {
                room
            };
            let mut lines: Vec<Vec<Piece>> = wrap(font, left, *size, left_room)
                .into_iter()
                .map(|line| {
                    vec![Piece {
                        text: line,
                        x: MARGIN,
                        size: *size,
                    }]
                })
                .collect();
            let at_right = |line: String| {
                let x = WIDTH - MARGIN - width(font, &line, *size);
                Piece {
                    text: line,
                    x: x.max(MARGIN),
                    size: *size,
                }
            };
            if !right.is_empty() {
                match lines.last_mut().filter(|_| fits) {
                    Some(last) => last.push(at_right(right.clone())),
                    None => lines.extend(right_lines.into_iter().map(|line| vec![at_right(line)])),
                }
            }
            lines.into_iter().map(|pieces| text(pieces, *size)).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_no_font_is_found_it_says_what_to_install() {
        let error = Paper::of(&[("/nowhere/at/all.ttc", 0)]).err().unwrap();
        assert_eq!(
            (error.code(), error.params()["package"].as_str()),
            ("font_missing", PACKAGE)
        );
    }

    #[test]
    fn text_is_broken_where_it_is_too_wide() {
        let paper = Paper::new().unwrap();
        let font = FontRef::from_index(&paper.data, paper.index).unwrap();
        for (text, room, expected) in [
            ("short", 200.0, vec!["short"]),
            ("two words", 30.0, vec!["two ", "words"]),
            ("优惠券", 20.0, vec!["优惠", "券"]),
            ("", 20.0, vec![""]),
            ("x", 0.1, vec!["x"]),
        ] {
            assert_eq!(wrap(&font, text, 10.0, room), expected, "{text}");
        }
    }
}
