//! The fuzzing targets of `fuzz/`, each for some seconds, from the corpora that are kept.

use anyhow::{Result, bail};

use crate::{places, setup, shell};

/// How long each target runs when nobody says.
pub const SECONDS: u64 = 10;
/// An input that takes longer is a finding, as is one that takes more memory.
const SLOWEST_SECONDS: u64 = 10;
const MOST_MEGABYTES: u64 = 2_048;

/// Runs every target; says which found something, and where it lies.
pub fn run(seconds: u64) -> Result<()> {
    let program = setup::tool("cargo-fuzz", "0.13.2", "builds and runs the fuzzing targets")?;
    let folder = places::root().join("fuzz");
    let fuzz = |arguments: &[&str]| {
        let mut command = shell::command(&program, ["fuzz"]);
        command
            .args(arguments)
            .current_dir(&folder)
            // Its instrumentation is not that of other builds.
            .env("CARGO_TARGET_DIR", places::target().join("fuzz"));
        command
    };
    // No sanitizer: those need a nightly compiler, and the code under test has no unsafe code of its own.
    shell::run(fuzz(&["build", "--fuzz-dir", ".", "--sanitizer", "none"]))?;
    let mut found = Vec::new();
    for target in targets()? {
        let (corpus, artifacts) = (
            folder.join("corpus").join(&target),
            folder.join("artifacts").join(&target),
        );
        std::fs::create_dir_all(&artifacts)?;
        // New inputs go here, so that a run leaves the corpus as it was.
        let grown = places::target().join("fuzz/corpus").join(&target);
        std::fs::create_dir_all(&grown)?;
        let name = format!("{}/fuzz/{}/release/{target}", places::target().display(), host()?);
        let mut command = shell::command(
            name,
            [
                format!("-max_total_time={seconds}"),
                format!("-timeout={SLOWEST_SECONDS}"),
                format!("-rss_limit_mb={MOST_MEGABYTES}"),
                "-verbosity=0".to_owned(),
                "-print_final_stats=1".to_owned(),
                format!("-artifact_prefix={}/", artifacts.display()),
            ],
        );
        command.arg(grown).arg(corpus);
        if let Err(error) = shell::run(command) {
            shell::say(format!("{target}: {error:#}; see {}", places::shown(&artifacts)));
            found.push(target);
        }
    }
    if !found.is_empty() {
        bail!("found something: {}", found.join(", "));
    }
    Ok(())
}

/// The targets, by their files.
fn targets() -> Result<Vec<String>> {
    let mut targets = Vec::new();
    for entry in std::fs::read_dir(places::root().join("fuzz/fuzz_targets"))? {
        let path = entry?.path();
        if let Some(name) = path
            .file_stem()
            .filter(|_| path.extension().is_some_and(|end| end == "rs"))
        {
            targets.push(name.to_string_lossy().into_owned());
        }
    }
    targets.sort();
    Ok(targets)
}

/// The triple of this machine, by which cargo-fuzz names its folder.
fn host() -> Result<String> {
    let said = shell::capture(shell::command("rustc", ["-vV"]))?;
    match said.lines().find_map(|line| line.strip_prefix("host: ")) {
        Some(host) => Ok(host.to_owned()),
        None => bail!("rustc does not say for which machine it is"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_built_and_has_a_corpus() {
        let manifest = std::fs::read_to_string(places::root().join("fuzz/Cargo.toml")).unwrap();
        let targets = targets().unwrap();
        assert!(targets.len() >= 7, "{targets:?}");
        for target in targets {
            assert!(manifest.contains(&format!("name = \"{target}\"")), "{target}");
            let corpus = places::root().join("fuzz/corpus").join(&target);
            assert!(std::fs::read_dir(corpus).unwrap().count() >= 3, "{target}");
        }
    }
}
