//! Which module of a crate may know which: imports only go down, and nothing knows itself in a circle.
//!
//! Head office has three floors. On top one file, `capabilities.rs`, has a line for each capability; in the middle is a
//! folder for each capability; the ground knows none of them by name. The counter has no floors, but no circles either.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context, Result, bail};

use crate::{places, shell};

struct House {
    /// Its sources.
    path: &'static str,
    /// Modules that know no other but these; `lib.rs` goes by the name of `lib`.
    ground: &'static [&'static str],
    /// Modules that may know all, and are known to nobody below.
    top: &'static [&'static str],
}

const HOUSES: &[House] = &[
    House {
        path: "crates/head-office/src",
        ground: &[
            "app",
            "audit",
            "broker",
            "capability",
            "clock",
            "db",
            "deed",
            "engine",
            "feed",
            "http",
            "jobs",
            "outbox",
            "processes",
            "retry",
            "turns",
        ],
        top: &[
            "admin",
            "capabilities",
            "cli",
            "lib",
            "outside",
            "seed",
            "testing",
            "verify",
        ],
    },
    House {
        path: "crates/counter/src",
        ground: &[],
        top: &["lib", "testing"],
    },
];

type Knows = BTreeMap<String, BTreeSet<String>>;

pub fn check() -> Result<()> {
    let mut wrong = Vec::new();
    for house in HOUSES {
        let knows = read(&places::root().join(house.path))?;
        let circles = circles(&knows);
        shell::say(format!("{}: {} circles", house.path, circles.len()));
        for circle in circles {
            wrong.push(format!("{}: these know each other: {}", house.path, circle.join(", ")));
        }
        wrong.extend(against(house, &knows));
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok(())
}

/// Imports that go up.
fn against(house: &House, knows: &Knows) -> Vec<String> {
    let mut wrong = Vec::new();
    for (module, others) in knows {
        for other in others {
            let from_ground = house.ground.contains(&module.as_str()) && !house.ground.contains(&other.as_str());
            let to_top = house.top.contains(&other.as_str()) && !house.top.contains(&module.as_str());
            if from_ground || to_top {
                wrong.push(format!("{}: {module} must not know {other}", house.path));
            }
        }
    }
    wrong
}

/// What each module of the crate knows of its others, tests aside.
fn read(sources: &Path) -> Result<Knows> {
    let mut knows = Knows::new();
    let mut modules = BTreeSet::new();
    let mut files = Vec::new();
    walk(sources, &mut files)?;
    for file in &files {
        let inside = file.strip_prefix(sources)?;
        let parts: Vec<String> = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let first = parts.first().context("a file has a name")?;
        if first != "bin" {
            modules.insert(first.trim_end_matches(".rs").to_owned());
        }
    }
    for file in &files {
        let inside = file.strip_prefix(sources)?;
        let parts: Vec<String> = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let module = parts[0].trim_end_matches(".rs").to_owned();
        if module == "bin" {
            continue;
        }
        // How often `super` leads to the root: once from `a.rs` and `a/mod.rs`, twice from `a/b.rs`.
        let last = parts.last().is_some_and(|name| name == "mod.rs");
        let depth = parts.len() - usize::from(last);
        let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        let named = names(&without_tests(&text), if module == "lib" { None } else { Some(depth) });
        let entry = knows.entry(module.clone()).or_default();
        for name in named {
            // What is no module is an item of the root.
            let other = if modules.contains(&name) {
                name
            } else {
                "lib".to_owned()
            };
            if other != module {
                entry.insert(other);
            }
        }
    }
    Ok(knows)
}

fn walk(folder: &Path, files: &mut Vec<std::path::PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let is_test = name == "tests" || name == "tests.rs" || name.ends_with("_tests.rs");
        if is_test {
            continue;
        }
        if path.is_dir() {
            walk(&path, files)?;
        } else if name.ends_with(".rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}

/// The text without comments and without what is compiled for tests alone. Formatted code: a block ends where a line begins
/// with its brace again.
fn without_tests(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let trimmed = line.trim_start();
        if trimmed.starts_with("//") {
            continue;
        }
        if trimmed.starts_with("#[cfg(test)]") || trimmed.starts_with("#[cfg(feature = \"testing\")]") {
            let indent = &line[..line.len() - trimmed.len()];
            let end = format!("{indent}}}");
            if let Some(next) = lines.next()
                && !next.trim_end().ends_with(';')
            {
                for inner in lines.by_ref() {
                    if inner == end {
                        break;
                    }
                }
            }
            continue;
        }
        kept.push_str(line);
        kept.push('\n');
    }
    kept
}

/// The names that stand directly behind the root of the crate: `crate::a`, `crate::{a::b, c}`, and `super::a` where that
/// leads there. The root itself names its own modules without a prefix, and is not looked at.
fn names(text: &str, depth: Option<usize>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut roots = vec!["crate::".to_owned()];
    if let Some(depth) = depth {
        roots.push("super::".repeat(depth));
    }
    for root in roots {
        let mut rest = text;
        while let Some(at) = rest.find(&root) {
            let before = rest[..at].chars().next_back();
            rest = &rest[at + root.len()..];
            if before.is_some_and(|sign| sign.is_alphanumeric() || matches!(sign, '_' | ':' | '$')) {
                continue;
            }
            match rest.strip_prefix('{') {
                Some(tree) => found.extend(branches(tree)),
                None => found.extend(word(rest)),
            }
        }
    }
    found.remove("super");
    found.remove("self");
    found
}

fn word(text: &str) -> Option<String> {
    let word: String = text
        .chars()
        .take_while(|sign| sign.is_alphanumeric() || *sign == '_')
        .collect();
    (!word.is_empty()).then_some(word)
}

/// The first names of a tree of imports, up to its closing brace.
fn branches(tree: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut depth = 0;
    let mut at_start = true;
    for (place, sign) in tree.char_indices() {
        match sign {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_start = true,
            _ if depth == 0 && at_start && !sign.is_whitespace() => {
                found.extend(word(&tree[place..]));
                at_start = false;
            }
            _ => {}
        }
    }
    found
}

/// Groups of modules that know each other, each in a circle (Tarjan's strongly connected components, the plain way: who
/// reaches whom and back).
fn circles(knows: &Knows) -> Vec<Vec<String>> {
    let reach: BTreeMap<&str, BTreeSet<&str>> = knows
        .keys()
        .map(|module| (module.as_str(), reached(knows, module)))
        .collect();
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for module in knows.keys() {
        let circle: Vec<String> = reach[module.as_str()]
            .iter()
            .filter(|other| reach.get(**other).is_some_and(|back| back.contains(module.as_str())))
            .map(|other| (*other).to_owned())
            .collect();
        if circle.len() > 1 && seen.insert(circle.clone()) {
            found.push(circle);
        }
    }
    found
}

fn reached<'k>(knows: &'k Knows, from: &str) -> BTreeSet<&'k str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = knows.get(from).into_iter().flatten().map(String::as_str).collect();
    while let Some(module) = open.pop() {
        if found.insert(module) {
            open.extend(knows.get(module).into_iter().flatten().map(String::as_str));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn imports_are_read_in_all_their_forms() {
        let text = "use crate::{\n    a::{x, y},\n    b,\n    c::z as w,\n};\nuse super::rows;\nfn f() { crate::d::g(); self::h(); }\n// crate::no\n#[cfg(test)]\nmod tests {\n    use crate::e;\n}\n";
        let text = without_tests(text);
        assert_eq!(names(&text, Some(2)), set(&["a", "b", "c", "d"]));
        assert_eq!(names(&text, Some(1)), set(&["a", "b", "c", "d", "rows"]));
        assert_eq!(names("use super::super::a::b;", Some(2)), set(&["a"]));
    }

    #[test]
    fn circles_and_imports_that_go_up_are_found() {
        let knows: Knows = [
            ("a", set(&["b"])),
            ("b", set(&["c"])),
            ("c", set(&["a"])),
            ("d", set(&["a"])),
            ("top", set(&["d"])),
        ]
        .into_iter()
        .map(|(name, others)| (name.to_owned(), others))
        .collect();
        assert_eq!(circles(&knows), [["a", "b", "c"]]);
        let house = House {
            path: "p",
            ground: &["a"],
            top: &["top"],
        };
        assert_eq!(against(&house, &knows), ["p: a must not know b"]);
    }
}
