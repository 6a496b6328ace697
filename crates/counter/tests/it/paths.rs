//! A counter's folder is the one that was named, whatever its name is; and one that can't be opened is left as it was.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    process::{Command, Output},
};

use counterfoil_counter::db::FILE_NAME;
use counterfoil_domain::{
    ids::{DeviceId, HistoryId, StoreId, TenantId},
    people::Store,
};
use counterfoil_protocol::enrolment::EnrolResponse;
use sqlx::{Connection, Row, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

/// Folders, some within others.
const NAMES: &[&str] = &[
    "plain",
    "100%",
    "a%20b",
    "a b",
    "a?b",
    "a?mode=memory",
    "a#b",
    "总部 数据/柜台 1",
    "a&b=c;d'e\"f\\g",
    // What comes before a URI's path, and what stands for no file at all.
    "file:a?mode=memory",
    ":memory:",
];

fn daemon(root: &Path, folder: &str, options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_counterfoil-syncd"))
        .current_dir(root)
        .args(["--data-dir", folder])
        .args(options)
        .env_remove("RUST_LOG")
        .output()
        .unwrap()
}

fn ended(output: &Output) -> (Option<i32>, String) {
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// Every file of a folder, with what it holds.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(&path).unwrap_or_default())
        })
        .collect()
}

/// A head office that takes one counter in, and is gone.
fn head_office() -> String {
    let place = EnrolResponse {
        tenant: TenantId::new(1, [1; 10]),
        store: Store {
            id: StoreId::new(1, [2; 10]),
            code: "S1".into(),
            name_zh: "门店".into(),
            name_en: "Store".into(),
            time_zone: "Asia/Shanghai".into(),
        },
        device: DeviceId::new(1, [3; 10]),
        epoch: 1,
        history_id: HistoryId::new(1, [4; 10]),
        server_time: 1_795_000_000_000,
        place: Default::default(),
    };
    let body = serde_json::to_string(&place).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut line, _) = listener.accept().unwrap();
        let (mut buffer, mut text) = ([0; 8192], String::new());
        // The request ends with the JSON's last brace.
        while !text.ends_with('}') {
            let read = line.read(&mut buffer).unwrap();
            assert!(read > 0, "hung up in the middle: {text}");
            text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
        let length = body.len();
        let head = format!("HTTP/1.1 200 X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
        line.write_all((head + &body).as_bytes()).unwrap();
    });
    address
}

async fn connect(file: &Path) -> SqliteConnection {
    assert!(file.is_absolute() && file.is_file(), "{}", file.display());
    let options = SqliteConnectOptions::new().filename(file);
    SqliteConnection::connect_with(&options).await.unwrap()
}

async fn number(file: &Path, sql: &'static str) -> i64 {
    let mut connection = connect(file).await;
    let found = sqlx::query(sql).fetch_one(&mut connection).await.unwrap().get(0);
    connection.close().await.unwrap();
    found
}

#[tokio::test]
async fn every_command_takes_every_name() {
    let root = TempDir::new().unwrap();
    for name in NAMES {
        let enrolled = daemon(root.path(), name, &["--enrol", &head_office(), "--code", "ABCD-EFGH"]);
        assert_eq!(ended(&enrolled).0, Some(0), "{name}: {enrolled:?}");
        let file = root.path().join(name).join(FILE_NAME);
        assert_eq!(number(&file, "SELECT COUNT(*) FROM identity").await, 1, "{name}");

        let (code, errors) = ended(&daemon(root.path(), name, &["--once"]));
        assert_eq!(code, Some(1), "{name}: {errors}");
        assert!(!errors.contains("not_enrolled"), "{name}: {errors}");

        let salvaged = daemon(root.path(), name, &["--salvage"]);
        assert_eq!(ended(&salvaged).0, Some(0), "{name}: {salvaged:?}");
        assert_eq!(number(&file, "SELECT COUNT(*) FROM identity").await, 1, "{name}");
        let kept = contents(file.parent().unwrap());
        assert!(
            kept.keys().any(|name| name.starts_with("counter.sqlite.corrupt-")),
            "{:?}",
            kept.keys()
        );
    }
    // Nothing was made elsewhere.
    let mut tops: Vec<&str> = NAMES.iter().filter_map(|name| name.split('/').next()).collect();
    tops.sort_unstable();
    assert_eq!(contents(root.path()).into_keys().collect::<Vec<_>>(), tops);
}

#[tokio::test]
async fn what_cannot_be_opened_stays_as_it_was() {
    let root = TempDir::new().unwrap();
    let enrol = |folder: &str| {
        daemon(
            root.path(),
            folder,
            &["--enrol", "http://127.0.0.1:9", "--code", "ABCD-EFGH"],
        )
    };

    // A folder can't be made below a file.
    fs::write(root.path().join("a file"), "x").unwrap();
    let (code, errors) = ended(&enrol("a file/new/folder"));
    assert_eq!(code, Some(1), "{errors}");
    assert_eq!(contents(root.path()).len(), 1);
    // The folders can be made, but SQLite takes no path as long as this.
    let deep = ["n".repeat(200).as_str(); 3].join("/");
    let (code, errors) = ended(&enrol(&deep));
    assert_eq!(code, Some(1), "{errors}");
    assert_eq!(contents(root.path()).len(), 1, "{errors}");

    // What lies there is no counter's.
    let empty = root.path().join("empty");
    fs::create_dir(&empty).unwrap();
    for options in [&[][..], &["--once"], &["--salvage"]] {
        let (code, errors) = ended(&daemon(root.path(), "empty", options));
        assert_eq!(code, Some(1), "{options:?} {errors}");
        assert!(errors.contains("not_enrolled: "), "{options:?} {errors}");
        assert!(contents(&empty).is_empty(), "{options:?}");
    }

    let newer = root.path().join("newer");
    let enrolled = daemon(
        root.path(),
        "newer",
        &["--enrol", &head_office(), "--code", "ABCD-EFGH"],
    );
    assert_eq!(ended(&enrolled).0, Some(0), "{enrolled:?}");
    let mut connection = connect(&newer.join(FILE_NAME)).await;
    sqlx::query("PRAGMA user_version = 1000")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let damaged = root.path().join("damaged");
    fs::create_dir(&damaged).unwrap();
    fs::write(
        damaged.join(FILE_NAME),
        "no database, and long enough to be read. ".repeat(200),
    )
    .unwrap();
    for (name, word) in [("newer", "database_newer"), ("damaged", "database_corrupt")] {
        let folder = root.path().join(name);
        let before = contents(&folder);
        for options in [&[][..], &["--once"]] {
            let (code, errors) = ended(&daemon(root.path(), name, options));
            assert_eq!(code, Some(1), "{name} {options:?} {errors}");
            assert!(errors.contains(word), "{name} {options:?} {errors}");
            assert!(
                contents(&folder) == before,
                "{name} {options:?}: {:?}",
                contents(&folder).keys()
            );
        }
    }
}
