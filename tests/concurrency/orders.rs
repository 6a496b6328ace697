//! Orders placed online: each wants one coupon, and each step is a question with a name.

use std::sync::Arc;

use counterfoil_tests::random::Random;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use crate::{
    asking::{Answer, World},
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

/// A step of an order: a question with a name.
struct Step {
    deed: Deed,
    path: String,
    key: String,
    body: Value,
}

impl Order<'_> {
    fn question(&self, client: &Client, address: &str, step: &Step) -> RequestBuilder {
        let request = client.post(format!("{address}{}", step.path)).bearer_auth(self.token);
        request.header("idempotency-key", &step.key).json(&step.body)
    }

    fn note(&self, step: &Step, answers: &[Answer]) {
        let mut history = self.world.history.lock().unwrap();
        let question = json!([step.path, step.key, step.body]).to_string();
        let named = history.named.entry(question).or_default();
        named.extend(answers.iter().map(|answer| json!(answer).to_string()));
    }

    /// One step, which may have been asked for before, until it is answered: how the order stands then, or the problem.
    async fn answered(&self, random: &mut Random, asked: u64, step: Step) -> Option<String> {
        let answers = self
            .world
            .until_answered(random, |client, address| self.question(client, address, &step))
            .await;
        let answered = self.world.now();
        let (status, said) = answers.first()?;
        let answer = match said["status"].as_str() {
            Some(stands) if *status < 300 => stands.to_owned(),
            _ => format!("{status} {}", said["code"].as_str().unwrap_or_default()),
        };
        self.note(&step, &answers);
        self.world.history.lock().unwrap().done.push(Done {
            coupon: self.coupon,
            deed: step.deed,
            answer: answer.clone(),
            asked,
            answered,
        });
        Some(answer)
    }

    async fn hold(&self, random: &mut Random, coupons: &[Wanted], deadline: i64) -> Option<String> {
        let body = json!({"order": self.number, "amount": 1_000, "coupons": [coupons[self.coupon].code],
            "deadline": deadline});
        let deed = Deed::Hold(self.number.clone());
        let step = Step {
            key: format!("{deed:?}"),
            path: "/v1/order-freezes".to_owned(),
            deed,
            body,
        };
        let answer = self.answered(random, self.world.now(), step).await;
        if answer.as_deref() == Some("frozen") {
            self.world.count("orders held");
        }
        answer
    }

    fn ending(&self, deed: fn(String) -> Deed, word: &str) -> Step {
        let deed = deed(self.number.clone());
        Step {
            key: format!("{deed:?}"),
            path: format!("/v1/order-freezes/{}/{word}", self.number),
            deed,
            body: json!({}),
        }
    }

    async fn end(&self, random: &mut Random, deed: fn(String) -> Deed, word: &str) -> Option<String> {
        self.answered(random, self.world.now(), self.ending(deed, word)).await
    }

    /// It is paid, the answer is lost, it is refunded, and only then somebody asks for the lost answer again: it is what
    /// it was. Whether it is still paid.
    async fn confirm_and_lose(&self, random: &mut Random) -> bool {
        let confirm = self.ending(Deed::Confirm, "confirm");
        let asked = self.world.now();
        if let Some(address) = self.world.anybody(random) {
            let question = self.question(self.world.client(), &address, &confirm);
            let once = tokio::time::timeout(random.time(0, 30), self.world.once(question)).await;
            if let Ok(Some(answer)) = once {
                self.note(&confirm, &[answer]);
            }
        }
        let mut refund = self.ending(Deed::Refund, "void");
        refund.key.push_str(" at once");
        let refunded = self.answered(random, self.world.now(), refund).await;
        self.world.count("confirms lost");
        self.answered(random, asked, confirm).await;
        refunded.as_deref() != Some("voided")
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
            Some("frozen") if random.percent(25) => {
                let is_paid = order.confirm_and_lose(&mut random).await;
                paid.extend(is_paid.then_some(order));
            }
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
