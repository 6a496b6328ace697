//! `counterfoil-hq serve` as a process: until when it serves, and what it says when it can't.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use sqlx::{AnyConnection, Connection};

use crate::common::{On, fresh};
use crate::program::{Said, hq, program};

counterfoil_head_office::on_both! {
    it_serves_until_it_is_told_to_stop,
    a_newer_database_is_left_alone,
}

struct Server(Child, String);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    fn start(url: &str) -> Self {
        Self::begin(program(url, &["serve", "--listen", "127.0.0.1:0"]))
    }
    fn begin(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let out = child.stdout.as_mut().unwrap();
        let mut byte = [0u8; 1];
        while out.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
            line.push(char::from(byte[0]));
        }
        let address = line.strip_prefix("listening on http://").unwrap_or_default().to_owned();
        if address.is_empty() {
            panic!("{:?}", Said::of(child.wait_with_output().unwrap()).err);
        }
        Self(child, address)
    }
    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.1).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
            self.1
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
    fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([name, &self.0.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }
    /// Waits until it has ended, but not for ever.
    fn ended(mut self) -> Option<i32> {
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.0.kill().unwrap();
        None
    }
}

async fn it_serves_until_it_is_told_to_stop(on: On) {
    let fresh = fresh(on).await;
    for signal in ["-TERM", "-INT"] {
        let server = Server::start(&fresh.url);
        assert!(server.get("/readyz").starts_with("HTTP/1.1 200"));
        assert!(server.get("/healthz").ends_with("ok\n"));
        assert!(server.get("/metrics").starts_with("HTTP/1.1 200"));
        server.signal(signal);
        assert_eq!(server.ended(), Some(0), "{signal}");
    }
}

/// What a program gets that a shell or a service manager starts, unless it asks for more.
#[cfg(unix)]
const USUAL_DESCRIPTORS: usize = 1_024;

/// Makes so many connections on which nothing is asked.
#[cfg(unix)]
fn idle(server: &Server, many: usize) -> Vec<TcpStream> {
    (0..many).map(|_| TcpStream::connect(&server.1).unwrap()).collect()
}

#[cfg(unix)]
#[test]
fn idle_connections_do_not_use_up_its_descriptors() {
    const MANY: usize = 1_500;
    // This process holds the other ends.
    assert!(rlimit::increase_nofile_limit(4_096).unwrap() > 2_000);
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/a.db", folder.path().display());
    let serve = program(&url, &["serve", "--listen", "127.0.0.1:0"]);
    let mut limited = Command::new("sh");
    limited
        .arg("-c")
        .arg(format!("ulimit -S -n {USUAL_DESCRIPTORS}; exec \"$0\" \"$@\""))
        .arg(serve.get_program())
        .args(serve.get_args())
        .env("COUNTERFOIL_HQ_DATABASE", &url)
        .env_remove("RUST_LOG");
    let mut server = Server::begin(limited);
    let idle = idle(&server, MANY);
    assert!(server.get("/healthz").ends_with("ok\n"));
    assert!(server.get("/readyz").starts_with("HTTP/1.1 200"));
    drop(idle);
    let mut log = server.0.stderr.take().unwrap();
    server.signal("-TERM");
    assert_eq!(server.ended(), Some(0));
    let mut said = String::new();
    log.read_to_string(&mut said).unwrap();
    let line = said.lines().find(|line| line.contains("open files and connections"));
    let number = |name: &str| -> usize {
        let rest = line.unwrap().split_once(&format!("{name}=")).unwrap().1;
        rest.split_whitespace().next().unwrap().parse().unwrap()
    };
    assert!(number("descriptors") > USUAL_DESCRIPTORS, "{said}");
    assert!(number("connections") > MANY, "{said}");
}

#[cfg(unix)]
#[test]
fn its_bound_on_connections_is_set() {
    const BOUND: &str = "40";
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/a.db", folder.path().display());
    let server = Server::begin(program(
        &url,
        &["serve", "--listen", "127.0.0.1:0", "--max-connections", BOUND],
    ));
    let mut idle = idle(&server, 200);
    assert!(server.get("/healthz").ends_with("ok\n"));
    // The oldest are closed: nothing is to be read, or it was cut off.
    for line in &mut idle[..100] {
        assert_eq!(line.read(&mut [0]).unwrap_or(0), 0);
    }
    assert_eq!(hq(&url, &["serve", "--max-connections", "0"]).code, 2);
    assert_eq!(hq(&url, &["serve", "--idle-timeout", "0"]).code, 2);
}

async fn a_newer_database_is_left_alone(on: On) {
    let fresh = fresh(on).await;
    hq(&fresh.url, &["admin", "tenant", "add", "--code", "a", "--name", "A"]).json();
    let mut connection = AnyConnection::connect(&fresh.url).await.unwrap();
    sqlx::query("INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) SELECT 9999, 'later', success, checksum, 0 FROM _sqlx_migrations LIMIT 1")
        .execute(&mut connection)
        .await
        .unwrap();
    hq(&fresh.url, &["serve", "--listen", "127.0.0.1:0"]).refused(1, "database_newer");
    hq(&fresh.url, &["verify"]).refused(1, "database_newer");
}

#[test]
fn what_can_not_be_served_is_said_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/a.db", folder.path().display());
    let serve = |url: &str, more: &[&str]| hq(url, &[&["serve", "--listen", "127.0.0.1:0"], more].concat());

    serve(&url, &["--nats", "nats://127.0.0.1:4222"]).refused(2, "not_available");
    assert_eq!(serve(&url, &["--roles", "cook"]).code, 2);
    assert_eq!(hq(&url, &["serve", "--listen", "somewhere"]).code, 2);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    hq(&url, &["serve", "--listen", &address]).refused(1, "address_in_use");

    serve("mysql://x", &[]).refused(2, "database_settings");
    serve("sqlite:/no/such/folder/a.db", &[]).refused(2, "database_settings");
    serve(
        &format!("postgres://nobody@{address}/x").replace(&address, &unused_address()),
        &[],
    )
    .refused(1, "database_unreachable");
    hq(&url, &["verify"]).refused(2, "database_missing");

    // A file that is no database, and one that was one.
    std::fs::write(
        folder.path().join("a.db"),
        "not a database, but long enough to be read as one ".repeat(200),
    )
    .unwrap();
    serve(&url, &[]).refused(1, "database_corrupt");
    std::fs::remove_file(folder.path().join("a.db")).unwrap();
    hq(&url, &["seed", "--demo"]).json();
    let mut bytes = std::fs::read(folder.path().join("a.db")).unwrap();
    let end = bytes.len() - 4_096;
    bytes[100..end].fill(0xA5);
    std::fs::write(folder.path().join("a.db"), &bytes).unwrap();
    serve(&url, &[]).refused(1, "database_corrupt");
    assert_eq!(
        std::fs::read(folder.path().join("a.db")).unwrap(),
        bytes,
        "the damaged file was changed"
    );
}

fn unused_address() -> String {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string()
}

/// Root may write everything, so this runs as nobody where the tests run as root.
#[cfg(unix)]
#[test]
fn a_read_only_database_is_said_to_be_one() {
    use std::os::unix::{fs::PermissionsExt, process::CommandExt};
    const NOBODY: u32 = 65_534;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.db");
    let url = format!("sqlite:{}", file.display());
    hq(&url, &["seed", "--demo"]).json();
    // The program where nobody may start it.
    let copy = folder.path().join("hq");
    std::fs::copy(env!("CARGO_BIN_EXE_counterfoil-hq"), &copy).unwrap();
    let allow = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    allow(&copy, 0o755);
    allow(&file, 0o444);
    allow(folder.path(), 0o555);
    let mut command = Command::new(&copy);
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--database", &url])
        .env_remove("RUST_LOG");
    let id = Command::new("id").arg("-u").output().unwrap().stdout;
    if id.starts_with(b"0\n") {
        command.uid(NOBODY).gid(NOBODY);
    }
    let said = Said::of(command.output().unwrap());
    allow(folder.path(), 0o755);
    said.refused(1, "database_read_only");
}
