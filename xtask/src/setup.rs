//! What the machine must have: said with the reason when it is missing, then installed.

use std::process::Command;

use anyhow::{Result, bail};

use crate::{display, places, postgres, shell};

/// A person has to do something first. Ends the program with exit code 2.
#[derive(Debug)]
pub struct NeedsPerson(String);

impl std::fmt::Display for NeedsPerson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NeedsPerson {}

/// What is going to be done.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// compile the workspace
    Build,
    /// and show the app's window, on this display or on a virtual one
    Run,
    /// and PostgreSQL, and windows driven on a virtual display
    Test,
}

enum Probe {
    /// a program on the path
    Program(&'static str),
    /// a library that pkg-config knows
    Library(&'static str),
    /// a Debian package with neither; elsewhere it cannot be checked
    PackageOnly,
    /// Python that can make environments
    Python,
    /// server binaries of a version that is new enough
    Postgres,
}

struct Need {
    /// Debian's and Ubuntu's name
    package: &'static str,
    why: &'static str,
    probe: Probe,
    from: Purpose,
    /// only for a virtual display
    headless: bool,
}

#[rustfmt::skip]
const NEEDS: &[Need] = &[
    Need { package: "g++", why: "compiles SQLite and the code reader (C, C++)", probe: Probe::Program("g++"), from: Purpose::Build, headless: false },
    Need { package: "cmake", why: "builds the code reader", probe: Probe::Program("cmake"), from: Purpose::Build, headless: false },
    Need { package: "pkg-config", why: "finds the libraries to link with", probe: Probe::Program("pkg-config"), from: Purpose::Build, headless: false },
    Need { package: "libclang-dev", why: "reads the kernel's camera headers", probe: Probe::PackageOnly, from: Purpose::Build, headless: false },
    Need { package: "libwebkit2gtk-4.1-dev", why: "the window of the counter app", probe: Probe::Library("webkit2gtk-4.1"), from: Purpose::Build, headless: false },
    Need { package: "fonts-noto-cjk", why: "Chinese text in the window", probe: Probe::PackageOnly, from: Purpose::Run, headless: false },
    Need { package: "xvfb", why: "a virtual display, there is no other", probe: Probe::Program("Xvfb"), from: Purpose::Run, headless: true },
    Need { package: "xauth", why: "belongs to the virtual display", probe: Probe::Program("xauth"), from: Purpose::Run, headless: true },
    Need { package: "imagemagick", why: "takes the picture of the window", probe: Probe::Program("import"), from: Purpose::Run, headless: true },
    Need { package: "postgresql", why: "head office's second database (the tests start a server of their own)", probe: Probe::Postgres, from: Purpose::Test, headless: false },
    Need { package: "python3-venv", why: "tries the API's description with tools in Python", probe: Probe::Python, from: Purpose::Test, headless: false },
    Need { package: "xclip", why: "copies pictures to paste in tests", probe: Probe::Program("xclip"), from: Purpose::Test, headless: false },
    Need { package: "webkit2gtk-driver", why: "drives the window in tests", probe: Probe::Program("WebKitWebDriver"), from: Purpose::Test, headless: false },
];

const OLDEST_NODE: u32 = 20;

/// Checks, says, installs. Returns when everything is there.
pub fn setup(purpose: Purpose) -> Result<()> {
    node()?;
    let headless = purpose >= Purpose::Test || (purpose >= Purpose::Run && !display::is_there());
    let wanted = |need: &&Need| purpose >= need.from && (headless || !need.headless);
    let missing: Vec<&Need> = NEEDS.iter().filter(wanted).filter(|need| !is_there(need)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    shell::say("missing on this machine:");
    for need in &missing {
        shell::say(format!("  {:<22} {}", need.package, need.why));
    }
    if !is_debian() {
        return Err(NeedsPerson(
            "xtask installs with apt-get only. Install the above (Debian's names; your system's may differ), then run the command again."
                .to_owned(),
        )
        .into());
    }
    install(&missing.iter().map(|need| need.package).collect::<Vec<_>>())?;
    if let Some(need) = missing.iter().find(|need| !is_there(need)) {
        return Err(NeedsPerson(match need.probe {
            Probe::Postgres => format!(
                "this system's package `postgresql` is older than {}. Install PostgreSQL {} or newer.",
                postgres::OLDEST,
                postgres::OLDEST
            ),
            _ => format!(
                "`{}` is installed, but what it should bring is still not found.",
                need.package
            ),
        })
        .into());
    }
    Ok(())
}

fn is_debian() -> bool {
    shell::which("apt-get").is_some() && shell::which("dpkg-query").is_some()
}

fn is_there(need: &Need) -> bool {
    let installed = || {
        let mut query = shell::command("dpkg-query", ["-W", "-f=${db:Status-Status}"]);
        query.arg(need.package);
        shell::capture(query).is_ok_and(|status| status.trim() == "installed")
    };
    match need.probe {
        Probe::Program(name) => shell::which(name).is_some(),
        Probe::Library(name) => {
            shell::capture(shell::command("pkg-config", ["--exists", name])).is_ok() || (is_debian() && installed())
        }
        Probe::PackageOnly => !is_debian() || installed(),
        Probe::Python => shell::capture(shell::command("python3", ["-c", "import ensurepip, venv"])).is_ok(),
        Probe::Postgres => postgres::binaries().is_some_and(|(_, version)| version >= postgres::OLDEST),
    }
}

pub fn install(packages: &[&str]) -> Result<()> {
    let install = [
        "-o",
        "DPkg::Lock::Timeout=400",
        "install",
        "-y",
        "--no-install-recommends",
    ];
    let by_hand = format!(
        "sudo apt-get update && sudo apt-get {} {}",
        install.join(" "),
        packages.join(" ")
    );
    let as_root = |arguments: &[&str]| {
        let mut command = if shell::is_root() {
            Command::new("env")
        } else {
            Command::new("sudo")
        };
        if !shell::is_root() {
            command.args(["-n", "env"]);
        }
        command
            .args(["DEBIAN_FRONTEND=noninteractive", "apt-get"])
            .args(arguments);
        command
    };
    if !shell::is_root() && shell::capture(shell::command("sudo", ["-n", "true"])).is_err() {
        return Err(NeedsPerson(format!("not root, and sudo asks for a password. Run: {by_hand}")).into());
    }
    shell::run(as_root(&["-q", "update"]))?;
    let all: Vec<&str> = install.iter().chain(packages).copied().collect();
    shell::run(as_root(&all))
}

fn node() -> Result<()> {
    let hint = format!(
        "Node {OLDEST_NODE} or newer with npm is needed (it builds the front ends). Install it from nodejs.org, with a \
         version manager, or with your system's package if that is new enough."
    );
    let major = shell::capture(shell::command("node", ["--version"]))
        .ok()
        .and_then(|said| {
            let number = said.trim().trim_start_matches('v').split('.').next()?.to_owned();
            number.parse::<u32>().ok()
        });
    match major {
        None => Err(NeedsPerson(format!("Node is missing. {hint}")).into()),
        Some(version) if version < OLDEST_NODE => Err(NeedsPerson(format!("Node {version} is too old. {hint}")).into()),
        Some(_) if shell::which("npm").is_none() => Err(NeedsPerson(format!("npm is missing. {hint}")).into()),
        Some(_) => Ok(()),
    }
}

/// A program that cargo builds from its released source, once per clone and version.
pub fn tool(name: &str, version: &str, why: &str) -> Result<std::path::PathBuf> {
    let folder = places::tools();
    let program = folder.join("bin").join(name);
    let stamp = folder.join(format!("{name}-{version}"));
    if program.is_file() && stamp.is_file() {
        return Ok(program);
    }
    shell::say(format!(
        "missing: {name} {version} ({why}); building it once, which takes a while"
    ));
    let mut install = shell::cargo(["install", "--quiet", "--locked", "--force", "--root"]);
    install.arg(&folder).args([name, "--version", version]);
    shell::run(install)?;
    if !program.is_file() {
        bail!("{name} was installed, but {} is not there", places::shown(&program));
    }
    std::fs::write(stamp, "")?;
    Ok(program)
}

pub fn tauri_driver() -> Result<std::path::PathBuf> {
    tool("tauri-driver", "2.1.0", "drives the window in tests")
}
