//! A file system of its own, so small that it is soon full.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

const BALLAST: &str = "ballast";

/// A mounted file system in memory; unmounted when this is dropped.
pub struct SmallDisk {
    place: TempDir,
}

impl SmallDisk {
    /// One of so many MiB, owned by `owner` (user, group). `None`, and said aloud, where none can be mounted: then the
    /// test proves nothing.
    pub fn mount(mebibytes: u32, owner: (u32, u32)) -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let options = format!("size={mebibytes}m,mode=0700,uid={},gid={}", owner.0, owner.1);
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(place.path())
            .output();
        let why = match mounted {
            Ok(output) if output.status.success() => return Some(Self { place }),
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        skipped(&format!("no small file system can be mounted here: {why}"));
        None
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// Leaves no room at all.
    pub fn fill(&self) {
        let mut file = fs::File::create(self.ballast()).unwrap();
        // Whole pages: a file system in memory has no smaller room.
        let error = loop {
            if let Err(error) = file.write_all(&[0xB5; 4096]) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{error}");
    }

    /// Makes room again.
    pub fn make_room(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    /// From now on nothing on it can be written, or it can again. Nothing may have a file of it open for writing.
    pub fn read_only(&self, read_only: bool) {
        let mode = if read_only { "remount,ro" } else { "remount,rw" };
        let done = Command::new("mount")
            .args(["-o", mode])
            .arg(self.path())
            .status()
            .unwrap();
        assert!(done.success(), "{mode}");
    }

    fn ballast(&self) -> PathBuf {
        self.path().join(BALLAST)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Also while a process that a failed test left behind still has files on it.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// Says that a test did nothing, past the harness, which keeps what a test that passes prints to itself.
pub fn skipped(why: &str) {
    let _ = writeln!(io::stderr(), "SKIPPED: {why}");
}
