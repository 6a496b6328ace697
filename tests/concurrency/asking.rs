//! How questions are asked: several copies at once, some of them given up in the middle, again until there is an answer.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use counterfoil_head_office::testing::web;
use counterfoil_tests::random::Random;
use reqwest::{Client, RequestBuilder};
use serde_json::Value;

use crate::history::History;

/// Far longer than any answer takes, so that only a server that has stopped runs into it.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer: status and body.
pub type Answer = (u16, Value);

/// What all callers share.
pub struct World {
    /// What happened.
    pub history: Mutex<History>,
    client: Client,
    begun: Instant,
    /// Of each process, while it runs.
    addresses: Mutex<Vec<Option<String>>>,
    /// When a process did not run.
    down: Mutex<Vec<(u64, u64)>>,
    over: AtomicBool,
    stopped: AtomicBool,
    counts: Mutex<BTreeMap<&'static str, u64>>,
    violations: Mutex<Vec<String>>,
}

impl World {
    /// With these processes.
    pub fn new(addresses: Vec<String>) -> Self {
        Self {
            history: Mutex::default(),
            client: web().timeout(PATIENCE).build().unwrap(),
            begun: Instant::now(),
            addresses: Mutex::new(addresses.into_iter().map(Some).collect()),
            down: Mutex::default(),
            over: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            counts: Mutex::default(),
            violations: Mutex::default(),
        }
    }

    /// µs since the beginning.
    pub fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap()
    }

    /// Once more.
    pub fn count(&self, what: &'static str) {
        *self.counts.lock().unwrap().entry(what).or_default() += 1;
    }

    /// All counts, to be printed.
    pub fn counts(&self) -> String {
        format!("{:?}", self.counts.lock().unwrap())
    }

    /// Nothing was proven if nothing was given up, repeated or raced for.
    pub fn assert_busy(&self) {
        let counts = self.counts.lock().unwrap();
        for what in [
            "given up",
            "repeated",
            "freezes refused",
            "redeemed",
            "undone",
            "orders held",
            "confirms lost",
            "claims refused",
            "expensive quotes",
            "one-line quotes",
            "processes killed",
        ] {
            assert!(counts.contains_key(what), "no {what}: {counts:?}");
        }
    }

    /// Something is wrong.
    pub fn violation(&self, what: impl Into<String>) {
        self.violations.lock().unwrap().push(what.into());
    }

    /// All that is wrong.
    pub fn violations(&self) -> Vec<String> {
        self.violations.lock().unwrap().clone()
    }

    /// A server does not answer any more: nobody waits for it.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.finish();
    }

    /// Whether nobody answers any more.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Nobody begins anything new.
    pub fn finish(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// Whether nothing new is begun.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Lets everybody work; shorter when a server has stopped.
    pub async fn for_a_while(&self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until && !self.is_stopped() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A process is about to be killed.
    pub fn goes(&self, which: usize) {
        self.addresses.lock().unwrap()[which] = None;
        self.down.lock().unwrap().push((self.now(), u64::MAX));
        self.count("processes killed");
    }

    /// It runs again.
    pub fn comes(&self, which: usize, address: &str) {
        if let Some((_, ended)) = self.down.lock().unwrap().last_mut() {
            *ended = self.now();
        }
        self.addresses.lock().unwrap()[which] = Some(address.to_owned());
    }

    /// Whether a process was killed or started in this time.
    pub fn was_disturbed(&self, from: u64, to: u64) -> bool {
        let down = self.down.lock().unwrap();
        down.iter().any(|(began, ended)| *began <= to && from <= *ended)
    }

    /// How many processes there are.
    pub fn processes(&self) -> usize {
        self.addresses.lock().unwrap().len()
    }

    /// Where this process listens, if it runs.
    pub fn address(&self, which: usize) -> Option<String> {
        self.addresses.lock().unwrap()[which].clone()
    }

    /// Where somebody listens.
    pub fn anybody(&self, random: &mut Random) -> Option<String> {
        let running: Vec<String> = self.addresses.lock().unwrap().iter().flatten().cloned().collect();
        (!running.is_empty()).then(|| random.one(&running).clone())
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Asks once; `None` without an answer that decides anything.
    pub async fn once(&self, request: RequestBuilder) -> Option<Answer> {
        let from = self.now();
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                if error.is_timeout() && !self.was_disturbed(from, self.now()) && !self.is_stopped() {
                    self.violation(format!("no answer: {error}"));
                    self.stop();
                }
                return None;
            }
        };
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.ok()?;
        match (status, body["code"].as_str()) {
            // Nothing is known; ask again.
            (409, Some("in_flight")) => {
                self.count("in flight");
                None
            }
            (429 | 503, _) => {
                self.count("busy");
                None
            }
            (500.., _) => {
                self.violation(format!("{status}: {body}"));
                None
            }
            _ => Some((status, body)),
        }
    }

    /// Asks until there is an answer: up to three copies at a time, some given up in the middle. All answers; none if
    /// nobody answers any more.
    pub async fn until_answered(
        &self,
        random: &mut Random,
        request: impl Fn(&Client, &str) -> RequestBuilder,
    ) -> Vec<Answer> {
        for attempt in 0.. {
            if self.is_stopped() {
                break;
            }
            if attempt > 0 {
                tokio::time::sleep(random.time(1, 40)).await;
                self.count("repeated");
            }
            let copies = 1 + random.below(3).min(random.below(4));
            let mut asked = Vec::new();
            for _ in 0..copies {
                if let Some(address) = self.anybody(random) {
                    let patience = random.percent(30).then(|| random.time(0, 25));
                    asked.push((request(&self.client, &address), patience));
                }
            }
            let answers: Vec<Answer> = all(self, asked).await;
            if !answers.is_empty() {
                return answers;
            }
        }
        Vec::new()
    }
}

async fn all(world: &World, asked: Vec<(RequestBuilder, Option<Duration>)>) -> Vec<Answer> {
    let one = async |(request, patience): (RequestBuilder, Option<Duration>)| match patience {
        None => world.once(request).await,
        Some(patience) => match tokio::time::timeout(patience, world.once(request)).await {
            Ok(answer) => answer,
            Err(_) => {
                world.count("given up");
                None
            }
        },
    };
    let mut asked = asked;
    let (third, second, first) = (asked.pop(), asked.pop(), asked.pop());
    let maybe = async |asked: Option<_>| match asked {
        Some(asked) => one(asked).await,
        None => None,
    };
    let answers = tokio::join!(maybe(first), maybe(second), maybe(third));
    [answers.0, answers.1, answers.2].into_iter().flatten().collect()
}
