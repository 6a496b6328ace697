//! `cargo xtask run`: head office and a counter on this machine, ready to try.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

use crate::cleanup::Cleanup;
use crate::display::{self, Display};
use crate::setup::{self, Purpose};
use crate::{places, shell, ui};

#[derive(clap::Args)]
pub struct Options {
    /// Start with no demo data; first start is yours
    #[arg(long)]
    empty: bool,
    /// Stop by itself this many seconds after everything is up (for unattended checks)
    #[arg(long, value_name = "SECONDS")]
    stop_after: Option<u64>,
}

/// What `counterfoil-hq seed --demo` prints.
#[derive(Deserialize)]
struct Demo {
    stores: Vec<Store>,
    clerks: Vec<Clerk>,
    #[serde(default)]
    coupons: Vec<Value>,
    #[serde(default)]
    pickups: Vec<Value>,
    #[serde(default)]
    members: Vec<Value>,
    #[serde(default)]
    products: Vec<Value>,
}

#[derive(Deserialize)]
struct Store {
    code: String,
}

#[derive(Deserialize)]
struct Clerk {
    store: String,
    name: String,
    pin: String,
    role: String,
}

pub fn run(options: &Options) -> Result<ExitCode> {
    setup::setup(Purpose::Run)?;
    let mut cleanup = Cleanup::start()?;
    ui::build()?;
    shell::run(shell::cargo([
        "build",
        "-p",
        "counterfoil",
        "-p",
        "counterfoil-head-office",
        "--bins",
    ]))?;

    // Demo data and a person's own never mix.
    let place = Place {
        folder: places::target().join(if options.empty { "run-empty" } else { "run" }),
    };
    fs::create_dir_all(&place.folder)?;
    let demo = if options.empty { None } else { Some(place.demo()?) };
    let display = if display::is_there() {
        None
    } else {
        Some(Display::start(&mut cleanup)?)
    };

    let (mut head_office, address) = place.start_head_office(&mut cleanup)?;
    let mut app = place.start_app(&mut cleanup, demo.as_ref(), &address, display.as_ref())?;

    let mut code = watch(&mut head_office, &mut app, &place, Duration::from_secs(1), &mut || {
        Ok(false)
    })?;
    if code.is_none()
        && let Some(display) = &display
    {
        let picture = place.file("window.png");
        let mut painted = Painted::default();
        let patience = Duration::from_secs(90);
        code = watch(&mut head_office, &mut app, &place, patience, &mut || {
            painted.look(display, &picture)
        })?;
        if painted.is_ready {
            shell::say(format!(
                "no display here; picture of the window: {}",
                places::shown(&picture)
            ));
        } else if code.is_none() {
            bail!(
                "the window stayed empty for 90 s\n{}",
                shell::tail(&place.file("counter.log"), 20)
            );
        }
    }
    if code.is_none() {
        place.tell(&address, demo.as_ref(), display.as_ref());
        let end = Duration::from_secs(options.stop_after.unwrap_or(u64::MAX / 2));
        code = watch(&mut head_office, &mut app, &place, end, &mut || Ok(false))?;
    }
    Ok(code.unwrap_or(ExitCode::SUCCESS))
}

/// Looks at both programs until `done`, until the time is up, or until the app ends, which gives the exit code.
fn watch(
    head_office: &mut Child,
    app: &mut Child,
    place: &Place,
    limit: Duration,
    done: &mut dyn FnMut() -> Result<bool>,
) -> Result<Option<ExitCode>> {
    let start = Instant::now();
    while start.elapsed() < limit {
        if let Some(status) = head_office.try_wait()? {
            bail!(
                "head office stopped ({status})\n{}",
                shell::tail(&place.file("head-office.log"), 20)
            );
        }
        if let Some(status) = app.try_wait()? {
            if status.success() {
                shell::say("the counter app was closed");
                return Ok(Some(ExitCode::SUCCESS));
            }
            bail!(
                "the counter app stopped ({status})\n{}",
                shell::tail(&place.file("counter.log"), 20)
            );
        }
        if done()? {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(None)
}

/// Whether the window shows something, and has come to rest.
#[derive(Default)]
struct Painted {
    is_ready: bool,
    first: Option<Instant>,
    last: Option<(Instant, String)>,
}

impl Painted {
    /// A blank page has one colour, a page with text many, from smoothed letters.
    const COLOURS: usize = 40;

    fn look(&mut self, display: &Display, file: &Path) -> Result<bool> {
        if self
            .last
            .as_ref()
            .is_some_and(|(at, _)| at.elapsed() < Duration::from_secs(1))
        {
            return Ok(false);
        }
        let (colours, digest) = display.picture(file)?;
        let now = Instant::now();
        let same = self.last.as_ref().is_some_and(|(_, before)| *before == digest);
        self.last = Some((now, digest));
        if colours < Self::COLOURS {
            self.first = None;
            return Ok(false);
        }
        let first = *self.first.get_or_insert(now);
        // A blinking cursor never rests, so after a while it is good enough.
        self.is_ready = (same && first.elapsed() > Duration::from_secs(3)) || first.elapsed() > Duration::from_secs(15);
        Ok(self.is_ready)
    }
}

struct Place {
    folder: PathBuf,
}

impl Place {
    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn database(&self) -> String {
        format!("sqlite:{}", self.file("head-office.db").display())
    }

    fn head_office_command(&self, arguments: &[&str]) -> Command {
        let mut command = shell::command(places::debug_binary("counterfoil-hq"), arguments);
        command
            .args(["--database", &self.database()])
            .current_dir(places::root());
        command
    }

    /// The demo data of the first run; made now if this is the first.
    fn demo(&self) -> Result<Demo> {
        let file = self.file("demo.json");
        if !file.is_file() {
            // A seeding that was interrupted: neither the database nor what knows it is of use.
            self.forget()?;
            shell::say("making demo data");
            let printed = shell::capture(self.head_office_command(&["seed", "--demo"]))?;
            fs::write(&file, printed)?;
        }
        let text = fs::read_to_string(&file)?;
        serde_json::from_str(&text).with_context(|| format!("{} is not what seed prints", places::shown(&file)))
    }

    fn forget(&self) -> Result<()> {
        for name in ["head-office.db", "head-office.db-wal", "head-office.db-shm", "port"] {
            let file = self.file(name);
            if file.exists() {
                fs::remove_file(file)?;
            }
        }
        let counter = self.file("counter");
        if counter.exists() {
            fs::remove_dir_all(counter)?;
        }
        Ok(())
    }

    /// The same port each time: the counter has been told it.
    fn port(&self) -> Result<u16> {
        let file = self.file("port");
        let kept = fs::read_to_string(&file)
            .ok()
            .and_then(|text| text.trim().parse::<u16>().ok());
        let Some(port) = kept else {
            let port = shell::free_port()?;
            fs::write(file, port.to_string())?;
            return Ok(port);
        };
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_err() {
            bail!(
                "port {port}, which the counter in {} knows head office by, is taken. Is another `cargo xtask run` \
                 still going? If it is another program, remove that folder to start anew.",
                places::shown(&self.folder)
            );
        }
        Ok(port)
    }

    fn start_head_office(&self, cleanup: &mut Cleanup) -> Result<(Child, String)> {
        let listen = format!("127.0.0.1:{}", self.port()?);
        let log = self.file("head-office.log");
        let mut child = self
            .head_office_command(&["serve", "--listen", &listen])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .spawn()
            .context("cannot start counterfoil-hq")?;
        cleanup.process(&child)?;
        let output = BufReader::new(child.stdout.take().context("no output")?);
        let (found, address) = mpsc::channel();
        let mut copy = File::options().append(true).open(&log)?;
        // Reads on to the end, so that head office never waits for a reader.
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = writeln!(copy, "{line}");
                if let Some(address) = line.trim().strip_prefix("listening on ") {
                    let _ = found.send(address.to_owned());
                }
            }
        });
        match address.recv_timeout(Duration::from_secs(60)) {
            Ok(address) => Ok((child, address)),
            Err(_) => bail!("head office did not get ready\n{}", shell::tail(&log, 20)),
        }
    }

    fn start_app(
        &self,
        cleanup: &mut Cleanup,
        demo: Option<&Demo>,
        address: &str,
        display: Option<&Display>,
    ) -> Result<Child> {
        let log = File::create(self.file("counter.log"))?;
        let mut command = Command::new(places::debug_binary("counterfoil"));
        command
            .arg("--data-dir")
            .arg(self.file("counter"))
            .current_dir(places::root());
        if let Some(demo) = demo {
            let store = demo.stores.first().context("the demo data has no store")?;
            // Only the app can tell whether it is enrolled, and then it leaves these two alone.
            let code = shell::capture(self.head_office_command(&["device", "enrol-code", "--store", &store.code]))?;
            command
                .env("COUNTERFOIL_CONNECT", address)
                .env("COUNTERFOIL_ENROL_CODE", code.trim());
            let here = |clerk: &&Clerk| clerk.store == store.code;
            let clerk = demo
                .clerks
                .iter()
                .filter(here)
                .find(|clerk| clerk.role == "clerk")
                .or(demo.clerks.first());
            if let Some(clerk) = clerk {
                command.env("COUNTERFOIL_DEMO_SIGN_IN", format!("{}:{}", clerk.name, clerk.pin));
            }
            command.env("COUNTERFOIL_DEMO_HINTS", self.file("demo.json"));
        }
        if let Some(display) = display {
            display.apply(&mut command);
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start the counter app")?;
        cleanup.process(&child)?;
        Ok(child)
    }

    fn tell(&self, address: &str, demo: Option<&Demo>, display: Option<&Display>) {
        shell::say(format!(
            "head office: {address}   (its log: {})",
            places::shown(&self.file("head-office.log"))
        ));
        shell::say(format!("counter app: data and log in {}", places::shown(&self.folder)));
        if let Some(display) = display {
            shell::say(format!("the window is on the virtual display {}", display.name()));
        }
        match demo {
            Some(demo) => tell_demo(demo),
            None => self.tell_first_steps(address),
        }
        let folder = places::shown(&self.folder);
        shell::say(format!(
            "Ctrl-C ends both; the data stays for the next run (remove {folder} to start anew)"
        ));
    }

    fn tell_first_steps(&self, address: &str) {
        let program = places::shown(&places::debug_binary("counterfoil-hq"));
        let database = self.database();
        shell::say("no data yet. Either choose \"single shop\" or \"demo\" in the window, or fill head office:");
        for step in [
            "admin tenant add --help",
            "admin store add --help",
            "admin clerk add --help",
        ] {
            shell::say(format!("  {program} {step}"));
        }
        shell::say(format!(
            "  {program} device enrol-code --store STORE --database {database}"
        ));
        shell::say(format!(
            "each with --database {database}; then \"connect\" in the window: {address} and the code"
        ));
    }
}

fn tell_demo(demo: &Demo) {
    shell::say("to try:");
    for clerk in &demo.clerks {
        shell::say(format!(
            "  {:<8} {} (store {}), PIN {}",
            clerk.role, clerk.name, clerk.store, clerk.pin
        ));
    }
    for (what, list) in [
        ("coupon", &demo.coupons),
        ("pickup", &demo.pickups),
        ("member", &demo.members),
        ("product", &demo.products),
    ] {
        for value in list.iter().take(6) {
            shell::say(format!("  {what:<8} {}", one_line(value)));
        }
    }
}

/// A code, or a code and what is said about it.
fn one_line(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(fields) => {
            let code = fields.get("code").and_then(Value::as_str).unwrap_or_default();
            // A signed token is long and there for the scanner.
            let notes = fields
                .iter()
                .filter(|(name, value)| *name != "code" && value.as_str().is_some_and(|text| text.len() <= 40))
                .filter_map(|(name, value)| Some(format!("{name}: {}", value.as_str()?)));
            let notes: Vec<String> = notes.collect();
            format!("{code}   {}", notes.join(", ")).trim_end().to_owned()
        }
        other => other.to_string(),
    }
}
