//! A database's file is the one that was named, whatever its name is, on every command; and a command that can't open
//! one leaves the place as it was.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::Stdio,
};

use serde_json::Value;
use sqlx::{Connection, Row, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::program::{Said, hq, program};

const NAMES: &[&str] = &[
    "plain.db",
    "100%.db",
    "a%20b.db",
    "a b.db",
    "a?b.db",
    "a?mode=memory",
    "a#b.db",
    "总部 数据.db",
    "a&b=c;d'e\"f\\g.db",
];

/// Names that would be something else to SQLite if no folder stood before them.
const RELATIVE: &[&str] = &[":memory:", "file:a.db?mode=memory", "总部.db"];

const STORE_ADD: &[&str] = &[
    "admin",
    "store",
    "add",
    "--code",
    "s-99",
    "--name-zh",
    "店",
    "--name-en",
    "Shop",
];
const OPERATOR_ADD: &[&str] = &["admin", "operator", "add", "--name", "ops", "--role", "auditor"];
const OPERATOR_LIST: &[&str] = &["admin", "operator", "list"];
const OPERATOR_GOES: &[&str] = &["admin", "operator", "deactivate", "--name", "ops"];

fn url(file: &Path) -> String {
    format!("sqlite:{}", file.display())
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

async fn open(file: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(Path::new("/").join(file));
    SqliteConnection::connect_with(&options).await.unwrap()
}

async fn number(file: &Path, sql: &'static str) -> i64 {
    let mut connection = open(file).await;
    let found = sqlx::query(sql).fetch_one(&mut connection).await.unwrap().get(0);
    connection.close().await.unwrap();
    found
}

/// A template of which a coupon can be given by hand.
async fn template(file: &Path) -> String {
    let mut connection = open(file).await;
    let sql = "SELECT id FROM templates WHERE status = 'published' ORDER BY id LIMIT 1";
    let id: Vec<u8> = sqlx::query(sql).fetch_one(&mut connection).await.unwrap().get(0);
    connection.close().await.unwrap();
    uuid::Uuid::from_slice(&id).unwrap().to_string()
}

fn serves(url: &str) {
    let mut server = program(url, &["serve", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(line.starts_with("listening on http://"), "{url}: {line}");
}

#[tokio::test]
async fn every_command_takes_every_name() {
    for name in NAMES {
        // One of the others is there already, and is another database.
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("总部 100%?#");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("another"), "").unwrap();
        let file = folder.join(name);
        let url = url(&file);
        let seeded = hq(&url, &["seed", "--demo"]).json();
        assert!(file.is_file(), "{name}: {:?}", contents(&folder).keys());
        let member = seeded["members"][0]["code"].as_str().unwrap().to_owned();
        let template = template(&file).await;
        let nobody = "00000000-0000-7000-8000-000000000001";
        let lines = r#"[{"sku":"A","name_zh":"甲","name_en":"A","quantity":1,"unit_price":100}]"#;
        // What is refused was looked for in this database.
        let commands: &[(&[&str], i32)] = &[
            (&["seed", "--demo"], 0),
            (&["verify"], 0),
            (&["admin", "tenant", "link-key", "--rotate"], 0),
            (STORE_ADD, 0),
            (
                &[
                    "admin", "clerk", "add", "--store", "s-99", "--name", "Anna", "--role", "clerk", "--pin", "246801",
                ],
                0,
            ),
            (OPERATOR_ADD, 0),
            (OPERATOR_LIST, 0),
            (OPERATOR_GOES, 0),
            (
                &[
                    "admin",
                    "order",
                    "add",
                    "--store",
                    "s-01",
                    "--number",
                    "N-1",
                    "--collector",
                    "x",
                    "--lines",
                    lines,
                ],
                0,
            ),
            (
                &["admin", "coupon", "grant", "--member", &member, "--template", &template],
                0,
            ),
            (&["admin", "device", "revoke", "--device", nobody], 2),
            (&["admin", "device", "new-epoch", "--device", nobody], 2),
            (&["device", "enrol-code", "--store", "s-99"], 0),
            (&["admin", "tenant", "add", "--code", "other", "--name", "Other"], 0),
        ];
        for (command, code) in commands {
            let said = hq(&url, command);
            assert_eq!(said.code, *code, "{name} {command:?}: {}{}", said.out, said.err);
            assert!(*code == 0 || said.err.starts_with("error [not_found]"), "{}", said.err);
        }
        serves(&url);
        assert_eq!(number(&file, "SELECT COUNT(*) FROM tenants").await, 2, "{name}");
        let left: Vec<String> = contents(&folder).into_keys().collect();
        assert!(
            left.iter().all(|file| file.starts_with(name) || file == "another"),
            "{name}: {left:?}"
        );
    }
}

#[tokio::test]
async fn a_name_alone_is_a_file_here() {
    let folder = tempfile::tempdir().unwrap();
    for name in RELATIVE {
        let run = |arguments: &[&str]| {
            let mut command = program(&format!("sqlite:{name}"), arguments);
            Said::of(command.current_dir(folder.path()).output().unwrap())
        };
        run(&["seed", "--demo"]).json();
        assert_eq!(run(&["verify"]).code, 0, "{name}");
        assert_eq!(
            number(&folder.path().join(name), "SELECT COUNT(*) FROM tenants").await,
            1,
            "{name}"
        );
    }
    let left: Vec<String> = contents(folder.path()).into_keys().collect();
    let mut names: Vec<&str> = RELATIVE.to_vec();
    names.sort_unstable();
    assert_eq!(left, names);
}

#[test]
fn the_other_ways_to_write_it_are_still_taken() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.db");
    hq(&format!("sqlite://{}", file.display()), &["seed", "--demo"]).json();
    let again: Value = serde_json::from_str(&hq(&url(&file), &["seed", "--demo"]).out).unwrap();
    assert_eq!(again["already_there"], true);
}

/// Begins nothing: what it needs must be there.
const NEED_ONE: &[&[&str]] = &[
    &["verify"],
    &["admin", "tenant", "link-key"],
    STORE_ADD,
    &[
        "admin", "clerk", "add", "--store", "s-01", "--name", "A", "--role", "clerk", "--pin", "246801",
    ],
    OPERATOR_ADD,
    OPERATOR_LIST,
    OPERATOR_GOES,
    &[
        "admin",
        "order",
        "add",
        "--store",
        "s-01",
        "--number",
        "N-1",
        "--collector",
        "x",
        "--lines",
        "[]",
    ],
    &[
        "admin",
        "coupon",
        "grant",
        "--member",
        "M",
        "--template",
        "00000000-0000-7000-8000-000000000001",
    ],
    &[
        "admin",
        "device",
        "revoke",
        "--device",
        "00000000-0000-7000-8000-000000000001",
    ],
    &[
        "admin",
        "device",
        "new-epoch",
        "--device",
        "00000000-0000-7000-8000-000000000001",
    ],
    &["device", "enrol-code", "--store", "s-01"],
];
/// Begin one where there is none.
const BEGIN_ONE: &[&[&str]] = &[
    &["serve", "--listen", "127.0.0.1:0"],
    &["seed", "--demo"],
    &["admin", "tenant", "add", "--code", "t", "--name", "T"],
];

#[test]
fn a_misspelt_name_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    for command in NEED_ONE {
        let said = hq(&url(&folder.path().join("a%b.db")), command);
        assert_eq!(said.code, 2, "{command:?}: {}", said.err);
        assert_eq!(contents(folder.path()), BTreeMap::new(), "{command:?}");
    }
    for command in BEGIN_ONE {
        let said = hq(&url(&folder.path().join("none").join("a.db")), command);
        said.refused(2, "database_settings");
        assert_eq!(contents(folder.path()), BTreeMap::new(), "{command:?}");
    }
    // Too much is asked for.
    hq(&url(&folder.path().join("a.db")), &["seed", "--stores", "0"]).refused(2, "database_settings");
    assert_eq!(contents(folder.path()), BTreeMap::new());
}

#[tokio::test]
async fn what_cannot_be_opened_stays_as_it_was() {
    let newer = tempfile::tempdir().unwrap();
    let made = newer.path().join("a.db");
    hq(&url(&made), &["seed", "--demo"]).json();
    let mut connection = open(&made).await;
    sqlx::query("UPDATE _sqlx_migrations SET version = version + 1000 WHERE version = 1")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();

    let long = "n".repeat(250);
    // SQLite needs a longer one beside it.
    let cases: &[(&str, &str, Option<Vec<u8>>, i32)] = &[
        ("database_settings", &long, None, 2),
        (
            "database_corrupt",
            "none.db",
            Some(b"no database, and long enough to be read. ".repeat(200)),
            1,
        ),
        ("database_newer", "newer.db", Some(fs::read(&made).unwrap()), 1),
    ];
    for (word, name, holds, code) in cases {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        if let Some(bytes) = holds {
            fs::write(&file, bytes).unwrap();
        }
        let before = contents(folder.path());
        for command in BEGIN_ONE {
            hq(&url(&file), command).refused(*code, word);
            assert!(
                contents(folder.path()) == before,
                "{word} {command:?}: {:?}",
                contents(folder.path()).keys()
            );
        }
    }

    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("folder.db")).unwrap();
    for command in BEGIN_ONE {
        hq(&url(&folder.path().join("folder.db")), command).refused(1, "database_read_only");
        assert_eq!(contents(folder.path()).len(), 1, "{command:?}");
        assert_eq!(contents(&folder.path().join("folder.db")), BTreeMap::new());
    }
}

#[tokio::test]
async fn those_who_begin_a_database_at_once_end_with_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.db");
    let codes: Vec<String> = (0..6).map(|n| format!("t-{n}")).collect();
    let begun: Vec<_> = codes
        .iter()
        .map(|code| {
            program(&url(&file), &["admin", "tenant", "add", "--code", code, "--name", "T"])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in begun {
        Said::of(child.wait_with_output().unwrap()).json();
    }
    assert_eq!(number(&file, "SELECT COUNT(*) FROM tenants").await, 6);
    assert_eq!(contents(folder.path()).into_keys().collect::<Vec<_>>(), ["a.db"]);
}
