//! Proof that the two commands work on a bare machine: a fresh Debian in a folder, with nothing but cargo, Node and a
//! clone of what is committed. Half an hour and more: every package is downloaded and every crate compiled there.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use anyhow::{Context, Result, bail};

use crate::cleanup::Cleanup;
use crate::{places, setup, shell};

#[derive(clap::Args)]
pub struct Options {
    /// Debian's release
    #[arg(long, default_value = "bookworm")]
    suite: String,
    /// Where to make it; a folder that already holds one is used again. Default: a temporary one
    #[arg(long, value_name = "FOLDER")]
    root: Option<PathBuf>,
    /// Minutes that each of the two commands may take
    #[arg(long, default_value_t = 60)]
    minutes: u32,
    /// Try only this one of the two commands
    #[arg(long, value_name = "COMMAND")]
    only: Option<Tried>,
    /// Leave the folder for a look
    #[arg(long)]
    keep: bool,
    /// Download the crates again as well, instead of copying this machine's downloads
    #[arg(long)]
    cold: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Tried {
    Run,
    Test,
}

const CLONE: &str = "srv/counterfoil";
const TOOLCHAIN: &str = "opt/rust";

pub fn bare(options: &Options) -> Result<ExitCode> {
    if !shell::is_root() {
        bail!("debootstrap and chroot need root");
    }
    if shell::which("debootstrap").is_none() {
        shell::say("missing: debootstrap (makes the bare system)");
        setup::install(&["debootstrap"])?;
    }
    let mut cleanup = Cleanup::start()?;
    let root = match &options.root {
        Some(folder) => folder.clone(),
        None => {
            let made = shell::capture(shell::command(
                "mktemp",
                ["-d", "-p", "/var/tmp", "counterfoil-bare.XXXXXXXX"],
            ))?;
            PathBuf::from(made.trim())
        }
    };
    // mktemp makes it root's alone; as the root of a system everybody in it has to pass, PostgreSQL's user for one.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&root, open).with_context(|| format!("cannot open {}", root.display()))?;
    if options.root.is_none() && !options.keep {
        cleanup.folder(&root)?;
    }
    make(&root, options)?;

    let results = places::target().join("bare");
    fs::create_dir_all(&results)?;
    let mut well = true;
    if options.only != Some(Tried::Test) {
        let run = ["cargo", "xtask", "run", "--stop-after", "20"];
        let ran = inside(&root, options, &run, &results.join("run.log"))?;
        let picture = root.join(CLONE).join("target/run/window.png");
        let ran = ran && picture.is_file();
        if ran {
            fs::copy(&picture, results.join("window.png"))?;
            println!("run: ok, picture in target/bare/window.png");
        } else {
            println!("run: FAILED, see target/bare/run.log");
        }
        well &= ran;
    }
    if options.only != Some(Tried::Run) {
        let log = results.join("test.log");
        let tested = inside(&root, options, &["cargo", "xtask", "test"], &log)?;
        let counts = shell::tail(&log, 1);
        println!(
            "test: {} ({counts})",
            if tested {
                "ok"
            } else {
                "FAILED, see target/bare/test.log"
            }
        );
        well &= tested;
    }
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn make(root: &Path, options: &Options) -> Result<()> {
    if !root.join("etc/debian_version").is_file() {
        // In a mount namespace of its own: what it mounts is gone even when it fails.
        let mut debootstrap = shell::command(
            "unshare",
            ["--mount", "debootstrap", "--variant=minbase", &options.suite],
        );
        debootstrap.arg(root).args(mirror(&options.suite));
        shell::run(debootstrap)?;
    }
    // A chroot has no init: packages must not start their services.
    let policy = root.join("usr/sbin/policy-rc.d");
    fs::write(&policy, "#!/bin/sh\nexit 101\n")?;
    shell::run(shell::command("chmod", [Path::new("755"), &policy]))?;

    network(root)?;
    rust(root)?;
    node(root)?;
    if !options.cold {
        downloads(root)?;
    }

    let clone = root.join(CLONE);
    if clone.exists() {
        fs::remove_dir_all(&clone)?;
    }
    shell::say("the clone holds what is committed, and nothing else");
    let mut git = shell::command("git", ["clone", "--quiet", "--no-local"]);
    git.arg(places::root()).arg(&clone);
    shell::run(git)
}

/// Where this machine has its own packages from, if it is the same release.
fn mirror(suite: &str) -> Option<String> {
    let list = shell::command("apt-get", ["indextargets", "--format", "$(CODENAME) $(REPO_URI)"]);
    let targets = shell::capture(list).ok()?;
    let line = targets
        .lines()
        .find_map(|line| line.strip_prefix(suite)?.strip_prefix(' '))?;
    Some(line.to_owned())
}

/// Names, certificates and package sources as on this machine; no passwords.
fn network(root: &Path) -> Result<()> {
    for name in ["etc/resolv.conf", "etc/hosts", "etc/apt/sources.list"] {
        let here = Path::new("/").join(name);
        if here.is_file() {
            let there = root.join(name);
            let _ = fs::remove_file(&there);
            fs::copy(here, there)?;
        }
    }
    // debootstrap's own list would name the same source twice.
    if Path::new("/etc/apt/sources.list.d").is_dir() && !Path::new("/etc/apt/sources.list").exists() {
        let _ = fs::remove_file(root.join("etc/apt/sources.list"));
    }
    let folders = [
        "etc/ssl/certs",
        "usr/local/share/ca-certificates",
        "etc/apt/sources.list.d",
        "etc/apt/apt.conf.d",
        "etc/apt/keyrings",
        "etc/apt/trusted.gpg.d",
        "etc/apt/preferences.d",
    ];
    for name in folders {
        let here = Path::new("/").join(name);
        if here.is_dir() {
            let there = root.join(name);
            fs::create_dir_all(&there)?;
            // -L: the certificates are links into packages that are not there
            copy(&["-rL"], &here.join("."), &there)?;
        }
    }
    Ok(())
}

/// The toolchain that runs this program, without rustup.
fn rust(root: &Path) -> Result<()> {
    let there = root.join(TOOLCHAIN);
    if there.join("bin/cargo").is_file() {
        return Ok(());
    }
    let sysroot = shell::capture(shell::command("rustc", ["--print", "sysroot"]))?;
    fs::create_dir_all(&there)?;
    for part in ["bin", "lib", "libexec"] {
        let here = Path::new(sysroot.trim()).join(part);
        if here.is_dir() {
            copy(&["-a"], &here, &there)?;
        }
    }
    Ok(())
}

fn node(root: &Path) -> Result<()> {
    let there = root.join("usr/local");
    let real = |name: &str| {
        let found = shell::which(name).with_context(|| format!("{name} is missing"))?;
        fs::canonicalize(&found).with_context(|| format!("{} is a broken link", found.display()))
    };
    copy(&["-L"], &real("node")?, &there.join("bin/node"))?;
    // .../lib/node_modules/npm/bin/npm-cli.js
    let cli = real("npm")?;
    let npm = cli.ancestors().nth(2).context("npm is not where it usually is")?;
    let modules = there.join("lib/node_modules");
    fs::create_dir_all(&modules)?;
    copy(&["-a"], npm, &modules)?;
    for name in ["npm", "npx"] {
        let link = there.join("bin").join(name);
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(format!("../lib/node_modules/npm/bin/{name}-cli.js"), link)?;
    }
    Ok(())
}

/// The crates' archives, not their compiled form.
fn downloads(root: &Path) -> Result<()> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let there = root.join("root/.cargo/registry");
    fs::create_dir_all(&there)?;
    for part in ["index", "cache"] {
        let Some(here) = home.as_ref().map(|home| home.join("registry").join(part)) else {
            continue;
        };
        if here.is_dir() {
            copy(&["-a"], &here, &there)?;
        }
    }
    Ok(())
}

fn copy(options: &[&str], from: &Path, to: &Path) -> Result<()> {
    let mut cp = shell::command("cp", options);
    cp.arg(from).arg(to);
    shell::capture(cp).map(drop)
}

/// Runs a command in the clone there, in its own process and mount namespaces: when it ends, all that it started ends
/// and all that it mounted is gone.
fn inside(root: &Path, options: &Options, words: &[&str], log: &Path) -> Result<bool> {
    let home = Path::new("/").join("root");
    let seconds = format!("{}", options.minutes * 60);
    let mut command = shell::command("unshare", ["--mount", "--pid", "--fork", "--kill-child"]);
    let mut proc_here = std::ffi::OsString::from("--mount-proc=");
    proc_here.push(root.join("proc"));
    command.arg(proc_here);
    command.arg("chroot").arg(root);
    command.args(["timeout", "--kill-after=60", &seconds]);
    command
        .args(["sh", "-c", &format!("cd /{CLONE} && exec \"$@\""), "sh"])
        .args(words);
    command
        .env_clear()
        .envs(std::env::vars().filter(|(name, _)| belongs_to_network(name)));
    command
        .env("HOME", home)
        .env("USER", "root")
        .env("LANG", "C.UTF-8")
        .env(
            "PATH",
            format!("/{TOOLCHAIN}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        );
    shell::say(format!("in the bare system: {}", words.join(" ")));

    let mut log = File::create(log)?;
    let (reader, writer) = std::io::pipe()?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .spawn()
        .context("cannot start unshare")?;
    // Ours would keep the pipe open for ever.
    drop(command);
    for line in BufReader::new(reader).split(b'\n') {
        let mut line = line?;
        line.push(b'\n');
        log.write_all(&line)?;
        std::io::stderr().write_all(&line)?;
    }
    Ok(child.wait()?.success())
}

/// Proxies and certificates, but no secrets.
fn belongs_to_network(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let secret = ["TOKEN", "AUTH", "PASSWORD", "SECRET", "KEY"]
        .iter()
        .any(|word| name.contains(word));
    let starts = [
        "CARGO_HTTP_",
        "CARGO_NET_",
        "CARGO_SOURCE_",
        "CARGO_REGISTRIES_",
        "NPM_CONFIG_",
        "PIP_",
        "SSL_CERT_",
    ];
    let holds = ["PROXY", "CA_BUNDLE", "CA_CERTS", "CAINFO"];
    !secret && (starts.iter().any(|word| name.starts_with(word)) || holds.iter().any(|word| name.contains(word)))
}
