//! Orders placed online: each wants one coupon, and each step is a question with a name.

use std::sync::Arc;

use counterfoil_tests::random::Random;
use serde_json::{Value, json};

use crate::{
    asking::World,
    history::{Deed, Done},
    model::Wanted,
};

/// Named questions that are asked again at the very end.
const ASKED_AGAIN: usize = 60;
/// Orders that stay paid for a while.
const PAID: usize = 2;
/// Until payment should be known, ms.
const DEADLINE: i64 = 3_600_000;

/// An order, and the coupon that it wants.
struct Order<'a> {
    number: String,
    coupon: usize,
    world: &'a World,
    token: &'a str,
}

impl Order<'_> {
    /// One step, until it is answered: how the order stands then, or the problem.
    async fn step(&self, random: &mut Random, deed: fn(String) -> Deed, path: &str, body: Value) -> Option<String> {
        let (world, deed) = (self.world, deed(self.number.clone()));
        let key = format!("{deed:?}");
        let asked = world.now();
        let answers = world
            .until_answered(random, |client, address| {
                let request = client.post(format!("{address}{path}")).bearer_auth(self.token);
                request.header("idempotency-key", &key).json(&body)
            })
            .await;
        let answered = world.now();
        let (status, said) = answers.first()?;
        let answer = match said["status"].as_str() {
            Some(stands) if *status < 300 => stands.to_owned(),
            _ => format!("{status} {}", said["code"].as_str().unwrap_or_default()),
        };
        let mut history = world.history.lock().unwrap();
        let question = json!([path, key, body]).to_string();
        let named = history.named.entry(question).or_default();
        named.extend(answers.iter().map(|answer| json!(answer).to_string()));
        history.done.push(Done {
            coupon: self.coupon,
            deed,
            answer: answer.clone(),
            asked,
            answered,
        });
        Some(answer)
    }

    async fn hold(&self, random: &mut Random, coupons: &[Wanted], deadline: i64) -> Option<String> {
        let body = json!({"order": self.number, "amount": 1_000, "coupons": [coupons[self.coupon].code],
            "deadline": deadline});
        let answer = self.step(random, Deed::Hold, "/v1/order-freezes", body).await;
        if answer.as_deref() == Some("frozen") {
            self.world.count("orders held");
        }
        answer
    }

    async fn end(&self, random: &mut Random, deed: fn(String) -> Deed, word: &str) -> Option<String> {
        let path = format!("/v1/order-freezes/{}/{word}", self.number);
        self.step(random, deed, &path, json!({})).await
    }
}

/// Places orders until it is over.
pub async fn work(world: Arc<World>, token: String, place: u64, coupons: Arc<Vec<Wanted>>, mut random: Random) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let deadline = i64::try_from(now.unwrap().as_millis()).unwrap() + DEADLINE;
    let mut paid: Vec<Order<'_>> = Vec::new();
    for number in 0.. {
        if world.is_over() {
            return;
        }
        if paid.len() > PAID {
            paid.remove(0).end(&mut random, Deed::Refund, "void").await;
        }
        let order = Order {
            number: format!("W-{place}-{number}"),
            coupon: random.below(coupons.len()),
            world: &world,
            token: &token,
        };
        // Now and then the cancel overtakes its question, which then holds nothing.
        if random.percent(5) {
            order.end(&mut random, Deed::Cancel, "cancel").await;
        }
        match order.hold(&mut random, &coupons, deadline).await.as_deref() {
            Some("frozen") if random.percent(50) => {
                order.end(&mut random, Deed::Confirm, "confirm").await;
                paid.push(order);
            }
            Some("frozen") => {
                order.end(&mut random, Deed::Cancel, "cancel").await;
            }
            // It holds nothing, so it can't be paid with it.
            Some(_) if random.percent(30) => {
                order.end(&mut random, Deed::Confirm, "confirm").await;
            }
            _ => {}
        }
        tokio::time::sleep(random.time(5, 60)).await;
    }
}

/// Asks named questions again after everything: each gets the answer that it got.
pub async fn ask_again(world: &World, token: &str, random: &mut Random) {
    let questions: Vec<String> = world.history.lock().unwrap().named.keys().cloned().collect();
    for _ in 0..ASKED_AGAIN.min(questions.len()) {
        let question = random.one(&questions).clone();
        let (path, key, body): (String, String, Value) = serde_json::from_str(&question).unwrap();
        let answers = world
            .until_answered(random, |client, address| {
                let request = client.post(format!("{address}{path}")).bearer_auth(token);
                request.header("idempotency-key", &key).json(&body)
            })
            .await;
        let mut history = world.history.lock().unwrap();
        let named = history.named.entry(question).or_default();
        named.extend(answers.iter().map(|answer| json!(answer).to_string()));
    }
}
