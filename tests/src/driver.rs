//! The driver of the app's window.

use std::{
    ffi::OsString,
    fs,
    net::{TcpListener, TcpStream},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Generous: the machine may be compiling beside it.
const PATIENCE: Duration = Duration::from_secs(60);
const GLANCE: Duration = Duration::from_millis(50);
const SHOWN: &str = "shown";

/// `tauri-driver`, and behind it WebKit's driver and the app: one group of processes that ends together.
pub struct Driver {
    /// Where it listens.
    pub address: String,
    child: Child,
    tools: TempDir,
}

impl Driver {
    /// Starts it, on a machine that speaks `machine` (a POSIX locale). It drives one window; the next one needs another.
    pub fn start(machine: &str) -> Self {
        let from_environment = |name| -> OsString {
            std::env::var_os(name)
                .expect("neither DISPLAY nor COUNTERFOIL_TAURI_DRIVER may be missing: run `cargo xtask test`")
        };
        from_environment("DISPLAY");
        let [port, native] = free_ports();
        let tools = viewer();
        let mut path = tools.path().as_os_str().to_owned();
        path.push(":");
        path.push(from_environment("PATH"));
        let child = Command::new(from_environment("COUNTERFOIL_TAURI_DRIVER"))
            .args(["--port", &port.to_string(), "--native-port", &native.to_string()])
            .env("LC_ALL", machine)
            .env("PATH", path)
            .env("RUST_LOG", "warn")
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let driver = Self {
            address: format!("http://127.0.0.1:{port}"),
            child,
            tools,
        };
        let begun = Instant::now();
        while [port, native]
            .iter()
            .any(|port| TcpStream::connect(("127.0.0.1", *port)).is_err())
        {
            assert!(begun.elapsed() < PATIENCE, "the driver does not listen");
            std::thread::sleep(GLANCE);
        }
        driver
    }

    /// What the app wanted shown with other programs, one file a line.
    pub fn shown(&self) -> String {
        fs::read_to_string(self.tools.path().join(SHOWN)).unwrap_or_default()
    }
}

/// In place of what shows files on a desktop: it only notes down which.
fn viewer() -> TempDir {
    let tools = tempfile::tempdir().unwrap();
    let program = tools.path().join("xdg-open");
    let shown = tools.path().join(SHOWN);
    fs::write(&program, format!("#!/bin/sh\necho \"$1\" >> '{}'\n", shown.display())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    tools
}

impl Drop for Driver {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.child.wait();
    }
}

/// Both held until both are known, so that they differ.
fn free_ports() -> [u16; 2] {
    let held = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    held.map(|listener| listener.local_addr().unwrap().port())
}
