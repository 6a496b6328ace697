//! A capability that is thrown away again: what it costs to add one is tried, not promised.
//!
//! `xtask/capability.patch` adds one with everything that there can be: an operation, a table, a feed's item, a route, a
//! kind of work, a rule of `verify`, calls at the counter, a word on the screens, a step of the simulator. It is applied to
//! a copy, which is tested. Files of its own aside it may change one line of a file, and the files whose line it changes
//! are those that docs/ARCHITECTURE.md names.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{places, shell};

const PATCH: &str = "xtask/capability.patch";
const DOCUMENT: &str = "docs/ARCHITECTURE.md";
const HEADING: &str = "## How to add a capability";
/// What the copy is put through. Of the tests those within a crate: of the whole workspace, so that nothing that is not
/// ours is built twice, but without those across real processes, for which a capability changes nothing.
const TRIED: [&[&str]; 6] = [
    &["xtask", "test", "--", "--lib", "--test", "it", "--test", "plans"],
    &["xtask", "check", "--only", "formatting"],
    &["xtask", "check", "--only", "floors"],
    &["xtask", "check", "--only", "types"],
    &[
        "run",
        "--quiet",
        "--package",
        "counterfoil",
        "--",
        "bindings",
        "--check",
    ],
    &[
        "run",
        "--quiet",
        "--package",
        "counterfoil-sim",
        "--",
        "--seeds",
        "1..20",
        "--events",
        "300",
    ],
];

pub fn check() -> Result<()> {
    let root = places::root();
    let document = fs::read_to_string(root.join(DOCUMENT)).with_context(|| format!("reading {DOCUMENT}"))?;
    let files = files(&shell::capture(apply(&root, &root, &["--numstat"]))?)?;
    let (changed, new): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| root.join(&file.path).exists());
    compare(&changed, &named(&document)?)?;

    let copy = copy(&root)?;
    shell::run(apply(&root, &copy, &["--whitespace=error"]))?;
    for file in changed.iter().chain(&new) {
        // Where git believes to be in a repository it passes over what lies outside of it, and says nothing.
        if fs::read(copy.join(&file.path))? == fs::read(root.join(&file.path)).unwrap_or_default() {
            bail!("{}: the patch was not applied", file.path);
        }
    }
    for arguments in TRIED {
        let mut command = shell::cargo(arguments);
        // In a folder of its own: cargo would take the same file of the other tree for the one it has built.
        command.current_dir(&copy).env_remove("CARGO_TARGET_DIR");
        shell::run(command)?;
    }
    Ok(())
}

/// `git apply` of the patch in a folder, as if that were in no repository.
fn apply(root: &Path, folder: &Path, options: &[&str]) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(folder)
        .arg("apply")
        .args(options)
        .arg(root.join(PATCH));
    command.env_remove("GIT_DIR").env_remove("GIT_WORK_TREE");
    command.env("GIT_CEILING_DIRECTORIES", folder.parent().unwrap_or(folder));
    command
}

/// What a patch does to a file.
#[derive(Debug, PartialEq, Eq)]
struct File {
    path: String,
    added: usize,
    removed: usize,
}

/// Reads what `git apply --numstat` prints.
fn files(printed: &str) -> Result<Vec<File>> {
    let read = |line: &str| {
        let mut words = line.split('\t');
        Some(File {
            added: words.next()?.parse().ok()?,
            removed: words.next()?.parse().ok()?,
            path: words.next()?.to_owned(),
        })
    };
    let lines = printed.lines();
    lines
        .map(|line| read(line).with_context(|| format!("git says of {PATCH}: {line}")))
        .collect()
}

/// The files in the first column of the table under the heading.
fn named(document: &str) -> Result<BTreeSet<String>> {
    let (_, section) = document
        .split_once(HEADING)
        .with_context(|| format!("{DOCUMENT} has no \"{HEADING}\""))?;
    let section = section.split("\n## ").next().unwrap_or_default();
    let cells = section
        .lines()
        .filter_map(|line| line.strip_prefix('|')?.split('|').next());
    let words = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    Ok(words
        .filter(|word| word.contains('/') && !word.ends_with('/'))
        .map(str::to_owned)
        .collect())
}

fn compare(changed: &[File], named: &BTreeSet<String>) -> Result<()> {
    let mut wrong = Vec::new();
    for File { path, added, removed } in changed {
        if *added > 1 || *removed > 1 {
            wrong.push(format!(
                "{path}: {added} lines more and {removed} less, where one is allowed"
            ));
        }
        if !named.contains(path) {
            wrong.push(format!("{path}: {DOCUMENT} does not name it"));
        }
    }
    for path in named
        .iter()
        .filter(|path| !changed.iter().any(|file| file.path == **path))
    {
        wrong.push(format!("{path}: {DOCUMENT} names it, and the patch leaves it as it is"));
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok(())
}

/// A copy of what git knows of this clone and of what is new in it. Files that are as they were keep their time, so that
/// little is built again.
fn copy(root: &Path) -> Result<PathBuf> {
    let copy = places::target().join("capability");
    let mut list = Command::new("git");
    list.current_dir(root)
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let listed = shell::capture(list)?;
    let files: BTreeSet<&Path> = listed
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(Path::new)
        .collect();
    if copy.exists() {
        prune(&copy, &copy, &files)?;
    }
    for file in files {
        let (from, to) = (root.join(file), copy.join(file));
        let text = fs::read(&from).with_context(|| format!("reading {}", from.display()))?;
        if fs::read(&to).is_ok_and(|now| now == text) {
            continue;
        }
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::copy(&from, &to).with_context(|| format!("copying {}", from.display()))?;
    }
    Ok(copy)
}

/// Removes what an earlier copy, or the patch, left behind; what was installed or built there stays.
fn prune(copy: &Path, folder: &Path, files: &BTreeSet<&Path>) -> Result<()> {
    const BUILT: [&str; 6] = ["node_modules", "target", "dist", "paraglide", ".svelte-kit", "gen"];
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !path.is_symlink() {
            if !BUILT.contains(&name.as_str()) {
                prune(copy, &path, files)?;
            }
        } else if !files.contains(path.strip_prefix(copy)?) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_patch_does_is_compared_with_what_is_named() {
        let found = files("1\t0\told.rs\n1\t1\tlist.rs\n2\t0\tmuch.rs\n").unwrap();
        assert_eq!(found[1].removed, 1);
        let named = ["old.rs", "much.rs", "other.rs"].map(str::to_owned).into();
        let said = compare(&found, &named).unwrap_err().to_string();
        // Two lines in one file, one that is not named, one that is named in vain.
        assert_eq!(said.lines().count(), 3, "{said}");
        assert!(files("-\t-\tpicture.png\n").is_err());
    }

    #[test]
    fn the_table_under_the_heading_is_read() {
        let text = "| `no/t.rs` |\n## How to add a capability\n\n| list | line |\n|---|---|\n| `a/b.rs`, `c/d.rs` | `e/f.rs` |\n\
                    | `migrations/` | files |\n## Next\n| `g/h.rs` | |\n";
        assert_eq!(
            named(text).unwrap(),
            BTreeSet::from(["a/b.rs".to_owned(), "c/d.rs".to_owned()])
        );
    }
}
