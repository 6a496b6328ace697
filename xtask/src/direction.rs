//! Which crate of the workspace may know which.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde::Deserialize;

use crate::shell;

const DOMAIN: &str = "counterfoil-domain";
const PROTOCOL: &str = "counterfoil-protocol";
const QR: &str = "counterfoil-qr";
const SCAN: &str = "counterfoil-scan";
const COUNTER: &str = "counterfoil-counter";
const HEAD_OFFICE: &str = "counterfoil-head-office";
const DESKTOP: &str = "counterfoil";
const SIM: &str = "counterfoil-sim";
const TESTS: &str = "counterfoil-tests";

/// Everything that is allowed, for tests' and build dependencies too. Counter and head office never know each other:
/// what they share is in domain and protocol.
const ALLOWED: &[(&str, &[&str])] = &[
    (DOMAIN, &[]),
    (PROTOCOL, &[DOMAIN]),
    (QR, &[]),
    (SCAN, &[DOMAIN, QR]),
    (COUNTER, &[DOMAIN, PROTOCOL]),
    (HEAD_OFFICE, &[DOMAIN, PROTOCOL, QR]),
    (SIM, &[DOMAIN, PROTOCOL, COUNTER, HEAD_OFFICE]),
    (DESKTOP, &[DOMAIN, PROTOCOL, SCAN, COUNTER, HEAD_OFFICE]),
    (TESTS, &[DOMAIN, PROTOCOL, SCAN, COUNTER, HEAD_OFFICE, DESKTOP, SIM]),
    ("xtask", &[]),
];

/// What would make a pure crate impure: input and output, waiting, a clock or chance of its own. `jiff` is there for
/// the calendar; its clock is among the methods that crates/clippy.toml forbids.
const PURE: &[&str] = &[DOMAIN, PROTOCOL];
const IMPURE: &[&str] = &[
    "tokio",
    "sqlx",
    "reqwest",
    "axum",
    "hyper",
    "getrandom",
    "rand",
    "chrono",
    "time",
];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    /// only of crates in this workspace
    path: Option<String>,
}

pub fn check() -> Result<()> {
    let printed = shell::capture(shell::cargo(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: Metadata = serde_json::from_str(&printed)?;
    let wrong = violations(&metadata.packages);
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok(())
}

fn violations(packages: &[Package]) -> Vec<String> {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let mut wrong = Vec::new();
    for package in packages {
        let name = package.name.as_str();
        let Some(may_know) = allowed.get(name) else {
            wrong.push(format!(
                "{name} is not in the table of xtask/src/direction.rs: say what it may depend on"
            ));
            continue;
        };
        for dependency in &package.dependencies {
            let other = dependency.name.as_str();
            if dependency.path.is_some() && other != name && !may_know.contains(&other) {
                wrong.push(format!("{name} must not depend on {other}"));
            }
            if PURE.contains(&name) && dependency.kind.is_none() && IMPURE.contains(&other) {
                wrong.push(format!("{name} is pure and must not depend on {other}"));
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[(&str, bool)]) -> Package {
        let dependency = |(name, inside): &(&str, bool)| Dependency {
            name: (*name).to_owned(),
            kind: None,
            path: inside.then(|| String::from("somewhere")),
        };
        Package {
            name: name.to_owned(),
            dependencies: dependencies.iter().map(dependency).collect(),
        }
    }

    #[test]
    fn edges() {
        assert!(violations(&[package(COUNTER, &[(DOMAIN, true), ("tokio", false)])]).is_empty());
        assert_eq!(
            violations(&[package(COUNTER, &[(HEAD_OFFICE, true)])]),
            ["counterfoil-counter must not depend on counterfoil-head-office"]
        );
        assert_eq!(
            violations(&[package(DOMAIN, &[("tokio", false)])]),
            ["counterfoil-domain is pure and must not depend on tokio"]
        );
        assert_eq!(violations(&[package("counterfoil-new", &[])]).len(), 1);
    }
}
