//! Compiles the Tauri configuration, the capabilities and the built front end into the program.

use std::error::Error;
use std::fs;
use std::path::Path;

/// Shown instead of the front end when it was not built, so that a fresh clone compiles and its tests run.
const PLACEHOLDER: &str = "<!doctype html>\n<meta charset=\"utf-8\">\n<title>Counterfoil</title>\n\
    <p>The front end was not built. Run <code>cargo xtask run</code>, or <code>npm ci &amp;&amp; npm run build</code> \
    in <code>ui/</code>, then build again.</p>\n";

fn main() -> Result<(), Box<dyn Error>> {
    for path in [
        "src-tauri/build.rs",
        "src-tauri/capabilities",
        "ui/counter/dist",
        "icons",
    ] {
        println!("cargo:rerun-if-changed={path}");
    }
    let dist = Path::new("ui/counter/dist");
    if !dist.join("index.html").is_file() {
        fs::create_dir_all(dist)?;
        fs::write(dist.join("index.html"), PLACEHOLDER)?;
    }
    let attributes = tauri_build::Attributes::new().capabilities_path_pattern("./src-tauri/capabilities/**/*");
    tauri_build::try_build(attributes)?;
    Ok(())
}
