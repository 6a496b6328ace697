//! Head office as a process.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use counterfoil_head_office::testing::{Fresh, On, fresh};
use serde_json::Value;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};

use crate::program;

/// A head office that can be stopped, killed and started again on the same port.
pub struct Office {
    /// Its database.
    pub fresh: Fresh,
    /// `http://127.0.0.1:PORT`.
    pub address: String,
    port: u16,
    child: Option<Child>,
    /// What its process does; everything unless somebody else does a part of it.
    roles: &'static str,
}

/// What a process does that is alone.
const ALL_ROLES: &str = "api,fulfilment,jobs";

impl Office {
    /// A fresh database with seeded data, and a server on it.
    pub async fn start(on: On, seed: &[&str]) -> Self {
        Self::start_on(fresh(on).await, seed)
    }

    /// The same with SQLite, in this folder.
    pub async fn start_in(folder: &Path, seed: &[&str]) -> Self {
        let mut fresh = fresh(On::Sqlite).await;
        fresh.url = format!("sqlite:{}", folder.join("head-office.db").display());
        Self::start_on(fresh, seed)
    }

    /// The same on this database, which is empty.
    pub fn start_on(fresh: Fresh, seed: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut office = Self {
            fresh,
            address: format!("http://127.0.0.1:{port}"),
            port,
            child: None,
            roles: ALL_ROLES,
        };
        let mut arguments = vec!["seed"];
        arguments.extend(seed);
        office.command(&arguments);
        office.go();
        office
    }

    /// Runs `counterfoil-hq` on the same database; what it printed.
    pub fn command(&self, arguments: &[&str]) -> String {
        let (status, output) = self.try_command(arguments);
        assert_eq!(status, Some(0), "counterfoil-hq {arguments:?}: {output}");
        output
    }

    /// The same, with its exit status.
    pub fn try_command(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(program("counterfoil-hq"))
            .args(arguments)
            .args(["--database", &self.fresh.url])
            .stderr(Stdio::inherit())
            .env("RUST_LOG", "warn")
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }

    /// Its database's file; SQLite only.
    pub fn file(&self) -> PathBuf {
        PathBuf::from(self.fresh.url.strip_prefix("sqlite:").unwrap())
    }

    /// Copies the database to where [`Office::restore`] finds it. The server goes on meanwhile on SQLite; on PostgreSQL it
    /// must not be running, since a database that is in use can't be copied whole.
    pub async fn back_up(&self) {
        let mut database = match self.postgres() {
            None => self.database().await,
            Some((server, name)) => {
                let mut server = AnyConnection::connect(&server).await.unwrap();
                wait_until_unused(&mut server, name).await;
                server
            }
        };
        let sql = match self.postgres() {
            None => format!("VACUUM INTO '{}'", backup_of(&self.file()).display()),
            Some((_, name)) => format!("CREATE DATABASE {name}_backup TEMPLATE {name}"),
        };
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut database).await.unwrap();
    }

    /// Puts the copy in the place of the database, whose disk is lost. The server must not be running.
    pub async fn restore(&self) {
        assert!(self.child.is_none());
        let Some((server, name)) = self.postgres() else {
            let file = self.file();
            for suffix in ["", "-wal", "-shm"] {
                let _ = std::fs::remove_file(format!("{}{suffix}", file.display()));
            }
            std::fs::rename(backup_of(&file), &file).unwrap();
            return;
        };
        let mut server = AnyConnection::connect(&server).await.unwrap();
        for sql in [
            format!("DROP DATABASE {name} WITH (FORCE)"),
            format!("ALTER DATABASE {name}_backup RENAME TO {name}"),
        ] {
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut server).await.unwrap();
        }
    }

    /// The server's own database, and the name of the office's; PostgreSQL only.
    fn postgres(&self) -> Option<(String, &str)> {
        let (server, name) = self.fresh.url.rsplit_once('/')?;
        server
            .starts_with("postgres")
            .then(|| (format!("{server}/postgres"), name))
    }

    /// A second server on the same database.
    pub fn beside(&self) -> Beside {
        self.beside_as(ALL_ROLES)
    }

    /// A second process on the same database, which does this.
    pub fn beside_as(&self, roles: &'static str) -> Beside {
        let (child, line) = serve(&self.fresh.url, 0, 0, roles);
        let address = line.trim().rsplit_once(' ').unwrap().1.to_owned();
        Beside {
            child,
            address,
            url: self.fresh.url.clone(),
            roles,
        }
    }

    /// From its next start on its process does only this.
    pub fn does(&mut self, roles: &'static str) {
        self.roles = roles;
    }

    /// Starts the server, which must not be running.
    pub fn go(&mut self) {
        self.go_with_clock(0);
    }

    /// The same, with its clock set forward by so many seconds.
    pub fn go_with_clock(&mut self, ahead: i64) {
        assert!(self.child.is_none());
        self.child = Some(serve(&self.fresh.url, self.port, ahead, self.roles).0);
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("head office is not running");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// A one-time code for a new counter of this store.
    pub fn enrol_code(&self, store: &str) -> String {
        self.command(&["device", "enrol-code", "--store", store])
            .trim()
            .to_owned()
    }

    /// A connection to the database, beside the server's.
    pub async fn database(&self) -> AnyConnection {
        AnyConnection::connect(&self.fresh.url).await.unwrap()
    }

    /// The first column of every row, as text.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        let mut connection = self.database().await;
        let rows = sqlx::query(AssertSqlSafe(sql.to_owned()))
            .fetch_all(&mut connection)
            .await
            .unwrap();
        rows.iter().map(|row| row.try_get::<String, _>(0).unwrap()).collect()
    }

    /// One number.
    pub async fn number(&self, sql: &str) -> i64 {
        let mut connection = self.database().await;
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
            .fetch_one(&mut connection)
            .await
            .unwrap()
    }

    /// Codes of coupons that may be used now, of this offline policy, of this store.
    pub async fn coupons(&self, policy: &str, store: &str) -> Vec<String> {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_millis();
        self.texts(&format!(
            "SELECT c.code FROM coupons c JOIN templates t ON t.tenant = c.tenant AND t.id = c.template AND t.template_version = c.template_version JOIN stores s ON s.tenant = c.tenant AND s.id = c.home_store WHERE t.offline = '{policy}' AND s.code = '{store}' AND c.state = 'available' AND t.stores IS NULL AND (c.valid_from IS NULL OR c.valid_from <= {now}) AND (c.valid_until IS NULL OR c.valid_until > {now}) ORDER BY c.code"
        ))
        .await
    }

    /// `counterfoil-hq verify`: it must find nothing. Its lines, for a look.
    pub fn verify(&self) -> Vec<Value> {
        let (status, output) = self.try_command(&["verify"]);
        let lines: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(status, Some(0), "verify found something: {output}");
        assert!(!lines.is_empty());
        lines
    }
}

fn backup_of(file: &Path) -> PathBuf {
    file.with_extension("backup")
}

/// PostgreSQL notices a little later that a program has gone.
async fn wait_until_unused(server: &mut AnyConnection, name: &str) {
    let begun = Instant::now();
    let sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = $1";
    while sqlx::query_scalar::<_, i64>(sql)
        .bind(name.to_owned())
        .fetch_one(&mut *server)
        .await
        .unwrap()
        > 0
    {
        assert!(begun.elapsed() < Duration::from_secs(60), "{name} is still in use");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A server on this database, once it listens, and the line in which it says so.
fn serve(url: &str, port: u16, ahead: i64, roles: &str) -> (Child, String) {
    let mut child = Command::new(program("counterfoil-hq"))
        .args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--database", url])
        .args(["--roles", roles])
        .env("COUNTERFOIL_HQ_CLOCK_AHEAD", ahead.to_string())
        .env("RUST_LOG", "warn")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(line.starts_with("listening on http://"), "{line}");
    (child, line)
}

/// A second server on an office's database.
pub struct Beside {
    /// `http://127.0.0.1:PORT`.
    pub address: String,
    child: Child,
    url: String,
    roles: &'static str,
}

impl Beside {
    /// Starts it again once it was killed, with its clock set forward by so many seconds.
    pub fn go_with_clock(&mut self, ahead: i64) {
        let (child, line) = serve(&self.url, 0, ahead, self.roles);
        self.child = child;
        self.address = line.trim().rsplit_once(' ').unwrap().1.to_owned();
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
