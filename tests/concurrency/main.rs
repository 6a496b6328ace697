//! Overlapping, given up and repeated requests of the same devices, members and orders, over real HTTP to real
//! processes that are killed meanwhile; what was asked and answered when is judged by a plain model.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that fails fails"
)]

mod asking;
mod claims;
mod devices;
mod history;
mod judge;
mod model;
mod orders;
mod quotes;

use std::{sync::Arc, time::Duration};

use asking::World;
use counterfoil_head_office::{on_both, testing::On};
use counterfoil_tests::{
    office::{Beside, Office},
    random::Random,
};
use serde_json::Value;

const SEED: &[&str] = &[
    "--members",
    "40",
    "--coupons",
    "900",
    "--stores",
    "2",
    "--pickups",
    "5",
    "--seed",
    "7",
];
/// Coupons that everybody wants.
const WANTED: usize = 14;
/// Long enough for the history to hold a few thousand requests and a kill or two.
const BEFORE_KILL: Duration = Duration::from_secs(6);
const WITH_QUOTES: Duration = Duration::from_secs(7);

/// So that the two databases don't take each other's time.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

on_both! { what_overlaps_is_answered_as_if_it_came_one_after_the_other }

/// Kills one process of head office and starts it again.
fn kill(world: &World, office: &mut Office, second: &mut Option<Beside>, which: usize) {
    match second {
        Some(beside) if which == 1 => {
            world.goes(1);
            beside.kill();
            *beside = office.beside();
            world.comes(1, &beside.address);
        }
        _ => {
            world.goes(0);
            office.kill();
            office.go();
            world.comes(0, &office.address);
        }
    }
}

async fn what_overlaps_is_answered_as_if_it_came_one_after_the_other(on: On) {
    let _alone = ONE_AT_A_TIME.lock().await;
    let seed = std::env::var("COUNTERFOIL_TEST_SEED").map_or_else(
        |_| {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            u64::from(now.unwrap().subsec_nanos())
        },
        |seed| seed.parse().unwrap(),
    );
    // Whoever looks into a failure sets it: the same choices, though not the same race.
    println!("COUNTERFOIL_TEST_SEED={seed}");
    let mut office = Office::start(on, SEED).await;
    let mut second = (on == On::Postgres).then(|| office.beside());
    let mut addresses = vec![office.address.clone()];
    addresses.extend(second.as_ref().map(|second| second.address.clone()));
    let world = Arc::new(World::new(addresses));
    let coupons = model::coupons(&office, WANTED).await;
    let operator = office.command(&["admin", "operator", "add", "--name", "ops", "--role", "admin"]);
    let operator: Value = serde_json::from_str(operator.trim()).unwrap();
    let operator = operator["token"].as_str().unwrap().to_owned();

    let watching = tokio::spawn(quotes::watch_health(Arc::clone(&world)));
    let mut devices = Vec::new();
    for place in 0..4_u64 {
        let code = office.enrol_code(if place == 3 { "s-02" } else { "s-01" });
        devices.push(devices::enrol(&world, &code, Random::of(seed, place)).await);
    }
    let members = claims::open(&world, &office, &operator).await;
    let mut working = Vec::new();
    for (place, device) in (0..).zip(devices) {
        let noise = devices::noise(Arc::clone(&world), Arc::clone(&device), Random::of(seed, 100 + place));
        working.push(tokio::spawn(noise));
        working.push(tokio::spawn(devices::work(Arc::clone(&world), device, coupons.clone())));
    }
    for place in 0..3_u64 {
        let random = Random::of(seed, 200 + place);
        let work = orders::work(Arc::clone(&world), operator.clone(), place, coupons.clone(), random);
        working.push(tokio::spawn(work));
    }
    for (place, member) in (0_u64..).zip(members.tokens.clone()) {
        let random = Random::of(seed, 300 + place);
        working.push(tokio::spawn(claims::work(
            Arc::clone(&world),
            members.template.clone(),
            member,
            random,
        )));
    }

    for round in 0..2 {
        world.for_a_while(BEFORE_KILL).await;
        kill(&world, &mut office, &mut second, round);
    }
    let quoting = quotes::Quoting::begin(&world, &operator, &members.tokens, seed);
    world.for_a_while(WITH_QUOTES).await;
    quoting.end().await;
    kill(&world, &mut office, &mut second, 0);
    world.finish();
    for work in working {
        work.await.unwrap();
    }
    orders::ask_again(&world, &operator, &mut Random::of(seed, 500)).await;
    watching.await.unwrap();

    let mut violations = world.violations();
    violations.extend(judge::judge(&world, &office, &coupons, &members).await);
    if let Some(second) = &mut second {
        second.kill();
    }
    office.kill();
    let (clean, said) = office.try_command(&["verify"]);
    if clean != Some(0) {
        violations.push(format!("verify: {said}"));
    }
    println!("{}", world.counts());
    assert!(violations.is_empty(), "seed {seed}: {violations:#?}");
    world.assert_busy();
}
