//! Tracked files name no package registry's host and no path of somebody's machine: both differ from place to place.

use anyhow::{Result, bail};

use crate::{places, shell};

/// In two halves, so that this file passes its own check.
const TRACES: &[(&str, &str)] = &[
    ("registry.", "npmjs"),
    ("npm", "mirror"),
    ("crates", ".io"),
    ("static.rust", "-lang"),
    ("py", "pi.org"),
    ("deb.", "debian.org"),
    ("archive.", "ubuntu.com"),
    ("/ro", "ot/"),
    ("/wo", "rk/"),
    ("/ho", "me/"),
    ("/Use", "rs/"),
    ("\\Use", "rs\\"),
];

pub fn check() -> Result<()> {
    let mut list = shell::command("git", ["ls-files", "-z"]);
    list.current_dir(places::root());
    let names = shell::capture(list)?;
    let mut found = Vec::new();
    for name in names.split('\0').filter(|name| !name.is_empty()) {
        // A picture or a font is not read, a file that was deleted and not yet committed neither.
        let Ok(text) = std::fs::read_to_string(places::root().join(name)) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            if let Some(trace) = trace_in(name, line) {
                found.push(format!("{name}:{}: {trace}", number + 1));
            }
        }
    }
    if !found.is_empty() {
        bail!("{}", found.join("\n"));
    }
    Ok(())
}

fn trace_in(file: &str, line: &str) -> Option<String> {
    // Cargo itself writes where a package is from, the same on every machine.
    if file.ends_with("Cargo.lock") && line.starts_with("source = ") {
        return None;
    }
    TRACES.iter().map(|(one, two)| format!("{one}{two}")).find(|trace| {
        line.match_indices(trace.as_str()).any(|(at, _)| {
            // "/network/" or "house/home/" in the middle of a path or an address is something else
            !trace.starts_with('/')
                || !line[..at].ends_with(|sign: char| sign.is_alphanumeric() || "._-}*~".contains(sign))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let machine = ["/ro", "ot/.cargo/bin"].concat();
        assert!(trace_in("README.md", &format!("see {machine}")).is_some());
        assert!(trace_in("README.md", &format!("https://example.org{machine}")).is_none());
        let source = ["source = \"registry+https://github.com/rust-lang/crates", ".io-index\""].concat();
        assert!(trace_in("Cargo.lock", &source).is_none());
        assert!(trace_in("deny.toml", &source).is_some());
    }
}
