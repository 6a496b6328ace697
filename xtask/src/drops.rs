//! No `Drop` takes a lock: a guard that is made and dropped while the lock is held would wait for itself, and everybody
//! after it.

use anyhow::{Result, bail};

use crate::{places, shell};

/// What takes a lock.
const LOCKS: &[&str] = &[
    ".lock()",
    ".write()",
    ".read()",
    "blocking_lock",
    "blocking_write",
    "blocking_read",
];
pub fn check() -> Result<()> {
    let mut list = shell::command("git", ["ls-files", "-z", "*.rs"]);
    list.current_dir(places::root());
    let names = shell::capture(list)?;
    let mut found = Vec::new();
    for file in names.split('\0').filter(|name| !name.is_empty()) {
        // A file that was deleted and not yet committed is not read.
        let Ok(text) = std::fs::read_to_string(places::root().join(file)) else {
            continue;
        };
        for name in locking(&text) {
            found.push(format!("{file}: the Drop of {name}"));
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    bail!(
        "these take a lock; see `turns.rs` for another way:\n{}",
        found.join("\n")
    )
}

/// Types whose `Drop` takes a lock. Formatted code: the block ends where a line begins with its brace again.
fn locking(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let indent: String = line.chars().take_while(|sign| *sign == ' ').collect();
        let Some((head, name)) = line.split_once("Drop for ") else {
            continue;
        };
        if !head.trim_start().starts_with("impl") {
            continue;
        }
        let end = format!("{indent}}}");
        let block: String = lines.by_ref().take_while(|line| *line != end).collect();
        let name = name.trim_end_matches([' ', '{']).to_owned();
        // A call may go over several lines.
        let block: String = block.split_whitespace().collect();
        if LOCKS.iter().any(|lock| block.contains(lock)) {
            found.push(name);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_in_a_drop_is_seen() {
        let code = "impl<T> Drop for Guard<T> {\n    fn drop(&mut self) {\n        self.0\n            .lock()\n            .unwrap();\n    }\n}\n\nimpl Drop for Plain {\n    fn drop(&mut self) {}\n}\n\nfn other() {\n    x.lock();\n}\n";
        assert_eq!(locking(code), ["Guard<T>"]);
    }
}
