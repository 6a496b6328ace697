//! How many tests ran, read from what the test programs print.

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub passed: u64,
    pub failed: u64,
}

impl Counts {
    pub fn add(&mut self, other: Counts) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// `test result: ok. 12 passed; 0 failed; 1 ignored; ...` of Rust's test programs.
pub fn of_cargo_line(line: &str) -> Option<Counts> {
    let rest = line.trim().strip_prefix("test result: ")?;
    Some(Counts {
        passed: number_before(rest, " passed")?,
        failed: number_before(rest, " failed")?,
    })
}

/// `Tests  1 failed | 11 passed (12)` of vitest, or `# pass 11` and `# fail 1` of Node's own runner.
pub fn of_npm_line(line: &str) -> Option<Counts> {
    let line = without_colours(line);
    let line = line.trim();
    if let Some(rest) = line.strip_prefix("Tests ") {
        return Some(Counts {
            passed: number_before(rest, " passed").unwrap_or(0),
            failed: number_before(rest, " failed").unwrap_or(0),
        });
    }
    let rest = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ "))?;
    let (what, number) = rest.split_once(' ')?;
    let number = number.trim().parse().ok()?;
    match what {
        "pass" => Some(Counts {
            passed: number,
            failed: 0,
        }),
        "fail" => Some(Counts {
            passed: 0,
            failed: number,
        }),
        _ => None,
    }
}

fn number_before(text: &str, word: &str) -> Option<u64> {
    let before = &text[..text.find(word)?];
    let digits = before.rsplit(|sign: char| !sign.is_ascii_digit()).next()?;
    digits.parse().ok()
}

fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut signs = line.chars();
    while let Some(sign) = signs.next() {
        if sign == '\u{1b}' {
            // ESC [ ... letter
            for sign in signs.by_ref() {
                if sign.is_ascii_alphabetic() {
                    break;
                }
            }
        } else {
            plain.push(sign);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_lines() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(of_cargo_line(line), Some(Counts { passed: 12, failed: 3 }));
        assert_eq!(of_cargo_line("test money::adds ... ok"), None);
    }

    #[test]
    fn npm_lines() {
        let counts = |passed, failed| Some(Counts { passed, failed });
        assert_eq!(of_npm_line("      Tests  1 failed | 11 passed (12)"), counts(11, 1));
        assert_eq!(
            of_npm_line("\u{1b}[2m      Tests \u{1b}[22m \u{1b}[32m7 passed\u{1b}[39m (7)"),
            counts(7, 0)
        );
        assert_eq!(of_npm_line("# pass 4"), counts(4, 0));
        assert_eq!(of_npm_line("ℹ fail 2"), counts(0, 2));
        assert_eq!(of_npm_line(" Test Files  2 passed (2)"), None);
        assert_eq!(of_npm_line("# Subtest: pass 4"), None);
    }
}
