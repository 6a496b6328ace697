//! What a report names: the commit and the compiler that the simulator was built from and by.

use std::process::Command;

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.ok().filter(|output| output.status.success());
    text.map_or_else(
        || "unknown".into(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

fn main() {
    let compiler = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    println!("cargo::rustc-env=COUNTERFOIL_SIM_COMPILER={}", said(&compiler, &["-V"]));
    println!(
        "cargo::rustc-env=COUNTERFOIL_SIM_COMMIT={}",
        said("git", &["rev-parse", "--short", "HEAD"])
    );
    // Each commit adds a line there.
    let log = said("git", &["rev-parse", "--git-path", "logs/HEAD"]);
    if std::path::Path::new(&log).is_file() {
        println!("cargo::rerun-if-changed={log}");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
