//! Real processes at work on a bad line, killed at any moment; then faults stop, everything is delivered, and what is
//! there is judged.

mod clerk;
mod copies;
mod judge;
mod message;
mod offices;
mod proxy;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, atomic::AtomicBool, atomic::Ordering},
    time::{Duration, Instant},
};

use crate::random::Random;
use clerk::{Clerk, Pool, Shop};
use counterfoil_head_office::testing::{Fresh, On, fresh};
use offices::Offices;
use proxy::{Proxy, Tally, Targets};
use serde::Serialize;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};

/// How much there is to be.
#[derive(Clone, Copy)]
pub struct Plan {
    /// Head office's database: one process on SQLite, two on PostgreSQL.
    pub on: On,
    /// How long things go wrong.
    pub lasts: Duration,
    /// Counters.
    pub counters: usize,
    /// Stores.
    pub stores: usize,
    /// Where choices come from.
    pub seed: u64,
}

/// What happened.
#[derive(Serialize)]
pub struct Report {
    seed: u64,
    on: String,
    seconds: u64,
    counters: usize,
    stores: usize,
    /// `kill -9`, by program.
    kills: BTreeMap<&'static str, u64>,
    /// What the lines did.
    line: BTreeMap<&'static str, u64>,
    /// What clerks were told.
    clerks: BTreeMap<&'static str, u64>,
    /// Acknowledged to a clerk.
    acknowledged: usize,
    /// At head office, by kind.
    operations: BTreeMap<String, u64>,
    /// By outcome, and by kind where it is an exception.
    outcomes: BTreeMap<String, u64>,
    /// Rows compared with head office's.
    compared: usize,
    /// What is lost, double or wrong.
    pub violations: Vec<String>,
}

/// Works, breaks and judges.
pub async fn run(plan: Plan) -> Report {
    let fresh = fresh(plan.on).await;
    let folder = tempfile::tempdir().unwrap();
    let targets = Targets::default();
    let log = folder.path().join("head-office.log");
    let processes = if plan.on == On::Postgres { 2 } else { 1 };
    let mut offices = Offices::new(&fresh.url, &log, targets.clone(), processes);
    let shop = Arc::new(open(&plan, &mut offices, &fresh).await);
    let (kills, lines, told) = (Tally::default(), Tally::default(), Tally::default());

    let (mut clerks, mut proxies) = (Vec::new(), Vec::new());
    for place in 0..plan.counters {
        let number = u64::try_from(place).unwrap();
        let proxy = Proxy::open(targets.clone(), lines.clone(), plan.seed, number).await;
        let store = place % plan.stores;
        let (made, code) = offices.command(&["device", "enrol-code", "--store", &store_code(store)]);
        assert!(made, "no code for a counter");
        let at = folder.path().join(format!("counter-{place}"));
        let random = Random::of(plan.seed, number);
        let tallies = (told.clone(), kills.clone());
        let line = Arc::clone(&proxy);
        let clerk = blocking(move || Clerk::new(at, store, &line, code.trim(), tallies, random)).await;
        clerks.push(clerk);
        proxies.push(proxy);
    }

    let begun = Instant::now();
    let weather = tokio::spawn(change_weather(proxies.clone()));
    let working: Vec<_> = clerks
        .into_iter()
        .map(|mut clerk| {
            let shop = Arc::clone(&shop);
            std::thread::spawn(move || {
                clerk.work(&shop);
                clerk
            })
        })
        .collect();
    let offices = Arc::new(Mutex::new(offices));
    let killing = {
        let (offices, shop, kills) = (Arc::clone(&offices), Arc::clone(&shop), kills.clone());
        let random = Random::of(plan.seed, 3_000);
        std::thread::spawn(move || kill_offices(&offices, &shop, &kills, random))
    };
    tokio::time::sleep(plan.lasts).await;
    shop.over.store(true, Ordering::SeqCst);
    let seconds = begun.elapsed().as_secs();

    // Faults stop, everything is started again and delivers.
    weather.abort();
    for proxy in &proxies {
        proxy.calm();
    }
    let mut violations = blocking(move || killing.join().unwrap()).await;
    let clerks = blocking(move || drain(working)).await;
    violations.extend(copies::read_to_the_end(&fresh.url, &clerks).await);
    let clerks = blocking(move || {
        let mut clerks = clerks;
        clerks.iter_mut().for_each(Clerk::stop);
        clerks
    })
    .await;
    for clerk in &clerks {
        violations.extend(clerk.trouble.iter().cloned());
    }
    violations.extend(panics(folder.path()));
    {
        let mut offices = offices.lock().unwrap();
        let (clean, said) = offices.command(&["verify"]);
        if !clean {
            violations.extend(
                said.lines()
                    .filter(|line| !line.contains("\"broken\":[]"))
                    .map(str::to_owned),
            );
            violations.push("verify found something".to_owned());
        }
        for place in 0..offices.count() {
            offices.kill(place);
        }
    }
    let judged = judge::judge(&fresh.url, &clerks).await;
    violations.extend(judged.violations);
    let compared = copies::compare(&fresh.url, &clerks).await;
    violations.extend(compared.violations);
    if !violations.is_empty() {
        eprintln!("what it was is kept in {}", folder.keep().display());
    }
    Report {
        seed: plan.seed,
        on: format!("{:?}", plan.on).to_lowercase(),
        seconds,
        counters: plan.counters,
        stores: plan.stores,
        kills: kills.all(),
        line: lines.all(),
        clerks: told.all(),
        acknowledged: judged.acknowledged,
        operations: judged.operations,
        outcomes: judged.outcomes,
        compared: compared.rows,
        violations,
    }
}

fn store_code(place: usize) -> String {
    format!("s-{:02}", place + 1)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// Seeds a chain and starts head office on it.
async fn open(plan: &Plan, offices: &mut Offices, fresh: &Fresh) -> Shop {
    let minutes = usize::try_from(plan.lasts.as_secs() / 60).unwrap() + 1;
    let coupons = (minutes * plan.counters * 80).clamp(1_000, 40_000);
    let orders = (minutes * plan.counters * 10).clamp(100, 10_000);
    let count = |number: usize| number.to_string();
    let (seeded, said) = offices.command(&[
        "seed",
        "--stores",
        &count(plan.stores),
        "--members",
        &count(coupons / 20),
        "--coupons",
        &count(coupons),
        "--pickups",
        &count(orders),
    ]);
    assert!(seeded, "{said}");
    for place in 0..offices.count() {
        offices.start(place);
    }
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis();
    let mut database = AnyConnection::connect(&fresh.url).await.unwrap();
    let mut shop = Shop {
        coupons: Vec::new(),
        orders: Vec::new(),
        members: texts(&mut database, "SELECT number FROM members ORDER BY number").await,
        products: texts(
            &mut database,
            "SELECT sku FROM products WHERE active = 1 ORDER BY sku LIMIT 12",
        )
        .await,
        over: AtomicBool::new(false),
    };
    for store in (0..plan.stores).map(store_code) {
        let coupons = format!(
            "SELECT c.code FROM coupons c JOIN stores s ON s.tenant = c.tenant AND s.id = c.home_store \
             WHERE s.code = '{store}' AND c.state = 'available' AND (c.valid_from IS NULL OR c.valid_from <= {now}) \
             AND (c.valid_until IS NULL OR c.valid_until > {now}) ORDER BY c.code"
        );
        shop.coupons.push(Pool::of(texts(&mut database, &coupons).await));
        let orders = format!(
            "SELECT o.code FROM orders o JOIN stores s ON s.tenant = o.tenant AND s.id = o.store \
             WHERE s.code = '{store}' AND o.state = 'ready' ORDER BY o.code"
        );
        shop.orders.push(Pool::of(texts(&mut database, &orders).await));
    }
    shop
}

/// The first column of every row.
async fn texts(database: &mut AnyConnection, sql: &str) -> Vec<String> {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
        .fetch_all(database)
        .await
        .unwrap()
}

async fn change_weather(proxies: Vec<Arc<Proxy>>) {
    let mut changes: Vec<(Instant, &Arc<Proxy>)> = proxies.iter().map(|proxy| (Instant::now(), proxy)).collect();
    loop {
        for (due, proxy) in &mut changes {
            if Instant::now() >= *due {
                *due = Instant::now() + proxy.change();
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Kills one process of head office after the other until it is over; then all of them run again.
fn kill_offices(offices: &Mutex<Offices>, shop: &Shop, kills: &Tally, mut random: Random) -> Vec<String> {
    let count = offices.lock().unwrap().count();
    let mut violations = Vec::new();
    let wait = |time: Duration| {
        let until = Instant::now() + time;
        while Instant::now() < until && !shop.over.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    while !shop.over.load(Ordering::SeqCst) {
        wait(random.time(2_500, 12_000));
        let place = random.below(count);
        if offices.lock().unwrap().kill(place) {
            violations.push("head office ended by itself".to_owned());
        }
        kills.count("head office");
        wait(random.time(0, 2_500));
        // Of two, sometimes the other one dies before this one is back.
        if count == 1 || random.percent(75) {
            offices.lock().unwrap().start(place);
        }
        for other in (0..count).filter(|_| random.percent(50)) {
            offices.lock().unwrap().start(other);
        }
    }
    let mut offices = offices.lock().unwrap();
    for place in 0..count {
        if offices.kill(place) {
            violations.push("head office ended by itself".to_owned());
        }
        offices.start(place);
    }
    violations
}

/// Lets all counters deliver at once.
fn drain(working: Vec<std::thread::JoinHandle<Clerk>>) -> Vec<Clerk> {
    let draining: Vec<_> = working
        .into_iter()
        .map(|thread| {
            let mut clerk = thread.join().unwrap();
            std::thread::spawn(move || {
                clerk.drain();
                clerk
            })
        })
        .collect();
    draining.into_iter().map(|thread| thread.join().unwrap()).collect()
}

/// What any of the programs said of a panic.
fn panics(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.path().extension().is_some_and(|extension| extension == "log") {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            let said = text.lines().filter(|line| line.contains("panicked at"));
            found.extend(said.map(|line| format!("{}: {line}", entry.path().display())));
        }
    }
    found
}

impl Report {
    /// Whether anything went wrong that could have done harm, and clerks worked all the same.
    pub fn was_bad(&self) -> bool {
        let all = |of: &BTreeMap<&str, u64>, names: &[&str]| names.iter().all(|name| of.contains_key(name));
        let faults = [
            "delayed",
            "swallowed",
            "cut in the question",
            "cut in the answer",
            "answers lost",
            "duplicated",
            "portal answers",
        ];
        all(&self.kills, &["head office", "desk", "syncd"])
            && all(&self.line, &faults)
            && all(&self.clerks, &["alone", "with head office's word"])
            && self.acknowledged > 0
    }
}
