//! A disk that is really full: what was promised is kept, what can't be kept is not promised, and with room it goes on.

use std::os::unix::fs::MetadataExt;

use counterfoil_head_office::testing::{Fresh, On, fresh, in_time, web};
use counterfoil_tests::{
    desk::Desk,
    disk::{SmallDisk, skipped},
    office::Office,
};
use serde_json::{Value, json};
use sqlx::{AnyConnection, AssertSqlSafe, Connection};

use super::{SEED, hq, syncd};

/// Redeems one code after another until one can't be; how many could, and what was said to that one.
fn until_full(desk: &mut Desk, codes: &mut impl Iterator<Item = String>) -> (i64, String, Value) {
    let mut done = 0;
    loop {
        let code = codes.next().expect("the disk is full before all coupons are used");
        let answer = desk.redeem(&code);
        if answer["ok"] == false {
            return (done, code, answer);
        }
        assert_eq!(answer["result"], "done", "{answer:#}");
        done += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_promises_only_what_it_can_keep() {
    let Some(disk) = SmallDisk::mount(24, (0, 0)) else {
        return;
    };
    let mut office = Office::start(On::Sqlite, SEED).await;
    let folder = disk.path().join("desk");
    let mut desk = Desk::enrol(&folder, &office.address, &office.enrol_code("s-01"));
    desk.ready();
    let mut codes = office.coupons("home_store", "s-01").await.into_iter();
    office.kill();
    desk.offline();

    let mut promised = 0;
    for code in codes.by_ref().take(3) {
        assert_eq!(desk.redeem(&code)["result"], "done");
        promised += 1;
    }
    disk.fill();
    let (more, code, answer) = until_full(&mut desk, &mut codes);
    promised += more;
    assert_eq!(answer["code"], "disk_full", "{answer:#}");
    assert_eq!(
        i64::try_from(desk.queue().len()).unwrap(),
        promised,
        "nothing is half done"
    );
    let look = desk.ask(json!({"do": "look", "code": code}));
    assert_eq!(look["verdict"]["decision"], "honourOffline", "{look:#}");

    // The same process goes on as soon as there is room.
    disk.make_room();
    assert_eq!(desk.redeem(&code)["result"], "done");
    promised += 1;
    disk.fill();
    let (more, code, answer) = until_full(&mut desk, &mut codes);
    assert_eq!(answer["code"], "disk_full", "{answer:#}");
    promised += more;
    desk.kill();

    // On the full disk it can deliver, but not note down that it has.
    office.go();
    let (status, said, _) = syncd(&folder, &["--once"]);
    assert_eq!((status, said.contains("disk_full")), (Some(1), true), "{said}");
    // Nor does a salvage begin, or stand in the way later.
    let (status, said, _) = syncd(&folder, &["--salvage"]);
    assert_eq!((status, said.starts_with("disk_full: ")), (Some(1), true), "{said}");

    disk.make_room();
    let mut desk = Desk::start(&folder);
    assert_eq!(desk.drained()["queue"]["exceptions"], 0);
    assert_eq!(i64::try_from(desk.queue().len()).unwrap(), promised);
    assert_eq!(office.number("SELECT COUNT(*) FROM operations").await, promised);
    assert_eq!(desk.redeem(&code)["receipt"]["delivery"], "confirmed");
    desk.drained();
    office.verify();
}

/// What an operator hears who wants something written; the status, and the code of a problem.
async fn write(office: &Office, token: &str, member: &str) -> (u16, Option<String>) {
    let answer = web()
        .build()
        .unwrap()
        .put(format!("{}/v1/members/{member}/email", office.address))
        .bearer_auth(token)
        .json(&json!({"email": "somebody@example.com"}))
        .send()
        .await
        .unwrap();
    let status = answer.status().as_u16();
    let problem: Value = answer.json().await.unwrap_or_default();
    (status, problem["code"].as_str().map(str::to_owned))
}

/// The same again and again, until the last room in the pages there are is used up.
async fn until_refused(office: &Office, token: &str, member: &str) -> (u16, Option<String>) {
    in_time(async {
        loop {
            let said = write(office, token, member).await;
            if said.0 != 204 {
                return said;
            }
        }
    })
    .await
}

async fn status_of(address: &str, path: &str) -> u16 {
    web()
        .build()
        .unwrap()
        .get(format!("{address}{path}"))
        .send()
        .await
        .unwrap()
        .status()
        .as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn head_office_on_sqlite_says_so_and_counters_go_on_alone() {
    let Some(disk) = SmallDisk::mount(32, (0, 0)) else {
        return;
    };
    let office = Office::start_in(disk.path(), SEED).await;
    says_so_and_counters_go_on_alone(office, &disk).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn head_office_on_postgresql_says_so_and_counters_go_on_alone() {
    let fresh = fresh(On::Postgres).await;
    let Some(small) = Small::move_here(&fresh).await else {
        return;
    };
    let office = Office::start_on(fresh, SEED);
    if let Some(disk) = &small.disk {
        says_so_and_counters_go_on_alone(office, disk).await;
    }
}

/// The place of a PostgreSQL database on a small disk. Both go when this is dropped; the server's log is elsewhere.
struct Small {
    database: String,
    disk: Option<SmallDisk>,
}

impl Small {
    async fn move_here(fresh: &Fresh) -> Option<Self> {
        let (_, database) = fresh.url.rsplit_once('/').unwrap();
        let mut server = Self::server().await;
        let data: String = sqlx::query_scalar("SELECT current_setting('data_directory')")
            .fetch_one(&mut server)
            .await
            .unwrap();
        let Ok(data) = std::fs::metadata(&data) else {
            skipped("PostgreSQL does not run on this machine: no small file system for it");
            return None;
        };
        let disk = SmallDisk::mount(64, (data.uid(), data.gid()))?;
        let place = disk.path().display().to_string();
        let small = Self {
            database: database.to_owned(),
            disk: Some(disk),
        };
        for sql in [
            format!("CREATE TABLESPACE {database}_small LOCATION '{place}'"),
            format!("ALTER DATABASE {database} SET TABLESPACE {database}_small"),
        ] {
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut server).await.unwrap();
        }
        Some(small)
    }

    async fn server() -> AnyConnection {
        let url = std::env::var("COUNTERFOIL_TEST_POSTGRES").unwrap();
        AnyConnection::connect(&url).await.unwrap()
    }

    async fn drop_all(database: String) -> Result<(), sqlx::Error> {
        let mut server = Self::server().await;
        for sql in [
            format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"),
            format!("DROP TABLESPACE IF EXISTS {database}_small"),
        ] {
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut server).await?;
        }
        Ok(())
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let database = self.database.clone();
        let gone = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(Self::drop_all(database))
        });
        // A server whose files are taken away from under it stops: then rather leave the disk where it is.
        if !matches!(gone.join(), Ok(Ok(()))) {
            std::mem::forget(self.disk.take());
        }
    }
}

/// The office's database is on this disk.
async fn says_so_and_counters_go_on_alone(mut office: Office, disk: &SmallDisk) {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::enrol(folder.path(), &office.address, &office.enrol_code("s-01"));
    desk.ready();
    let operator = office.command(&["admin", "operator", "add", "--name", "ops", "--role", "admin"]);
    let operator: Value = serde_json::from_str(&operator).unwrap();
    let token = operator["token"].as_str().unwrap();
    let member = office
        .texts("SELECT number FROM members ORDER BY number")
        .await
        .remove(0);
    let mut codes = office.coupons("home_store", "s-01").await.into_iter();
    assert_eq!(desk.redeem(&codes.next().unwrap())["receipt"]["delivery"], "confirmed");
    desk.drained();
    assert_eq!(write(&office, token, &member).await, (204, None));

    disk.fill();
    let mut promised = 1;
    let unconfirmed = loop {
        let code = codes.next().expect("the disk is full before all coupons are used");
        let done = desk.redeem(&code);
        assert_eq!(done["result"], "done", "{done:#}");
        promised += 1;
        if done["receipt"]["delivery"] == "toBeDelivered" {
            break code;
        }
    };
    let refused = until_refused(&office, token, &member).await;
    assert_eq!(refused, (503, Some("storage_unavailable".to_owned())));
    // Who only reads is answered.
    assert_eq!(status_of(&office.address, "/readyz").await, 200);
    let look = desk.ask(json!({"do": "look", "code": unconfirmed}));
    assert_eq!(look["verdict"]["decision"], "refuse", "{look:#}");
    let status = desk.wait_until("told", |status| {
        status["link"]["problem"][0] == "storage_unavailable" && status["queue"]["pending"] != 0
    });
    assert_eq!(status["queue"]["exceptions"], 0);

    // Killed and started again on the full disk it does the same.
    office.kill();
    office.go();
    assert_eq!(until_refused(&office, token, &member).await.0, 503);
    let (code, said) = hq(&office.fresh.url, &["seed", "--members", "4000", "--seed", "99"]);
    assert_eq!(
        (code, said.starts_with("error [disk_full]: ")),
        (Some(1), true),
        "{said}"
    );

    disk.make_room();
    desk.ask(json!({"do": "hurry"}));
    assert_eq!(desk.drained()["queue"]["exceptions"], 0);
    // Asked again, head office answers; on a busy machine perhaps not in time for the first one.
    loop {
        let code = codes
            .next()
            .expect("head office answers again before all coupons are used");
        let done = desk.redeem(&code);
        promised += 1;
        if done["receipt"]["delivery"] == "confirmed" {
            break;
        }
    }
    desk.drained();
    assert_eq!(write(&office, token, &member).await, (204, None));
    assert_eq!(office.number("SELECT COUNT(*) FROM operations").await, promised);
    assert_eq!(
        office
            .number("SELECT COUNT(*) FROM operations WHERE outcome = 'applied'")
            .await,
        promised
    );
    office.verify();
}
