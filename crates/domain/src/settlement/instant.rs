//! RFC 3339 times as instants. `jiff` knows the calendar; its own timestamps end a day before the year 9999 does, which
//! is exactly where people put "for ever", so the instant is counted here.

use jiff::civil::{Date, date};

use super::input::Instant;

const NANOS: Instant = 1_000_000_000;

/// Reads `YYYY-MM-DDThh:mm:ss[.fraction](Z|+hh:mm|-hh:mm)`; `None` when it is anything else.
pub(super) fn parse(text: &str) -> Option<Instant> {
    let (day, rest) = text.split_at_checked(10)?;
    let (clock, rest) = rest.split_at_checked(9)?;
    let day = Date::new(
        digits(day.get(0..4)?)?.try_into().ok()?,
        digits(day.strip_at(4, '-')?.get(0..2)?)?.try_into().ok()?,
        digits(day.strip_at(7, '-')?)?.try_into().ok()?,
    )
    .ok()?;
    if !clock.starts_with(['T', 't']) {
        return None;
    }
    // 60 is a leap second; it counts as the second after it, as in POSIX.
    let seconds = below(clock.get(1..3)?, 24)? * 3_600
        + below(clock.strip_at(3, ':')?.get(0..2)?, 60)? * 60
        + below(clock.strip_at(6, ':')?, 61)?;
    let (nanos, offset) = fraction(rest)?;
    let days = day.duration_since(date(1970, 1, 1)).as_hours() / 24;
    let seconds = i128::from(days) * 86_400 + i128::from(seconds - offset_seconds(offset)?);
    Some(seconds * NANOS + i128::from(nanos))
}

/// The nanoseconds of a fraction, if there is one, and what follows it.
fn fraction(text: &str) -> Option<(i64, &str)> {
    let Some(text) = text.strip_prefix('.') else {
        return Some((0, text));
    };
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (fraction, rest) = text.split_at_checked(end)?;
    if fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    Some((digits(&format!("{fraction:0<9}"))?, rest))
}

fn offset_seconds(text: &str) -> Option<i64> {
    if text == "Z" || text == "z" {
        return Some(0);
    }
    let sign = match text.get(0..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let hours = below(text.get(1..3)?, 24)?;
    let minutes = below(text.strip_at(3, ':')?, 60)?;
    Some(sign * (hours * 3_600 + minutes * 60))
}

fn below(text: &str, limit: i64) -> Option<i64> {
    let exact = text.len() == 2;
    digits(text).filter(|value| exact && *value < limit)
}

fn digits(text: &str) -> Option<i64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

trait StripAt {
    /// What follows the mark at this place.
    fn strip_at(&self, at: usize, mark: char) -> Option<&str>;
}

impl StripAt for str {
    fn strip_at(&self, at: usize, mark: char) -> Option<&str> {
        self.get(at..)?.strip_prefix(mark)
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn the_same_instant_however_it_is_said() {
        let noon = parse("2026-11-11T12:00:00+08:00").unwrap();
        assert_eq!(noon, 1_794_369_600_000_000_000);
        assert_eq!(parse("2026-11-11t04:00:00.000z"), Some(noon));
        assert_eq!(parse("2026-11-10T22:30:00-05:30"), Some(noon));
        assert_eq!(parse("2026-11-11T12:00:00.000000001+08:00"), Some(noon + 1));
        assert_eq!(parse("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse("1969-12-31T23:59:59.5Z"), Some(-500_000_000));
        assert!(parse("9999-12-31T23:59:59-23:59") > parse("9999-12-31T23:59:59Z"));
        assert!(parse("0000-01-01T00:00:00Z").is_some());
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "2026-11-11",
            "2026-11-11T12:00:00",
            "2026-11-11T12:00+08:00",
            "2026-11-11 12:00:00+08:00",
            "2026-11-11T12:00:00+0800",
            "2026-11-11T12:00:00+08",
            "2026-11-11T12:00:00 +08:00",
            "2026-11-11T12:00:00+24:00",
            "2026-02-29T12:00:00Z",
            "2026-11-11T24:00:00Z",
            "2026-11-11T12:60:00Z",
            "2026-11-11T12:00:61Z",
            "2026-11-11T12:00:00.Z",
            "2026-11-11T12:00:00.1234567890Z",
            "2026-11-11T12:00:00Z ",
            "+026-11-11T12:00:00Z",
            "2026-1-011T12:00:00Z",
            "2026-11-11T12:00:00Z[UTC]",
            "１026-11-11T12:00:00Z",
            "1794369600",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
