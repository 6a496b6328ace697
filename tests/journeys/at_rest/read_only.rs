//! Files that can't be written: said in one sentence with a stable code, nothing changed, nothing left behind, and it
//! goes on once they can be.

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::Command,
};

use counterfoil_head_office::testing::On;
use counterfoil_tests::{desk::Desk, disk::SmallDisk, office::Office, program};

use super::{SEED, contents, database_in, fold, hq, syncd};

/// Root may write everything, so where the tests run as root the programs run as nobody.
const NOBODY: u32 = 65_534;

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_became_read_only() {
    let Some(disk) = SmallDisk::mount(32, (0, 0)) else {
        return;
    };
    let mut office = Office::start_in(disk.path(), SEED).await;
    let folder = disk.path().join("desk");
    let mut desk = Desk::enrol(&folder, &office.address, &office.enrol_code("s-01"));
    desk.ready();
    let codes = office.coupons("home_store", "s-01").await;
    assert_eq!(desk.redeem(&codes[0])["result"], "done");
    desk.drained();
    office.kill();
    desk.offline();
    for code in &codes[1..4] {
        assert_eq!(desk.redeem(code)["result"], "done");
    }
    desk.kill();

    disk.read_only(true);
    let before = (contents(disk.path()), contents(&folder));
    for options in [&["--once"][..], &["--salvage"], &[]] {
        let (status, said, output) = syncd(&folder, options);
        assert_eq!(status, Some(1), "{options:?} {said}");
        assert!(said.starts_with("database_read_only: "), "{options:?} {said}");
        assert!(output.stdout.is_empty());
    }
    for arguments in [
        &["serve", "--listen", "127.0.0.1:0"][..],
        &["verify"],
        &["device", "enrol-code", "--store", "s-01"],
        &["seed", "--members", "10", "--seed", "5"],
    ] {
        let (status, said) = hq(&office.fresh.url, arguments);
        assert_eq!(status, Some(1), "{arguments:?} {said}");
        assert!(said.starts_with("error [database_read_only]: "), "{arguments:?} {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    assert!(
        before == (contents(disk.path()), contents(&folder)),
        "something was changed"
    );

    disk.read_only(false);
    office.go();
    let mut desk = Desk::start(&folder);
    assert_eq!(desk.drained()["queue"]["exceptions"], 0);
    assert_eq!(office.number("SELECT COUNT(*) FROM operations").await, 4);
    office.verify();
}

/// A program where the user that runs it may start it, and that user.
struct Runner {
    place: tempfile::TempDir,
    user: u32,
}

impl Runner {
    fn new(name: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
        fs::copy(program(name), place.path().join("program")).unwrap();
        let own = fs::metadata(place.path()).unwrap().uid();
        let user = if own == 0 { NOBODY } else { own };
        Self { place, user }
    }

    /// How it ended, and what it said to people.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(self.place.path().join("program"));
        command.args(arguments).env("RUST_LOG", "off").current_dir("/");
        if self.user == NOBODY {
            command.uid(NOBODY).gid(NOBODY);
        }
        let output = command.output().unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    }

    /// Gives the database and all beside it to that user, with these rights of the database and of its folder.
    fn own(&self, database: &Path, file: u32, folder: u32) {
        let itself = database.parent().unwrap();
        for entry in fs::read_dir(itself).unwrap() {
            self.own_one(&entry.unwrap().path(), 0o600);
        }
        self.own_one(database, file);
        self.own_one(itself, folder);
    }

    fn own_one(&self, path: &Path, mode: u32) {
        if self.user == NOBODY {
            chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
}

/// Rights of the database, and of its folder.
const RIGHTS: [(u32, u32); 3] = [(0o400, 0o700), (0o600, 0o500), (0o400, 0o500)];

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_whose_files_or_folder_lost_their_rights() {
    let office = Office::start(On::Sqlite, SEED).await;
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("desk");
    let mut desk = Desk::enrol(&folder, &office.address, &office.enrol_code("s-01"));
    desk.ready();
    desk.kill();
    let database = database_in(&folder);
    fold(&database).await;
    let runner = Runner::new("counterfoil-syncd");
    fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
    let before = contents(&folder);
    let once = ["--once", "--data-dir", folder.to_str().unwrap()];
    for (file, itself) in RIGHTS {
        runner.own(&database, file, itself);
        let (status, said) = runner.run(&once);
        assert_eq!(status, Some(1), "{file:o} {itself:o} {said}");
        assert!(said.starts_with("database_read_only: "), "{file:o} {itself:o} {said}");
        assert!(
            before == contents(&folder),
            "{file:o} {itself:o}: something was changed"
        );
    }
    runner.own(&database, 0o600, 0o700);
    let (status, said) = runner.run(&once);
    assert_eq!(status, Some(0), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn head_office_whose_file_or_folder_lost_its_rights() {
    let mut office = Office::start(On::Sqlite, SEED).await;
    office.kill();
    let database = office.file();
    fold(&database).await;
    let folder = database.parent().unwrap();
    let runner = Runner::new("counterfoil-hq");
    let before = contents(folder);
    let at = ["--database", &office.fresh.url];
    for (file, itself) in RIGHTS {
        runner.own(&database, file, itself);
        for arguments in [
            &["serve", "--listen", "127.0.0.1:0"][..],
            &["device", "enrol-code", "--store", "s-01"],
        ] {
            let (status, said) = runner.run(&[arguments, &at].concat());
            assert_eq!(status, Some(1), "{file:o} {itself:o} {arguments:?} {said}");
            assert!(
                said.starts_with("error [database_read_only]: "),
                "{file:o} {itself:o} {said}"
            );
            assert!(before == contents(folder), "{file:o} {itself:o}: something was changed");
        }
    }
    runner.own(&database, 0o600, 0o700);
    let (status, said) = runner.run(&[&["verify"][..], &at].concat());
    assert_eq!(status, Some(0), "{said}");
}
