//! A counter at work: what its clerk does, how often its process is killed, and the daemon that delivers beside it.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    offices::{log, until_nothing},
    proxy::{Proxy, Tally},
};
use crate::{desk::Desk, program, random::Random};

/// Of the seed's managers.
const PIN: &str = "864200";
/// Codes that nobody has: more of them, and the counter refuses typed codes for a day.
const MISPRINTS: usize = 3;
/// How long delivering everything may take once nothing goes wrong any more.
const PATIENCE: Duration = Duration::from_secs(180);

/// What all clerks work on.
pub struct Shop {
    /// Of each store: codes of coupons that are at home there.
    pub coupons: Vec<Pool>,
    /// Of each store: codes of orders that wait there.
    pub orders: Vec<Pool>,
    /// Numbers of members.
    pub members: Vec<String>,
    /// What is sold.
    pub products: Vec<String>,
    /// When this is set, the work is over.
    pub over: AtomicBool,
}

/// Codes that several clerks want at about the same time.
#[derive(Default)]
pub struct Pool {
    codes: Vec<String>,
    next: AtomicUsize,
}

impl Pool {
    /// Of these codes.
    pub fn of(codes: Vec<String>) -> Self {
        Self {
            codes,
            next: AtomicUsize::new(0),
        }
    }

    /// A fresh one, or one that somebody had a moment ago.
    fn draw(&self, random: &mut Random) -> Option<&str> {
        let place = if random.percent(60) {
            self.next.fetch_add(1, Ordering::SeqCst)
        } else {
            self.next.load(Ordering::SeqCst).saturating_sub(random.below(6))
        };
        self.codes.get(place % self.codes.len().max(1)).map(String::as_str)
    }
}

/// A clerk.
pub struct Clerk {
    /// Which store.
    pub store: usize,
    /// The counter's data.
    pub folder: PathBuf,
    /// What was acknowledged.
    pub notes: PathBuf,
    log: PathBuf,
    random: Random,
    tally: Tally,
    kills: Tally,
    desk: Option<Desk>,
    daemon: Option<Child>,
    /// Operations made here that may be undone: their kind, their id.
    made: Vec<(&'static str, String)>,
    misprints: usize,
    /// What is wrong with the program itself.
    pub trouble: Vec<String>,
}

impl Clerk {
    /// Starts a counter and enrols it.
    pub fn new(
        folder: PathBuf,
        store: usize,
        line: &Proxy,
        code: &str,
        (tally, kills): (Tally, Tally),
        random: Random,
    ) -> Self {
        let beside = |suffix: &str| folder.with_extension(suffix);
        let mut clerk = Self {
            store,
            notes: beside("acknowledged"),
            log: beside("log"),
            folder,
            random,
            tally,
            kills,
            desk: None,
            daemon: None,
            made: Vec::new(),
            misprints: 0,
            trouble: Vec::new(),
        };
        let enrolled = clerk
            .desk()
            .ask(json!({"do": "enrol", "address": line.address, "code": code}));
        assert_eq!(enrolled["ok"], true, "{enrolled}");
        clerk.desk().ready();
        clerk
    }

    fn desk(&mut self) -> &mut Desk {
        let (folder, notes, log_file) = (&self.folder, &self.notes, &self.log);
        self.desk
            .get_or_insert_with(|| Desk::start_noting(folder, notes, log(log_file)))
    }

    /// Works until it is over.
    pub fn work(&mut self, shop: &Arc<Shop>) {
        let mut next_kill = Instant::now() + self.random.time(3_000, 25_000);
        let mut next_daemon = Instant::now() + self.random.time(3_000, 25_000);
        while !shop.over.load(Ordering::SeqCst) {
            let (what, command) = self.choose(shop);
            if Instant::now() >= next_kill {
                next_kill = Instant::now() + self.random.time(3_000, 25_000);
                self.kill_in_the_middle(&command);
                continue;
            }
            if Instant::now() >= next_daemon {
                next_daemon = Instant::now() + self.random.time(3_000, 25_000);
                self.change_who_delivers();
            }
            match self.desk().try_ask(&command) {
                Some(answer) => self.heard(what, &answer),
                None => {
                    self.trouble
                        .push(format!("the counter ended by itself when asked for {command}"));
                    self.kill_desk();
                }
            }
            std::thread::sleep(self.random.time(20, 400));
        }
    }

    fn choose(&mut self, shop: &Shop) -> (&'static str, Value) {
        let random = &mut self.random;
        // Sometimes a coupon that is at home in another store.
        let home = if random.percent(80) {
            self.store
        } else {
            random.below(shop.coupons.len())
        };
        let coupon = shop.coupons[home].draw(random).unwrap_or_default().to_owned();
        let order = shop.orders[self.store].draw(random).unwrap_or_default().to_owned();
        // A few members are everywhere.
        let members = if random.percent(50) { 6 } else { shop.members.len() };
        let member = shop.members[random.below(members.min(shop.members.len()))].clone();
        match random.below(100) {
            0..34 => ("redeem", json!({"do": "redeem", "code": coupon})),
            34..44 => ("collect", json!({"do": "redeem", "code": order})),
            44..54 => ("look", json!({"do": "look", "code": coupon})),
            54..58 => ("member", json!({"do": "member", "code": member})),
            58..80 => {
                let some: Vec<Value> = (0..=random.below(3))
                    .map(|_| json!([random.one(&shop.products), 1 + random.below(4)]))
                    .collect();
                let coupons = if random.percent(40) { vec![coupon] } else { Vec::new() };
                let member = random.percent(70).then_some(member);
                let receipt = format!("R-{}", random.below(1_000_000));
                let sell =
                    json!({"do": "sell", "lines": some, "member": member, "coupons": coupons, "receipt": receipt});
                ("sell", sell)
            }
            80..96 => self.undo(),
            96 if self.misprints < MISPRINTS => {
                self.misprints += 1;
                let code = format!("{:018}", random.below(1_000_000));
                ("misprint", json!({"do": "look", "code": code}))
            }
            _ => ("status", json!({"do": "status"})),
        }
    }

    fn undo(&mut self) -> (&'static str, Value) {
        if self.made.is_empty() {
            return ("status", json!({"do": "status"}));
        }
        let place = self.random.below(self.made.len());
        let (what, operation) = self.made.swap_remove(place);
        if what == "sell" && self.random.percent(60) {
            let units = json!([{"line": 0, "quantity": 1}]);
            return (
                "return",
                json!({"do": "return", "op": operation, "units": units, "pin": PIN}),
            );
        }
        ("void", json!({"do": "void", "op": operation, "pin": PIN}))
    }

    fn heard(&mut self, what: &'static str, answer: &Value) {
        let operation = answer["receipt"]["opId"].as_str();
        match operation {
            Some(operation) if matches!(what, "redeem" | "collect" | "sell") => {
                let alone = answer["receipt"]["delivery"] == "toBeDelivered";
                self.tally
                    .count(if alone { "alone" } else { "with head office's word" });
                self.made.push((what, operation.to_owned()));
            }
            Some(_) => {}
            None if answer["ok"] == false => self.tally.count("errors"),
            None if answer["result"] == "refused" => self.tally.count("refused"),
            None => self.tally.count("looks"),
        }
    }

    /// The process dies at some moment of what it does; sometimes the daemon goes on for it meanwhile.
    fn kill_in_the_middle(&mut self, command: &Value) {
        self.desk().tell(command);
        std::thread::sleep(self.random.time(0, 120));
        self.kill_desk();
        self.kill_daemon();
        if self.random.percent(40) {
            self.start_daemon();
            std::thread::sleep(self.random.time(50, 2_500));
            // Else it goes on beside the counter.
            if self.random.percent(70) {
                self.kill_daemon();
            }
        }
    }

    /// The daemon delivers beside the open counter, or it is killed and the counter does again.
    fn change_who_delivers(&mut self) {
        if self.daemon.is_some() {
            self.kill_daemon();
            self.desk().try_ask(&json!({"do": "start_sync"}));
        } else {
            self.desk().try_ask(&json!({"do": "stop_sync"}));
            self.start_daemon();
        }
    }

    fn start_daemon(&mut self) {
        let daemon = Command::new(program("counterfoil-syncd"))
            .arg("--data-dir")
            .arg(&self.folder)
            .env("RUST_LOG", "error")
            .stdout(Stdio::null())
            .stderr(log(&self.log))
            .spawn();
        self.daemon = Some(daemon.unwrap());
    }

    fn kill_desk(&mut self) {
        if let Some(mut desk) = self.desk.take() {
            desk.kill();
            self.kills.count("desk");
        }
    }

    fn kill_daemon(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            // It may have ended by itself: the counter delivers already.
            if daemon.try_wait().unwrap().is_none() {
                self.kills.count("syncd");
            }
            let _ = daemon.kill();
            daemon.wait().unwrap();
        }
    }

    /// Ends everything that runs here.
    pub fn stop(&mut self) {
        self.kill_daemon();
        self.kill_desk();
    }

    /// Starts anew and delivers; nothing goes wrong any more.
    pub fn drain(&mut self) {
        self.stop();
        let place = self.folder.display().to_string();
        let desk = self.desk();
        let left = until_nothing(PATIENCE, || {
            desk.try_ask(&json!({"do": "hurry"}));
            let status = desk.try_ask(&json!({"do": "status"}))?;
            let done = status["queue"]["pending"] == 0
                && status["link"]["state"] == "online"
                && status["placed"]["resyncing"] == false;
            (!done).then(|| format!("{place} is not drained: {} {}", status["queue"], status["link"]))
        });
        self.trouble.extend(left.err());
    }
}

impl Drop for Clerk {
    fn drop(&mut self) {
        self.kill_daemon();
    }
}
