//! Quotes of one line while expensive ones run, and whether the server is there at all.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use counterfoil_head_office::testing::heavy_basket;
use counterfoil_tests::random::Random;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::asking::World;

/// Who asks for expensive ones.
const EXPENSIVE: usize = 4;

/// Asks every process for `/healthz` until it is over; none may stop answering.
pub async fn watch_health(world: Arc<World>) {
    let processes = world.processes();
    while !world.is_over() {
        for which in 0..processes {
            let Some(address) = world.address(which) else { continue };
            let asked = world.now();
            let answer = world.client().get(format!("{address}/healthz")).send().await;
            let is_well = answer.as_ref().is_ok_and(|answer| answer.status().is_success());
            if is_well {
                world.count("health");
            } else if !world.was_disturbed(asked, world.now()) && !world.is_over() {
                world.violation(format!("/healthz of process {which} was answered {answer:?}"));
                world.stop();
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What is under way.
pub struct Quoting {
    world: Arc<World>,
    over: Arc<AtomicBool>,
    expensive: Vec<JoinHandle<()>>,
    small: JoinHandle<()>,
    /// One-line quotes that were answered, and that were not.
    asked: Arc<Mutex<[u64; 2]>>,
}

impl Quoting {
    /// Members ask for expensive quotes, give some up, and ask again; the shop's site asks for small ones.
    pub fn begin(world: &Arc<World>, operator: &str, members: &[(usize, String)], seed: u64) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let mut expensive = Vec::new();
        for (place, (_, token)) in (0_u64..).zip(members.iter().take(EXPENSIVE)) {
            let (world, over, token) = (Arc::clone(world), Arc::clone(&over), token.clone());
            let random = Random::of(seed, 400 + place);
            expensive.push(tokio::spawn(ask_expensive(world, over, token, random)));
        }
        let asked = Arc::new(Mutex::new([0; 2]));
        let small = tokio::spawn(ask_small(
            Arc::clone(world),
            Arc::clone(&over),
            operator.to_owned(),
            Arc::clone(&asked),
        ));
        Self {
            world: Arc::clone(world),
            over,
            expensive,
            small,
            asked,
        }
    }

    /// Ends it and says what small quotes came to.
    pub async fn end(self) {
        self.over.store(true, Ordering::SeqCst);
        for asking in self.expensive {
            asking.abort();
        }
        self.small.await.unwrap();
        let [answered, refused] = *self.asked.lock().unwrap();
        println!("quotes of one line: {answered} answered, {refused} not");
        // A machine that is busy with other things may refuse one; where expensive ones are in the way, hardly any is answered.
        if answered <= refused {
            self.world.violation(format!(
                "expensive quotes shut out others: of {} quotes of one line {answered} were answered",
                answered + refused
            ));
        }
    }
}

async fn ask_expensive(world: Arc<World>, over: Arc<AtomicBool>, token: String, mut random: Random) {
    let body = heavy_basket(500, 10).to_string();
    while !over.load(Ordering::SeqCst) && !world.is_stopped() {
        let Some(address) = world.anybody(&mut random) else {
            break;
        };
        let request = world.client().post(format!("{address}/v1/quotes")).bearer_auth(&token);
        let request = request.body(body.clone()).send();
        world.count("expensive quotes");
        // Some give up, which ends the work.
        let patience = if random.percent(30) {
            random.time(100, 1_500)
        } else {
            Duration::from_secs(60)
        };
        if tokio::time::timeout(patience, request).await.is_err() {
            world.count("given up");
        }
        tokio::time::sleep(random.time(50, 250)).await;
    }
}

async fn ask_small(world: Arc<World>, over: Arc<AtomicBool>, token: String, asked: Arc<Mutex<[u64; 2]>>) {
    let mut random = Random::of(0, 0);
    let mut known: Option<Value> = None;
    while !over.load(Ordering::SeqCst) && !world.is_stopped() {
        let Some(address) = world.anybody(&mut random) else {
            break;
        };
        let request = world.client().post(format!("{address}/v1/quotes")).bearer_auth(&token);
        match world.once(request.body(heavy_basket(1, 1).to_string())).await {
            Some((200, quote)) => {
                world.count("one-line quotes");
                asked.lock().unwrap()[0] += 1;
                if known.get_or_insert_with(|| quote.clone()) != &quote {
                    world.violation(format!("the same basket got another quote: {quote}"));
                }
            }
            Some(other) => world.violation(format!("a quote was answered {other:?}")),
            None => asked.lock().unwrap()[1] += 1,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
