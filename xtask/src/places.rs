//! Where things are.

use std::env;
use std::path::{Path, PathBuf};

/// The clone this program was started from. Taken at run time, so that a moved clone works without a new build.
pub fn root() -> PathBuf {
    let here = env::var_os("CARGO_MANIFEST_DIR")
        .map(PathBuf::from)
        .or_else(|| env::current_dir().ok())
        .unwrap_or_default();
    here.ancestors()
        .find(|folder| folder.join("xtask/Cargo.toml").is_file())
        .map_or_else(|| here.clone(), Path::to_path_buf)
}

pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

pub fn debug_binary(name: &str) -> PathBuf {
    target().join("debug").join(name)
}

/// Tools that are built from source for this clone only.
pub fn tools() -> PathBuf {
    target().join("tools")
}

/// How a path is shown: short when it is inside the clone.
pub fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}
