//! What the shop's own site and members ask head office under a name.

use std::collections::BTreeSet;

use anyhow::Result;
use axum::http::Method;
use counterfoil_domain::time::{DAY, MINUTE};
use counterfoil_head_office::members::sessions::{Link, begin};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Kind;
use crate::{
    net::Call,
    step::Making,
    world::{Question, World, pick},
};

/// Asks head office as the shop's own site or a member does, under a name: a question that was asked before is asked in
/// the same words. `effect` says whether its effect is to be seen, before and after.
pub(super) async fn post(
    world: &mut World,
    token: &str,
    key: String,
    new: Question,
    effect: Option<&Effect<'_>>,
) -> Result<String> {
    let question = world.asked.entry(key.clone()).or_insert(new).clone();
    let call = Call {
        method: Method::POST,
        path: question.path.clone(),
        headers: vec![
            ("authorization".into(), format!("Bearer {token}")),
            ("idempotency-key".into(), key.clone()),
        ],
        body: serde_json::to_vec(&question.body)?,
    };
    let before = standing(world, effect).await?;
    let answer = world.net.ask(&call).await;
    let after = standing(world, effect).await?;
    let effect_now = before != after && effect.is_some_and(|effect| after.as_deref() == Some(effect.comes_to));
    let Some(question) = world.asked.get_mut(&key) else {
        return Ok("nobody asked".into());
    };
    question.happened |= effect_now;
    // A page of a network's own is no answer.
    let answer = answer.and_then(|(status, body)| Some((status, serde_json::from_slice::<Value>(&body).ok()?)));
    let Some((status, body)) = answer else {
        return Ok("unanswered".into());
    };
    let word = body["status"].as_str().or(body["code"].as_str()).unwrap_or_default();
    let said = format!("{status} {word}");
    // Nobody ended it and the disk has room: it is the program's own mistake.
    if status == 500 && !world.office_full && !world.office_doom.struck() {
        world.net.differs(format!("{key} was answered {said}"));
    }
    if status >= 500 || status == 429 || word == "in_flight" {
        return Ok(said);
    }
    if question.happened && status >= 300 {
        world.net.differs(format!("{key} happened, and was answered {said}"));
    }
    match &question.heard {
        Some(before) if *before != said => world.net.differs(format!("{key} was {before} and is now {said}")),
        Some(_) => {}
        None => {
            question.heard = Some(said.clone());
            // A coupon that was claimed.
            world
                .coupons
                .extend(body["code"].as_str().filter(|_| status == 201).map(str::to_owned));
        }
    }
    Ok(said)
}

/// What a question about an order placed online comes to.
pub(super) struct Effect<'a> {
    pub number: &'a str,
    pub comes_to: &'static str,
}

/// Where the order stands, in head office's file.
async fn standing(world: &World, effect: Option<&Effect<'_>>) -> Result<Option<String>> {
    let Some(effect) = effect else { return Ok(None) };
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(world.office_file());
    let mut db = sqlx::ConnectOptions::connect(&options).await?;
    let status = sqlx::query_scalar("SELECT status FROM order_freezes WHERE number = $1")
        .bind(effect.number)
        .fetch_optional(&mut db)
        .await?;
    sqlx::Connection::close(db).await?;
    Ok(status)
}

/// The shop's own site asks a question again, in the same words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskAgain {
    question: usize,
}

impl Kind for AskAgain {
    const WEIGHT: u32 = 12;

    fn make(making: &mut Making<'_>, _: usize) -> Self {
        Self {
            question: making.dice.usize(..1_000),
        }
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        // Answers are kept for seven days.
        let recent = world.time.now() - 6 * DAY;
        let of_orders = |(_, question): &(&String, &Question)| {
            question.path.starts_with("/v1/order-freezes") && question.at > recent
        };
        let asked: Vec<&String> = world.asked.iter().filter(of_orders).map(|(key, _)| key).collect();
        let Some(key) = asked.get(self.question % asked.len().max(1)).map(|key| (*key).clone()) else {
            return Ok("nothing was asked".into());
        };
        let again = world.asked[&key].clone();
        let token = world.base.operator.clone();
        post(world, &token, key, again, None).await
    }
}

/// A step of an order placed online.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Online {
    Freeze,
    Confirm,
    Cancel,
    Void,
}

/// The shop's own site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    order: usize,
    step: Online,
    coupons: Vec<usize>,
}

impl Kind for Order {
    const WEIGHT: u32 = 58;
    const RECORDED: bool = true;

    fn make(making: &mut Making<'_>, _: usize) -> Self {
        Self {
            order: making.dice.usize(..10),
            step: match making.dice.u8(..8) {
                0..=3 => Online::Freeze,
                4..=5 => Online::Confirm,
                6 => Online::Cancel,
                _ => Online::Void,
            },
            coupons: (0..making.dice.usize(1..3)).map(|_| making.thing()).collect(),
        }
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        let step = self.step;
        // A number is used once more some time after it has ended.
        let number = format!("W-{}", self.order);
        let token = world.base.operator.clone();
        let (path, body) = match step {
            Online::Freeze => {
                let coupons: BTreeSet<&str> = self
                    .coupons
                    .iter()
                    .map(|coupon| pick(&world.coupons, *coupon))
                    .collect();
                let body = json!({
                    "order": number, "coupons": coupons, "amount": 1_000,
                    "deadline": world.time.now() + 20 * MINUTE,
                });
                ("/v1/order-freezes".to_owned(), body)
            }
            Online::Confirm => (format!("/v1/order-freezes/{number}/confirm"), json!({})),
            Online::Cancel => (format!("/v1/order-freezes/{number}/cancel"), json!({})),
            Online::Void => (format!("/v1/order-freezes/{number}/void"), json!({})),
        };
        let comes_to = match step {
            Online::Freeze => "frozen",
            Online::Confirm => "confirmed",
            Online::Cancel => "cancelled",
            Online::Void => "voided",
        };
        // One question of each kind an order and quarter of an hour: asking again within it is asking the same.
        let key = format!("{number}-{step:?}-{}", world.time.now() / (15 * MINUTE));
        let effect = Effect {
            number: &number,
            comes_to,
        };
        let question = Question::new(path, body, world.time.now());
        post(world, &token, key, question, Some(&effect)).await
    }
}

/// A member claims a coupon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    member: usize,
}

impl Kind for Claim {
    const WEIGHT: u32 = 20;

    fn make(making: &mut Making<'_>, _: usize) -> Self {
        Self {
            member: making.dice.usize(..9),
        }
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        let Some(app) = world.app() else {
            return Ok("down".into());
        };
        let number = world.base.members[self.member % world.base.members.len()].1.clone();
        let link = Link {
            tenant: counterfoil_head_office::seed::TENANT,
            member: &number,
            expires: app.clock.now() + 5 * MINUTE,
        };
        let signature = link.sign(&world.base.link_key);
        let Ok((token, _)) = begin(&app, &link, &signature).await else {
            return Ok("no session".into());
        };
        let asked_at = world.time.now();
        let key = format!("claim-{}-{}", self.member, asked_at / (10 * MINUTE));
        let body = json!({ "template": world.base.claimable });
        post(
            world,
            &token,
            key,
            Question::new("/v1/member/claims".into(), body, asked_at),
            None,
        )
        .await
    }
}
