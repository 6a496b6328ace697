//! What the journeys need: head office and counters as real processes, a line between them that can be cut.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a fixture that fails fails its test"
)]
#![expect(missing_debug_implementations, reason = "nobody prints a fixture")]

pub mod desk;
#[cfg(unix)]
pub mod disk;
pub mod driver;
pub mod line;
pub mod log;
pub mod office;
pub mod random;
pub mod soak;

use std::path::PathBuf;

/// Where `cargo xtask test` has put the programs.
pub fn program(name: &str) -> PathBuf {
    let folder = std::env::var_os("COUNTERFOIL_BIN_DIR").map_or_else(
        || {
            // The test runs from target/<profile>/deps.
            let mut folder = std::env::current_exe().expect("a program knows where it is");
            folder.pop();
            if folder.ends_with("deps") {
                folder.pop();
            }
            folder
        },
        PathBuf::from,
    );
    let program = folder.join(name);
    assert!(
        program.exists(),
        "{} is not built: run `cargo xtask test`",
        program.display()
    );
    program
}
