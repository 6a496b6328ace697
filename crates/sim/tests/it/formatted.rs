//! `cargo fmt` does not find files that a macro declares: those of the kinds of steps.

use std::{path::Path, process::Command};

#[test]
fn every_kind_of_step_is_formatted() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/kinds");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // What is in a folder is found from its own list.
        files.push(if path.is_dir() { path.join("mod.rs") } else { path });
    }
    assert!(files.len() > 1);
    let rustfmt = Command::new("rustfmt")
        .args(["--check", "--edition", "2024"])
        .args(files)
        .output()
        .unwrap();
    assert!(rustfmt.status.success(), "{}", String::from_utf8_lossy(&rustfmt.stdout));
}
